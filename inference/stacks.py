"""One series -> its homogeneous stacks: what may be judged and loaded as one.

Images differ for good when orientation, matrix, pixel spacing, slice thickness, kernel, kind or
frame of reference differ. Acquisition numbers, temporal positions, echoes and the like differ
within a sound stack too (old scanners count each slice); they part images only where several of
these lie at one place, which no stack can hold (several phases in one series).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import pairwise

import numpy as np

from inference.geometry import COSINE_TOLERANCE, SAME_POSITION_MM, PlaneFacts

#: A series of more stacks than this is left whole: a time series of single images, or noise.
MAX_STACKS = 64
#: Pixel spacing and thickness that differ by less than this fraction are rounding.
LENGTH_TOLERANCE = 0.02
#: Orientations this far apart are two stacks; what lies between is a fault of one stack.
PARTED = 3 * COSINE_TOLERANCE

Group = list[int]


def split_stacks(planes: Sequence[PlaneFacts]) -> tuple[tuple[int, ...], ...]:
    """Indices of the planes of each stack, in the order in which each begins.

    A single stack comes back as one group of all planes; so does what cannot be parted.
    """
    if not planes:
        return ()
    groups: list[Group] = [list(range(len(planes)))]
    for part in (_by_direction, _by_lengths, _by_traits, _by_phase):
        groups = [smaller for group in groups for smaller in part(planes, group)]
    if len(groups) > MAX_STACKS:
        return (tuple(range(len(planes))),)
    groups.sort(key=lambda group: min(planes[i].order for i in group))
    return tuple(tuple(sorted(group)) for group in groups)


def _by_direction(planes: Sequence[PlaneFacts], group: Group) -> list[Group]:
    """By orientation; images without one stay together, and apart from the others."""
    placed = [i for i in group if planes[i].cosines is not None]
    found: list[Group] = [[i for i in group if planes[i].cosines is None]]
    left = np.array([planes[i].cosines for i in placed], dtype=np.float64).reshape(-1, 6)
    rest = np.array(placed, dtype=np.int64)
    while rest.size:
        alike = np.abs(left - left[0]).max(axis=1) <= PARTED
        found.append([int(i) for i in rest[alike]])
        left, rest = left[~alike], rest[~alike]
    return [one for one in found if one]


def _by_lengths(planes: Sequence[PlaneFacts], group: Group) -> list[Group]:
    """By pixel spacing and slice thickness; an image that states none goes with the first."""
    for length in (_pixel, _thickness):
        stated = sorted({value for i in group if (value := length(planes[i])) is not None})
        steps = [b for a, b in pairwise(stated) if b > a * _APART]
        if steps:
            classes = {i: _class(length(planes[i]), steps) for i in group}
            return _grouped(group, classes)
    return [group]


_APART = 1 + LENGTH_TOLERANCE


def _pixel(plane: PlaneFacts) -> float | None:
    return plane.pixel_spacing_mm[0] if plane.pixel_spacing_mm else None


def _thickness(plane: PlaneFacts) -> float | None:
    return plane.thickness_mm


def _class(value: float | None, bounds: Sequence[float]) -> int:
    return 0 if value is None else sum(value >= bound for bound in bounds)


def _by_traits(planes: Sequence[PlaneFacts], group: Group) -> list[Group]:
    """By what is written differently on purpose; what only some images state parts nothing."""
    for trait in _TRAITS:
        stated = {trait(planes[i]) for i in group} - _SILENT
        if len(stated) > 1:
            parts = _grouped(group, {i: trait(planes[i]) for i in group})
            return [smaller for part in parts for smaller in _by_traits(planes, part)]
    return [group]


_TRAITS: tuple[Callable[[PlaneFacts], Hashable], ...] = (
    lambda plane: (plane.columns, plane.rows),
    lambda plane: plane.frame_of_reference_uid,
    lambda plane: plane.kind,
    lambda plane: plane.kernel,
)
_SILENT: frozenset[Hashable] = frozenset({"", (None, None)})


def _by_phase(planes: Sequence[PlaneFacts], group: Group) -> list[Group]:
    """Where several images lie at one place: by the first mark that sets them apart."""
    shared = _shared(planes, group)
    if not shared:
        return [group]
    marks = range(max(len(planes[i].phase_marks) for i in group))
    for mark in marks:
        parts = _grouped(group, {i: _mark(planes[i], mark) for i in group})
        if 1 < len(parts) <= MAX_STACKS and all(
            len(part) > 1 and not _shared(planes, part) for part in parts
        ):
            return parts
    return [group]


def _mark(plane: PlaneFacts, at: int) -> str:
    return plane.phase_marks[at] if at < len(plane.phase_marks) else ""


def _shared(planes: Sequence[PlaneFacts], group: Group) -> int:
    """Number of images that lie where another one lies."""
    places = [planes[i].position for i in group]
    found = [tuple(round(v / SAME_POSITION_MM) for v in place) for place in places if place]
    return len(found) - len(set(found))


def _grouped(group: Group, keys: Mapping[int, Hashable]) -> list[Group]:
    found: dict[Hashable, Group] = defaultdict(list)
    for index in group:
        found[keys[index]].append(index)
    return list(found.values())
