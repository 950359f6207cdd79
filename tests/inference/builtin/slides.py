"""A slide in memory: a painted base level and its pyramid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from inference.builtin.pipeline import OF_SLIDES
from models.manifest import ModelManifest
from node.domain.analysis import SlideRequest
from node.domain.extent import Extent
from node.domain.finding import Findings
from node.domain.slide import Level
from node.domain.study import InstanceUID, Patient, Plane, SeriesUID, StudyUID
from tests.inference.builtin.made import networks_of, series_of, volume

GLASS = (244, 244, 244)
#: Stained, and neither red nor its opposite: redness 0.5.
LILAC = (170, 160, 180)
RED = (255, 10, 10)
DARK = (40, 30, 60)


class PaintedSlide:
    """`node.domain.slide.Slide` over an array; counts what is read."""

    study_uid = StudyUID("1.1")
    series_uid = SeriesUID("1.5")
    frame_of_reference_uid = "1.6"
    stains: tuple[str, ...] = ("Hematoxylin", "Eosin")
    plane = Plane(
        sop_instance_uid=InstanceUID("1.7"),
        frame_number=None,
        position_mm=(0.0, 0.0, 0.0),
        extent=Extent(Path("absent")),
    )

    def __init__(
        self, base: NDArray[np.uint8], mpp_um: float = 0.5, factors: tuple[int, ...] = (1, 2, 8)
    ) -> None:
        self._images = [base[::factor, ::factor] for factor in factors]
        self.levels = tuple(
            Level(columns=image.shape[1], rows=image.shape[0], mpp_um=mpp_um * factor)
            for image, factor in zip(self._images, factors, strict=True)
        )
        self.largest_read = 0

    def read(self, level: int, corner: tuple[int, int], size: tuple[int, int]) -> NDArray[np.uint8]:
        self.largest_read = max(self.largest_read, size[0] * size[1])
        image = self._images[level]
        region = np.full((size[1], size[0], 3), 255, np.uint8)
        column, row = corner
        top, left = max(row, 0), max(column, 0)
        bottom, right = min(row + size[1], image.shape[0]), min(column + size[0], image.shape[1])
        if top < bottom and left < right:
            region[top - row : bottom - row, left - column : right - column] = image[
                top:bottom, left:right
            ]
        return region


def painted(rows: int = 1024, columns: int = 1536) -> NDArray[np.uint8]:
    """Glass with a piece of pale tissue in rows 200 to 800 and columns 300 to 1200."""
    base = np.empty((rows, columns, 3), np.uint8)
    base[...] = GLASS
    base[200:800, 300:1200] = LILAC
    return base


def looked_at(manifest: ModelManifest, slide: PaintedSlide, **thresholds: float) -> Findings:
    """What the package's built-in pipeline says of a slide."""
    return OF_SLIDES[manifest.pipeline](
        SlideRequest(
            slide=slide,
            series=series_of(volume(np.zeros((1, 2, 2), np.int16)), "SM"),
            patient=Patient(),
            model=manifest.identity,
            networks=networks_of(manifest),
            thresholds={**manifest.thresholds, **thresholds},
        ),
        manifest,
    )
