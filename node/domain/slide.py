"""Whole slides: a pyramid of images of one specimen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from node.domain.study import Plane, SeriesUID, StudyUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """One resolution of a slide.

    Attributes:
        columns, rows: of the total pixel matrix (PS3.3 C.8.12.4).
        mpp_um: distance of the pixel centres, micrometres, the same along both axes.
    """

    columns: int
    rows: int
    mpp_um: float


class Slide(Protocol):
    """One complete slide, opened in the process that reads it.

    Whoever builds one has checked that every part of it is there, that exactly one volume
    image is its base level, and that its pixel spacing is stated; labels and overviews, which
    may show a name, are no levels. Handles are never shared between processes.
    """

    @property
    def study_uid(self) -> StudyUID: ...

    @property
    def series_uid(self) -> SeriesUID: ...

    @property
    def frame_of_reference_uid(self) -> str:
        """Of the slide's own coordinates."""
        ...

    @property
    def levels(self) -> tuple[Level, ...]:
        """The finest first; the first is the base level."""
        ...

    @property
    def plane(self) -> Plane:
        """The image that is the base level. Contours on it count (column, row) in its total
        pixel matrix; 0.0 is the outer edge of the first pixel (PS3.3 C.18.6.1.1)."""
        ...

    @property
    def stains(self) -> tuple[str, ...]:
        """Meanings of the stains of the specimen preparation, as the slide states them."""
        ...

    def read(self, level: int, corner: tuple[int, int], size: tuple[int, int]) -> NDArray[np.uint8]:
        """A region of a level.

        Args:
            corner: (column, row) of its first pixel; may lie outside. size: (columns, rows).

        Returns:
            (row, column, 3) sRGB; white where the slide has no tile.

        Raises:
            PixelDataError: a tile cannot be decoded.
        """
        ...
