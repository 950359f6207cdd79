"""A drawn lumbar and thoracic spine as a volume, with the anatomy that goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from models.manifest import ModelManifest
from models.phantoms.fractures import Change, Deformity
from models.phantoms.tissue import Tissue
from models.phantoms.vertebral_shape import Shape
from node.domain.analysis import AnalysisRequest
from node.domain.anatomy import Anatomy, Vertebra
from node.domain.extent import Extent
from node.domain.imaging import Network, Volume
from node.domain.study import ClassUID, InstanceUID, Patient, Plane, Series, SeriesUID, StudyUID

LEVELS = ("L4", "L3", "L2", "L1", "T12", "T11", "T10")
_TILT = {
    "L4": 0.04,
    "L3": 0.02,
    "L2": 0.0,
    "L1": -0.04,
    "T12": -0.05,
    "T11": -0.05,
    "T10": -0.05,
    "T9": -0.05,
}
#: Across: rows and columns of the image, and where the middles of the bodies lie, mm.
WIDE_MM, MIDDLE_MM = 110.0, (50.0, 55.0)
VALUE, CANAL, AORTA, DISC = 50, 6, 9, 4


def change(deformity: Deformity | None = None, loss: float = 0.0, **given: object) -> Change:
    """What is wrong with a body."""
    return Change(body=Tissue.L3, deformity=deformity, loss=loss, **given)  # type: ignore[arg-type]


@dataclass(frozen=True, kw_only=True)
class Toy:
    """A spine.

    Attributes:
        wrong: changes by level. named: levels are stated.
        lean: of the spine to the back, mm a mm. bend: to the left. turn: of the bodies about
            the course, radians, their backs to the left.
        bottom: height of the lowest slice, mm; it may cut a body.
        metal: levels with a screw. aorta_hu: of the vessel in front.
    """

    wrong: dict[str, Change]
    levels: tuple[str, ...] = LEVELS
    named: bool = True
    slice_mm: float = 1.5
    pixel_mm: float = 0.9
    marrow_hu: float = 150.0
    noise_hu: float = 10.0
    lean: float = 0.1
    bend: float = 0.0
    turn: float = 0.0
    metal: tuple[str, ...] = ()
    bottom: float = 0.0
    aorta_hu: float = 40.0

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Of each body."""
        return {
            level: Shape(
                half_width=23.0 - 0.8 * index,
                half_depth=17.0 - 0.4 * index,
                height=27.5 - 0.7 * index,
                tilt=_TILT[level],
                hollow=0.8,
                change=self.wrong.get(level),
            )
            for index, level in enumerate(self.levels)
        }

    @cached_property
    def middles(self) -> dict[str, NDArray[np.float64]]:
        """(x, y, z) mm of each body's middle."""
        found, z = {}, 34.0
        for level, shape in self.shapes.items():
            z += shape.height / 2
            y = MIDDLE_MM[0] + self.lean * (z - 100.0)
            x = MIDDLE_MM[1] + self.bend * (z - 100.0)
            found[level] = np.array([x, y, z])
            z += shape.height / 2 + 7.0
        return found

    @property
    def up(self) -> NDArray[np.float64]:
        """Unit vector of the course."""
        way = np.array([self.bend, self.lean, 1.0])
        return way / np.linalg.norm(way)

    def _own(self, level: str, points: tuple[NDArray[np.float32], ...]) -> tuple[np.ndarray, ...]:
        """(x, y, z) in the frame of a body, whose axis is the course."""
        away = [axis - middle for axis, middle in zip(points, self.middles[level], strict=True)]
        up = self.up
        way = np.array([np.sin(self.turn), np.cos(self.turn), 0.0])
        back = way - (way @ up) * up
        back /= np.linalg.norm(back)
        left = np.cross(back, up)
        return tuple(
            np.asarray(sum(a * w for a, w in zip(away, way, strict=True)), np.float32)
            for way in (left, back, up)
        )

    @cached_property
    def axes(self) -> tuple[NDArray[np.float32], ...]:
        """(x, y, z) of the voxels, broadcastable to (slice, row, column)."""
        top = max(m[2] for m in self.middles.values()) + 40.0
        z = np.arange(self.bottom, top, self.slice_mm, np.float32)[:, None, None]
        line = np.arange(0.0, WIDE_MM, self.pixel_mm, np.float32)
        return line[None, None, :], line[None, :, None], z

    @cached_property
    def hu(self) -> NDArray[np.int16]:
        """(slice, row, column) HU, blurred as slices are."""
        from scipy import ndimage  # noqa: PLC0415 - heavy, and only here

        x, y, z = self.axes
        image = np.full(np.broadcast_shapes(x.shape, y.shape, z.shape), -100.0, np.float32)
        image[:, :, :3] = -1000.0
        front = y - MIDDLE_MM[0] - self.lean * (z - 100.0)
        image[np.broadcast_to((front + 34) ** 2 + (x - 60) ** 2 < 11**2, image.shape)] = (
            self.aorta_hu
        )
        for level, shape in self.shapes.items():
            own = self._own(level, (x, y, z))
            column = (own[0] / shape.half_width) ** 2 + (own[1] / shape.half_depth) ** 2 < 0.9
            image[column & (np.abs(own[2]) < shape.height / 2 + 8)] = 80.0
        for level, shape in self.shapes.items():
            own = self._own(level, (x, y, z))
            canal = (own[0] / 9) ** 2 + ((own[1] - shape.half_depth - 6) / 7) ** 2 < 1
            image[canal & (np.abs(own[2]) < 20)] = 20.0
            arch = (np.abs(own[0]) < 4) & (own[1] > shape.half_depth + 14) & (own[1] < 45)
            image[arch & (np.abs(own[2] + 5) < 8)] = 400.0
        for level, shape in self.shapes.items():
            own = self._own(level, (x, y, z))
            top, bottom = shape.endplates(own[0], own[1])
            ends = np.minimum(top - own[2], own[2] - bottom)
            walls = shape.inward(*own)
            step = self.slice_mm
            outer = np.clip(ends / step + 0.5, 0, 1) * np.clip(walls / self.pixel_mm + 0.5, 0, 1)
            inner = np.clip((ends - 0.8) / step + 0.5, 0, 1) * np.clip(
                (walls - 0.7) / self.pixel_mm + 0.5, 0, 1
            )
            image = image * (1 - outer) + 650.0 * (outer - inner) + self.marrow_hu * inner
            if level in self.metal:
                image[(np.abs(own[0] - 6) < 4) & (np.abs(own[1]) < 14) & (np.abs(own[2]) < 4)] = (
                    2900
                )
        rng = np.random.default_rng(5)
        soft = ndimage.gaussian_filter(image, (0.3, 0.5, 0.5))
        noise = ndimage.gaussian_filter(rng.standard_normal(image.shape, np.float32), (0, 0.6, 0.6))
        soft += noise * (self.noise_hu / noise.std())
        return np.clip(np.rint(soft), -1024, 3071).astype(np.int16)

    @property
    def affine(self) -> NDArray[np.float64]:
        """(slice, row, column) to LPS mm."""
        p, s = self.pixel_mm, self.slice_mm
        return np.array(
            [[0, 0, p, 0], [0, p, 0, 0], [s, 0, 0, self.bottom], [0, 0, 0, 1]], np.float64
        )

    def volume(self) -> Volume:
        """As a series."""
        planes = tuple(
            Plane(
                sop_instance_uid=InstanceUID(f"1.2.3.{k + 1}"),
                frame_number=None,
                position_mm=(0.0, 0.0, self.bottom + k * self.slice_mm),
                extent=Extent(Path(f"{k}.dcm")),
                instance_number=k + 1,
            )
            for k in range(len(self.hu))
        )
        return Volume(
            study_uid=StudyUID("1.2.3"),
            series_uid=SeriesUID("1.2.3.4"),
            frame_of_reference_uid="1.2.3.5",
            voxels=self.hu,
            affine=self.affine,
            unit="HU",
            planes=planes,
        )

    def anatomy(self) -> Anatomy:
        """What the shared network would say: bodies 2 mm too low, on 2 mm voxels."""
        step = 2.0
        z = self.axes[2]
        top = float(z.max())
        line = np.arange(0.0, WIDE_MM, step, np.float32)
        grid = (
            line[None, None, :],
            line[None, :, None],
            np.arange(self.bottom, top, step, np.float32)[:, None, None],
        )
        labels = np.zeros([grid[2].size, line.size, line.size], np.uint8)
        vertebrae = []
        for level, shape in self.shapes.items():
            own = self._own(level, grid)
            canal = (own[0] / 9) ** 2 + ((own[1] - shape.half_depth - 6) / 7) ** 2 < 1
            labels[canal & (np.abs(own[2]) < 18)] = CANAL
            column = (own[0] / shape.half_width) ** 2 + (own[1] / shape.half_depth) ** 2 < 0.9
            labels[column & (np.abs(own[2]) < shape.height / 2 + 6)] = DISC
        front = grid[1] - MIDDLE_MM[0] - self.lean * (grid[2] - 100.0)
        labels[np.broadcast_to((front + 34) ** 2 + (grid[0] - 60) ** 2 < 11**2, labels.shape)] = (
            AORTA
        )
        for index, (level, shape) in enumerate(self.shapes.items()):
            own = self._own(level, grid)
            ends = shape.endplates(own[0], own[1])
            inside = (own[2] + 2 < ends[0]) & (own[2] + 2 > ends[1]) & (shape.inward(*own) > 0)
            value = VALUE + index
            labels[inside] = value
            centre = self.middles[level] + np.array([1.5, 1.5, -2.0])
            vertebrae.append(
                Vertebra(
                    level=level if self.named else "",
                    value=value,
                    centre_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
                )
            )
        names = {VALUE + i: f"vertebra_{level}" for i, level in enumerate(self.levels)}
        return Anatomy(
            labels=labels,
            affine=np.array(
                [[0, 0, step, 0], [0, step, 0, 0], [step, 0, 0, self.bottom], [0, 0, 0, 1]],
                np.float64,
            ),
            names={CANAL: "spinal_canal", AORTA: "aorta", DISC: "intervertebral_discs", **names},
            vertebrae=tuple(vertebrae),
            anchors=("sacrum",) if self.named else (),
            doubts=() if self.named else ("no sacrum and no ribs are in view",),
            model_digest="toy",
        )


