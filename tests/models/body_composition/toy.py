"""A drawn trunk whose every area is known, and networks that answer from the drawing.

The networks are doubles of `node.domain.imaging.Network`: they look up the truth instead of the
pixels, so that the tests judge the rules around the networks and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from models.body_composition import compartments, levels
from models.body_composition.compartments import Labels
from models.grid import Floats, Grid, Mask, canonical
from node.domain.analysis import AnalysisRequest
from node.domain.extent import Extent
from node.domain.finding import ModelIdentity
from node.domain.imaging import Volume
from node.domain.study import ClassUID, InstanceUID, Patient, Plane, Series, SeriesUID, StudyUID

Points = NDArray[np.float64]

THRESHOLDS = {
    "outline_cut_fraction": 0.02,
    "body_ml": 1.5,
    "neighbour_min_mm": 20.0,
    "neighbour_max_mm": 50.0,
    "adult_neighbour_mm": 27.0,
    "metal_cm2": 0.5,
}
PITCH_MM, BODY_MM = 34.0, 27.0
NAMES = ("L5", "L4", "L3", "L2", "L1", "T12", "T11")


@dataclass(frozen=True)
class Toy:
    """Half axes of nested ellipses (y, x) in mm; L3's middle lies at z = 0.

    `bottom`, `top`: z of the first and last slice. `pitch`: from one vertebra to the next.
    """

    bottom: float = -160.0
    top: float = 170.0
    slice_mm: float = 5.0
    pixel_mm: float = 2.0
    skin: tuple[float, float] = (110.0, 160.0)
    fascia: tuple[float, float] = (92.0, 140.0)
    cavity: tuple[float, float] = (76.0, 124.0)
    pitch: float = PITCH_MM
    field_mm: tuple[float, float] = (270.0, 390.0)
    centre_mm: tuple[float, float] = (0.0, 0.0)
    anchors: bool = True
    upside_down: bool = False
    metal: bool = False
    background: float = -1000.0
    scale: float = 1.0
    kidneys_hu: float = 30.0

    def inside(self, y: Points, x: Points, half: tuple[float, float]) -> Mask:
        return (y / half[0]) ** 2 + (x / half[1]) ** 2 <= 1.0

    def compartment(self, y: Points, x: Points) -> Labels:
        """Compartment at (y to posterior, x to left) mm; the same on every slice."""
        found = np.zeros(np.broadcast(y, x).shape, np.uint8)
        found[self.inside(y, x, self.skin)] = 1
        found[self.inside(y, x, self.fascia)] = 2
        found[self.inside(y, x, self.cavity)] = 4
        found[self.spine(y, x)] = 3
        return found

    def spine(self, y: Points, x: Points) -> Mask:
        return (y - 40.0) ** 2 + x**2 <= 22.0**2

    def hu(self, y: Points, x: Points) -> Floats:
        """Pure values: fat -100, muscle 50 with a fatty stripe, organs 40, bone 250."""
        part = self.compartment(y, x)
        hu = np.array([self.background, -100, 50, 250, -100, 0, 0], np.float32)[part]
        hu[self.inside(y + 20.0, x, (30.0, 70.0))] = 40.0
        hu[(part == 2) & (np.abs(y + 0 * x) < 6.0)] = -90.0
        if self.metal:
            hu[(y - 40.0) ** 2 + x**2 <= 6.0**2] = 3000.0
        return hu

    def level(self, z: Points, y: Points, x: Points) -> Labels:
        """Class of the `levels` network at (z, y, x) mm."""
        z = -z if self.upside_down else z
        found = np.zeros(np.broadcast(z, y, x).shape, np.uint8)
        spine = self.spine(y, x)
        for index, name in enumerate(NAMES):
            middle = (index - 2) * self.pitch
            found[(np.abs(z - middle) <= BODY_MM * self.pitch / PITCH_MM / 2) & spine] = (
                levels.CLASSES.index(name)
            )
        if self.anchors:
            low, high = -2.5 * self.pitch, 3.0 * self.pitch
            found[(z < low) & (z > low - 60) & spine] = levels.CLASSES.index("sacrum")
            sides = (np.abs(np.abs(x) - 90.0) < 15.0) & (np.abs(y - 20.0) < 30.0)
            found[(z < low) & sides] = levels.CLASSES.index("hip_bones")
            found[(z > high) & sides] = levels.CLASSES.index("lungs")
            shell = (np.abs(x) > 120.0) & (np.abs(y) < 25.0) & (np.abs(x) < 135.0)
            found[(z > high) & shell] = levels.CLASSES.index("ribs")
        return found

    @property
    def shape(self) -> tuple[int, int, int]:
        return (
            round((self.top - self.bottom) / self.slice_mm) + 1,
            round(self.field_mm[0] / self.pixel_mm),
            round(self.field_mm[1] / self.pixel_mm),
        )

    def volume(
        self,
        order: tuple[int, int, int] = (0, 1, 2),
        flips: tuple[bool, bool, bool] = (False, False, False),
        padding: Mask | None = None,
    ) -> Volume:
        """The trunk as a scanner may have written it: axes permuted and reversed."""
        slices, rows, columns = self.shape
        y = self.centre_mm[0] + (np.arange(rows) - (rows - 1) / 2) * self.pixel_mm
        x = self.centre_mm[1] + (np.arange(columns) - (columns - 1) / 2) * self.pixel_mm
        plane = self.hu(y[:, None], x[None, :]) * self.scale
        voxels = np.repeat(plane[None].astype(np.float32), slices, axis=0)
        affine = np.eye(4)
        affine[:3, :3] = [
            [0, 0, self.pixel_mm],
            [0, self.pixel_mm, 0],
            [self.slice_mm, 0, 0],
        ]
        affine[:3, 3] = [x[0], y[0], self.bottom]
        voxels = voxels.transpose(order)
        affine[:3, :3] = affine[:3, list(order)]
        for axis, backwards in enumerate(flips):
            if backwards:
                voxels = np.flip(voxels, axis)
                affine[:3, 3] += affine[:3, axis] * (voxels.shape[axis] - 1)
                affine[:3, axis] *= -1
        planes = tuple(
            Plane(
                sop_instance_uid=InstanceUID(f"1.2.3.{index + 1}"),
                frame_number=None,
                position_mm=tuple(affine[:3, 3] + index * affine[:3, 0]),
                extent=Extent(Path(f"{index}.dcm")),
            )
            for index in range(voxels.shape[0])
        )
        return Volume(
            study_uid=StudyUID("1.2.3"),
            series_uid=SeriesUID("1.2.3.4"),
            frame_of_reference_uid="1.2.3.5",
            voxels=np.ascontiguousarray(voxels),
            affine=affine,
            unit="HU",
            planes=planes,
            padding=padding,
        )

    def area_cm2(self, wanted: Callable[[Labels, Floats], Mask]) -> float:
        """Area where `wanted(compartment, hu)` holds, on a 0.25 mm grid."""
        y = np.arange(-150, 150, 0.25)[:, None]
        x = np.arange(-200, 200, 0.25)[None, :]
        return float(wanted(self.compartment(y, x), self.hu(y, x)).sum()) * 0.25**2 / 100


@dataclass
class RegionsDouble:
    """Answers the regions network's question from the drawing."""

    toy: Toy
    grid: Grid
    name: str = "regions"
    provider: str = "double"
    calls: list[int] = field(default_factory=list)

    def run(self, inputs: Floats) -> Floats:
        self.calls.append(len(inputs))
        rows, columns = compartments.window_axes(self.grid.hu[0], self.grid.spacing_mm[1:])
        origin, step = self.grid.affine[:3, 3], self.grid.spacing_mm
        y = origin[1] + rows.positions() * step[1]
        x = origin[0] + columns.positions() * step[2]
        answer = one_hot(self.toy.compartment(y[:, None], x[None, :]), 7)
        return np.repeat(answer[None], len(inputs), axis=0)

    def run_windows(self, image: Floats) -> Floats:
        return self.run(image[None])[0]


