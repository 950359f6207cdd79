"""What is checked before pixels are decoded."""

from __future__ import annotations

import base64
import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.uid import HTJ2K, UID, HTJ2KLossless, JPEG2000Lossless, JPEGLSLossless, RLELossless

from inference.attributes import quiet_pydicom
from inference.codecs import PixelFile, code_stream_size
from node.domain.errors import PixelDataError
from node.domain.extent import Extent
from tests.dicom_factory import ct_series, enhanced_ct, write

SOC_SIZ = b"\xff\x4f\xff\x51"


def test_size_of_a_jpeg_2000_stream_is_read_without_its_offset() -> None:
    siz = struct.pack(">HH8I", 47, 0, 612, 520, 100, 8, 612, 520, 0, 0) + b"\x00\x01" + b"\x0f\1\1"
    stream = SOC_SIZ + siz
    assert code_stream_size(stream) == (512, 512, 1)
    boxed = b"\x00\x00\x00\x0cjP  \r\n\x87\n" + b"\x00" * 40 + stream
    assert code_stream_size(boxed) == (512, 512, 1)


@pytest.mark.parametrize("marker", [0xC0, 0xC1, 0xC3, 0xF7])
def test_size_of_a_jpeg_stream_is_read_behind_other_segments(marker: int) -> None:
    table = b"\xff\xc4\x00\x05\x01\x02\x03"
    frame = bytes([0xFF, marker]) + b"\x00\x0b\x0c" + struct.pack(">HH", 300, 200) + b"\x01\1\1\1\0"
    assert code_stream_size(b"\xff\xd8" + table + frame) == (300, 200, 1)


@pytest.mark.parametrize(
    "stream", [b"", b"\xff\xd8", b"\xff\xd8\xff\xd9" * 4, SOC_SIZ, b"GIF89a" * 9]
)
def test_what_is_no_code_stream_has_no_size(stream: bytes) -> None:
    assert code_stream_size(stream) is None


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_frames_are_decoded_in_the_order_asked_for(tmp_path: Path, syntax: str) -> None:
    images = ct_series(slices=1, transfer_syntax=syntax)
    (path,) = write(images, tmp_path)
    (values,) = PixelFile(Extent(path), syntax).frames([0])
    np.testing.assert_array_equal(values, images[0].pixel_array)


#: `steps()`, reversible, as OpenJPH 0.26.3 (BSD-2-Clause) writes it behind imagecodecs.
_HTJ2K = base64.b64decode(
    b"/0//UQApQAAAAAAgAAAAGAAAAAAAAAAAAAAAIAAAABgAAAAAAAAAAAABDwEB/1AACAACAAAACv9SAAwAAgABAAUE"
    b"BEAB/1wAEyCIkJCQkJCQkJCQkJCQiIiI/2QAFwABT3BlbkpQSCBWZXIgMC4yNi4zLv+QAAoAAAAAAnQAAf+TwAAl"
    b"FQUHdADAABLAABKAqAGHdAC8AQd0AMAAFRAABICVC9r8AIK0AJkSMwDAABaEAAFoQAATAGU5uSwJbZeThfY/c+RR"
    b"tgCBDjnkkE6Hcf4CT3Mk0LcAIwd4FnUAwAAXYQAAXXQAAWuAAFC/BrK+EBO35iIA72so8eswa6swQwAAb4wg7+sw"
    b"bYswQ/AAg7OJg7OJ5i3Isr0AhCNhPAKEG2CA8Y1ZZplmllpmkYYEIIQQQhABgCBC/AJLriS7P3Xd2ckxCROfACQP"
    b"WDEIfkuCdQJcZguxr3GHRuUombwAwAAvo2AAF9KwAAvWQAZF+QEQlNOEcFkJEiUIyi8giEAIyjIQAoIIvjIIAiEE"
    b"i3KMkI4T37gIhMEwhKUAEAFwnkAgAEQZDgMQSM4Ihq8kgEAIgPIUAgIIhDIMBiEAJCjGECAAoJwGAAIAxjEoAMBy"
    b"rU7GyJLfOJwnCdqNo8dvG32N2f2854m/iX/PE4ThnS6hEESNAip3hC3sAoQQgpAQMlLhhAPSYCRxwgEpjFQ44YA0"
    b"KGAQ4ycG+GCQ8ZEBPhhkfGKADwYIA4QQxAgDhBDECAOEEMQIAwiJEhIFDBASJZACBgikhEQBAUgQEAQEwWMqnYzr"
    b"1ZNkAALg4AAXXAABPuAAAPL0ORoMCgAAD8AAAKgAAFkAAHwsAAF9wAAB7gAAungABd3pvzgfWhN7n7EEyEpaGVpZ"
    b"SkeVRkUHGWUYZRhlIGJ1rYpUa14qLzUvFSlI4ghJNAqSOHgmjZJ8pKv7JDYNJxdcNpcPQvHc96Xx5OK7198M0HQL"
    b"r0/7d+40+uXnaOuvfnR0UQP/2Q=="
)


