"""Does the package find L3 in copies of a real scan that were moved a little?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from node.evaluation.card import tell
from node.evaluation.filing import CtArray
from node.evaluation.moved import draw_move, moved
from node.evaluation.product import Look
from node.evaluation.table import Row, mean_row, share_row

#: Distances of slices, and pixels, mm; the first seed that nothing was decided on.
SLICES_MM, PIXEL_MM, FIRST_COPY = (2.0, 2.5, 3.0), 1.5, 300
#: The slice must be so near to the middle of L3, mm.
NEAR_MM = 10.0
#: What differs from copy to copy in one and the same reason.
_SIZE = re.compile(r"\d+(\.\d+)?(?= ?(%|mm))")


def where_it_went(array: CtArray, seed: int, point: NDArray[np.float64]) -> NDArray[np.float64]:
    """Place (LPS mm) in the copy of that seed of a point (LPS mm) of the scan."""
    last = (np.array(array.voxels.shape) - 1.0) / 2
    middle = (array.affine @ np.r_[last, 1.0])[:3]
    return np.asarray(middle + draw_move(seed).matrix @ (point - middle), np.float64)


def rows_of_copies(
    array: CtArray,
    l3_mm: NDArray[np.float64],
    look_at: Callable[[CtArray], Look],
    seeds: range,
    data: str,
) -> Iterator[Row]:
    """How many copies are measured, how far from L3, and why the others are not.

    Args:
        l3_mm: the middle of the body of L3 in the scan, LPS mm.
    """
    away: list[float] = []
    reasons: Counter[str] = Counter()
    for seed in seeds:
        copy = moved(array, seed, slices_mm=SLICES_MM, pixel_mm=PIXEL_MM)
        findings = look_at(copy).findings
        if not findings.segmented_planes:
            tell(f"{data}, copy {seed}: {findings.reason}")
            reasons[_SIZE.sub("n", findings.reason)] += 1
            continue
        there = findings.segmented_planes[0].position_mm[2] - where_it_went(array, seed, l3_mm)[2]
        away.append(abs(float(there)))
        tell(f"{data}, copy {seed}: L3 {there:+.1f} mm")
    yield share_row("copies measured (not refused)", data, len(away), len(seeds))
    yield mean_row("L3 slice, mean absolute error mm", data, away, "{:.1f}")
    within = sum(mm <= NEAR_MM for mm in away)
    yield share_row("L3 slice within 10 mm, of those measured", data, within, len(away))
    for reason, n in sorted(reasons.items()):
        yield Row(metric="refused copy", data=data, value=reason, n=n)