@dataclass
class LevelsDouble:
    """Answers the levels network's question from the drawing."""

    toy: Toy
    grid: Grid
    name: str = "levels"
    provider: str = "double"

    def run(self, inputs: Floats) -> Floats:
        raise AssertionError("the whole series goes through run_windows")

    def run_windows(self, image: Floats) -> Floats:
        along, rows, columns = levels.network_axes(self.grid)
        origin, step = self.grid.affine[:3, 3], self.grid.spacing_mm
        z = origin[2] + along.positions() * step[0]
        y = origin[1] + rows.positions() * step[1]
        x = origin[0] + columns.positions() * step[2]
        found = self.toy.level(z[:, None, None], y[None, :, None], x[None, None, :])
        missing = image.shape[1] - len(z)
        found = np.pad(found, ((missing // 2, missing - missing // 2), (0, 0), (0, 0)))
        return one_hot(found, len(levels.CLASSES))


def one_hot(labels: Labels, count: int) -> Floats:
    return np.stack([(labels == index).astype(np.float32) * 8 for index in range(count)])


def request(
    toy: Toy, volume: Volume | None = None, patient: Patient | None = None, contrast: str = ""
) -> AnalysisRequest:
    """A whole `AnalysisRequest` on the drawing."""
    volume = volume or toy.volume()
    grid = canonical(volume)
    return AnalysisRequest(
        volume=volume,
        series=Series(
            study_uid=volume.study_uid,
            series_uid=volume.series_uid,
            modality="CT",
            sop_class_uid=ClassUID("1.2.840.10008.5.1.4.1.1.2"),
            instances=(SimpleNamespace(),),
            planes=volume.planes,
            contrast_agent=contrast,
        ),
        patient=patient or Patient(),
        model=IDENTITY,
        networks={"regions": RegionsDouble(toy, grid), "levels": LevelsDouble(toy, grid)},
        thresholds=THRESHOLDS,
    )


IDENTITY = ModelIdentity(
    name="body_composition",
    title="Body composition at L3",
    version="0.1.0",
    digest="0" * 64,
    manufacturer="Vigie",
    task_number=1,
)
