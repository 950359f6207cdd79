"""Shares that tell whether values are Hounsfield units of a body."""

from __future__ import annotations

from models.grid import Floats

#: Between air or lung and tissue.
BODY_HU = -300.0
#: Fat and soft tissue together, and soft tissue alone.
TISSUE_HU, SOFT_HU = (-200.0, 200.0), (-29.0, 150.0)


def tissue_shares(values: Floats) -> tuple[float, float]:
    """Of what is denser than `BODY_HU`: share of fat and soft tissue, and of soft tissue alone.

    Args:
        values: HU, of any shape. Both shares are 0 where nothing is denser.
    """
    solid = values[values > BODY_HU]
    if not solid.size:
        return 0.0, 0.0
    tissue, soft = (
        float(((solid > low) & (solid < high)).mean()) for low, high in (TISSUE_HU, SOFT_HU)
    )
    return tissue, soft
