"""Where the vertebral bodies are: the course by the shared anatomy, the bodies on it by eye.

The shared anatomy follows the column of bodies and discs, and the canal, reliably; where one body
ends and the next begins it knows only roughly. So the image is straightened along its course, and
the outline network looks at it window by window: places where it sees a whole body in the middle
of a window, from several windows, are bodies. Their levels are counted in `counting`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from models.grid import Floats, Grid, Mask
from models.vertebral_fractures.counting import SACRAL, count_levels
from models.vertebral_fractures.ends import goes_on, rooms_of
from models.vertebral_fractures.frames import (
    COLUMN_BACK,
    EDGE_MM,
    HALF_WIDE_MM,
    ROW_UP,
    Own,
    Strip,
    Vector,
    values_at,
)
from models.vertebral_fractures.outlines import BODY, middle_part, shares_of
from node.domain.anatomy import Anatomy
from node.domain.imaging import Network

#: Smallest cross-section of the column that counts, mm2; shortest course, mm.
LEAST_AREA_MM2, LEAST_COURSE_MM = 200.0, 40.0
#: Gaps of twice so many voxels of the anatomy are bridged.
BRIDGED = 4
#: The course is smooth over so many mm, and goes on beyond its ends as far.
SMOOTH_MM, BEYOND_MM = 9.0, 10.0
#: Between two windows, mm; how far from the middle of its window a body may lie, mm.
STEP_MM, OFF_MM = 3.0, 7.0
#: Windows whose bodies differ by less than this mean the same one, mm. So many must see it.
SAME_MM, LEAST_VOTES = 4.5, 2
#: Of a body at the end of the images so much is shown at least.
LEAST_SHOWN = 0.7
#: Smallest cross-section of a body on the strip, mm2.
LEAST_STRIP_MM2 = 140.0
#: Share of sacrum in the middle of a place from which on it is the sacrum.
SACRUM_SHARE = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """The column of bodies and discs.

    Attributes:
        middle, up, back: (n, 3) LPS mm: points 1 mm apart from below, unit vectors to the head
            along the course, and to the canal.
        turned: (n,) the canal was seen there.
    """

    middle: Vector
    up: Vector
    back: Vector
    turned: Mask

    def own(self, at: float) -> Own:
        """The frame at a place of the course, mm from below."""
        index = int(np.clip(round(at), 0, len(self.middle) - 1))
        up, back = self.up[index], self.back[index]
        return Own(
            centre=self.middle[index],
            left=np.cross(back, up),
            back=back,
            up=up,
            turned=bool(self.turned[index]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One vertebral body in view.

    Attributes:
        number: from below, 0 for the lowest. level: "" where nothing fixes it.
    """

    number: int
    level: str
    own: Own


@dataclass(frozen=True, slots=True, kw_only=True)
class Spine:
    """The bodies from below.

    Attributes:
        anchors: what their levels rest on; () where they are uncertain. doubts: why, in words.
        rooms: numbers of bodies above which another one has room that nobody saw.
        below, above: bone is seen beyond the lowest and the highest one, where another whole
            vertebra would lie that nobody recognised.
        sacral: how many bodies below L5 the count of the levels makes sacrum.
    """

    places: tuple[Place, ...]
    anchors: tuple[str, ...]
    doubts: tuple[str, ...]
    rooms: tuple[int, ...]
    below: bool = False
    above: bool = False
    sacral: int = 0

    @property
    def names(self) -> list[str]:
        """What each body is called: its level, or its place from below where none is stated."""
        return [one.level or _counted(one.number) for one in self.places]


def find_spine(grid: Grid, anatomy: Anatomy, network: Network) -> Spine:
    """Every vertebral body that the images show, with its level where that is certain."""
    course = course_of(anatomy)
    if course is None:
        return Spine(places=(), anchors=(), doubts=("no spine is seen",), rooms=())
    owns = [course.own(at) for at in _bodies(grid, course, network)]
    owns = [own for own in owns if not _is_sacrum(anatomy, own)]
    count = count_levels(anatomy, owns)
    sacral = count.levels.count(SACRAL)
    owns, levels = owns[sacral:], count.levels[sacral:]
    places = tuple(
        Place(number=number, level=level, own=own)
        for number, (own, level) in enumerate(zip(owns, levels, strict=True))
    )
    below, above = goes_on(grid, anatomy, owns, levels)
    return Spine(
        places=places,
        anchors=count.anchors,
        doubts=count.doubts,
        rooms=rooms_of(owns),
        below=below,
        above=above,
        sacral=sacral,
    )


