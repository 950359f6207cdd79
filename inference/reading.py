"""The images of one series, read one by one straight to where their values are wanted.

Rows, bits, rescale and padding are the same bytes in nearly every image of a series: they are
judged once for each different header. Native pixels go from the file into the volume in one
step; compressed ones come from a store of decoded frames where there is one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from pydicom.uid import UID

from inference.attributes import Attributes, Frames
from inference.codecs import READ_TAGS, PixelFormat, pixel_format
from inference.nameless_file import NamelessFile
from inference.part10 import PIXEL_DATA, Layout, lay_out
from inference.rescale import Rescale, read_rescale
from node.domain.errors import PixelDataError
from node.domain.extent import Extent

_WANTED = frozenset(int(tag) for tag in READ_TAGS) - {PIXEL_DATA}
#: What a sequence says per frame is for `PixelFile` to find.
_SEQUENCES = frozenset({0x00283000, 0x52009229, 0x52009230})
#: Different headers of one series whose meaning is kept; rescale may differ in every image.
_MOST_KNOWN = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedFrames:
    """Frames of compressed single-frame images that were decoded before.

    Attributes:
        file: where their stored values lie one after the other, as decoded.
        offsets: of each image that was decoded.
    """

    file: NamelessFile
    offsets: Mapping[Extent, int] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """One single-frame image, not read yet."""

    form: PixelFormat
    rescale: Rescale
    unit: str
    descriptor: int
    offset: int

    def read_into(self, target: NDArray[Any]) -> None:
        """Its stored values.

        Args:
            target: (row, column) of `form.dtype`, contiguous.

        Raises:
            PixelDataError: they are cut off, or the disk failed.
        """
        try:
            read = os.preadv(self.descriptor, [target.data], self.offset)
        except OSError as error:
            raise PixelDataError(f"cannot be read ({type(error).__name__})") from error
        if read < target.nbytes:
            raise PixelDataError(
                f"is cut off: {read} of {target.nbytes} bytes of pixel data are there"
            )


class SeriesReader:
    """Opens images of one series. Close it; used by one thread."""

    def __init__(self, *, is_ct: bool, decoded: DecodedFrames | None = None) -> None:
        self._is_ct = is_ct
        self._decoded = decoded
        self._known: dict[Any, tuple[PixelFormat, Rescale, str]] = {}
        self._path: Path | None = None
        self._descriptor = -1
        self._frames = -1

    def close(self) -> None:
        """Close its files."""
        for descriptor in (self._descriptor, self._frames):
            if descriptor >= 0:
                os.close(descriptor)
        self._path, self._descriptor, self._frames = None, -1, -1

    def open(self, extent: Extent) -> Image | None:
        """One single-frame image; None where `PixelFile` has to read it.

        Raises:
            VolumeError, PixelDataError: as `PixelFile` and `read_rescale`.
        """
        try:
            layout = lay_out(extent, self._file(extent.path), _WANTED)
        except OSError as error:
            raise PixelDataError(f"cannot be read ({type(error).__name__})") from error
        if layout is None or not _SEQUENCES.isdisjoint(layout.elements):
            return None
        source = self._source(extent, layout)
        if source is None:
            return None
        form, rescale, unit = self._meaning(layout)
        if form.frames > 1:
            return None
        descriptor, offset = source
        # Behind the image others follow in the same file: what it states may not be there.
        there = layout.pixel_bytes
        if extent.length is not None:
            there = min(there, extent.length - layout.pixel_offset)
        if descriptor == self._descriptor and there < form.frame_bytes:
            raise PixelDataError(
                f"is cut off: {there} of {form.frame_bytes} bytes of pixel data are there"
            )
        return Image(form=form, rescale=rescale, unit=unit, descriptor=descriptor, offset=offset)

    def _source(self, extent: Extent, layout: Layout) -> tuple[int, int] | None:
        """File and offset of the stored values as they are wanted."""
        syntax = UID(layout.transfer_syntax_uid)
        if not syntax.is_transfer_syntax or syntax.is_private:
            return None
        if not layout.is_encapsulated:
            if syntax.is_encapsulated or not layout.pixel_bytes:
                return None
            return self._descriptor, extent.offset + layout.pixel_offset
        offset = None if self._decoded is None else self._decoded.offsets.get(extent)
        if offset is None:
            return None
        if self._frames < 0:
            assert self._decoded is not None
            try:
                self._frames = self._decoded.file.open(os.O_RDONLY)
            except OSError:
                # The node let go of them: they are decoded again.
                self._decoded = None
                return None
        return self._frames, offset

    def _meaning(self, layout: Layout) -> tuple[PixelFormat, Rescale, str]:
        key = tuple((tag, element.vr, element.value) for tag, element in layout.elements.items())
        known = self._known.get(key)
        if known is None:
            values = Attributes(layout.dataset())
            form = pixel_format(values)
            rescale = read_rescale(Frames(values).frame(None), form, is_ct=self._is_ct)
            known = form, rescale, "HU" if self._is_ct else values.text("Units")
            if len(self._known) < _MOST_KNOWN:
                self._known[key] = known
        return known

    def _file(self, path: Path) -> int:
        if path != self._path:
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._path, self._descriptor = None, -1
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self._path = path
        return self._descriptor
