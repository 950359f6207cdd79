"""Where findings and true lesions lie, and which belong together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from dicom_sr.tracking import NEAR_MM, points_mm
from inference.series import describe_study
from node.domain.finding import MORPHOLOGICALLY_ABNORMAL, Contour
from node.domain.reported import Outline, ReportedFinding
from node.domain.study import Instance, Plane, Series, SeriesGeometry
from node.evaluation.truth import Lesion

Points = NDArray[np.float64]
#: Not comparable: one lies in space, the other on an image whose place is not known.
CANNOT_TELL: Final = "the images are not here, so that places on them cannot be compared with mm"
_FAR: Final = 1e9


class Images:
    """The images of one study: where a point on one of them lies in space."""

    def __init__(self, instances: Callable[[], Sequence[Instance]]) -> None:
        """`instances` is asked when the first place is looked up."""
        self._instances = instances

    def points_mm(self, outline: Outline) -> Points | None:
        """(n, 3) LPS mm; None where the image is not here or has no place."""
        frame = outline.frame_number
        found = self._planes.get((outline.sop_instance_uid, frame))
        if found is None and frame is None:
            found = self._planes.get((outline.sop_instance_uid, 1))
        if found is None:
            return None
        plane, geometry = found
        return points_mm(Contour(plane, outline.points.astype(np.float32)), geometry)

    @cached_property
    def _planes(self) -> dict[tuple[str, int | None], tuple[Plane, SeriesGeometry]]:
        instances = self._instances()
        if not instances:
            return {}
        study = describe_study(
            instances, generation=1, completed_at=datetime.now(UTC), confidence=""
        )
        return {
            (str(plane.sop_instance_uid), plane.frame_number): (plane, series.geometry)
            for series in study.series
            if series.geometry is not None and _is_placed(series)
            for plane in series.planes
        }


def _is_placed(series: Series) -> bool:
    return series.geometry is not None and series.geometry.pixel_spacing_mm is not None


NO_IMAGES: Final = Images(tuple)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where one finding lies.

    Attributes:
        centre_mm: (3,) LPS mm, the mean of the points of its contours; None where unknown.
        radius_mm: farthest point from there.
    """

    outlines: tuple[Outline, ...]
    centre_mm: Points | None
    radius_mm: float = 0.0


def spot_of(finding: ReportedFinding, images: Images) -> Spot:
    """The place of a finding, in space as far as its images are here."""
    outlines = tuple(_open(outline) for outline in finding.outlines)
    found = [points for one in outlines if (points := images.points_mm(one)) is not None]
    if len(found) < len(outlines):
        found = []
    points = np.concatenate([*found, finding.points_mm])
    if not len(points):
        return Spot(outlines=outlines, centre_mm=None)
    centre = points.mean(axis=0)
    radius = float(np.linalg.norm(points - centre, axis=1).max())
    return Spot(outlines=outlines, centre_mm=centre, radius_mm=radius)


def _open(outline: Outline) -> Outline:
    """Without the repeated first point of a closed polygon, which would count twice."""
    points = outline.points
    if len(points) > 1 and np.array_equal(points[0], points[-1]):
        points = points[:-1]
    return Outline(
        sop_instance_uid=outline.sop_instance_uid,
        frame_number=outline.frame_number,
        points=points,
    )


def is_lesion(finding: ReportedFinding) -> bool:
    """Is it known by its place, not by its anatomy (a tissue, an organ)?"""
    category = finding.category
    return category is None or (category.value, category.scheme) == MORPHOLOGICALLY_ABNORMAL


class Incomparable(Exception):
    """Two places cannot be compared; the message says why."""


def lesions_hit(
    spots: Sequence[Spot], lesions: Sequence[Lesion], images: Images
) -> list[int | None]:
    """For each finding the index of the true lesion that it lies at, None for a false positive.

    A finding belongs to the nearest lesion within whose tolerance its centre lies; where only the
    image is known, to the lesion whose point lies within its contour on that image.

    Raises:
        Incomparable: the table and the result place things in ways that cannot be compared.
    """
    hit: list[int | None] = []
    for spot in spots:
        distances = [_distance(spot, lesion, images) for lesion in lesions]
        near = [(d, index) for index, d in enumerate(distances) if d is not None]
        hit.append(min(near)[1] if near else None)
    return hit


def _distance(spot: Spot, lesion: Lesion, images: Images) -> float | None:
    """Distance in mm where the finding lies at the lesion; None where it does not."""
    centre = _centre(lesion, images)
    if centre is not None and spot.centre_mm is not None:
        distance = float(np.linalg.norm(spot.centre_mm - centre))
        return distance if distance <= lesion.tolerance_mm else None
    if lesion.image is None or not spot.outlines:
        raise Incomparable(CANNOT_TELL)
    uid, frame, column, row = lesion.image
    inside = any(
        one.sop_instance_uid == uid
        and (one.frame_number or 1) == (frame or 1)
        and is_inside((column, row), one.points)
        for one in spot.outlines
    )
    return 0.0 if inside else None


def _centre(lesion: Lesion, images: Images) -> Points | None:
    if lesion.centre_mm is not None:
        return np.asarray(lesion.centre_mm, np.float64)
    if lesion.image is None:
        return None
    uid, frame, column, row = lesion.image
    point = Outline(sop_instance_uid=uid, frame_number=frame, points=np.array([[column, row]]))
    found = images.points_mm(point)
    return None if found is None else found[0]


def is_inside(point: tuple[float, float], polygon: Points) -> bool:
    """Is the point within the polygon (even-odd rule), in the units of both?"""
    if len(polygon) < 3:
        return False
    x, y = point
    x1, y1 = polygon[:, 0], polygon[:, 1]
    x2, y2 = np.roll(x1, -1), np.roll(y1, -1)
    crosses = (y1 > y) != (y2 > y)
    rise = np.where(crosses, y2 - y1, 1.0)
    at = x1 + (y - y1) * (x2 - x1) / rise
    return bool(np.count_nonzero(crosses & (x < at)) % 2)


def matched(
    first: Sequence[tuple[str, Spot]], second: Sequence[tuple[str, Spot]]
) -> tuple[tuple[int, int], ...]:
    """Pairs (index, index) of findings of two results that are the same lesion.

    They are of one kind and lie within 5 mm or within the smaller of their radii, as with results
    that replace each other; each goes to one other at most, so that the sum of the distances is
    smallest.

    Args:
        first, second: (kind, place) of each finding.

    Raises:
        Incomparable: a place is not known in space.
    """
    if not first or not second:
        return ()
    cost = np.full((len(first), len(second)), _FAR)
    for row, (kind, spot) in enumerate(first):
        for column, (other_kind, other) in enumerate(second):
            if spot.centre_mm is None or other.centre_mm is None:
                raise Incomparable(CANNOT_TELL)
            distance = float(np.linalg.norm(spot.centre_mm - other.centre_mm))
            near = max(NEAR_MM, min(spot.radius_mm, other.radius_mm))
            if kind == other_kind and distance <= near:
                cost[row, column] = distance
    rows, columns = linear_sum_assignment(cost)
    return tuple(
        (int(row), int(column))
        for row, column in zip(rows, columns, strict=True)
        if cost[row, column] < _FAR
    )