def column_of(anatomy: Anatomy) -> Mask:
    """(slice, row, column) the column of vertebral bodies and discs."""
    names = [name for name in anatomy.names.values() if name.startswith("vertebra_")]
    return anatomy.mask("intervertebral_discs", *names)


def course_of(anatomy: Anatomy) -> Course | None:
    """The course of the column; None where there is too little of it."""
    seen = column_of(anatomy)
    # A body or disc that the anatomy lost leaves a gap, which does not end the column.
    labels, count = ndimage.label(ndimage.binary_dilation(seen, iterations=BRIDGED))
    if not count:
        return None
    column = seen & (labels == 1 + int(np.bincount(labels.ravel())[1:].argmax()))
    canal = anatomy.mask("spinal_canal")
    pixel_mm2 = float(np.linalg.norm(np.cross(anatomy.affine[:3, 1], anatomy.affine[:3, 2])))
    used = np.flatnonzero(column.sum(axis=(1, 2)) * pixel_mm2 > LEAST_AREA_MM2)
    step = float(np.linalg.norm(anatomy.affine[:3, 0]))
    if len(used) * step < LEAST_COURSE_MM:
        return None
    centres = np.array([[k, *np.argwhere(column[k]).mean(axis=0)] for k in used])
    behind = np.array(
        [
            np.argwhere(canal[k]).mean(axis=0) - centre[1:] if canal[k].any() else [np.nan] * 2
            for k, centre in zip(used, centres, strict=True)
        ]
    )
    known = np.isfinite(behind[:, 0])
    if not known.any():
        behind[:] = (1.0, 0.0)
    else:
        for axis in (0, 1):
            behind[:, axis] = np.interp(used, used[known], behind[known, axis])
    smooth = SMOOTH_MM / step
    path = centres @ anatomy.affine[:3, :3].T + anatomy.affine[:3, 3]
    path = ndimage.gaussian_filter1d(path, smooth, axis=0, mode="nearest")
    # Smoothing bends the ends towards the middle: what is straight there stays straight.
    raw = centres @ anatomy.affine[:3, :3].T + anatomy.affine[:3, 3]
    path = path + _ends(raw - path, smooth)
    ways = np.concatenate([np.zeros((len(behind), 1)), behind], axis=1) @ anatomy.affine[:3, :3].T
    ways = ndimage.gaussian_filter1d(ways, smooth, axis=0, mode="nearest")
    return _even(path, ways, ndimage.binary_dilation(known, iterations=round(smooth)))


def _ends(rest: Vector, smooth: float) -> Vector:
    """What a smoothed path lacks at its ends, as a slope along the filter's reach."""
    reach = max(2, round(2 * smooth))
    out = np.zeros_like(rest)
    if len(rest) < 2 * reach:
        return out
    for part, way in ((slice(0, reach), 1), (slice(-reach, None), -1)):
        share = np.linspace(1.0, 0.0, reach)[::way]
        at = slice(0, reach // 2) if way == 1 else slice(-(reach // 2), None)
        out[part] = share[:, None] * np.median(rest[at], axis=0)
    return out


def _even(path: Vector, ways: Vector, seen: Mask) -> Course:
    """Points 1 mm apart, going straight on beyond both ends."""
    length = np.r_[0.0, np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))]
    at = np.arange(-BEYOND_MM, length[-1] + BEYOND_MM + 1)
    inside = np.clip(at, 0.0, length[-1])
    middle = np.stack([np.interp(inside, length, path[:, k]) for k in range(3)], axis=1)
    up = np.gradient(middle, axis=0)
    known = np.flatnonzero((at >= 1) & (at <= length[-1] - 1))
    up = up[np.clip(np.arange(len(at)), known[0], known[-1])]
    up = ndimage.gaussian_filter1d(up, 4.0, axis=0, mode="nearest")
    up /= np.linalg.norm(up, axis=1, keepdims=True)
    middle += (at - inside)[:, None] * up
    back = np.stack([np.interp(inside, length, ways[:, k]) for k in range(3)], axis=1)
    back -= (back * up).sum(axis=1, keepdims=True) * up
    back /= np.linalg.norm(back, axis=1, keepdims=True)
    turned = np.interp(inside, length, seen.astype(np.float64)) > 0.5
    return Course(middle=middle, up=up, back=back, turned=np.asarray(turned, np.bool_))


