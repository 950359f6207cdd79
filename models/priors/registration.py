"""Lays one chest CT over another: rigid and affine (SimpleITK), then what breathing deforms.

The intensities decide: both are CT in Hounsfield units. Where the lungs lie is the beginning, and
only the surroundings of the lungs count, so that arms, table and abdomen do not. The rest is found
by searching for blocks of lung tissue (`blocks`), and is told as a smooth deformation. How well it
went is judged by other blocks, which the deformation was not made from: how far off they are found
is the error that is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.priors.blocks import Move, deformed, error_mm, telling_places
from models.priors.grid import LUNGS_ML, Coarse, coarse
from node.domain.imaging import Volume

#: Least overlap (Dice) of the lungs, and largest error, at which the result is trusted.
LEAST_OVERLAP: Final = 0.80
LARGEST_ERROR_MM: Final = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """From points of the current scan to points of the earlier one, and back.

    Attributes:
        overlap: Dice of the lungs where both scans show them. error_mm: 90th percentile of how
            far off blocks of lung tissue were found.
        fault: why it must not be trusted, in words; "" where it may.
    """

    overlap: float = 0.0
    error_mm: float = float("inf")
    fault: str = ""
    move: Move | None = field(default=None, repr=False, compare=False)

    @property
    def is_trusted(self) -> bool:
        """May lesions be matched by it?"""
        return not self.fault

    @property
    def told(self) -> str:
        """In one line."""
        return f"overlap of the lungs {self.overlap:.0%}, error {self.error_mm:.1f} mm"

    def to_prior(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 3) LPS mm of the current scan -> (n, 3) LPS mm of the earlier one."""
        return points_mm.copy() if self.move is None else self.move(points_mm)

    def to_current(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """The way back, by fixed-point iteration: the deformation is small and smooth."""
        guess = points_mm.copy()
        for _ in range(20):
            guess = guess + points_mm - self.to_prior(guess)
        return guess


def register(current: Volume, prior: Volume) -> Registration:
    """Register two chest CT; never raises: what stands against it is the `fault`."""
    now, then = coarse(current), coarse(prior)
    for scan, name in ((now, "current"), (then, "earlier")):
        if scan.lung_ml < LUNGS_ML:
            return Registration(fault=f"the {name} scan shows {scan.lung_ml:.0f} ml of lung")
    from models.priors.optimiser import affine_of  # noqa: PLC0415 - see there

    try:
        affine = affine_of(now, then)
    except RuntimeError:
        # What SimpleITK raises: no voxel of the one lies on the other, or the metric broke down.
        return Registration(fault="the optimiser found no way")
    places = telling_places(now)
    move = deformed(now, then, affine, places[::2])
    return _judged(now, then, move, places[1::2])


def _judged(now: Coarse, then: Coarse, move: Move, places: NDArray[np.int64]) -> Registration:
    overlap = _overlap(now, then, move)
    error = error_mm(now, then, move, places)
    fault = ""
    if overlap < LEAST_OVERLAP:
        fault = f"the lungs overlap by {overlap:.0%} only"
    elif error > LARGEST_ERROR_MM:
        fault = f"the tissue of the lungs lies {error:.0f} mm off"
    return Registration(overlap=overlap, error_mm=error, fault=fault, move=move)


def _overlap(now: Coarse, then: Coarse, move: Move) -> float:
    """Dice of the lungs within what both scans show."""
    index = np.argwhere(np.ones(now.lungs[::2, ::2, ::2].shape, np.bool_)) * 2
    points = move(index @ now.affine[:3, :3].T + now.affine[:3, 3])
    inverse = np.linalg.inv(then.affine)
    place = points @ inverse[:3, :3].T + inverse[:3, 3]
    shown = ((place >= 0) & (place <= np.asarray(then.lungs.shape) - 1)).all(axis=1)
    mine = now.lungs[tuple(index[shown].T)]
    theirs = then.lungs[tuple(np.rint(place[shown]).astype(int).T)]
    total = int(mine.sum()) + int(theirs.sum())
    return 2.0 * int((mine & theirs).sum()) / total if total else 0.0
