"""Does the series look as if L3 could be in it? Asked before any network."""

from __future__ import annotations

from models.grid import Grid
from models.refusal import Refusal
from models.trunk.pixels import (
    LEAST_LUNG,
    LUNG_HU,
    Look,
    looks_of,
    refuse_content,
    refuse_size,
    refuse_units,
)


def refuse_implausible(grid: Grid) -> Refusal | None:
    """A reason not to look for L3, or None."""
    looks = looks_of(grid)
    return refuse_units(looks) or refuse_size(looks) or _chest(looks) or refuse_content(looks)


def _chest(looks: list[Look]) -> Refusal | None:
    """L3 lies below the lungs; a chest's levels must not be counted by a network for the trunk."""
    low, high = LUNG_HU
    shares = [
        float(((look.inside > low) & (look.inside < high)).mean()) if look.inside.size else 0.0
        for look in looks[:2]
    ]
    if min(shares) < LEAST_LUNG:
        return None
    return Refusal(
        f"L3 is not within this series: its lowest slices still show lung ({shares[0]:.0%} of "
        "the body)"
    )
