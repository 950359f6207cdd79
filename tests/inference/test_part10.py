"""Stepping over elements finds what pydicom finds, or says that it cannot."""

from __future__ import annotations

import os
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from inference.attributes import Attributes, quiet_pydicom
from inference.codecs import READ_TAGS
from inference.part10 import PIXEL_DATA, Layout, lay_out
from inference.reading import SeriesReader
from node.domain.errors import PixelDataError
from node.domain.extent import Extent
from tests.dicom_factory import ct_series, write
from tests.inference.reading import files_under

WANTED = frozenset(int(tag) for tag in READ_TAGS) - {PIXEL_DATA}
KEYWORDS = ("Rows", "Columns", "BitsStored", "HighBit", "PixelRepresentation", "RescaleSlope",
            "RescaleIntercept", "RescaleType", "PixelPaddingValue", "PhotometricInterpretation",
            "SamplesPerPixel", "Units", "NumberOfFrames")  # fmt: skip


def laid_out(path: Path, offset: int = 0, length: int | None = None) -> Layout | None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return lay_out(Extent(path, offset, length), descriptor, WANTED)
    finally:
        os.close(descriptor)


def nested(depth: int, *, undefined: bool) -> Sequence:
    item = Dataset()
    item.CodeValue = "121322"
    if depth:
        item.ConceptNameCodeSequence = nested(depth - 1, undefined=undefined)
        item["ConceptNameCodeSequence"].is_undefined_length = undefined
    item.is_undefined_length_sequence_item = undefined
    return Sequence([item, item])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
@pytest.mark.parametrize("undefined", [False, True])
def test_pixels_behind_nested_sequences_are_found(
    tmp_path: Path, syntax: str, undefined: bool
) -> None:
    (image,) = ct_series(slices=1, transfer_syntax=syntax)
    image.ProcedureCodeSequence = nested(3, undefined=undefined)
    image["ProcedureCodeSequence"].is_undefined_length = undefined
    # Longer than what is read at first.
    image.add_new(0x00091010, "OB" if syntax == ExplicitVRLittleEndian else "UN", bytes(70_000))
    (path,) = write([image], tmp_path)
    layout = laid_out(path)
    assert layout is not None
    with path.open("rb") as file:
        file.seek(layout.pixel_offset)
        assert file.read(layout.pixel_bytes) == image.PixelData
    mine, theirs = Attributes(layout.dataset()), Attributes(pydicom.dcmread(path))
    assert [mine.texts(key) for key in KEYWORDS] == [theirs.texts(key) for key in KEYWORDS]
    assert mine.integer("Rows") == 64


def test_an_instance_in_the_middle_of_a_segment_is_found(tmp_path: Path) -> None:
    (path,) = write(ct_series(slices=1), tmp_path)
    content = path.read_bytes()
    segment = tmp_path / "segment"
    segment.write_bytes(b"\7" * 8192 + content + b"\7" * 8192)
    layout = laid_out(segment, 8192, len(content))
    assert layout is not None
    assert content[layout.pixel_offset :][: layout.pixel_bytes] == pydicom.dcmread(path).PixelData


def test_an_image_that_was_cut_off_never_takes_pixels_of_the_next_one(tmp_path: Path) -> None:
    """It lies in a segment before an image of somebody else."""
    (path, other) = write(ct_series(slices=2), tmp_path)
    whole = path.read_bytes()
    segment = tmp_path / "segment"
    segment.write_bytes(whole[:-3000] + other.read_bytes())
    reader = SeriesReader(is_ct=True)
    try:
        assert reader.open(Extent(segment, 0, len(whole))) is not None
        with pytest.raises(PixelDataError, match="is cut off"):
            reader.open(Extent(segment, 0, len(whole) - 3000))
    finally:
        reader.close()


def test_compressed_pixels_are_told(tmp_path: Path) -> None:
    (path,) = write(ct_series(slices=1, transfer_syntax=JPEG2000Lossless), tmp_path)
    layout = laid_out(path)
    assert layout is not None
    assert layout.is_encapsulated


def test_other_encodings_are_left_to_pydicom(tmp_path: Path) -> None:
    images = ct_series(slices=1, transfer_syntax=DeflatedExplicitVRLittleEndian)
    (deflated,) = write(images, tmp_path / "a")
    assert laid_out(deflated) is None
    (plain,) = write(ct_series(slices=1), tmp_path / "b")
    bare = tmp_path / "bare"
    bare.write_bytes(plain.read_bytes()[132:])
    assert laid_out(bare) is None


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damage_gives_an_answer_and_no_exception(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    (image,) = ct_series(slices=1, rows=8, columns=8)
    image.ProcedureCodeSequence = nested(2, undefined=True)
    image["ProcedureCodeSequence"].is_undefined_length = True
    (path,) = write([image], folder)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(128, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    layout = laid_out(path)
    assert layout is None or layout.pixel_offset <= len(content) + 12


@pytest.mark.shared
def test_every_image_that_is_understood_is_understood_as_pydicom_does(shared_images: Path) -> None:
    understood = 0
    with quiet_pydicom():
        for path in files_under(shared_images):
            layout = laid_out(path) if path.stat().st_size < 50_000_000 else None
            if layout is None:
                continue
            mine = Attributes(layout.dataset())
            theirs = Attributes(pydicom.dcmread(path, force=True, specific_tags=list(READ_TAGS)))
            if "PixelData" not in theirs:
                # Cut off, where pydicom gives up; there are no pixels to load either way.
                continue
            understood += 1
            for key in KEYWORDS:
                assert mine.texts(key) == theirs.texts(key), (path, key)
            if not layout.is_encapsulated:
                with path.open("rb") as file:
                    file.seek(layout.pixel_offset)
                    assert file.read(layout.pixel_bytes) == theirs.dataset.PixelData
    assert understood > 700
