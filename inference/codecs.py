"""Stored pixel data of one file -> frames of stored values, checked before anything is decoded.

Decoding is pydicom's with its plug-ins (pylibjpeg-openjpeg, pyjpegls, GDCM). What is decoded
here is what the header promises: the length of native data and the frame size inside every
compressed code stream must fit Rows x Columns first, so that a lying header or a tiny file
that unfolds to gigabytes is refused before memory is taken for it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID, RLELossless

from inference.attributes import UNREADABLE, Attributes
from node.domain.errors import PixelDataError

Stored = NDArray[np.integer]

#: Side of the largest CT matrix there is, with room.
MAX_SIDE = 8192
_DTYPES = {
    (8, 0): "<u1",
    (8, 1): "<i1",
    (16, 0): "<u2",
    (16, 1): "<i2",
    (32, 0): "<u4",
    (32, 1): "<i4",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFormat:
    """The Image Pixel module of a grey image (PS3.3 C.7.6.3), checked.

    Attributes:
        signed: Pixel Representation 1.
    """

    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    frames: int

    @property
    def dtype(self) -> np.dtype[np.integer]:
        """Little endian type of one stored value."""
        return np.dtype(_DTYPES[self.bits_allocated, int(self.signed)])

    @property
    def frame_bytes(self) -> int:
        """Length of one uncompressed frame."""
        return self.rows * self.columns * self.bits_allocated // 8


class PixelFile:
    """One file with its pixel data, of which frames can be decoded."""

    def __init__(self, path: Path, transfer_syntax_uid: str) -> None:
        """Read the file; nothing is decoded yet.

        Raises:
            PixelDataError: it cannot be read, holds no pixels, or contradicts itself.
        """
        try:
            dataset = pydicom.dcmread(path, force=True)
            meta = getattr(dataset, "file_meta", None)
            stated = "" if meta is None else str(meta.get("TransferSyntaxUID", ""))
        except UNREADABLE as error:
            raise PixelDataError(f"cannot be read ({type(error).__name__})") from error
        self.values = Attributes(dataset)
        self.transfer_syntax = UID(stated or transfer_syntax_uid)
        self.format = pixel_format(self.values)
        self._dataset = dataset
        self._check_length()

    def frames(self, indices: Sequence[int]) -> Iterator[Stored]:
        """Decode frames, counted from 0: (row, column) stored values, bits not yet masked.

        Raises:
            PixelDataError: the pixel data cannot be decoded to what the header promises.
        """
        form = self.format
        if indices and max(indices) >= form.frames:
            raise PixelDataError(f"holds {form.frames} frames, not {max(indices) + 1}")
        if self._is_plain:
            yield from self._plain(indices)
            return
        try:
            decoder = get_decoder(self.transfer_syntax)
            arrays = decoder.iter_array(self._dataset, indices=list(indices), raw=True)
            for array, _ in arrays:
                if array.shape != (form.rows, form.columns):
                    raise PixelDataError(
                        f"decodes to {array.shape[-1]} x {array.shape[0]} pixels instead of "
                        f"{form.columns} x {form.rows}"
                    )
                yield array
        except PixelDataError:
            raise
        except (*UNREADABLE, RuntimeError) as error:
            raise PixelDataError(
                f"has pixel data that cannot be decoded ({self.transfer_syntax.name}, "
                f"{type(error).__name__})"
            ) from error

    @property
    def _is_plain(self) -> bool:
        syntax = self.transfer_syntax
        return not syntax.is_compressed and syntax.is_little_endian

    def _plain(self, indices: Sequence[int]) -> Iterator[Stored]:
        form, data = self.format, self._dataset["PixelData"].value
        for index in indices:
            values = np.frombuffer(
                data, form.dtype, form.rows * form.columns, index * form.frame_bytes
            )
            yield values.reshape(form.rows, form.columns)

    def _check_length(self) -> None:
        """Does the pixel data hold what the header promises?"""
        form = self.format
        try:
            data = self._dataset["PixelData"].value
        except UNREADABLE as error:
            raise PixelDataError("holds no pixel data") from error
        if not isinstance(data, bytes) or not data:
            raise PixelDataError("holds no pixel data")
        if not self.transfer_syntax.is_encapsulated:
            expected = form.frame_bytes * form.frames
            if len(data) < expected:
                raise PixelDataError(
                    f"is cut off: {len(data)} of {expected} bytes of pixel data are there"
                )
            return
        if self.transfer_syntax == RLELossless:
            # A run of 128 equal bytes takes 2: PackBits never unfolds further (PS3.5 G.3).
            if len(data) * 64 < form.frame_bytes * form.frames:
                raise PixelDataError("is cut off: too little RLE data for its matrix")
            return
        self._check_code_streams(data)

    def _check_code_streams(self, data: bytes) -> None:
        form = self.format
        try:
            count = 0
            for frame in generate_frames(data, number_of_frames=form.frames):
                count += 1
                size = code_stream_size(frame)
                if size is not None and size != (form.rows, form.columns, 1):
                    raise PixelDataError(
                        f"has compressed pixels of {size[1]} x {size[0]} x {size[2]} under a "
                        f"header of {form.columns} x {form.rows} x 1"
                    )
                if size is None:
                    raise PixelDataError("has compressed pixels without a readable frame header")
        except UNREADABLE as error:
            raise PixelDataError(
                f"has compressed pixel data that cannot be taken apart ({type(error).__name__})"
            ) from error
        if count < form.frames:
            raise PixelDataError(f"is cut off: {count} of {form.frames} frames are there")


def pixel_format(values: Attributes) -> PixelFormat:
    """Read and check the Image Pixel module.

    Raises:
        PixelDataError: an attribute is missing or impossible, or the image is in colour.
    """
    rows, columns = values.integer("Rows"), values.integer("Columns")
    allocated = values.integer("BitsAllocated")
    if not rows or not columns or not 0 < rows <= MAX_SIDE or not 0 < columns <= MAX_SIDE:
        raise PixelDataError(f"has no usable matrix ({columns} x {rows} pixels)")
    signed = values.integer("PixelRepresentation")
    if allocated is None or (allocated, signed) not in _DTYPES:
        raise PixelDataError(f"has {allocated} bits allocated per pixel; 8, 16 or 32 are read")
    if values.integer("SamplesPerPixel") not in (1, None):
        raise PixelDataError("is a colour image; grey values are read")
    stored = values.integer("BitsStored") or allocated
    high = values.integer("HighBit")
    high = stored - 1 if high is None else high
    if not 1 <= stored <= allocated or not stored - 1 <= high < allocated:
        raise PixelDataError(f"has {stored} bits stored to bit {high} of {allocated}")
    return PixelFormat(
        rows=rows,
        columns=columns,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high,
        signed=signed == 1,
        frames=max(values.integer("NumberOfFrames") or 1, 1),
    )


def code_stream_size(frame: bytes) -> tuple[int, int, int] | None:
    """(rows, columns, components) that a JPEG, JPEG-LS or JPEG 2000 code stream announces.

    None where it is none of these.
    """
    if frame[:4] == b"\xff\x4f\xff\x51" and len(frame) >= 42:
        # SIZ marker segment, ISO/IEC 15444-1 A.5.1: reference grid minus image offset.
        right, bottom, left, top = struct.unpack_from(">4I", frame, 8)
        return bottom - top, right - left, struct.unpack_from(">H", frame, 40)[0]
    if frame[:2] != b"\xff\xd8":
        return None
    at = 2
    while at + 9 < len(frame):
        if frame[at] != 0xFF:
            return None
        marker = frame[at + 1]
        if marker == 0xFF:
            at += 1
        elif marker in _FRAME_MARKERS:
            rows, columns = struct.unpack_from(">2H", frame, at + 5)
            return rows, columns, frame[at + 9]
        else:
            at += 2 + struct.unpack_from(">H", frame, at + 2)[0]
    return None


#: SOF0-SOF15 without DHT, JPG and DAC (ISO/IEC 10918-1 table B.1), and SOF55 of JPEG-LS.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
