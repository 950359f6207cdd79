"""Simulated chests with clots and their truth, made once and, where asked, kept on disk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.phantoms.chest import ChestOptions, ContrastPhase, build_chest, simulate_chest
from models.phantoms.clots import Clot, ClotOptions, draw_clots, lesion_of
from models.phantoms.vessel_tree import Level
from node.domain.study import Patient
from node.evaluation.filing import CtArray

#: Coarser than a scanner's matrix and slices, so that many studies fit into an hour.
MATRIX, SLICE_MM = 320, 1.5
#: A clot smaller than this on the recorded grid cannot be seen by anybody, mm3.
LEAST_MM3 = 5.0
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueClot:
    """One clot on the recorded grid.

    Attributes:
        low: first slice, row and column of its box. mask: at least half of the voxel is clot.
        mm3: volume from the shares of the voxels.
    """

    level: Level
    side: str
    form: str
    low: tuple[int, int, int]
    mask: Mask
    mm3: float

    def whole(self, shape: tuple[int, ...]) -> Mask:
        """On the whole grid."""
        out = np.zeros(shape, np.bool_)
        z, y, x = (
            slice(start, start + size)
            for start, size in zip(self.low, self.mask.shape, strict=True)
        )
        out[z, y, x] = self.mask
        return out


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedStudy:
    """A series as an array with its clots."""

    array: CtArray
    clots: tuple[TrueClot, ...]


def simulated_study(seed: int, kept: Path | None, *, phase: ContrastPhase) -> SimulatedStudy:
    """The study of a seed: two thirds hold one to four clots, if there is contrast medium.

    Args:
        kept: folder of studies that were made before, or None.
    """
    path = None if kept is None else kept / f"{seed}_{phase.name.lower()}.npz"
    if path is None or not path.exists():
        parts = _made(seed, phase)
        if path is None:
            return _study(seed, phase, parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.savez_compressed(file, **parts)  # type: ignore[arg-type]
    with np.load(path) as stored:
        return _study(seed, phase, dict(stored))


def _made(seed: int, phase: ContrastPhase) -> dict[str, NDArray[np.generic]]:
    rng = np.random.default_rng([seed, 90])
    clots: tuple[Clot, ...] = ()
    if seed % 3 != 2 and phase is not ContrastPhase.NATIVE:
        wanted = ClotOptions(count=int(rng.integers(1, 5)))
        clots = draw_clots(build_chest(seed).arteries, wanted, rng)
    options = ChestOptions(
        matrix=MATRIX,
        slice_mm=SLICE_MM,
        reach_mm=_reach(seed),
        phase=phase,
        strength=1.15 if phase is ContrastPhase.ROUTINE else None,
    )
    lesions = [lesion_of(clot, str(number)) for number, clot in enumerate(clots)]
    phantom = simulate_chest(seed, options, lesions=lesions)
    person = phantom.anatomy.person
    parts: dict[str, NDArray[np.generic]] = {
        "voxels": np.asarray(phantom.volume.voxels, np.int16),
        "affine": phantom.volume.affine,
        "patient": np.array([person.sex, str(person.age)]),
    }
    if phantom.volume.padding is not None:
        parts["padding"] = phantom.volume.padding
    for number, clot in enumerate(clots):
        lesion = phantom.lesions.get(str(number))
        if lesion is None or lesion.volume_mm3(phantom.volume.spacing_mm) < LEAST_MM3:
            continue
        parts[f"clot{number}_mask"] = lesion.share >= 0.5
        parts[f"clot{number}_low"] = np.array([side.start for side in lesion.box])
        parts[f"clot{number}_mm3"] = np.array(lesion.volume_mm3(phantom.volume.spacing_mm))
        parts[f"clot{number}_words"] = np.array([clot.level.value, clot.side, clot.form.value])
    return parts


def _reach(seed: int) -> tuple[float, float]:
    """From below the lungs to above them, a whole number of slabs of the simulator."""
    frame = build_chest(seed).frame
    low = frame.low + 6.0
    slabs = round((412.0 * frame.scale - low) / SLICE_MM / _SLAB)
    return low, low + SLICE_MM * (_SLAB * slabs - _BEYOND)


#: Slices that the simulator renders at a time, and those that it adds beyond both ends.
_SLAB, _BEYOND = 24, 4


def _study(
    seed: int, phase: ContrastPhase, parts: dict[str, NDArray[np.generic]]
) -> SimulatedStudy:
    clots = []
    for name in sorted(parts):
        if not name.endswith("_mask"):
            continue
        stem = name.removesuffix("_mask")
        level, side, form = (str(word) for word in parts[f"{stem}_words"])
        low = parts[f"{stem}_low"].astype(np.int64)
        clots.append(
            TrueClot(
                level=Level(level),
                side=side,
                form=form,
                low=(int(low[0]), int(low[1]), int(low[2])),
                mask=parts[name].astype(np.bool_),
                mm3=float(parts[f"{stem}_mm3"].astype(np.float64)),
            )
        )
    sex, age = (str(word) for word in parts["patient"])
    padding = parts.get("padding")
    array = CtArray(
        name=f"simulated chest {seed} {phase.value}",
        voxels=parts["voxels"].astype(np.int16),
        affine=parts["affine"].astype(np.float64),
        padding=None if padding is None else padding.astype(np.bool_),
        patient=Patient(sex=sex, age_years=float(age)),
    )
    return SimulatedStudy(array=array, clots=tuple(clots))
