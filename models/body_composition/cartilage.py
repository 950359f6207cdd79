"""Costal cartilage that the network took for muscle of the wall.

Both have Hounsfield units of muscle, but cartilage is denser than any muscle beside it, wide, and
lies in front of the spine. Half-filled pixels at a bone are as dense and narrower; behind the
front of the spine they stay what the network made of them.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from models.body_composition.compartments import Compartment, Labels
from models.grid import Mask
from models.morphology import largest_component, long_runs, within
from node.domain.imaging import Voxels

#: No muscle is denser, HU: not without contrast medium, and not by so much more than the rest.
LEAST_HU, ABOVE_MUSCLE_HU = 80.0, 40.0
#: Noise is voted down among the pixels within this distance along rows and columns.
AROUND_MM = 4.5
#: Cartilage is wider than this along rows and columns; its rim reaches so far beyond.
NARROWEST_MM, RIM_MM = 5.0, 3.0


def cartilage(labels: Labels, hu: Voxels, muscle: Mask, pixel_mm: tuple[float, float]) -> Mask:
    """(row, column) pixels of the muscle compartment that are cartilage, on one slice.

    Args:
        muscle: pixels of the slice with the HU of muscle, in that compartment.
    """
    nothing = np.zeros(labels.shape, np.bool_)
    bone = labels == Compartment.BONE
    if not muscle.any() or not bone.any():
        return nothing
    limit = max(LEAST_HU, float(np.median(hu[muscle])) + ABOVE_MUSCLE_HU)
    dense = hu > limit
    size = [2 * max(1, int(AROUND_MM / mm)) + 1 for mm in pixel_mm]
    most = ndimage.uniform_filter(dense.astype(np.float32), size) > 0.5
    within_wall = labels == Compartment.MUSCLE
    front = int(np.flatnonzero(largest_component(bone).any(axis=1))[0])
    within_wall[front:] = False
    down, across = (int(NARROWEST_MM / mm) + 1 for mm in pixel_mm)
    core = most & within_wall
    core = long_runs(core, across, 1) & long_runs(core, down, 0)
    if not core.any():
        return nothing
    rim = within(core, max(RIM_MM, *pixel_mm), pixel_mm) & dense
    return np.asarray((core | rim) & within_wall, np.bool_)
