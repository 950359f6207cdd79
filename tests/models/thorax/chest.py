"""A drawn chest whose every volume is known: two lungs, trachea, bowel gas, table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from node.domain.extent import Extent
from node.domain.imaging import Volume
from node.domain.study import InstanceUID, Plane, SeriesUID, StudyUID

Field = NDArray[np.float32]
Paint = Callable[[Field, Field, Field, Field], None]

#: Middle (z, y, x) and half axes of each lung, mm; x to the left.
RIGHT, LEFT = (0.0, 5.0, -75.0), (0.0, 5.0, 75.0)
HALF = (100.0, 75.0, 50.0)
LUNG_ML = 4 / 3 * np.pi * np.prod(HALF) / 1000


def ball(z: Field, y: Field, x: Field, centre: tuple[float, float, float], radius: float) -> Field:
    """Depth inside a ball, mm."""
    a, b, c = centre
    return np.asarray(radius - np.sqrt((z - a) ** 2 + (y - b) ** 2 + (x - c) ** 2), np.float32)


def blended(hu: Field, depth: Field, value: float, step: float) -> None:
    """Paint what lies inside, its rim shared, in place."""
    share = np.clip(0.5 + depth / step, 0, 1)
    hu += share * (np.float32(value) - hu)


@dataclass(frozen=True)
class Chest:
    """How it is drawn. `bottom`, `top`: z of first and last slice."""

    bottom: float = -120.0
    top: float = 130.0
    slice_mm: float = 2.0
    pixel_mm: float = 1.6
    lungs: bool = True
    paint: tuple[Paint, ...] = ()
    noise_hu: float = 15.0
    padding_hu: float | None = None

    def voxels(self) -> tuple[Field, tuple[Field, Field, Field]]:
        z = np.arange(self.bottom, self.top + 0.1, self.slice_mm, dtype=np.float32)
        y = np.arange(-140, 140, self.pixel_mm, dtype=np.float32)
        x = np.arange(-190, 190, self.pixel_mm, dtype=np.float32)
        zz, yy, xx = np.meshgrid(z, y, x, indexing="ij")
        step = self.pixel_mm
        hu = np.full(zz.shape, -1000.0, np.float32)
        blended(hu, 1.0 - np.abs(yy - 125) + 0 * xx, -100.0, step)
        blended(hu, 100 * (1 - np.sqrt((yy / 105) ** 2 + (xx / 165) ** 2)), 40.0, step)
        rng = np.random.default_rng(0)
        if self.lungs:
            for middle in (RIGHT, LEFT):
                depth = 50 * (
                    1
                    - np.sqrt(
                        sum(
                            ((p - m) / h) ** 2
                            for p, m, h in zip((zz, yy, xx), middle, HALF, strict=True)
                        )
                    )
                )
                blended(hu, depth.astype(np.float32), -860.0, step)
            tube = 9.0 - np.hypot(yy, xx)
            blended(hu, np.where(zz > 20, tube, -50.0).astype(np.float32), -1000.0, step)
        for paint in self.paint:
            paint(hu, zz, yy, xx)
        hu += rng.standard_normal(hu.shape).astype(np.float32) * np.float32(self.noise_hu)
        return hu, (z, y, x)

    def volume(self, flips: tuple[bool, bool, bool] = (False, False, False)) -> Volume:
        """As a scanner may have written it: axes reversed."""
        hu, (z, y, x) = self.voxels()
        affine = np.eye(4)
        affine[:3, :3] = [[0, 0, self.pixel_mm], [0, self.pixel_mm, 0], [self.slice_mm, 0, 0]]
        affine[:3, 3] = [x[0], y[0], z[0]]
        voxels = np.clip(np.rint(hu), -1024, 3000).astype(np.int16)
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
        )


def lesion(centre: tuple[float, float, float], radius: float, value: float = 40.0) -> Paint:
    """A ball of tissue."""

    def paint(hu: Field, z: Field, y: Field, x: Field) -> None:
        blended(hu, ball(z, y, x, centre, radius), value, 1.6)

    return paint


def airless_right(hu: Field, z: Field, y: Field, x: Field) -> None:
    """The right lung without air, in place."""
    away = np.sqrt((z / 102) ** 2 + ((y - RIGHT[1]) / 77) ** 2 + ((x - RIGHT[2]) / 52) ** 2)
    blended(hu, np.asarray(50 * (1 - away), np.float32), 40.0, 1.6)
