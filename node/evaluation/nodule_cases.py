"""Chests with nodules whose every measure is known: real scans and simulated ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inference.series import describe_with_facts
from inference.volume import load_volume
from models.grid import Grid, canonical
from models.phantoms.insertion import Inserted, Scan, insert_nodule, measure_physics
from models.phantoms.nodules import draw_nodule
from models.thorax.lungs import Lungs, find_lungs
from node.domain.imaging import Volume
from node.evaluation.filing import CtArray, instances_of

#: Nodules put into one scan, and their mean diameters, mm (log-uniform).
NODULES, DIAMETERS_MM = 4, (4.0, 30.0)
#: Free space between two nodules, mm.
APART_MM = 12.0
#: How many places are tried for one nodule.
_TRIES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One scan with its truth.

    Attributes:
        data: of which set. patient: whose anatomy. array: to be filed.
        truth: with centres as positions in `array`; affine leads to LPS mm.
    """

    data: str
    patient: str
    array: CtArray
    truth: tuple[Inserted, ...]

    def centre_mm(self, nodule: Inserted) -> NDArray[np.float64]:
        """LPS mm."""
        return np.asarray((self.array.affine @ np.array([*nodule.centre, 1.0]))[:3], np.float64)


def real_volume(folder: Path) -> Volume:
    """The longest series of a folder."""
    from datetime import UTC, datetime  # noqa: PLC0415 - the clock is only asked here

    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    study, _ = describe_with_facts(
        instances_of(paths),
        generation=1,
        completed_at=datetime.now(UTC),
        confidence="a folder, complete as it is",
        pixels=False,
    )
    return load_volume(max(study.series, key=lambda one: len(one.planes)))


def with_nodules(
    volume: Volume,
    name: str,
    seed: int,
    nodules: int = NODULES,
    diameters_mm: tuple[float, float] = DIAMETERS_MM,
) -> Case | None:
    """A volume with nodules at places drawn from a seed; None where it shows no lung."""
    grid = canonical(volume)
    lungs = find_lungs(grid)
    if not isinstance(lungs, Lungs):
        return None
    hu = np.ascontiguousarray(grid.hu, dtype=np.float32)
    rng = np.random.default_rng([seed, 31])
    scan = Scan(hu=hu, spacing_mm=grid.spacing_mm, physics=measure_physics(hu, grid.spacing_mm))
    low, high = np.log(diameters_mm)
    sizes = [float(np.exp(rng.uniform(low, high))) for _ in range(nodules)]
    truth = tuple(_inserted(scan, lungs, sizes, rng))
    voxels = np.clip(np.rint(hu), -1024, 3071).astype(np.int16)
    array = CtArray(name=f"{name} {seed}", voxels=voxels, affine=grid.affine)
    return Case(data=name, patient=name, array=array, truth=truth)


def _inserted(
    scan: Scan, lungs: Lungs, sizes: list[float], rng: np.random.Generator
) -> Iterator[Inserted]:
    air = lungs.aerated & lungs.both
    wall = ndimage.distance_transform_edt(lungs.both) * lungs.volume.step_mm
    found: list[Inserted] = []
    for size in sizes:
        near = rng.random() < 0.35
        # A third of them touches the pleura, a vessel or a fissure; the rest lies anywhere.
        allowed = air & ((wall < size / 2) if near else (wall > min(size / 2, 6.0)))
        where = np.argwhere(allowed if allowed.any() else air)
        for _ in range(_TRIES):
            coarse = where[rng.integers(len(where))] + rng.uniform(-0.5, 0.5, 3)
            centre = lungs.volume.to_grid(coarse[None])[0]
            if not _inside(scan, centre, size) or _too_near(scan, centre, size, found):
                continue
            put = insert_nodule(scan, draw_nodule(rng, size), centre, rng)
            if put is not None:
                found.append(put)
                yield put
                break


def _inside(scan: Scan, centre: NDArray[np.float64], size: float) -> bool:
    """Whole within the stack of slices."""
    reach = 0.6 * size / scan.spacing_mm[0]
    return bool(reach < centre[0] < scan.hu.shape[0] - 1 - reach)


def _too_near(scan: Scan, centre: NDArray[np.float64], size: float, found: list[Inserted]) -> bool:
    spacing = np.asarray(scan.spacing_mm)
    return any(
        np.linalg.norm((centre - other.centre) * spacing) < (size + other.mean_mm) / 2 + APART_MM
        for other in found
    )


def untouched(volume: Volume, name: str) -> Case:
    """A real scan as it is."""
    grid: Grid = canonical(volume)
    return Case(
        data=name,
        patient=name,
        array=CtArray(
            name=name, voxels=np.ascontiguousarray(grid.hu, dtype=np.int16), affine=grid.affine
        ),
        truth=(),
    )
