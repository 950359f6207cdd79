"""Hounsfield units of one patient and contrast phase, with more spread where organs are told apart.

The body composition's table gives the tissues; what is added here keeps the network from learning
that a sacrum is as dense as a vertebra, that liver, spleen and kidney always differ, or that
bowel is never as dense as an organ.
"""

from __future__ import annotations

import torch
from torch.nn import functional as nnf

from models.body_composition.train.render import draw_table
from models.phantoms.tissue import Tissue as T


def _between(generator: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * torch.rand((), generator=generator).item()


def densities(generator: torch.Generator) -> torch.Tensor:
    """(64,) HU of every tissue."""
    g = generator
    hu = draw_table(g)
    # Fatty marrow: a sacrum is often half as dense as the bodies, hips and ribs anything.
    hu[T.SACRUM] = hu[T.SACRUM] * _between(g, 0.15, 1.1) - _between(g, 0, 30)
    hu[T.HIP_BONE] = hu[T.HIP_BONE] * _between(g, 0.25, 1.3)
    hu[T.FEMUR] = hu[T.FEMUR] * _between(g, 0.6, 1.8)
    if _between(g, 0, 1) < 0.5:
        hu[T.RIB] = _between(g, 60, 330)
    if _between(g, 0, 1) < 0.2:
        hu[T.SPLEEN] = hu[T.LIVER] + _between(g, -8, 8)
    if _between(g, 0, 1) < 0.06:
        hu[T.KIDNEY] = hu[T.LIVER] + _between(g, -12, 12)
    phase = _between(g, 0, 1)
    if phase < 0.12:
        # Early arterial: vessels and renal cortex, little in liver and veins.
        hu[T.ARTERY] = hu[T.THORACIC_VESSEL] = _between(g, 180, 420)
        hu[T.VEIN] = _between(g, 35, 90)
        hu[T.KIDNEY] = _between(g, 80, 180)
        hu[T.SPLEEN] = _between(g, 70, 150)
    elif phase < 0.3:
        # Portal venous.
        vessels = _between(g, 120, 200)
        for tissue in (T.ARTERY, T.VEIN, T.THORACIC_VESSEL, T.HEART):
            hu[tissue] = vessels + _between(g, -15, 15)
        hu[T.LIVER] = _between(g, 80, 130)
        hu[T.SPLEEN] = _between(g, 95, 145)
        hu[T.KIDNEY] = _between(g, 140, 240)
    # A collapsed or filled colon, or a meal, as dense as a spleen beside it.
    for tissue, share in ((T.STOOL, 0.25), (T.BOWEL_FLUID, 0.25), (T.BOWEL_WALL, 0.4)):
        if _between(g, 0, 1) < share:
            hu[tissue] = hu[T.SPLEEN] + _between(g, -25, 10)
    return hu


def rim(kidney: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """HU to add to the outer voxels of (z, y, x) kidneys: a cortex that is enhanced first."""
    g = generator
    if _between(g, 0, 1) > 0.25:
        return torch.zeros(())
    amount = _between(g, 20, 130)
    inside = kidney.float()[None, None]
    inner = 1 - nnf.max_pool3d(1 - inside, 3, 1, 1)
    return (inside - inner)[0, 0] * amount
