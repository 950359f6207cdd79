"""`invert` and `argmax` in one: which class is the best one on the grid of the source.

Linear interpolation lies between the smallest and the largest of the samples around a point. A
class whose largest sample there is below the smallest of some other class cannot be the best one,
so each class is interpolated only within the box of the cells where it can be, some planes at a
time. That is exact; of a hundred organs most are best in a small part of the body.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inference.axis_operator import Taps, taps_at
from inference.labels import label_type
from inference.resampling import each_in_threads, interpolate, threads
from inference.steps.image import Move, Values
from inference.steps.moves import Resampled
from inference.steps.sampling import AxisMap

Floats = NDArray[np.float32]
#: Interpolated values are rounded to float32: what a class lacks to the best one, in its steps.
_SLACK = 16 * float(np.finfo(np.float32).eps)
#: Of the result at a time, so that they stay near the processor.
_PLANES = 16


def best_class(
    values: Values, moves: Sequence[Move], interpolation: str, *, certainty: bool = True
) -> tuple[NDArray[Any], Values | None]:
    """Undo moves, and choose the best class of each voxel.

    Args:
        values: (class, *spatial).
        moves: as `spatial.undone` gives them, none behind the last that interpolates.
        certainty: the value of the class is asked for.

    Returns:
        (1, *spatial) number of the class, the lower one of equals; and its value, or None.
    """
    last = moves[-1] if moves else None
    if interpolation != "linear" or not isinstance(last, Resampled) or not last.is_plain:
        return _of_all(values, moves, interpolation)
    maps = last.maps_back()
    if any(move.interpolates for move in moves[:-1]) or any(along.scale < 0 for along in maps):
        return _of_all(values, moves, interpolation)
    for move in moves[:-1]:
        values = move.undo(values, interpolation)
    values = np.asarray(values, np.float32)
    return _where_possible(values, maps, certainty=certainty)


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
    """Classes come in rising order, so the one that won last has the highest number."""
    # Many times quicker than writing through a mask.
    won = np.greater(one, best).view(np.uint8)
    np.maximum(number_of, won * number_of.dtype.type(number), out=number_of)
    np.maximum(best, one, out=best)


def _where_possible(
    values: Floats, maps: tuple[AxisMap, AxisMap, AxisMap], *, certainty: bool
) -> tuple[NDArray[Any], Floats | None]:
    shape = tuple(along.count for along in maps)
    number_of = np.zeros((1, *shape), label_type(len(values)))
    best = np.empty((1, *shape), np.float32) if certainty else None
    places = [along.positions(size) for along, size in zip(maps, values.shape[1:], strict=True)]
    cells = [
        np.minimum(along.astype(np.intp), max(size - 2, 0))
        for along, size in zip(places, values.shape[1:], strict=True)
    ]
    reaches = _reaches(values)

    def fill(planes: slice) -> None:
        held = [cells[0][planes], *cells[1:]]
        size = (planes.stop - planes.start, *shape[1:])
        highest = np.empty(size, np.float32) if best is None else best[0, planes]
        highest[...] = -np.inf
        for number, (one, reach) in enumerate(zip(values, reaches, strict=True)):
            box = reach.box(held)
            if box is not None:
                value = interpolate(one, _taps(places, (planes, *box), one.shape))
                part = (slice(None), *box)
                _contest(value, number, highest[part], number_of[0, planes][part])

    starts = range(0, shape[0], _PLANES)
    each_in_threads(fill, [slice(at, min(at + _PLANES, shape[0])) for at in starts])
    return number_of, best


def _taps(
    places: Sequence[NDArray[np.float64]],
    part: tuple[slice, ...],
    sizes: tuple[int, ...],
) -> list[Taps]:
    return [
        taps_at(along[here], size) for along, here, size in zip(places, part, sizes, strict=True)
    ]


@dataclass(frozen=True, slots=True)
class _Reach:
    """Where a class may be the best one: its cells, seen along two axes.

    Attributes:
        rows: (cell of axis 0, cell of axis 1). columns: (cell of axis 0, cell of axis 2).
    """

    rows: NDArray[np.bool_]
    columns: NDArray[np.bool_]

    def box(self, cells: Sequence[NDArray[np.intp]]) -> tuple[slice, slice] | None:
        """Rows and columns of some planes where it may be; None where it is in none of them.

        Args:
            cells: of each place along each axis of the result, rising.
        """
        here = slice(int(cells[0][0]), int(cells[0][-1]) + 1)
        used = (self.rows[here].any(axis=0), self.columns[here].any(axis=0))
        found = []
        for one, cell_of in zip(used, cells[1:], strict=True):
            at = np.flatnonzero(one)
            if not at.size:
                return None
            low, high = np.searchsorted(cell_of, at[0]), np.searchsorted(cell_of, at[-1], "right")
            if low == high:
                return None
            found.append(slice(int(low), int(high)))
        return found[0], found[1]


def _reaches(values: Floats) -> list[_Reach]:
    """Of every class; a class that is the best one somewhere is so within its reach."""
    # What the best class has at least, in each cell between neighbouring samples.
    shares = np.array_split(np.arange(len(values)), min(threads(), len(values)))
    leasts: list[Floats] = []

    def at_least(numbers: NDArray[np.intp]) -> None:
        least = np.array(_over_cells(values[numbers[0]], np.minimum))
        for number in numbers[1:]:
            np.maximum(least, _over_cells(values[number], np.minimum), out=least)
        leasts.append(least)

    each_in_threads(at_least, shares)
    least = leasts[0]
    for other in leasts[1:]:
        np.maximum(least, other, out=least)
    least -= _SLACK * max(float(values.max()), -float(values.min()))
    reaches: dict[int, _Reach] = {}

    def reach(number: int) -> None:
        possible: NDArray[np.bool_] = _over_cells(values[number], np.maximum) >= least
        reaches[number] = _Reach(*(np.any(possible, axis=axis) for axis in (2, 1)))

    each_in_threads(reach, range(len(values)))
    return [reaches[number] for number in range(len(values))]


def _over_cells(one: Floats, choose: np.ufunc) -> Floats:
    """The smallest or largest of the samples at the corners of each cell.

    An axis of one sample has one cell; an image of one sample is its own cell.
    """
    for axis, size in enumerate(one.shape):
        if size > 1:
            lower = tuple(slice(-1) if a == axis else slice(None) for a in range(one.ndim))
            upper = tuple(slice(1, None) if a == axis else slice(None) for a in range(one.ndim))
            one = choose(one[lower], one[upper])
    return one
