"""Do the pixels look like an adult's spine in Hounsfield units? Asked before anything else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.grid import Grid
from models.refusal import Refusal
from models.vertebral_fractures.measuring import CUT, Body, Looked

#: Slices looked at, spread over the series.
SAMPLES = 9
#: The darkest values of a CT that shows air, HU; padding is -1024 by now.
COLDEST_HU, WARMEST_AIR_HU = -1100.0, -500.0
#: Denser than this is bone or contrast medium, HU; a CT without it shows no spine.
BONE_HU, LEAST_BONE = 180.0, 0.001
#: With fewer vertebral bodies there is nothing to hold a height against.
LEAST_BODIES = 4
#: Thicker slices lose part of the accuracy; still thicker ones are refused by the headers.
THICK_MM = 3.0
#: Depth of a vertebral body of an adult from front to back, T1 to L5, mm.
SHALLOWEST_MM, DEEPEST_MM = 17.5, 46.0
#: Greatest height of a body as a part of its depth, the middle one of those in view: 0.65 to 0.95
#: in adults, whichever part of the spine. Heights are compared with each other, so that bodies
#: which are all too flat would pass for sound.
FLATTEST, TALLEST = 0.55, 1.25


def is_thick(grid: Grid) -> bool:
    """Do the slices lie further apart than heights can be measured on without loss?"""
    return grid.spacing_mm[0] > THICK_MM + 0.05


def refuse_units(grid: Grid) -> Refusal | None:
    """A reason where the values cannot be Hounsfield units of a trunk, or None."""
    indices = np.unique(np.linspace(0, grid.shape[0] - 1, SAMPLES).round().astype(int))
    planes = np.asarray(grid.hu[indices], np.float32)
    low = float(np.percentile(planes, 1))
    if float((planes < COLDEST_HU).mean()) > 0.02:
        return Refusal(
            f"the pixel values are not Hounsfield units: more than 2 % lie below {COLDEST_HU:.0f}, "
            "where there is nothing"
        )
    if low > WARMEST_AIR_HU and float(planes.max()) > 3500:
        return Refusal("the pixel values are not Hounsfield units: no air, and values above 3500")
    if float((planes > BONE_HU).mean()) < LEAST_BONE:
        return Refusal(
            f"hardly a pixel is denser than {BONE_HU:.0f} HU: no bone is seen, or the values are "
            "not Hounsfield units"
        )
    return None


def refuse_spine(looked: Sequence[Looked]) -> Refusal | None:
    """A reason where too few vertebrae are in view, none is clear, or no adult's are so large."""
    whole = [one for one in looked if isinstance(one, Body) or CUT not in one.reason]
    if len(whole) < LEAST_BODIES:
        seen = {0: "no whole vertebral body was", 1: "one whole vertebral body was"}.get(
            len(whole), f"{len(whole)} whole vertebral bodies were"
        )
        return Refusal(
            f"{seen} recognised in view; at least {LEAST_BODIES} are needed to compare heights"
        )
    depths = [one.depth_mm for one in whole if isinstance(one, Body)]
    if not depths:
        reasons = dict.fromkeys(one.reason for one in whole if not isinstance(one, Body))
        return Refusal(
            f"none of the {len(whole)} vertebral bodies in view could be measured: "
            + "; ".join(reasons)
        )
    if not SHALLOWEST_MM <= float(np.median(depths)) <= DEEPEST_MM:
        return Refusal(
            f"the vertebral bodies are {float(np.median(depths)):.0f} mm deep, which no adult's "
            "are: a child, or the distances in the headers are wrong"
        )
    ratios = [max(one.heights_mm) / one.depth_mm for one in whole if isinstance(one, Body)]
    ratio = float(np.median(ratios))
    if not FLATTEST <= ratio <= TALLEST:
        flat = "nearly every one is compressed, or " if ratio < FLATTEST else ""
        return Refusal(
            f"the vertebral bodies are {ratio:.2f} times as high as deep (usual are 0.65 to 0.95): "
            f"{flat}the distances in the headers are wrong"
        )
    return None