def straightened(grid: Grid, course: Course) -> tuple[Floats, Floats]:
    """(row, column) HU on pixels of 1 mm along the course from below, columns from the front.

    Returns:
        The image, and the share of each pixel's way from side to side within the series.
    """
    wide = np.arange(-HALF_WIDE_MM, HALF_WIDE_MM + 0.5, 2.0)
    left = np.cross(course.back, course.up)
    plane = course.middle[:, None, :] + COLUMN_BACK[None, :, None] * course.back[:, None, :]
    rows = [values_at(grid, plane + side * left[:, None, :]) for side in wide]
    hu, seen = (np.asarray(np.mean([one[k] for one in rows], axis=0), np.float32) for k in (0, 1))
    return hu, seen


def _bodies(grid: Grid, course: Course, network: Network) -> list[float]:
    """Places of bodies on the course, mm from below."""
    image, seen = straightened(grid, course)
    half = EDGE_MM // 2
    padded = np.pad(image, ((half, half), (0, 0)), constant_values=-1024.0)
    shown = np.pad(seen, ((half, half), (0, 0)))
    starts = np.arange(0, len(image), round(STEP_MM))
    # Rows of a window run from the head down.
    windows = [padded[start : start + EDGE_MM][::-1] for start in starts]
    strips = [
        Strip(fine=np.repeat(one, 2, axis=0), seen=np.ones((2 * EDGE_MM, EDGE_MM), np.float32))
        for one in windows
    ]
    votes: list[_Vote] = []
    for start, shares in zip(starts, shares_of(strips, network), strict=True):
        part = middle_part(shares[BODY] > 0.5)
        if part is None or part.sum() < LEAST_STRIP_MM2:
            continue
        if shown[start : start + EDGE_MM][::-1][part].mean() < LEAST_SHOWN:
            continue
        rows = np.flatnonzero(part.any(axis=1))
        off = float(ROW_UP[rows].mean())
        if abs(off) <= OFF_MM:
            sure = float(shares[BODY][part].mean()) * (1.0 - 0.5 * abs(off) / OFF_MM)
            votes.append(_Vote(at=float(start) + off, half=len(rows) / 2, weight=sure))
    return _clustered(votes)


@dataclass(frozen=True, slots=True)
class _Vote:
    """What one window sees: the middle of a body on the course, half its height, mm, how surely."""

    at: float
    half: float
    weight: float

    def agrees(self, other: _Vote) -> bool:
        """Do both mean the same ends of a body?"""
        return abs(self.at - other.at) < SAME_MM and abs(self.half - other.half) < SAME_MM

    def overlaps(self, other: _Vote) -> bool:
        """Can only one of both be a body?"""
        return abs(self.at - other.at) < 0.8 * max(self.half, other.half) + 0.5 * min(
            self.half, other.half
        )


def _clustered(votes: Sequence[_Vote]) -> list[float]:
    """Places that several windows agree on, the surest first, none across another; from below."""
    rest = list(votes)
    found: list[float] = []
    while rest:
        weights = [sum(two.weight for two in rest if one.agrees(two)) for one in rest]
        best = rest[int(np.argmax(weights))]
        near = [one for one in rest if one.agrees(best)]
        rest = [one for one in rest if not one.overlaps(best)]
        if len(near) >= LEAST_VOTES:
            total = sum(one.weight for one in near)
            found.append(sum(one.at * one.weight for one in near) / total)
    return sorted(found)


def _is_sacrum(anatomy: Anatomy, own: Own) -> bool:
    """Does the anatomy see sacrum in the middle of a place?"""
    line = np.arange(-6.0, 6.5, 2.0)
    left, back, up = np.meshgrid(line, line, line, indexing="ij")
    inverse = np.linalg.inv(anatomy.affine)
    index = own.at(left, back, up).reshape(-1, 3) @ inverse[:3, :3].T + inverse[:3, 3]
    at = np.rint(index).astype(int)
    fits = ((at >= 0) & (at < np.array(anatomy.labels.shape))).all(axis=1)
    if not fits.any():
        return False
    return bool(anatomy.mask("sacrum")[tuple(at[fits].T)].mean() > SACRUM_SHARE)


def _counted(index: int) -> str:
    if index == 0:
        return "lowest seen"
    number = index + 1
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10 if number not in (11, 12, 13) else 0, "th")
    return f"{number}{ending} from below"
