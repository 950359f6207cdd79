"""Which lesion of the current scan is which one of the earlier scan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from models.priors.growth import Lesion
from node.domain.finding import Tracked

_FAR: Final = 1e6


def match(
    expected_mm: NDArray[np.float64],
    lesions: Sequence[Lesion],
    prior: Sequence[Lesion],
    gate_mm: float,
) -> dict[int, int]:
    """One-to-one, so that the sum of the distances is smallest (Hungarian method).

    Args:
        expected_mm: (n, 3) LPS mm: where each of `lesions` is expected in the earlier scan.
        gate_mm: farthest distance of the same lesion; its own radius is added, since a large
            lesion that grows to one side moves its centre.

    Returns:
        Index of a lesion -> index of the earlier one.
    """
    if not lesions or not prior:
        return {}
    centres = np.array([item.centre_mm for item in prior], np.float64)
    cost = np.linalg.norm(expected_mm[:, None] - centres[None], axis=2)
    radius = np.array(
        [[max(a.diameter_mm, b.diameter_mm) / 2 for b in prior] for a in lesions], np.float64
    )
    cost = np.where(cost <= gate_mm + radius, cost, _FAR)
    rows, columns = linear_sum_assignment(cost)
    return {
        int(row): int(column)
        for row, column in zip(rows, columns, strict=True)
        if cost[row, column] < _FAR
    }


def owners(
    prior: Sequence[Lesion], tracked: Sequence[Tracked], frame_of_reference_uid: str
) -> dict[int, int]:
    """Which tracked finding of the result on the earlier scan each lesion found there is.

    Returns:
        Index in `prior` -> index in `tracked`; nothing where the frames of reference differ.
    """
    near = [
        (index, item)
        for index, item in enumerate(tracked)
        if item.frame_of_reference_uid == frame_of_reference_uid
    ]
    if not near or not prior:
        return {}
    known = [Lesion(centre_mm=item.centre_mm, diameter_mm=2 * item.radius_mm) for _, item in near]
    centres = np.array([item.centre_mm for item in prior], np.float64)
    found = match(centres, prior, known, gate_mm=3.0)
    return {lesion: near[place][0] for lesion, place in found.items()}
