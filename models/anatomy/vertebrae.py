"""Vertebral bodies one by one, and their levels.

Bodies are parted where discs cross the spine's course (`parting`). They are then numbered in one
run from below: the run that agrees best with what the network calls each body. The numbers are
stated only where an anchor agrees: the sacrum straight below the lowest body, or the lowest ribs
at the body called T12.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cc3d
import numpy as np
from numpy.typing import NDArray

from models.anatomy.parting import Disc, discs_of
from models.anatomy.sampling import FINE_MM, Sight
from models.anatomy.structures import BODIES, Structure
from models.grid import Axis, Floats, Grid, Mask
from models.trunk.course import Course, course_of
from node.domain.anatomy import LEVELS

#: Smallest part of a body that counts as seen, ml.
BODY_ML = 2.0
#: Smallest part of an anchor, ml. A rib leans down: less of it than this lies beside the body
#: below its own.
SACRUM_ML, RIBS_ML = 10.0, 1.0
#: A disc that looks less like one than this may be the middle of a body that is as dark, HU.
CLEAR_DISC_HU = 30.0
#: Usual distance of two vertebrae, mm.
USUAL_PITCH_MM = 31.0
#: A part of the column of bodies and discs counts from this share of its largest part on.
PIECE_SHARE = 0.2
#: Radius of the region across the spine in whose mean discs are sought, mm.
PROFILE_MM = 8.0
#: Mean difference of the logarithms of two numberings that makes one certain.
CLEARLY = 1.0
#: How far from the spine's course the head of a rib lies at most, mm.
RIB_HEAD_MM = (16.0, 50.0)
_FLOOR = 0.02
#: With fewer bodies no level is stated.
LEAST_BODIES = 3
#: Vertebrae between the sacrum and the lowest ribs.
LUMBAR = 5
#: Of the slices through a lumbar body less than this share is lung.
LUNG_SHARE = 0.05
#: A lowest body of less than this share of the next one's height or volume is none.
WHOLE = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class Parted:
    """One vertebral body, before it has a name.

    Attributes:
        mask: flat indices of its voxels on the fine grid.
        low, high: heights of its ends along the course, mm.
        votes: share of its volume that the network gives to each of `BODIES`.
        slices: its lowest and its highest fine slice.
        centre: (3,) fine (slice, row, column). upwards: (3,) mm, canonical axes.
        disc_hu: how much the disc below it looks like one; None where none was sought there.
    """

    mask: NDArray[np.int64]
    low: float
    high: float
    votes: Floats
    slices: tuple[int, int]
    centre: tuple[float, float, float]
    upwards: tuple[float, float, float]
    disc_hu: float | None = None

    @property
    def ml(self) -> float:
        """Volume."""
        return len(self.mask) * FINE_MM**3 / 1000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spine:
    """The bodies from below, and what they are called.

    Attributes:
        first: index in `LEVELS` of the lowest body in the run that agrees best with the network;
            None where there is no body. A name follows only where `is_certain`.
        anchors: what agrees with it. doubts: what does not, or what makes it unclear.
        counted: indices of the lowest body, and of the one above the highest, that are joined to
            an anchor by discs that are clear; the others have no level. None: all have one.
    """

    bodies: tuple[Parted, ...]
    first: int | None
    anchors: tuple[str, ...]
    doubts: tuple[str, ...]
    counted: tuple[int, int] | None = None

    @property
    def is_certain(self) -> bool:
        """May the levels be stated?"""
        return bool(self.anchors) and not self.doubts

    def level(self, index: int) -> str:
        """The body's place in the run; "" beyond the table and where it is not `counted`.

        A name only where `is_certain`.
        """
        if self.first is None or not 0 <= self.first + index < len(LEVELS):
            return ""
        if self.counted is not None and not self.counted[0] <= index < self.counted[1]:
            return ""
        return LEVELS[self.first + index]


EMPTY = Spine(bodies=(), first=None, anchors=(), doubts=())


def find_spine(grid: Grid, sight: Sight) -> Spine:
    """Part, number and anchor the vertebral bodies of a series."""
    column = _column(sight.labels)
    course = course_of(grid, sight.fine, column, PROFILE_MM)
    if course is None:
        return EMPTY
    discs = _discs(course, sight, column)
    bodies = _whole(_parted(course, sight, column, discs), sight)
    if not bodies:
        return EMPTY
    first, clear = _numbered([one.votes for one in bodies])
    spine = Spine(bodies=bodies, first=first, anchors=(), doubts=())
    return _anchored(spine, course, sight, clear)


def _column(labels: NDArray[np.uint8]) -> Mask:
    """Bodies and discs, in the one or two large pieces that make the spine."""
    column = np.isin(labels, [*[int(s) for s in BODIES], int(Structure.DISC)])
    parts, count = cc3d.connected_components(column, connectivity=26, return_N=True)
    if not count:
        return column
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    return np.asarray((sizes >= PIECE_SHARE * sizes.max())[parts], np.bool_)


def _discs(course: Course, sight: Sight, column: Mask) -> tuple[Disc, ...]:
    """The discs along the course, from below."""
    points = [_index(axis, at) for axis, at in zip(sight.fine, _path(course), strict=True)]
    inside = _tube(points, sight.labels.shape, 10.0)
    disc = column & (sight.labels == Structure.DISC)
    body = column & ~disc

    def share(mask: Mask) -> NDArray[np.float64]:
        return np.array([mask[at].mean() if at[0].size else 0.0 for at in inside])

    return discs_of(course.hu, share(disc), share(body), course.height_mm)


def _path(course: Course) -> tuple[NDArray[np.float64], ...]:
    return course.slices, course.rows, course.columns


def _index(axis: Axis, at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Canonical indices as indices of the fine grid."""
    return np.asarray((at - axis.start) / axis.step, np.float64)