def steps() -> NDArray[np.uint16]:
    """(24, 32): blocks with a little texture."""
    row, column = np.mgrid[:24, :32]
    values: NDArray[np.uint16] = (column // 8 * 100 + row // 6 * 37 + column * row % 5).astype("u2")
    return values


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2K])
def test_high_throughput_jpeg_2000_is_decoded_to_the_last_bit(tmp_path: Path, syntax: UID) -> None:
    assert code_stream_size(_HTJ2K) == (24, 32, 1)
    (image,) = ct_series(slices=1, rows=24, columns=32, stored_bits=16)
    image.PixelData = encapsulate([_HTJ2K])
    image["PixelData"].is_undefined_length = True
    image.file_meta.TransferSyntaxUID = syntax
    (path,) = write([image], tmp_path)
    (values,) = PixelFile(Extent(path), syntax).frames([0])
    np.testing.assert_array_equal(values, steps())


def test_a_frame_that_is_not_there_fails(tmp_path: Path) -> None:
    image = enhanced_ct(3)
    (path,) = write([image], tmp_path)
    pixels = PixelFile(Extent(path), "")
    third, first = pixels.frames([2, 0])
    np.testing.assert_array_equal(third, image.pixel_array[2])
    np.testing.assert_array_equal(first, image.pixel_array[0])
    with pytest.raises(PixelDataError, match="holds 3 frames, not 4"):
        list(pixels.frames([3]))


def test_an_unknown_transfer_syntax_fails(tmp_path: Path) -> None:
    (path,) = write(ct_series(slices=1), tmp_path)
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.9.9.9\0"))
    with quiet_pydicom(), pytest.raises(PixelDataError, match="transfer syntax that is not known"):
        PixelFile(Extent(path), "")


def test_damaged_jpeg_2000_never_ends_the_process(tmp_path: Path) -> None:
    (path,) = write(ct_series(slices=1, transfer_syntax=JPEG2000Lossless), tmp_path)
    content = bytearray(path.read_bytes())
    start = content.find(SOC_SIZ)
    refused = 0
    for at in range(start + 42, start + 200, 3):
        damaged = content[:]
        damaged[at : at + 4] = b"\xff\xff\xff\xff"
        path.write_bytes(damaged)
        with quiet_pydicom():
            try:
                list(PixelFile(Extent(path), "").frames([0]))
            except PixelDataError as error:
                refused += "Error" not in str(error)
    assert refused > 10


@pytest.mark.shared
def test_damaged_twelve_bit_jpeg_fails(shared_images: Path, tmp_path: Path) -> None:
    (original,) = (shared_images / "odd_dicom" / "cornerstone3d").glob("CTImage*.4.51.dcm")
    content = original.read_bytes()
    # Without its first Huffman table the stream cannot be decoded.
    path = tmp_path / "damaged.dcm"
    path.write_bytes(content.replace(b"\xff\xc4", b"\xff\xfe"))
    with quiet_pydicom(), pytest.raises(PixelDataError, match="cannot be decoded"):
        list(PixelFile(Extent(path), "").frames([0]))
