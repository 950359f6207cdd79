"""A small chest with lungs full of vessels, and the same chest at another time: moved, breathed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.priors.grid import coarse
from node.domain.extent import Extent
from node.domain.imaging import Volume
from node.domain.study import InstanceUID, Plane, SeriesUID, StudyUID

Points = NDArray[np.float64]


def chest(seed: int = 1, *, lungs: bool = True) -> Volume:
    """(60, 100, 120) voxels of 3 mm; two lungs with random vessels in soft tissue, in air."""
    random = np.random.default_rng(seed)
    shape = (60, 100, 120)
    z, y, x = np.mgrid[: shape[0], : shape[1], : shape[2]].astype(np.float64)
    body = ((y - 50) / 44) ** 2 + ((x - 60) / 55) ** 2 < 1
    hu = np.where(body, 40.0, -1000.0)
    if lungs:
        inside = np.zeros(shape, np.bool_)
        for side in (38, 82):
            middle = ((y - 48) / 30) ** 2 + ((x - side) / 18) ** 2 + ((z - 26) / 34) ** 2
            inside |= middle < 1
        # Bands of smooth noise around its zero are tubes and sheets, as vessels and fissures are.
        noise = ndimage.gaussian_filter(random.normal(size=shape), 2.0)
        vessels = np.abs(noise) < 0.12 * noise.std()
        hu[inside] = np.where(vessels, 30.0, -850.0)[inside]
    hu += random.normal(0, 15, shape)
    affine = np.diag([0.0, 0.0, 0.0, 1.0])
    affine[:3, :3] = np.array([[0, 0, 3.0], [0, 3.0, 0], [3.0, 0, 0]])
    affine[:3, 3] = (-180.0, -150.0, -90.0)
    return volume_of(hu, affine)


def volume_of(hu: NDArray[np.float64], affine: Points) -> Volume:
    """Any array as a volume."""
    planes = tuple(
        Plane(
            sop_instance_uid=InstanceUID(f"1.{number}"),
            frame_number=None,
            position_mm=(0.0, 0.0, float(number)),
            extent=Extent(Path("/nowhere")),
        )
        for number in range(hu.shape[0])
    )
    return Volume(
        study_uid=StudyUID("1.1"),
        series_uid=SeriesUID("1.2"),
        frame_of_reference_uid="1.3",
        voxels=np.round(hu).astype(np.int16),
        affine=affine,
        unit="HU",
        planes=planes,
    )


@dataclass(frozen=True)
class Moved:
    """The earlier scan, and where a point of the current one lies in it."""

    volume: Volume
    to_prior: Callable[[Points], Points]


def moved(
    volume: Volume,
    *,
    degrees: float = 5.0,
    scale: tuple[float, float, float] = (1.03, 0.98, 1.04),
    shift_mm: tuple[float, float, float] = (9.0, -7.0, 5.0),
    breath_mm: float = 4.0,
) -> Moved:
    """The same patient in another frame of reference, turned, scaled and breathing otherwise."""
    angle = np.radians(degrees)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    matrix = turn @ np.diag(scale)
    index = (np.asarray(volume.voxels.shape) - 1) / 2
    middle = volume.affine[:3, :3] @ index + volume.affine[:3, 3]
    frame = np.array([25.0, -40.0, 300.0])

    def to_current(points: Points) -> Points:
        linear = (points - frame - middle) @ matrix.T + middle + np.asarray(shift_mm)
        wave = np.sin((points[:, 2] - frame[2]) / 240.0 * 2 * np.pi)
        return linear + breath_mm * np.stack([0.3 * wave, 0.6 * wave, wave], axis=1)

    def to_prior(points: Points) -> Points:
        guess = points + frame
        for _ in range(60):
            guess = guess + points - to_current(guess)
        return guess

    affine = volume.affine.copy()
    affine[:3, 3] += frame
    grid = np.stack(np.meshgrid(*map(np.arange, volume.voxels.shape), indexing="ij"), -1)
    points = grid.reshape(-1, 3) @ affine[:3, :3].T + affine[:3, 3]
    inverse = np.linalg.inv(volume.affine)
    place = to_current(points) @ inverse[:3, :3].T + inverse[:3, 3]
    hu = ndimage.map_coordinates(volume.voxels.astype(np.float64), place.T, order=1, cval=-1000.0)
    earlier = replace(
        volume_of(hu.reshape(volume.voxels.shape), affine),
        study_uid=StudyUID("2.1"),
        series_uid=SeriesUID("2.2"),
        frame_of_reference_uid="2.3",
    )
    return Moved(earlier, to_prior)


def lung_points(volume: Volume, count: int = 60) -> Points:
    """(n, 3) LPS mm of points inside of the lungs, away from their borders."""
    scan = coarse(volume)
    index = np.argwhere(ndimage.binary_erosion(scan.lungs, iterations=3))
    chosen = index[np.random.default_rng(5).choice(len(index), count, replace=False)]
    return np.asarray(chosen @ scan.affine[:3, :3].T + scan.affine[:3, 3])