def _tube(
    points: Sequence[NDArray[np.float64]], shape: tuple[int, ...], radius_mm: float
) -> list[tuple[NDArray[np.int64], ...]]:
    """For each point of the course, the fine voxels of a small disc across the spine."""
    reach = np.arange(-radius_mm, radius_mm + 1, FINE_MM)
    dy, dx = np.meshgrid(reach, reach, indexing="ij")
    inside = dy**2 + dx**2 <= radius_mm**2
    dy, dx = dy[inside] / FINE_MM, dx[inside] / FINE_MM
    lean_y, lean_x = np.gradient(points[1], points[0]), np.gradient(points[2], points[0])
    found = []
    for z, y, x, ly, lx in zip(*points, lean_y, lean_x, strict=True):
        at = np.stack([z - ly * dy - lx * dx, y + dy, x + dx]).round().astype(np.int64)
        fits = np.all((at >= 0) & (at < np.array(shape)[:, None]), axis=0)
        found.append(tuple(at[:, fits]))
    return found


def _parted(
    course: Course, sight: Sight, column: Mask, discs: Sequence[Disc]
) -> tuple[Parted, ...]:
    """The voxels of each body: those between two discs along the course.

    Where the network draws bodies and discs is asked for the outline, not for where a body ends.
    """
    z, y, x = (_index(axis, at) for axis, at in zip(sight.fine, _path(course), strict=True))
    lean_y, lean_x = np.gradient(y, z), np.gradient(x, z)
    where = np.argwhere(column)
    near = np.clip(np.searchsorted(z, where[:, 0]), 0, z.size - 1)
    # The slice of the course that the voxel belongs to, at right angles to the course.
    off_y, off_x = where[:, 1] - y[near], where[:, 2] - x[near]
    along = where[:, 0] + lean_y[near] * off_y + lean_x[near] * off_x
    close = np.hypot(off_y, off_x) * FINE_MM < 45.0
    mm = np.interp(along, z, course.height_mm)
    mm = np.where(along < z[0], course.height_mm[0] - (z[0] - along) * FINE_MM, mm)
    mm = np.where(along > z[-1], course.height_mm[-1] + (along - z[-1]) * FINE_MM, mm)
    votes = _votes(sight, where)
    is_body = sight.labels[tuple(where.T)] != Structure.DISC
    lows = [float(mm.min()) - 1.0, *[disc.high for disc in discs]]
    highs = [*[disc.low for disc in discs], float(mm.max()) + 1.0]
    below = [None, *[disc.contrast_hu for disc in discs]]
    found = []
    for low, high, disc_hu in zip(lows, highs, below, strict=True):
        own = (mm >= low) & (mm < high) & close
        # Beyond the last disc only what the network calls body counts.
        if (own & is_body).sum() * FINE_MM**3 / 1000.0 < BODY_ML:
            continue
        centre = where[own].mean(axis=0)
        at = int(np.clip(np.searchsorted(z, centre[0]), 0, z.size - 1))
        up = np.array([1.0, lean_y[at], lean_x[at]])
        up /= np.linalg.norm(up)
        found.append(
            Parted(
                mask=np.ravel_multi_index(tuple(where[own].T), column.shape).astype(np.int64),
                low=low,
                high=high,
                votes=votes[own & is_body].mean(axis=0),
                slices=(int(where[own, 0].min()), int(where[own, 0].max())),
                centre=(float(centre[0]), float(centre[1]), float(centre[2])),
                upwards=(float(up[0]), float(up[1]), float(up[2])),
                disc_hu=disc_hu,
            )
        )
    return tuple(found)


