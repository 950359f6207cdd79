"""A frame for each body that stands on its own endplates, and the outline of the body in it.

The course of the spine tells a frame only roughly, least of all at its ends. So each body is
looked at several times: the frame is leant to the front or the back, and tilted to a side, until
it stands on the endplates. What does not settle, or is bent or turned beyond the limits, is named
and not measured: in a wrong plane every height would be wrong.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from models.grid import Grid, Mask
from models.vertebral_fractures.frames import COLUMN_BACK, ROW_UP, Own, Strip, strip_of
from models.vertebral_fractures.outlines import Outline, outline_of, shares_of
from node.domain.imaging import Network

#: How far from the middle plane the two strips beside it lie, mm.
ASIDE_MM = 8.0
#: A second look is taken where the first one leans, or lies off, by more than this.
LEANS, OFF_MM = np.radians(1.5), 0.7
#: A body that leans more than this after the second look is looked at a third time.
STILL_LEANS = np.radians(4.0)
#: From this tilt to a side on the middle plane is taken again.
TILTS = np.radians(4.0)
#: At the end it may lean or be tilted by so much; else the frame did not settle.
UNSETTLED = np.radians(10.0)
#: A body that is tilted to a side, or turned about its axis, by more than this is not measured.
MOST_TILT, MOST_TURN = np.radians(35.0), np.radians(40.0)
#: Largest lean of one look, and of a body that was taken askew, radians.
_MOST_LEAN, _ASKEW = 0.35, np.radians(45.0)
#: No body is higher in its middle than at both ends by more than this: one that seems to be was
#: taken askew, walls for endplates. Usual is 0.92 to 1.0, and a height may be 7 % wrong.
BULGES = 1.15
#: Words of the limits.
TOO_BENT = "the spine is so bent or turned here that its middle plane is not certain"
_ASKEW_WORDS = "it is seen askew: higher in its middle than in front and behind"
_UNSETTLED_WORDS = "how it stands is not certain: its endplates lean against its own frame"

#: A frame, the strip in it and the outline on the strip.
Seen = tuple[Own, Strip, Outline]


def standing(grid: Grid, owns: Mapping[int, Own], network: Network) -> dict[int, Seen | str]:
    """Each body on its own middle plane, or why it is not looked at there."""
    found = outlines(grid, owns, network)
    for least in (LEANS, STILL_LEANS):
        moved = {k: _adjusted(one, least) for k, one in _clear(found).items()}
        _look_again(grid, found, moved, network)
    askew = {k: _straight(one) for k, one in _clear(found).items() if bulges(one[2])}
    _look_again(grid, found, askew, network)
    moved = {k: _adjusted(one, LEANS) for k, one in _clear(found).items() if k in askew}
    _look_again(grid, found, moved, network)
    clear = _clear(found)
    tilts = _tilts(grid, clear, network)
    tilted = {k: clear[k][0].tilted(tilt) for k, tilt in tilts.items() if abs(tilt) > TILTS}
    _look_again(grid, found, tilted, network)
    rest = _tilts(grid, {k: one for k, one in _clear(found).items() if k in tilted}, network)
    for k, one in _clear(found).items():
        if is_too_bent(one[0]):
            found[k] = TOO_BENT
        elif bulges(one[2]):
            found[k] = _ASKEW_WORDS
        elif max(abs(rest.get(k, 0.0)), abs(one[2].lean)) > UNSETTLED:
            found[k] = _UNSETTLED_WORDS
    return found


def is_too_bent(own: Own) -> bool:
    """Is the frame tilted to a side, or turned about its axis, beyond the limits?"""
    tilt = float(np.arcsin(np.clip(abs(own.up[0]), 0.0, 1.0)))
    turn = float(np.arcsin(np.clip(abs(own.back[0]), 0.0, 1.0)))
    return tilt > float(MOST_TILT) or turn > float(MOST_TURN)


def bulges(outline: Outline) -> bool:
    """Is it higher in its middle than in front and behind, as no vertebral body is?"""
    heights = outline.upper - outline.lower
    depth = (outline.columns - outline.front) / (outline.back - outline.front)
    parts = [(depth >= a) & (depth <= b) for a, b in ((0.05, 0.25), (0.4, 0.6), (0.75, 0.95))]
    if not all(part.any() for part in parts):
        return False
    front, middle, behind = (float(heights[part].mean()) for part in parts)
    return middle > BULGES * max(front, behind)


def outlines(grid: Grid, owns: Mapping[int, Own], network: Network) -> dict[int, Seen | str]:
    """The outline of each body on the middle plane of its frame, or why there is none."""
    strips = {k: strip_of(grid, own) for k, own in owns.items()}
    shares = shares_of(list(strips.values()), network)
    found: dict[int, Seen | str] = {}
    for (k, strip), share in zip(strips.items(), shares, strict=True):
        outline = outline_of(strip, share, grid.spacing_mm[0])
        found[k] = outline if isinstance(outline, str) else (owns[k], strip, outline)
    return found


def _clear(found: Mapping[int, Seen | str]) -> dict[int, Seen]:
    return {k: one for k, one in found.items() if not isinstance(one, str)}


def _look_again(
    grid: Grid, found: dict[int, Seen | str], owns: Mapping[int, Own | None], network: Network
) -> None:
    """Bodies whose frame changed, in the new one."""
    found.update(outlines(grid, {k: own for k, own in owns.items() if own is not None}, network))


def _adjusted(seen: Seen, least: float) -> Own | None:
    """A frame that stands on the endplates, with the body in its middle; None: it does already."""
    own, _, outline = seen
    back = (outline.front + outline.back) / 2
    up = float(outline.upper.mean() + outline.lower.mean()) / 2
    lean = float(np.clip(outline.lean, -_MOST_LEAN, _MOST_LEAN))
    off = OFF_MM * least / LEANS
    if abs(lean) < least and max(abs(back), abs(up)) < off:
        return None
    return own.moved(back, up, lean)


def _straight(seen: Seen) -> Own:
    """The frame leant so that the smallest rectangle around the body stands upright."""
    own, _, outline = seen
    rows, columns = np.nonzero(outline.mask)
    up, back = ROW_UP[rows], COLUMN_BACK[columns]
    leans = np.arange(-_ASKEW, _ASKEW + 0.01, np.radians(2.5))
    areas = [_rectangle(outline.mask, up, back, float(lean)) for lean in leans]
    # Of leans that are as good as the best the one that turns the frame least.
    good = leans[np.array(areas) <= 1.02 * min(areas)]
    lean = float(good[np.abs(good).argmin()])
    return own.moved(float(back.mean()), float(up.mean()), lean)


def _rectangle(mask: Mask, up: np.ndarray, back: np.ndarray, lean: float) -> float:
    """Area of the rectangle around a mask in a frame that leans to the back, mm2."""
    assert mask.any()
    c, s = np.cos(lean), np.sin(lean)
    sides = (c * back - s * up, c * up + s * back)
    # A spur or a rest of a pedicle is no part of the rectangle.
    return float(np.prod([np.subtract(*np.percentile(side, [98, 2])) for side in sides]))


def _tilts(grid: Grid, seen: Mapping[int, Seen], network: Network) -> dict[int, float]:
    """By how much the endplates of each body rise to the left, radians, where that is seen."""
    strips = [
        strip_of(grid, own, side * ASIDE_MM) for own, _, _ in seen.values() for side in (-1, 1)
    ]
    shares = shares_of(strips, network)
    found: dict[int, float] = {}
    for place, (k, (_, _, outline)) in enumerate(seen.items()):
        middle = _height_of(outline)
        heights = []
        for side, which in ((-1, 2 * place), (1, 2 * place + 1)):
            beside = outline_of(strips[which], shares[which], grid.spacing_mm[0])
            if not isinstance(beside, str):
                heights.append((side, _height_of(beside)))
        if len(heights) == 2:
            found[k] = float(np.arctan2(heights[1][1] - heights[0][1], 2 * ASIDE_MM))
        elif heights:
            ((side, height),) = heights
            found[k] = float(np.arctan2(side * (height - middle), ASIDE_MM))
    return found


def _height_of(outline: Outline) -> float:
    """Of the middle between both endplates, mm up."""
    return float(outline.upper.mean() + outline.lower.mean()) / 2
