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

import gdcm
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.tag import BaseTag
from pydicom.uid import UID, RLELossless

from inference.attributes import UNREADABLE, Attributes, tag_of
from node.domain.errors import PixelDataError, VolumeError
from node.domain.extent import Extent

Stored = NDArray[np.integer]

#: Side of the largest CT matrix there is, with room.
MAX_SIDE = 8192
#: Longest file that is read: an enhanced CT of 512 x 512 x 4000 in 16 bits, with room.
MAX_FILE_BYTES = 3 * 1024**3
#: All that is needed of a file here; private sequences and the like are stepped over.
READ_TAGS: tuple[BaseTag | int, ...] = (
    *(
        tag_of(keyword)
        for keyword in (
            "Rows",
            "Columns",
            "NumberOfFrames",
            "SamplesPerPixel",
            "PhotometricInterpretation",
            "BitsAllocated",
            "BitsStored",
            "HighBit",
            "PixelRepresentation",
            "PixelPaddingValue",
            "PixelPaddingRangeLimit",
            "RescaleSlope",
            "RescaleIntercept",
            "RescaleType",
            "ModalityLUTSequence",
            "Units",
            "SharedFunctionalGroupsSequence",
            "PerFrameFunctionalGroupsSequence",
            "ExtendedOffsetTable",
            "ExtendedOffsetTableLengths",
            "FloatPixelData",
            "DoubleFloatPixelData",
            "PixelData",
        )
    ),
    # Overlay Bit Position of the sixteen overlay groups.
    *(group << 16 | 0x0102 for group in range(0x6000, 0x6020, 2)),
)
#: One decoder per transfer syntax. pydicom would try GDCM first, which ends the whole process
#: on some damaged streams (a C++ exception that its Python border does not catch). Left to GDCM
#: is what nothing else here reads: JPEG lossless, and 12-bit JPEG. There a damaged stream can
#: end the worker process, which its keeper sees and reports as a failed job.
_PLUGINS = {
    "1.2.840.10008.1.2.4.50": "pillow",
    "1.2.840.10008.1.2.4.51": "pillow",
    "1.2.840.10008.1.2.4.57": "gdcm",
    "1.2.840.10008.1.2.4.70": "gdcm",
    "1.2.840.10008.1.2.4.80": "pyjpegls",
    "1.2.840.10008.1.2.4.81": "pyjpegls",
    "1.2.840.10008.1.2.4.90": "pylibjpeg",
    "1.2.840.10008.1.2.4.91": "pylibjpeg",
}
#: Processes 2 and 4, 6 and 8, 10 and 12 (PS3.5 8.2.1; the last two are retired).
_TWELVE_BIT_JPEG = frozenset(f"1.2.840.10008.1.2.4.{number}" for number in (51, 53, 55))
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

    def __init__(self, extent: Extent, transfer_syntax_uid: str) -> None:
        """Read the file; nothing is decoded yet.

        Raises:
            PixelDataError: it cannot be read, holds no pixels, or contradicts itself.
        """
        try:
            if extent.size > MAX_FILE_BYTES:
                raise PixelDataError("is a larger file than is loaded")
            with extent.open() as stream:
                dataset = pydicom.dcmread(stream, force=True, specific_tags=list(READ_TAGS))
            meta = getattr(dataset, "file_meta", None)
            stated = "" if meta is None else str(meta.get("TransferSyntaxUID", ""))
        except UNREADABLE as error:
            raise PixelDataError(f"cannot be read ({type(error).__name__})") from error
        self.transfer_syntax = UID(stated or transfer_syntax_uid)
        if not self.transfer_syntax.is_transfer_syntax or self.transfer_syntax.is_private:
            raise PixelDataError("is stored in a transfer syntax that is not known")
        self.values = Attributes(dataset)
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
            if self.transfer_syntax in _TWELVE_BIT_JPEG and form.bits_stored > 8:
                yield from self._twelve_bit_jpeg(indices)
                return
            decoder = get_decoder(self.transfer_syntax)
            arrays = decoder.iter_array(
                self._dataset,
                indices=list(indices),
                raw=True,
                decoding_plugin=_PLUGINS.get(self.transfer_syntax, ""),
            )
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
                f"has pixel data that cannot be decoded ({self.transfer_syntax.name}): damaged, or "
                "cut off on the way"
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

    def _twelve_bit_jpeg(self, indices: Sequence[int]) -> Iterator[Stored]:
        """Lossy JPEG of 12 bits, which pydicom has no plug-in for, straight from GDCM."""
        form, wanted = self.format, frozenset(indices)
        streams = generate_frames(self._dataset["PixelData"].value, number_of_frames=form.frames)
        decoded = {
            index: _gdcm_frame(stream, form, self.transfer_syntax)
            for index, stream in enumerate(streams)
            if index in wanted
        }
        for index in indices:
            yield decoded[index]

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
            # PackBits makes 2 bytes of at best 128 and at worst adds 1 to 128 (PS3.5 G.3).
            whole = form.frame_bytes * form.frames
            if len(data) * 64 < whole:
                raise PixelDataError("is cut off: too little RLE data for its matrix")
            if len(data) > 2 * whole + 1024 * (form.frames + 1):
                raise PixelDataError("holds more RLE data than its matrix can need")
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


