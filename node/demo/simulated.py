"""Simulated studies for the demonstration and the kill campaign, with what is true in them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from models.phantoms.scanner import ScannerOptions, write_ct_series
from models.phantoms.trunk import TrunkOptions, TrunkTruth, simulate_trunk

#: Seeds from here on never trained a network (models/phantoms).
FIRST_TEST_SEED = 2_000_000


@dataclass(frozen=True, slots=True)
class Simulated:
    """One simulated study on disk. `truth` says what a perfect analysis would find."""

    name: str
    folder: Path
    truth: str


def simulate(number: int, folder: Path, *, matrix: int = 512) -> Simulated:
    """Write simulated study `number` (0, 1, ...) as a CT scanner would; `matrix`: rows, columns."""
    phantom = simulate_trunk(FIRST_TEST_SEED + number, TrunkOptions(matrix=matrix))
    write_ct_series(phantom, folder, ScannerOptions())
    return Simulated(name=f"simulated {number + 1}", folder=folder, truth=_words(phantom.truth))


def _words(truth: TrunkTruth) -> str:
    if truth.areas is None or truth.l3_z_mm is None:
        return "L3 is not in the images"
    areas = truth.areas
    return (
        f"L3 at {truth.l3_z_mm:.1f} mm, slice {(truth.l3_slice or 0) + 1} from the feet; "
        f"skeletal muscle {areas.muscle:.1f} cm2, "
        f"subcutaneous fat {areas.subcutaneous_fat:.1f} cm2, "
        f"visceral fat {areas.visceral_fat:.1f} cm2, "
        f"intermuscular fat {areas.intermuscular_fat:.1f} cm2"
    )
