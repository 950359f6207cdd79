"""Six height points of each body, or why a body is not measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from models.grid import Grid
from models.vertebral_fractures.frames import (
    COLUMN_BACK,
    FINE_MM,
    FINE_UP,
    ROW_UP,
    Own,
    Strip,
    Vector,
    values_at,
)
from models.vertebral_fractures.metal import DENSE, METAL_HU, SMOOTH_MM, metal_near
from models.vertebral_fractures.outlines import Outline
from models.vertebral_fractures.spine import Place, Spine
from models.vertebral_fractures.standing import TOO_BENT, Seen, is_too_bent, standing
from node.domain.imaging import Network

#: Parts of the depth from front to back that the three heights are means over.
BANDS = ((0.06, 0.20), (0.42, 0.58), (0.80, 0.94))
#: So much of a body on its middle plane is metal or cement.
METAL_SHARE = 0.01
#: Both ways to find an endplate may differ by so much, mm.
MOST_DISAGREEMENT_MM = 2.2
#: Words of bodies that go on beyond what the images show.
CUT = "cut by the edge of"
IS_CUT = f"it is {CUT} the images"
#: Words of what may be the same body as the one beside it.
NOT_APART = "it is not told apart from its neighbour"
#: Words of what may be no vertebra at all.
SACRAL = "it is so much higher than its neighbours that it may be a part of the sacrum"
#: Half the height and half the depth of the smallest body of an adult, mm.
_LEAST_UP_MM, _LEAST_BACK_MM = 9.0, 12.0
#: No tissue is less dense, HU.
PADDING_HU = -900.0
#: So far beyond an endplate, mm, no more than this part of its length may be air, HU.
_BEYOND_MM, _AIR_HU, _AT_AIR = (6.0, 7.0, 8.0, 9.0), -300.0, 0.2
#: Two bodies whose middles are nearer than this are one, mm.
SAME_MM = 10.0
#: Less than this part of the usual fall at an endplate is faint; so much of it may be.
FAINT, MOST_FAINT = 0.25, 0.4
#: A faint endplate counts as not seen where a height has at least this standard deviation, mm.
UNSEEN_MM = 2.2
#: Depth of a body as a part of its neighbours', so many to each side.
EVEN, _NEAR = (0.8, 1.25), 3
#: Standard deviation of a height, mm: where everything is clear, and for each mm2 of the squared
#: slice distance; what the network doubts is added. From the development set.
_BEST_MM, _PER_SLICE = 0.4, 0.03


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """A measured body.

    Attributes:
        place: where it was found, and its level.
        heights_mm: anterior, middle, posterior. spread_mm: standard deviation of one.
        points_mm: (3, 2, 3) anterior, middle, posterior; upper, lower; LPS mm.
    """

    place: Place
    own: Own
    strip: Strip
    outline: Outline
    heights_mm: tuple[float, float, float]
    spread_mm: float
    points_mm: Vector

    @property
    def depth_mm(self) -> float:
        """From front to back."""
        return self.outline.back - self.outline.front


@dataclass(frozen=True, slots=True, kw_only=True)
class Unmeasured:
    """A body that is in view and has no heights, and why."""

    place: Place
    reason: str


Looked = Body | Unmeasured


def measure_bodies(grid: Grid, spine: Spine, network: Network) -> list[Looked]:
    """Every body of the spine, from below."""
    found: dict[int, Looked] = {}
    for place in spine.places:
        reason = _why_not(grid, place.own)
        if reason:
            found[place.number] = Unmeasured(place=place, reason=reason)
    rest = {one.number: one.own for one in spine.places if one.number not in found}
    for number, result in _once(standing(grid, rest, network), rest).items():
        place = spine.places[number]
        if isinstance(result, str):
            reason = IS_CUT if _goes_beyond(grid, place.own) else result
            found[number] = Unmeasured(place=place, reason=reason)
        else:
            found[number] = measured_in(grid, place, result)
    return among([found[number] for number in range(len(spine.places))])


def among(looked: Sequence[Looked]) -> list[Looked]:
    """The bodies from below, without those that are not to be trusted beside the others."""
    return [_among(looked, one) for one in looked]


def is_whole(one: Looked) -> bool:
    """Is it a body of its own that the images show whole, whether it was measured or not?"""
    if isinstance(one, Body):
        return True
    return CUT not in one.reason and one.reason not in (NOT_APART, SACRAL)


def _among(looked: Sequence[Looked], one: Looked) -> Looked:
    """The body, unless its outline is not to be trusted beside the others of the same person.

    Heights change and depths do not: a part of a body, or one with its neighbour, would else pass
    for a fracture. So would a line through spongy bone, where attenuation hardly falls.
    """
    near = [
        other.depth_mm
        for other in looked
        if isinstance(other, Body) and 0 < abs(other.place.number - one.place.number) <= _NEAR
    ]
    if isinstance(one, Unmeasured) or len(near) < 2:
        return one
    steep = _steepness(looked)
    blind = max(float((falls < FAINT * steep).mean()) for falls in one.outline.falls)
    if blind > MOST_FAINT and one.spread_mm > UNSEEN_MM:
        return Unmeasured(
            place=one.place,
            reason=f"an endplate is not seen on {100 * blind:.0f} % of its length",
        )
    usual = float(np.median(near))
    if EVEN[0] * usual <= one.depth_mm <= EVEN[1] * usual:
        return one
    return Unmeasured(
        place=one.place,
        reason=f"its outline is not clear: {one.depth_mm:.0f} mm deep beside neighbours of "
        f"{usual:.0f} mm",
    )


def _steepness(looked: Sequence[Looked]) -> float:
    """Usual fall of attenuation at the endplates of this person, HU a mm."""
    falls = [one.outline.falls.ravel() for one in looked if isinstance(one, Body)]
    return float(np.median(np.concatenate(falls))) if falls else 0.0


def _once(seen: dict[int, Seen | str], owns: dict[int, Own]) -> dict[int, Seen | str]:
    """Each body once: of two that were found at one place, the one that was nearer before."""
    found = dict(seen)
    for index in sorted(seen):
        first, second = found[index], found.get(index + 1, "")
        if isinstance(first, str) or isinstance(second, str):
            continue
        if np.linalg.norm(first[0].centre - second[0].centre) >= SAME_MM:
            continue
        away = [
            float(np.linalg.norm(one[0].centre - owns[k].centre))
            for k, one in ((index, first), (index + 1, second))
        ]
        found[index if away[0] > away[1] else index + 1] = NOT_APART
    return found


def _why_not(grid: Grid, own: Own) -> str:
    """What speaks against measuring a body before anybody looked at it closely; or ""."""
    if not own.turned:
        return "the spinal canal behind it is not seen, so its middle plane is not certain"
    if is_too_bent(own):
        return TOO_BENT
    return metal_near(grid, own)


def _goes_beyond(grid: Grid, own: Own) -> bool:
    """Do the images, or what is not padding in them, end within the smallest body at a place?"""
    up, back = np.meshgrid([-_LEAST_UP_MM, _LEAST_UP_MM], [-_LEAST_BACK_MM, _LEAST_BACK_MM])
    hu, seen = values_at(grid, own.at(np.zeros_like(up), back, up))
    return bool(seen.min() < 1.0 or hu.min() < PADDING_HU)


def measured_in(grid: Grid, place: Place, seen: Seen) -> Looked:
    """A body by one look at it, or why it cannot be measured so."""
    own, strip, outline = seen
    reason = _unclear(strip, outline)
    if reason:
        return Unmeasured(place=place, reason=reason)
    upper, lower = outline.upper, outline.lower
    depth = (outline.columns - outline.front) / (outline.back - outline.front)
    heights, points, doubts = [], [], []
    for first, last in BANDS:
        part = (depth >= first) & (depth <= last)
        if not part.any():
            part = np.zeros(len(depth), np.bool_)
            part[int(np.abs(depth - (first + last) / 2).argmin())] = True
        at = float(outline.columns[part].mean())
        ends = (float(upper[part].mean()), float(lower[part].mean()))
        heights.append(ends[0] - ends[1])
        doubts.append(float(np.hypot(*outline.doubts[:, part].mean(axis=1))))
        points.append([own.at(np.array(0.0), np.array(at), np.array(end)) for end in ends])
    if min(heights) < 3.0:
        return Unmeasured(place=place, reason="its endplates are not clear")
    # Spurs make a column in front doubtful whose height is clear: the middle one of three counts.
    doubt = float(np.median(doubts))
    spread = float(np.sqrt(_BEST_MM**2 + (_PER_SLICE * grid.spacing_mm[0] ** 2) ** 2 + doubt**2))
    return Body(
        place=place,
        own=own,
        strip=strip,
        outline=outline,
        heights_mm=(heights[0], heights[1], heights[2]),
        spread_mm=spread,
        points_mm=np.array(points),
    )


def _lies_at_air(strip: Strip, outline: Outline) -> bool:
    """Does padding, which leant images have above and below, begin where it ends?

    Beyond an endplate there is always a disc and bone; gas in a disc is thinner.
    """
    depth = (outline.columns - outline.front) / (outline.back - outline.front)
    inner = (depth >= 0.2) & (depth <= 0.8)
    columns = np.rint(outline.columns[inner] - COLUMN_BACK[0]).astype(int)
    for line, way in ((outline.upper, 1.0), (outline.lower, -1.0)):
        beyond = line[inner][:, None] + way * np.array(_BEYOND_MM)
        rows = np.rint((FINE_UP[0] - beyond) / FINE_MM).astype(int).clip(0, len(FINE_UP) - 1)
        hu = strip.fine[rows, columns[:, None]].mean(axis=1)
        if hu.size and float((hu < _AIR_HU).mean()) > _AT_AIR:
            return True
    return False


def _unclear(strip: Strip, outline: Outline) -> str:
    """Why an outline is not to be measured; or ""."""
    seen = strip.seen.reshape(64, 2, 64).min(axis=1)
    hu = strip.pixels
    around = ndimage.binary_dilation(outline.mask, iterations=2)
    if seen[around].min() < 0.99 or (hu[outline.mask] < PADDING_HU).any():
        return IS_CUT
    if _lies_at_air(strip, outline):
        return IS_CUT
    rows, columns = (
        np.flatnonzero(outline.mask.any(axis=1)),
        np.flatnonzero(outline.mask.any(axis=0)),
    )
    if (
        rows[0] == 0
        or rows[-1] == len(ROW_UP) - 1
        or columns[0] == 0
        or (columns[-1] == len(COLUMN_BACK) - 1)
    ):
        return "it is not told apart from what lies beside it"
    smooth = ndimage.gaussian_filter(hu, SMOOTH_MM, mode="nearest")
    if (smooth[outline.mask] > METAL_HU).mean() > METAL_SHARE:
        return DENSE
    if outline.disagreement_mm > MOST_DISAGREEMENT_MM:
        return (
            f"its endplates are not clear: two ways to find them differ by "
            f"{outline.disagreement_mm:.1f} mm"
        )
    return ""