def request(
    toy: Toy,
    manifest: ModelManifest,
    networks: Mapping[str, Network],
    *,
    anatomy: Anatomy | None = None,
) -> AnalysisRequest:
    """The toy as the package is handed it."""
    volume = toy.volume()
    seen = anatomy or toy.anatomy()
    return AnalysisRequest(
        volume=volume,
        series=Series(
            study_uid=volume.study_uid,
            series_uid=volume.series_uid,
            modality="CT",
            sop_class_uid=ClassUID("1.2.840.10008.5.1.4.1.1.2"),
            instances=(SimpleNamespace(),),  # type: ignore[arg-type]
            planes=volume.planes,
        ),
        patient=Patient(),
        model=manifest.identity,
        networks=networks,
        thresholds=manifest.thresholds,
        anatomy=lambda: seen,
    )


def known_between(anatomy: Anatomy, lowest_mm: float, highest_mm: float) -> Anatomy:
    """The anatomy as a network gives it that sees the spine only between two heights, mm."""
    heights = anatomy.affine[2, 3] + anatomy.affine[2, 0] * np.arange(len(anatomy.labels))
    seen = (heights >= lowest_mm) & (heights <= highest_mm)
    return replace(
        anatomy,
        labels=np.where(seen[:, None, None], anatomy.labels, 0).astype(np.uint8),
        vertebrae=tuple(
            one for one in anatomy.vertebrae if lowest_mm <= one.centre_mm[2] <= highest_mm
        ),
    )