def _gdcm_frame(stream: bytes, form: PixelFormat, transfer_syntax: UID) -> Stored:
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(stream)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((form.columns, form.rows, 1))
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.MONOCHROME2)
    image.SetPhotometricInterpretation(grey)
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.GetTSType(transfer_syntax)))
    image.SetPixelFormat(
        gdcm.PixelFormat(
            1, form.bits_allocated, form.bits_stored, form.bits_stored - 1, int(form.signed)
        )
    )
    # SWIG hands the bytes over as text with escapes.
    content = image.GetBuffer().encode("utf-8", "surrogateescape")
    if len(content) != form.frame_bytes:
        raise PixelDataError("has 12-bit JPEG pixels that cannot be decoded")
    return np.frombuffer(content, form.dtype).reshape(form.rows, form.columns)


def pixel_format(values: Attributes) -> PixelFormat:
    """Read and check the Image Pixel module.

    Raises:
        PixelDataError: an attribute is missing or impossible.
        VolumeError: a sound image, but not of grey values.
    """
    rows, columns = values.integer("Rows"), values.integer("Columns")
    _refuse_other_than_grey(values)
    allocated = values.integer("BitsAllocated")
    if not rows or not columns or not 0 < rows <= MAX_SIDE or not 0 < columns <= MAX_SIDE:
        raise PixelDataError(f"has no usable matrix ({columns} x {rows} pixels)")
    signed = values.integer("PixelRepresentation")
    if allocated is None or (allocated, signed) not in _DTYPES:
        raise PixelDataError(f"has {allocated} bits allocated per pixel; 8, 16 or 32 are read")
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


def _refuse_other_than_grey(values: Attributes) -> None:
    photometric = values.text("PhotometricInterpretation").upper()
    if values.integer("SamplesPerPixel") not in (1, None) or not (
        photometric.startswith("MONOCHROME") or not photometric
    ):
        raise VolumeError("is a colour image; grey values are read")
    if "FloatPixelData" in values or "DoubleFloatPixelData" in values:
        raise VolumeError("holds floating point pixels; whole numbers are read")
    if values.integer("BitsAllocated") == 1:
        raise VolumeError("is a mask of one bit per pixel; grey values are read")


def code_stream_size(frame: bytes) -> tuple[int, int, int] | None:
    """(rows, columns, components) that a JPEG, JPEG-LS or JPEG 2000 code stream announces.

    None where it is none of these.
    """
    if frame[:12] == _JP2_SIGNATURE:
        # A JP2 file where a bare code stream belongs (PS3.5 A.4.4); decoders read it anyhow.
        frame = frame[max(frame.find(_J2K_START, 0, 4096), 0) :]
    if frame[:4] == _J2K_START and len(frame) >= 42:
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


_J2K_START = b"\xff\x4f\xff\x51"
_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  \r\n\x87\n"
#: SOF0-SOF15 without DHT, JPG and DAC (ISO/IEC 10918-1 table B.1), and SOF55 of JPEG-LS.
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
