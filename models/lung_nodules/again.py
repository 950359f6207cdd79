"""A candidate is looked at again in cubes that are turned, scaled and mirrored a little.

A nodule is there however the image is laid under the networks. What they take for one at a rib's
head or where a vessel branches is often seen in one position and not in the next, and a faint
nodule may be missed in one: so what is near the limit is judged by the mean of several looks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.grid import Floats, Grid
from models.lung_nodules.candidates import BATCH, STRIDE, WINDOW
from models.lung_nodules.cubes import Point, axes_round, cube_of, toned
from models.lung_nodules.refining import PATCH, Look
from models.turned import turn
from node.domain.imaging import Network

#: Each look: degrees about the slice, row and column axes, size, columns mirrored, and the shift
#: of its grid in voxels.
LOOKS = (
    ((0.0, 0.0, 0.0), 1.0, True, 0.5),
    ((10.0, 0.0, 0.0), 1.0, False, 0.25),
    ((-10.0, 0.0, 0.0), 1.0, True, 0.75),
    ((0.0, 8.0, 0.0), 0.93, False, 0.5),
    ((0.0, -8.0, 0.0), 1.07, True, 0.5),
    ((0.0, 0.0, 8.0), 1.07, False, 0.25),
    ((0.0, 0.0, -8.0), 0.93, True, 0.75),
    ((6.0, 6.0, 6.0), 1.0, False, 0.0),
)
#: Voxels of the straight cube that the detector's looks are taken from, of the detector's.
_FINE = 0.7
#: The detector's peak lies so near the middle, cells.
_NEAR = 3
#: A turned cube reaches so much farther than a straight one.
_REACH = 1.45


@dataclass(frozen=True, slots=True)
class Again:
    """What the looks say of one candidate: (look,) logits of the detector and the refiner."""

    detector: NDArray[np.float64]
    refiner: NDArray[np.float64]


def look_again(grid: Grid, look: Look, detector: Network, refiner: Network) -> Again:
    """One cube for each look and network, round the candidate and round its mask."""
    step_mm = look.candidate.step_mm
    windows = _windows(grid, look.candidate.centre, (step_mm, WINDOW, _FINE * step_mm))
    middle = WINDOW // STRIDE // 2
    near = slice(middle - _NEAR, middle + _NEAR)
    logits = [
        # As `candidates_of` reads the heat.
        float(ndimage.gaussian_filter(heat, 0.6)[near, near, near].max())
        for first in range(0, len(windows), BATCH)
        for heat in detector.run(windows[first : first + BATCH])[:, 0]
    ]
    close = _windows(grid, look.centre, (look.step_mm, PATCH, look.step_mm))
    scores = refiner.run({"image": close})["score"][:, 0]
    return Again(np.array(logits), np.asarray(scores, np.float64))


def _windows(grid: Grid, centre: Point, sizes: tuple[float, int, float]) -> Floats:
    """(look, 1, edge, edge, edge) as the networks want it.

    Args:
        sizes: mm of a voxel, voxels of an edge, mm of a voxel of the straight cube beneath.
    """
    step_mm, edge, fine_mm = sizes
    count = int(edge * step_mm / fine_mm * _REACH)
    straight = cube_of(grid, axes_round(grid, centre, fine_mm, count))
    line = np.arange(edge) - (edge - 1) / 2
    at = np.stack(np.meshgrid(line, line, line, indexing="ij"), axis=0).reshape(3, -1)
    found = []
    for degrees, size, mirrored, shift in LOOKS:
        turned = turn(degrees, size, mirrored=mirrored)
        points = turned @ (at + shift) * (step_mm / fine_mm) + (count - 1) / 2
        values = ndimage.map_coordinates(straight, points, order=1, mode="nearest")
        found.append(values.reshape(1, edge, edge, edge))
    return toned(np.stack(found).astype(np.float32))
