"""The spatial steps that were done, each with its exact way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from inference.axis_operator import nearest_of
from inference.steps import sampling
from inference.steps.image import Affine, Grid, Points, Values
from inference.steps.sampling import AxisMap


@dataclass(frozen=True, slots=True, kw_only=True)
class Reoriented:
    """Axes permuted and flipped; nothing is interpolated.

    Attributes:
        order: order[i] is the source axis that became axis i.
        flipped: new axes that run against the source's.
    """

    source: Grid
    order: tuple[int, int, int]
    flipped: tuple[bool, bool, bool]
    step: str = field(default="orient", init=False)
    interpolates: ClassVar[bool] = False

    def apply(self, values: Values) -> Values:
        """(channel, *source) -> (channel, *turned), a view."""
        turned = values.transpose(0, *(axis + 1 for axis in self.order))
        return turned[(slice(None), *(_step(back) for back in self.flipped))]

    def undo(self, values: Values, interpolation: str) -> Values:
        """A view."""
        straight = values[(slice(None), *(_step(back) for back in self.flipped))]
        places = [self.order.index(axis) + 1 for axis in range(3)]
        return straight.transpose(0, *places)

    def points_back(self, points: Points) -> Points:
        """See `Move`."""
        back = np.empty_like(points)
        for axis, (source, flipped) in enumerate(zip(self.order, self.flipped, strict=True)):
            last = self.source.shape[source] - 1
            back[:, source] = last - points[:, axis] if flipped else points[:, axis]
        return back


def _step(backwards: bool) -> slice:
    return slice(None, None, -1 if backwards else 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cropped:
    """A box was cut out, parts of which may lie outside; what was cut off comes back as 0.

    Attributes:
        start: of the box, in the source; negative where it was padded. shape: of the box.
    """

    step: str
    source: Grid
    start: tuple[int, int, int]
    shape: tuple[int, int, int]
    interpolates: ClassVar[bool] = False

    def undo(self, values: Values, interpolation: str) -> Values:
        """Background (0) around what was kept."""
        whole = np.zeros((len(values), *self.source.shape), values.dtype)
        inside, outside = self._overlap()
        whole[(slice(None), *outside)] = values[(slice(None), *inside)]
        return whole

    def _overlap(self) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Where box and source overlap: in the box, in the source."""
        inside, outside = [], []
        for start, size, length in zip(self.start, self.shape, self.source.shape, strict=True):
            first, behind = max(start, 0), max(min(start + size, length), 0)
            inside.append(slice(first - start, max(behind, first) - start))
            outside.append(slice(first, max(behind, first)))
        return tuple(inside), tuple(outside)

    def points_back(self, points: Points) -> Points:
        """See `Move`."""
        return np.asarray(points + np.array(self.start), np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resampled:
    """Read on another grid whose axes are parallel to the source's.

    Attributes:
        maps: from the new axes to the source's.
        rounding: of nearest, forth and back.
        corners: the maps keep the end samples, not the outer edges (for cubic).
        alone: axis that is read by nearest whatever the others do (nnU-Net's thick slices).
    """

    step: str
    source: Grid
    maps: tuple[AxisMap, AxisMap, AxisMap]
    rounding: sampling.Rounding = "even"
    corners: bool = False
    alone: int | None = None
    interpolates: ClassVar[bool] = True

    def undo(self, values: Values, interpolation: str) -> Values:
        """Resampled to the source's grid; see `Invert.interpolation`."""
        if interpolation == "per_class_linear":
            return _per_class_linear(values, self.source.shape)
        back = self.maps_back()
        return read(values, back, interpolation, self)

    @property
    def is_plain(self) -> bool:
        """Every axis by the same rule, each sample from the two beside its position."""
        return not self.corners and self.alone is None

    def maps_back(self) -> tuple[AxisMap, AxisMap, AxisMap]:
        """From the axes of the source to the new ones."""
        i, j, k = (
            along.inverse(count) for along, count in zip(self.maps, self.source.shape, strict=True)
        )
        return i, j, k

    def points_back(self, points: Points) -> Points:
        """See `Move`."""
        scale = np.array([along.scale for along in self.maps])
        offset = np.array([along.offset for along in self.maps])
        return np.asarray(points * scale + offset, np.float64)


def read(
    values: Values,
    maps: tuple[AxisMap, AxisMap, AxisMap],
    interpolation: str,
    rule: Resampled,
) -> Values:
    """(channel, *spatial) read along `maps` by the rule of a resampling."""
    if rule.alone is not None:
        axis = rule.alone
        # Ties are common where thick slices are halved: positions must round as nnU-Net's do.
        taken = nearest_of(values.shape[axis + 1], maps[axis].count, "edges")
        values = values.take(taken, axis=axis + 1)
        flat = list(maps)
        flat[axis] = AxisMap(1.0, 0.0, maps[axis].count)
        maps = (flat[0], flat[1], flat[2])
    if rule.corners and interpolation in ("nearest", "linear"):
        return sampling.zoomed(values, maps, 0 if interpolation == "nearest" else 1)
    if interpolation == "nearest":
        return sampling.nearest(values, maps, rule.rounding)
    if interpolation == "linear":
        return sampling.linear(values, maps)
    return sampling.cubic(values, maps, corners=rule.corners, by_plane=rule.alone is not None)


def _per_class_linear(values: Values, shape: tuple[int, int, int]) -> Values:
    """Each label as a mask, linearly, kept at 0.5 or more; a higher label overwrites a lower.

    Only the box around a label is read, with room for its blurred edge. Where the new grid
    lies halfway between two voxels, 0.5 itself is common and decides a whole layer: weights are
    float64 and their sum float32, as in SciPy's map_coordinates.
    """
    out = np.zeros((len(values), *shape), values.dtype)
    for source, target in zip(values, out, strict=True):
        for label in np.unique(source[source != 0]):
            where = np.nonzero(source == label)
            boxes, target_box, weights = [], [], []
            for axis, (length, count) in enumerate(zip(source.shape, shape, strict=True)):
                first = max(int(where[axis].min()) - 2, 0)
                behind = min(int(where[axis].max()) + 3, length)
                start = max(int(np.floor(first * count / length)), 0)
                end = min(int(np.ceil(behind * count / length)), count)
                boxes.append(slice(first, behind))
                target_box.append(slice(start, end))
                places = (np.arange(start, end) + 0.5) * length / count - 0.5 - first
                weights.append(_linear_weights(places, behind - first))
            mask = (source[tuple(boxes)] == label).astype(np.float64)
            _paint(target[tuple(target_box)], mask, weights, label)
    return out


def _linear_weights(places: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """(place, length): what each sample of an axis adds to each place."""
    inside = np.clip(places, 0, length - 1)
    lower = np.floor(inside).astype(np.intp)
    upper = np.minimum(lower + 1, length - 1)
    weights = np.zeros((len(places), length))
    rows = np.arange(len(places))
    weights[rows, lower] = 1 - (inside - lower)
    weights[rows, upper] += inside - lower
    return weights


def _paint(
    target: Values,
    mask: NDArray[np.float64],
    weights: Sequence[NDArray[np.float64]],
    label: np.generic,
) -> None:
    """Write the label where the interpolated mask is at least one half, plane by plane."""
    along, rows, columns = weights
    for plane, share in zip(target, along, strict=True):
        (near,) = np.nonzero(share)
        between = np.tensordot(share[near], mask[near], axes=1)
        if between.any():
            part = (rows @ between @ columns.T).astype(np.float32)
            plane[part >= 0.5] = label


@dataclass(frozen=True, slots=True, kw_only=True)
class Transformed:
    """Read on a grid whose axes are not parallel to the source's (a tilted gantry).

    Attributes:
        matrix: (4, 4), new index to source index.
    """

    step: str
    source: Grid
    matrix: Affine
    interpolates: ClassVar[bool] = True

    def undo(self, values: Values, interpolation: str) -> Values:
        """Linear, or nearest for labels."""
        order = 1 if interpolation in ("linear", "cubic") else 0
        inverse = np.asarray(np.linalg.inv(self.matrix), np.float64)
        return sampling.affine(values, inverse, self.source.shape, order)

    def points_back(self, points: Points) -> Points:
        """See `Move`."""
        return np.asarray(points @ self.matrix[:3, :3].T + self.matrix[:3, 3], np.float64)
