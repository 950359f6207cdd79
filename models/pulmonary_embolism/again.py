"""A candidate is looked at again in windows that are turned, scaled and mirrored a little.

A clot is there however the image is laid under the network. What the network takes for one at a
node or a vein that fills late is often seen in one position and not in the next: how much of it the
looks see is a part of its certainty.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.grid import Floats, Mask, normalised
from models.pulmonary_embolism.candidates import EDGE, PATCH, VALUE_RANGE, Candidate
from models.pulmonary_embolism.space import Space
from models.pulmonary_embolism.windows import softmax
from models.turned import turn
from node.domain.imaging import Network

#: Each look: degrees about the slice, row and column axes, size, columns mirrored, and the shift
#: of its grid in voxels.
LOOKS = (
    ((0.0, 0.0, 0.0), 1.0, True, 0.0),
    ((8.0, 0.0, 0.0), 1.0, False, 0.5),
    ((-8.0, 0.0, 0.0), 1.0, True, 0.5),
    ((0.0, 8.0, 0.0), 0.92, False, 0.25),
    ((0.0, -8.0, 0.0), 1.08, True, 0.25),
    ((0.0, 0.0, 8.0), 1.08, False, 0.75),
    ((0.0, 0.0, -8.0), 0.92, True, 0.75),
    ((5.0, 5.0, 5.0), 1.0, False, 0.5),
)


@dataclass(frozen=True, slots=True)
class Again:
    """What the looks saw of one candidate.

    Attributes:
        cover: (look,) part of its voxels that reach EDGE. peak: (look,) the largest probability.
    """

    cover: NDArray[np.float64]
    peak: NDArray[np.float64]

    @property
    def features(self) -> NDArray[np.float64]:
        """What the certainty is calculated from, after those of the candidate: the mean cover, the
        lowest but one, and the mean peak.
        """
        return np.array([self.cover.mean(), np.sort(self.cover)[1], self.peak.mean()])


def look_again(space: Space, where: Mask, candidate: Candidate, network: Network) -> Again:
    """One window for each look, around the deepest voxel of a candidate.

    Args:
        where: (slice, row, column) voxels of the fine grid that may be pulmonary artery.
    """
    line = np.arange(PATCH) - (PATCH - 1) / 2
    at = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=-1).reshape(-1, 3)
    whole = np.zeros(space.hu.shape, np.bool_)
    whole[candidate.box] = candidate.mask
    centre = np.array(candidate.centre, np.float64)
    windows, masks = [], []
    for degrees, size, mirrored, shift in LOOKS:
        points = at @ turn(degrees, size, mirrored=mirrored).T + centre + shift
        index = np.rint(points).astype(int)
        inside = ((index >= 0) & (index < np.array(whole.shape))).all(axis=1)
        held = np.zeros(len(points), np.bool_)
        held[inside] = (whole & where)[tuple(index[inside].T)]
        windows.append(_values(space, points))
        masks.append(held.reshape(PATCH, PATCH, PATCH))
    chances = softmax(network.run(normalised(np.stack(windows)[:, None], VALUE_RANGE)))
    cover, peak = [], []
    for mask, clot in zip(masks, chances[:, 3], strict=True):
        seen = clot[mask]
        cover.append(float((seen > EDGE).mean()) if seen.size else 0.0)
        peak.append(float(seen.max()) if seen.size else 0.0)
    return Again(np.array(cover), np.array(peak))


def _values(space: Space, points: NDArray[np.float64]) -> Floats:
    """HU of the series at fine positions; air outside of it."""
    index = space.to_grid(points).T
    shape = np.array(space.grid.shape)
    low = np.clip(np.floor(index.min(axis=1)) - 1, 0, shape - 1).astype(int)
    high = np.maximum(np.clip(np.ceil(index.max(axis=1)) + 2, 1, shape), low + 1).astype(int)
    part = space.grid.hu[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    found = ndimage.map_coordinates(
        np.asarray(part, np.float32), index - low[:, None], order=1, mode="constant", cval=-1024.0
    )
    return np.asarray(found.reshape(PATCH, PATCH, PATCH), np.float32)
