"""What the images show of the patient: where they end, and what they cut.

Pixels end at the border of the matrix, at the circle of reconstruction, and where the scanner
wrote padding; slices end with the first and the last. Beyond, nothing was imaged, so nothing is
labelled; and a structure that reaches that edge goes on beyond it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import cc3d
import numpy as np
from numpy.typing import NDArray

from models.anatomy.sampling import FINE_MM, Axes, Sight
from models.anatomy.structures import Structure
from models.grid import Axis, Grid, Mask

#: Constant values at or below this are filling, not measured air, HU.
FILLING_HU: Final = -1000.0
#: Slices in which the circle is sought.
_SAMPLES: Final = 7
#: The circle about fills the image; a smaller round edge is a round patient.
_SMALLEST_RADIUS: Final = 0.45
#: Share of what lies outside a circle that must be filling.
_CIRCLE_SHARE: Final = 0.97
#: What ends this near to the edge of what was imaged is cut by it, mm.
EDGE_MM: Final = 3.0
#: A structure touches the edge with at least so many fine voxels (0.4 cm2).
_TOUCHING: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """The field of view of a series, on its canonical grid.

    Attributes:
        shape: (slices, rows, columns).
        circle: (row, column, radius) of the field of reconstruction in pixels, or None.
        padding: (slice, row, column) padding that reaches the border of its image, or None.
    """

    shape: tuple[int, int, int]
    circle: tuple[float, float, float] | None
    padding: Mask | None

    def on_images(self) -> Mask:
        """(slice, row, column) on the canonical grid, True where something was imaged."""
        slices, rows, columns = (Axis(start=0.0, step=1.0, count=n) for n in self.shape)
        return self.on((slices, rows, columns))

    def on(self, axes: Axes) -> Mask:
        """(slice, row, column) on another grid, True where something was imaged."""
        at = [axis.positions() for axis in axes]
        inside = [
            (where >= -0.5) & (where <= count - 0.5)
            for where, count in zip(at, self.shape, strict=True)
        ]
        plane = inside[1][:, None] & inside[2][None, :]
        if self.circle is not None:
            row, column, radius = self.circle
            plane &= (at[1][:, None] - row) ** 2 + (at[2][None, :] - column) ** 2 < radius**2
        seen = inside[0][:, None, None] & plane[None]
        if self.padding is not None:
            near = [
                np.clip(np.rint(where), 0, count - 1).astype(np.int64)
                for where, count in zip(at, self.shape, strict=True)
            ]
            seen &= ~self.padding[np.ix_(near[0], near[1], near[2])]
        return np.asarray(seen, np.bool_)


def view_of(grid: Grid, padding: Mask | None) -> View:
    """What the images show.

    Args:
        padding: (plane, row, column) of the source volume, or None.
    """
    turned = None
    if padding is not None and padding.any():
        back = tuple(slice(None, None, -1 if flipped else 1) for flipped in grid.flipped)
        turned = np.stack([_from_border(one) for one in padding.transpose(grid.order)[back]])
    return View(shape=grid.shape, circle=_circle(grid), padding=turned)


def _from_border(mask: Mask) -> Mask:
    """The parts of a (row, column) mask that reach the border of the image."""
    if not mask.any():
        return mask
    parts = cc3d.connected_components(np.ascontiguousarray(mask), connectivity=4)
    ends = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    return np.asarray(np.isin(parts, ends[ends > 0]), np.bool_)


def _circle(grid: Grid) -> tuple[float, float, float] | None:
    """The circle beyond which every image holds the same filling, or None."""
    count, rows, columns = grid.shape
    outside = np.ones((rows, columns), np.bool_)
    for index in np.unique(np.linspace(0, count - 1, _SAMPLES).round().astype(int)):
        plane = grid.hu[index]
        corner = float(plane[0, 0])
        if corner > FILLING_HU:
            return None
        outside &= plane == corner
    outside = _from_border(outside)
    if not outside.any():
        return None
    row, column = (rows - 1) / 2, (columns - 1) / 2
    square = (np.arange(rows)[:, None] - row) ** 2 + (np.arange(columns)[None, :] - column) ** 2
    radius = float(np.sqrt(np.percentile(square[outside], 0.5)))
    beyond = square >= radius**2
    if radius < _SMALLEST_RADIUS * min(rows, columns) or not beyond.any():
        return None
    return (row, column, radius) if outside[beyond].mean() > _CIRCLE_SHARE else None


def within(sight: Sight, seen: Mask) -> Sight:
    """The sight with nothing outside of what was imaged."""
    labels = sight.labels.copy()
    labels[~seen] = Structure.OUTSIDE
    return replace(sight, labels=labels)


def cut_names(labels: NDArray[np.uint8], names: Mapping[int, str], seen: Mask) -> tuple[str, ...]:
    """The structures that reach the edge of what was imaged.

    Args:
        labels, seen: (slice, row, column) on the fine grid.
    """
    counts = np.bincount(labels[_edge(seen)], minlength=max(names, default=0) + 1)
    return tuple(name for value, name in names.items() if counts[value] >= _TOUCHING)


def _edge(seen: Mask) -> Mask:
    """The outermost millimetres of what was imaged, in the slices and along them."""
    depth = int(np.ceil(EDGE_MM / FINE_MM))
    inner = seen.copy()
    inner[:, :, 0] = inner[:, :, -1] = inner[:, 0] = inner[:, -1] = False
    for _ in range(depth):
        smaller = inner.copy()
        for axis in (1, 2):
            ahead, behind = _shifted(inner, axis)
            smaller &= ahead & behind
        inner = smaller
    slices = np.flatnonzero(seen.any(axis=(1, 2)))
    if slices.size:
        inner[: slices[0] + depth] = False
        inner[slices[-1] + 1 - depth :] = False
    return np.asarray(seen & ~inner, np.bool_)


def _shifted(mask: Mask, axis: int) -> tuple[Mask, Mask]:
    """The mask moved by one voxel both ways along an axis; False comes in."""
    ahead, behind = np.zeros_like(mask), np.zeros_like(mask)
    first = [slice(None)] * 3
    last = [slice(None)] * 3
    first[axis], last[axis] = slice(1, None), slice(None, -1)
    ahead[tuple(first)] = mask[tuple(last)]
    behind[tuple(last)] = mask[tuple(first)]
    return ahead, behind