def _whole(bodies: tuple[Parted, ...], sight: Sight) -> tuple[Parted, ...]:
    """Without a piece of the sacrum that the network took for a body.

    It lies lowest, is much lower and smaller than the body above it, and no slice cuts it.
    """
    if len(bodies) < 3 or bodies[0].slices[0] <= 0 or not (sight.labels == Structure.SACRUM).any():
        return bodies
    lowest, above = bodies[0], bodies[1]
    is_low = lowest.slices[1] - lowest.slices[0] < WHOLE * (above.slices[1] - above.slices[0])
    return bodies[1:] if is_low or lowest.ml < WHOLE * above.ml else bodies


def _votes(sight: Sight, where: NDArray[np.int64]) -> Floats:
    """(voxel, level) probabilities of the body classes among themselves."""
    at = np.minimum(where // 2, np.array(sight.logits.shape[1:]) - 1)
    logits = sight.logits[[int(s) for s in BODIES]][:, at[:, 0], at[:, 1], at[:, 2]].T
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)


def _numbered(votes: Sequence[Floats]) -> tuple[int, float]:
    """(index in LEVELS of the lowest body, how clear: mean difference to the next best run)."""
    last = len(BODIES) - 1
    scores = []
    for first in range(-1, len(LEVELS) - 1):
        own = [votes[k][min(first + k, last)] if first + k >= 0 else 0.0 for k in range(len(votes))]
        scores.append(float(np.mean(np.log(np.maximum(own, _FLOOR)))))
    # Nothing below L5 is counted; but where the others agree best with a run that begins there,
    # two bodies were made of one. Above T10 all levels have one class, and the higher run is
    # never the better one.
    below, scores = scores[0], scores[1:]
    best = int(np.argmax(scores))
    rest = [score for k, score in enumerate(scores) if k != best]
    return best, scores[best] - max(*rest, below)


