"""Simulated chests of the lung nodule evaluation, drawn once and kept in a folder.

Three kinds: lungs with nodules and nothing else; the same with what else a chest may have
(effusion, emphysema, scars, granulomas); and one mass of 30 to 80 mm at hilum, mediastinum or chest
wall, with or without airless lung behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.phantoms.chest import ChestOptions, ChestPhantom, build_chest, simulate_chest
from models.phantoms.chest_tissue import ChestTissue
from models.phantoms.insertion import Inserted, diameters
from models.phantoms.masses import Site, draw_mass
from models.phantoms.nodules import Density
from node.evaluation.filing import CtArray
from node.evaluation.nodule_cases import Case, with_nodules

#: Diameters of masses, how often there is airless lung behind a central one, and how far, mm.
MASS_MM, COLLAPSED, COLLAPSE_MM = (34.0, 80.0), 0.6, (8.0, 35.0)
#: Rows and columns of a simulated slice.
MATRIX = 448


class Kind(StrEnum):
    """What a simulated chest has beside lungs; also the name of its data in the table."""

    NODULES = "simulated"
    FINDINGS = "simulated with scars and granulomas"
    MASS = "simulated with a mass"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chest:
    """One simulated chest.

    Attributes:
        granulomas: (n, 3) middles among the voxels of the array; a reader would call each a
            calcified nodule, but nobody measured them.
        site: what a mass is joined to; "" where there is none.
    """

    case: Case
    granulomas: NDArray[np.float64]
    site: str


def chest(kind: Kind, seed: int, slice_mm: float, kept: Path) -> Chest:
    """The chest of a kind and seed, from the folder where it is there, else drawn and kept.

    A folder goes stale when the simulation changes; remove it then.
    """
    path = kept / f"{kind.name.lower()}-{seed}-{slice_mm:g}.npz"
    if not path.exists():
        kept.mkdir(parents=True, exist_ok=True)
        _write(path, _drawn(kind, seed, slice_mm))
    return _read(path, kind, seed)


def _drawn(kind: Kind, seed: int, slice_mm: float) -> Chest:
    options = ChestOptions(slice_mm=slice_mm, matrix=MATRIX, findings=kind is Kind.FINDINGS)
    if kind is Kind.MASS:
        return _with_mass(seed, options)
    phantom = simulate_chest(seed, options)
    case = with_nodules(phantom.volume, kind.value, seed)
    if case is None:
        raise RuntimeError(f"the simulated chest {seed} shows no lung")
    parts = cc3d.connected_components(phantom.labels == ChestTissue.GRANULOMA, connectivity=26)
    numbers = range(1, int(parts.max()) + 1)
    middles = np.array(ndimage.center_of_mass(parts > 0, parts, numbers), np.float64)
    return Chest(case=case, granulomas=middles.reshape(-1, 3), site="")


def _with_mass(seed: int, options: ChestOptions) -> Chest:
    rng = np.random.default_rng([seed, 77])
    site = list(Site)[seed % len(Site)]
    size = float(rng.uniform(*MASS_MM))
    blocks = site is not Site.CHEST_WALL and rng.random() < COLLAPSED
    collapse = float(rng.uniform(*COLLAPSE_MM)) if blocks else 0.0
    mass = draw_mass(build_chest(seed), seed, site, size, collapse_mm=collapse)
    phantom = simulate_chest(seed, options, lesions=[mass])
    affine = np.asarray(phantom.volume.affine, np.float64)
    array = CtArray(
        name=f"{Kind.MASS.value} {seed}",
        voxels=np.asarray(phantom.volume.voxels, np.int16),
        affine=affine,
    )
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    truth = _measured(phantom, spacing)
    case = Case(data=Kind.MASS.value, patient=str(seed), array=array, truth=(truth,))
    told = site.value + (" with airless lung" if blocks else "")
    return Chest(case=case, granulomas=np.zeros((0, 3)), site=told)


def _measured(phantom: ChestPhantom, spacing: NDArray[np.float64]) -> Inserted:
    """The painted mass, as a careful reader would measure it."""
    lesion = phantom.lesions["mass"]
    planes = (lesion.share >= 0.5).sum(axis=(1, 2))
    long_mm, short_mm = diameters(lesion.share[int(planes.argmax())] >= 0.5, spacing[1:])
    middle = np.array(ndimage.center_of_mass(lesion.share), np.float64)
    return Inserted(
        density=Density.SOLID,
        centre=middle + [part.start for part in lesion.box],
        long_mm=long_mm,
        short_mm=short_mm,
        volume_mm3=lesion.volume_mm3(spacing.tolist()),
        solid_mm=(long_mm + short_mm) / 2,
        box=lesion.box,
        coverage=lesion.share,
    )


def _write(path: Path, chest: Chest) -> None:
    case = chest.case
    arrays: dict[str, NDArray[np.generic]] = {
        "voxels": case.array.voxels,
        "affine": case.array.affine,
        "granulomas": chest.granulomas,
        "site": np.array(chest.site),
        "density": np.array([t.density.value for t in case.truth], np.str_),
        "centre": np.array([t.centre for t in case.truth]).reshape(-1, 3),
        "measures": np.array(
            [[t.long_mm, t.short_mm, t.volume_mm3, t.solid_mm] for t in case.truth]
        ).reshape(-1, 4),
        "box": np.array([[(s.start, s.stop) for s in t.box] for t in case.truth], np.int64),
    }
    for number, truth in enumerate(case.truth):
        arrays[f"coverage{number}"] = truth.coverage
    part = path.with_name("part-" + path.name)
    np.savez_compressed(part, **arrays)  # type: ignore[arg-type]
    part.rename(path)


def _read(path: Path, kind: Kind, seed: int) -> Chest:
    with np.load(path) as kept:
        truth = []
        for number, density in enumerate(kept["density"]):
            long_mm, short_mm, volume, solid = (float(v) for v in kept["measures"][number])
            first, second, third = (slice(int(a), int(b)) for a, b in kept["box"][number])
            truth.append(
                Inserted(
                    density=Density(str(density)),
                    centre=kept["centre"][number],
                    long_mm=long_mm,
                    short_mm=short_mm,
                    volume_mm3=volume,
                    solid_mm=solid,
                    box=(first, second, third),
                    coverage=kept[f"coverage{number}"],
                )
            )
        array = CtArray(name=f"{kind.value} {seed}", voxels=kept["voxels"], affine=kept["affine"])
        return Chest(
            case=Case(data=kind.value, patient=str(seed), array=array, truth=tuple(truth)),
            granulomas=kept["granulomas"],
            site=str(kept["site"]),
        )
