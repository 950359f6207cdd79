"""`invert` and `argmax` in one: which class is the best one on the grid of the source.

Linear interpolation lies between the smallest and the largest of the samples around a point. A
class whose largest sample there is below the smallest of some other class cannot be the best one,
so each class is interpolated only within the box of the cells where it can be. That is exact; of
a hundred organs most are best in a small part of the body.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.labels import label_type
from inference.resampling import resample
from inference.steps.image import Move, Values
from inference.steps.moves import Resampled
from inference.steps.sampling import AxisMap, matrix_of

Floats = NDArray[np.float32]
#: Interpolated values are rounded to float32: what a class lacks to the best one, in its steps.
_SLACK = 16 * float(np.finfo(np.float32).eps)


def best_class(
    values: Values, moves: Sequence[Move], interpolation: str
) -> tuple[NDArray[Any], Values]:
    """Undo moves, and choose the best class of each voxel.

    Args:
        values: (class, *spatial).
        moves: as `spatial.undone` gives them, none behind the last that interpolates.

    Returns:
        (1, *spatial) number of the class, the lower one of equals; and its value.
    """
    last = moves[-1] if moves else None
    if interpolation != "linear" or not isinstance(last, Resampled) or not last.is_plain:
        return _of_all(values, moves, interpolation)
    if any(move.interpolates for move in moves[:-1]):
        return _of_all(values, moves, interpolation)
    for move in moves[:-1]:
        values = move.undo(values, interpolation)
    values = np.ascontiguousarray(values, np.float32)
    return _where_possible(values, last.maps_back())


def _of_all(
    values: Values, moves: Sequence[Move], interpolation: str
) -> tuple[NDArray[Any], Values]:
    """One class after the other on the whole grid: a hundred never lie there together."""
    best: Any = None
    number_of: Any = None
    for number in range(len(values)):
        one = values[number : number + 1]
        for move in moves:
            one = move.undo(one, interpolation)
        if best is None:
            best = np.array(one, order="C")
            number_of = np.zeros(one.shape, label_type(len(values)))
        else:
            _contest(one, number, best, number_of)
    return number_of, best


def _contest(one: Values, number: int, best: Values, number_of: NDArray[Any]) -> None:
    np.copyto(number_of, number_of.dtype.type(number), where=np.greater(one, best))
    np.maximum(best, one, out=best)


def _where_possible(
    values: Floats, maps: tuple[AxisMap, AxisMap, AxisMap]
) -> tuple[NDArray[Any], Floats]:
    shape = tuple(along.count for along in maps)
    best = np.full((1, *shape), -np.inf, np.float32)
    number_of = np.zeros((1, *shape), label_type(len(values)))
    # What the best class has at least, in each cell between neighbouring samples.
    least = _over_cells(values[0], np.minimum)
    for one in values[1:]:
        np.maximum(least, _over_cells(one, np.minimum), out=least)
    least -= _SLACK * max(float(values.max()), -float(values.min()))
    cells = [
        np.minimum(along.positions(size).astype(np.intp), max(size - 2, 0))
        for along, size in zip(maps, values.shape[1:], strict=True)
    ]
    for number, one in enumerate(values):
        possible = _over_cells(one, np.maximum) >= least
        box = _box(possible, cells)
        if box is None:
            continue
        part = tuple(
            AxisMap(along.scale, along.offset + along.scale * there.start, there.stop - there.start)
            for along, there in zip(maps, box, strict=True)
        )
        read = resample(one, matrix_of(part), tuple(along.count for along in part))
        _contest(read, number, best[(0, *box)], number_of[(0, *box)])
    return number_of, best


def _over_cells(one: Floats, choose: np.ufunc) -> Floats:
    """The smallest or largest of the samples at the corners of each cell.

    An axis of one sample has one cell.
    """
    for axis, size in enumerate(one.shape):
        if size > 1:
            lower = tuple(slice(-1) if a == axis else slice(None) for a in range(one.ndim))
            upper = tuple(slice(1, None) if a == axis else slice(None) for a in range(one.ndim))
            one = choose(one[lower], one[upper])
    return np.array(one)


def _box(
    possible: NDArray[np.bool_], cells: Sequence[NDArray[np.intp]]
) -> tuple[slice, slice, slice] | None:
    """Voxels of the result that lie in the box round these cells; None where there is none."""
    found = []
    for axis, cell_of in enumerate(cells):
        others = tuple(a for a in range(3) if a != axis)
        used = np.flatnonzero(possible.any(axis=others))
        if not used.size:
            return None
        inside = np.flatnonzero((cell_of >= used[0]) & (cell_of <= used[-1]))
        if not inside.size:
            return None
        found.append(slice(int(inside[0]), int(inside[-1]) + 1))
    return found[0], found[1], found[2]