def _anchored(spine: Spine, course: Course, sight: Sight, clear: float) -> Spine:
    """The spine with what agrees with its numbers, and what does not."""
    assert spine.first is not None
    anchors, doubts = [], []
    if clear < CLEARLY:
        doubts.append("two ways to count the vertebrae are equally good")
    lowest = spine.bodies[0]
    if len(spine.bodies) < LEAST_BODIES:
        doubts.append(f"fewer than {LEAST_BODIES} vertebrae are in view")
    if _is_beside_lung(lowest, sight) and spine.first < LEVELS.index("L2"):
        doubts.append("lung lies beside a vertebra that is counted as a lumbar one")
    on_sacrum = _is_on_sacrum(lowest, sight)
    if on_sacrum:
        if spine.first == 0:
            anchors.append("sacrum")
        else:
            doubts.append("the vertebra on the sacrum does not look like L5")
    ribbed = _lowest_ribbed(spine, course, sight)
    twelfth = LEVELS.index("T12") - spine.first
    if ribbed is not None and 0 <= twelfth < len(spine.bodies):
        if ribbed == twelfth:
            anchors.append("lowest ribs")
        else:
            # Also where the sacrum agrees: then one too few or too many was parted between.
            doubts.append("the lowest ribs do not lie at the vertebra that looks like T12")
    if on_sacrum and ribbed is not None and ribbed != LUMBAR:
        doubts.append(
            f"{ribbed} vertebrae lie between the sacrum and the lowest ribs, where {LUMBAR} are "
            "usual: a transitional vertebra, another number of ribs, or bodies parted wrongly"
        )
    ends = [0] * ("sacrum" in anchors) + [twelfth] * ("lowest ribs" in anchors)
    return replace(
        spine,
        anchors=tuple(anchors),
        doubts=tuple(doubts),
        counted=_joined(spine.bodies, ends[0], ends[-1]) if ends else None,
    )


def _joined(bodies: Sequence[Parted], low: int, high: int) -> tuple[int, int]:
    """The bodies from anchor to anchor, and beyond both as far as discs are clear.

    Between two anchors that agree a disc may be unclear: the count is right all the same.
    """
    clear = [one.disc_hu is None or one.disc_hu >= CLEAR_DISC_HU for one in bodies]
    while low > 0 and clear[low]:
        low -= 1
    while high + 1 < len(bodies) and clear[high + 1]:
        high += 1
    return low, high + 1


def _is_beside_lung(body: Parted, sight: Sight) -> bool:
    """Is a part of the slices through the body lung?"""
    part = sight.labels[body.slices[0] : body.slices[1] + 1]
    return bool((part == Structure.LUNG).sum() > LUNG_SHARE * (part != Structure.OUTSIDE).sum())


def _is_on_sacrum(body: Parted, sight: Sight) -> bool:
    """Is there sacrum within half a vertebra below the body?"""
    sacrum = np.argwhere(sight.labels == Structure.SACRUM)
    if len(sacrum) * FINE_MM**3 / 1000.0 < SACRUM_ML:
        return False
    top = float(np.percentile(sacrum[:, 0], 98))
    return (body.slices[0] - top) * FINE_MM < 0.6 * USUAL_PITCH_MM


def _lowest_ribbed(spine: Spine, course: Course, sight: Sight) -> int | None:
    """Index of the lowest body with the heads of ribs beside it; None where there are none."""
    z, _, x = (_index(axis, at) for axis, at in zip(sight.fine, _path(course), strict=True))
    y = _index(sight.fine[1], course.rows)
    ribs = np.isin(sight.labels, [Structure.RIB, Structure.RIB_11, Structure.RIB_12])
    where = np.argwhere(ribs)
    if not len(where):
        return None
    near = np.clip(np.searchsorted(z, where[:, 0]), 0, z.size - 1)
    side = np.abs(where[:, 2] - x[near]) * FINE_MM
    behind = (where[:, 1] - y[near]) * FINE_MM
    head = (side > RIB_HEAD_MM[0]) & (side < RIB_HEAD_MM[1]) & (behind > -15) & (behind < 45)
    heads = np.interp(where[head, 0], z, course.height_mm)
    for index, body in enumerate(spine.bodies):
        own = ((heads >= body.low) & (heads < body.high)).sum() * FINE_MM**3 / 1000.0
        if own >= RIBS_ML:
            return index
    return None
