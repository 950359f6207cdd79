"""A body that seems to have lost height is looked at again, from other frames around its place.

What is there is found from each of them; an outline that went astray on a calcified disc, a spur
or a dense spot is not found twice. The look in the middle of all counts, and how far the looks
lie apart is a part of what its heights are not known by.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from models.grid import Grid
from models.vertebral_fractures.measuring import Body, Looked, Unmeasured, measured_in
from models.vertebral_fractures.spine import Place
from models.vertebral_fractures.stacking import fits
from models.vertebral_fractures.standing import standing
from node.domain.imaging import Network

#: Frames to begin from, by (to the back mm, up mm, lean to the back, tilt to the left), radians.
STARTS = (
    (0.0, 4.0, 0.0, 0.0),
    (0.0, -4.0, 0.0, 0.0),
    (0.0, 0.0, np.radians(7.0), 0.0),
    (0.0, 0.0, np.radians(-7.0), 0.0),
    (3.0, 0.0, 0.0, np.radians(5.0)),
    (-3.0, 0.0, 0.0, np.radians(-5.0)),
)
#: A look whose body lies further than this from where it was found saw something else, mm.
SAME_PLACE_MM = 12.0
#: Of all looks so many must see a body with two endplates.
CLEAR_SHARE = 0.5
#: Median absolute deviation to standard deviation, of a normal distribution.
_NORMAL = 1.4826


def look_again(
    grid: Grid, network: Network, looked: Sequence[Looked], numbers: Collection[int]
) -> list[Looked]:
    """The bodies from below, those of some numbers as most of the looks see them.

    Args:
        numbers: places, counted from below, of measured bodies.
    """
    again = {one.place.number: one for one in looked if one.place.number in numbers}
    starts = {
        (number, look): one.place.own.moved(back, up, lean).tilted(tilt)
        for number, one in again.items()
        for look, (back, up, lean, tilt) in enumerate(STARTS)
    }
    keys = dict(enumerate(starts))
    seen = standing(grid, {k: starts[key] for k, key in keys.items()}, network)
    found: dict[int, list[Body]] = {
        number: [one] if fits(one, looked) else []
        for number, one in again.items()
        if isinstance(one, Body)
    }
    for k, (number, _) in keys.items():
        result = seen[k]
        if isinstance(result, str) or number not in found:
            continue
        body = measured_in(grid, again[number].place, result)
        if isinstance(body, Body) and _is_there(body) and fits(body, looked):
            found[number].append(body)
    return [
        agreed(one.place, found[one.place.number]) if one.place.number in found else one
        for one in looked
    ]


def agreed(place: Place, bodies: Sequence[Body]) -> Looked:
    """One body of several looks at it.

    Args:
        bodies: those of the looks that saw it clearly, of one look and the `STARTS`.

    Returns:
        The look whose heights lie nearest to the medians of all, and their spread in its
        standard deviation; unmeasured where too few were clear.
    """
    looks = len(STARTS) + 1
    if len(bodies) < CLEAR_SHARE * looks:
        return Unmeasured(
            place=place,
            reason=f"it is not seen clearly: {len(bodies)} of {looks} looks at it found endplates",
        )
    heights = np.array([body.heights_mm for body in bodies])
    away = np.abs(heights - np.median(heights, axis=0))
    apart = _NORMAL * float(np.median(away, axis=0).max())
    middle = bodies[int(away.max(axis=1).argmin())]
    return replace(middle, spread_mm=float(np.hypot(middle.spread_mm, apart)))


def _is_there(body: Body) -> bool:
    return float(np.linalg.norm(body.own.centre - body.place.own.centre)) < SAME_PLACE_MM
