"""How close our pipeline comes to the framework's own on one generated image.

Two things are compared: the network's outputs put together on its own grid (logits), and what
becomes of them on the grid of the source (labels, boxes, scores). A package is written only
when the logits agree (issue: below 1e-3 in FP32).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.domain.errors import ImportFault, ImportRefused

#: Largest absolute difference of logits.
TOLERANCE = 1e-3
#: Networks whose logits run into the hundreds cannot meet 1e-3 in float32: 80 of its steps (1e-5).
RELATIVE_TOLERANCE = 80 * float(np.finfo(np.float32).eps)
#: Voxels of the final label map that must agree. The rest lies where classes tie: a network
#: without a bias, say, in air.
LEAST_AGREEMENT = 0.995


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Ours against theirs, over all values of one output.

    Attributes:
        largest / mean: of |ours - theirs|. scale: largest |theirs|.
    """

    largest: float
    mean: float
    scale: float

    @property
    def allowed(self) -> float:
        """The largest difference at which a package is written."""
        return max(TOLERANCE, RELATIVE_TOLERANCE * self.scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Two label maps on one grid.

    Attributes:
        dice: of each label that either map holds. equal: fraction of equal voxels.
    """

    dice: Mapping[int, float]
    equal: float

    @property
    def lowest_dice(self) -> float:
        """Of the worst label; 1.0 where there is none."""
        return min(self.dice.values(), default=1.0)

    @property
    def mean_dice(self) -> float:
        """Over the labels; 1.0 where there is none."""
        return float(np.mean(list(self.dice.values()))) if self.dice else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """One row of the card.

    Attributes:
        case: what was generated, in words. shape: of the image, as the framework reads it.
        preprocessed: the network's input. logits: its output on its own grid. labels: of the
            arg-max or the final label map; None where there is none. notes: anything else that
            was compared ("300 of 300 boxes, same order").
        our_seconds / their_seconds: of the whole path.
    """

    case: str
    shape: tuple[int, ...]
    logits: Difference
    preprocessed: Difference | None = None
    labels: Agreement | None = None
    notes: tuple[str, ...] = ()
    our_seconds: float
    their_seconds: float


def difference(ours: NDArray[np.floating], theirs: NDArray[np.floating], what: str) -> Difference:
    """Compare two arrays of one shape.

    Raises:
        ImportRefused: the shapes differ, or either is not finite.
    """
    if ours.shape != theirs.shape:
        raise ImportRefused.once(
            f"parity, {what}",
            f"our pipeline gives {ours.shape}, the framework {theirs.shape}",
            "the import would change results; report it with the model's configuration",
        )
    if ours.size == 0:
        return Difference(largest=0.0, mean=0.0, scale=0.0)
    # In parts: a whole-body map of 105 classes must not be copied as float64.
    parts = zip(
        np.array_split(ours.reshape(-1), _parts(ours.size)),
        np.array_split(theirs.reshape(-1), _parts(ours.size)),
        strict=True,
    )
    largest, total, scale = 0.0, 0.0, 0.0
    for mine, other in parts:
        apart = np.abs(mine.astype(np.float64) - other.astype(np.float64))
        largest = float(np.fmax(largest, apart.max()) if np.isfinite(apart).all() else np.inf)
        total += float(apart.sum())
        scale = max(scale, float(np.abs(other).max()))
    if not np.isfinite(largest) or not np.isfinite(scale):
        raise ImportRefused.once(
            f"parity, {what}", "values are not finite", "check the weights: they may be damaged"
        )
    return Difference(largest=largest, mean=total / ours.size, scale=scale)


def agreement(ours: NDArray[np.integer], theirs: NDArray[np.integer], what: str) -> Agreement:
    """Compare two label maps; 0 is background.

    Raises:
        ImportRefused: the shapes differ.
    """
    if ours.shape != theirs.shape:
        raise ImportRefused.once(
            f"parity, {what}",
            f"our label map has shape {ours.shape}, the framework's {theirs.shape}",
            "the import would change results; report it with the model's configuration",
        )
    size = int(max(ours.max(initial=0), theirs.max(initial=0))) + 1
    mine = np.bincount(ours.reshape(-1), minlength=size)
    other = np.bincount(theirs.reshape(-1), minlength=size)
    equal = ours == theirs
    both = np.bincount(ours[equal].reshape(-1), minlength=size)
    dice = {
        label: 2.0 * float(both[label]) / float(mine[label] + other[label])
        for label in range(1, size)
        if mine[label] + other[label]
    }
    return Agreement(dice=dice, equal=float(equal.mean()) if equal.size else 1.0)


def require_parity(rows: Iterable[Parity]) -> None:
    """At least one row, and every one within what is allowed.

    Raises:
        ImportRefused: one fault for each row that is not; nothing was compared.
    """
    faults = []
    compared = tuple(rows)
    if not compared:
        raise ImportRefused.once(
            "parity",
            "no generated volume was compared",
            "the package was not written; report it with the model's configuration",
        )
    for row in compared:
        # Not "largest > allowed": a NaN must fail.
        if not row.logits.largest <= row.logits.allowed:
            why = (
                f"logits differ by up to {row.logits.largest:.2g} (mean {row.logits.mean:.2g}), "
                f"allowed are {row.logits.allowed:.2g}"
            )
        elif row.labels is not None and not row.labels.equal >= LEAST_AGREEMENT:
            why = f"only {row.labels.equal:.4%} of the labels agree"
        else:
            continue
        faults.append(
            ImportFault(
                where=f"parity on {row.case}",
                why=why,
                remedy="the package was not written; report it with the model's configuration",
            )
        )
    if faults:
        raise ImportRefused(faults=faults)


def _parts(size: int) -> int:
    return max(1, size // 16_000_000)
