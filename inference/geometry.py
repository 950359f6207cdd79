"""Where the planes of a series lie: order, distances, tilt, and what contradicts a stack.

Pure arithmetic on positions and orientations (PS3.3 C.7.6.2.1.1); no data set is read here.
All coordinates are mm in LPS: x to the patient's left, y to posterior, z to the head.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from node.domain.study import SeriesGeometry

Vector = tuple[float, float, float]

#: Orientation vectors of one stack may differ by this much (0.06 degrees: 0.25 mm at the edge
#: of a 500 mm field); more is another plane, not rounding.
COSINE_TOLERANCE = 1e-3
#: Vectors further than this from unit length, or from perpendicular, are not an orientation.
UNIT_TOLERANCE = 0.01
#: Planes nearer than this are at one position: scanners round to 0.001 mm or so.
SAME_POSITION_MM = 0.01
#: Sideways step off the straight line through the stack that is still rounding.
SIDEWAYS_TOLERANCE_MM = 0.5
#: Pixel spacing that differs by less than this fraction is rounding.
SPACING_TOLERANCE = 1e-3
#: Nearest axis within this angle names the orientation.
NAMED_WITHIN_DEGREES = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaneFacts:
    """What one plane says of its place; None where it says nothing.

    Attributes:
        position: of the centre of the first pixel.
        cosines: (x, y, z) along the rows, then (x, y, z) along the columns.
        pixel_spacing_mm: (between rows, between columns).
        label: for people, e.g. "image 12".
        order: for planes without a position, and between planes at one position.
        kind: values 1 and 3 of ImageType (PS3.3 C.7.6.1.1.2). kernel: ConvolutionKernel.
        phase_marks: what may set apart images at one place, most telling first; "" if absent.
    """

    position: Vector | None
    cosines: tuple[float, ...] | None
    pixel_spacing_mm: tuple[float, float] | None
    rows: int | None
    columns: int | None
    frame_of_reference_uid: str
    label: str
    order: tuple[int, int, str]
    thickness_mm: float | None = None
    kind: str = ""
    kernel: str = ""
    phase_marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """The planes in order.

    Attributes:
        order: indices into the planes that were given.
        geometry: None where they are no stack.
        fault: why geometry is None or not to be trusted; "" if sound.
    """

    order: tuple[int, ...]
    geometry: SeriesGeometry | None
    fault: str


def stack_planes(planes: Sequence[PlaneFacts]) -> Stack:
    """Sort the planes along their normal and say what the stack is.

    The stack runs along the cross product of row and column direction; an axial stack whose
    cross product points to the feet (mirrored images) is run through the other way, so that
    axial slice 1 is always the lowest.
    """
    given = tuple(sorted(range(len(planes)), key=lambda i: planes[i].order))
    if not planes:
        return Stack(order=(), geometry=None, fault="the series holds no images")
    fault = _unplaced(planes) or _mixed_orientation(planes)
    if fault:
        return Stack(order=given, geometry=None, fault=fault)
    row, column, normal = _directions(planes)
    positions = np.array([plane.position for plane in planes], dtype=np.float64)
    along = positions @ normal
    order = tuple(sorted(given, key=lambda i: round(float(along[i]) / SAME_POSITION_MM)))
    geometry = _geometry([planes[i] for i in order], (row, column, normal), positions[list(order)])
    fault = _mixed(planes) or _sideways(positions[list(order)], normal)
    return Stack(order=order, geometry=geometry, fault=fault)


def orientation_of(normal: NDArray[np.float64]) -> str:
    """ "axial", "coronal", "sagittal" or "oblique", of planes with this normal."""
    names = ("sagittal", "coronal", "axial")
    axis = int(np.argmax(np.abs(normal)))
    length = float(np.linalg.norm(normal))
    cosine = min(1.0, float(abs(normal[axis])) / length) if length else 0.0
    return names[axis] if math.degrees(math.acos(cosine)) <= NAMED_WITHIN_DEGREES else "oblique"


def gaps_of(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distances of neighbouring positions (mm), planes at one position counted once."""
    gaps = np.diff(distances)
    return gaps[gaps > SAME_POSITION_MM]


def _geometry(
    planes: Sequence[PlaneFacts],
    directions: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    positions: NDArray[np.float64],
) -> SeriesGeometry:
    row, column, normal = directions
    along = positions @ normal
    steps = np.diff(along)
    distinct = gaps_of(along)
    widest = int(np.argmax(steps)) if distinct.size else None
    same = np.concatenate([[False], steps <= SAME_POSITION_MM, [False]])
    return SeriesGeometry(
        row_cosines=_vector(row),
        column_cosines=_vector(column),
        normal=_vector(normal),
        orientation=orientation_of(normal),
        rows=_common([plane.rows for plane in planes]),
        columns=_common([plane.columns for plane in planes]),
        pixel_spacing_mm=_common_spacing(planes),
        spacing_mm=float(np.median(distinct)) if distinct.size else None,
        largest_gap_mm=None if widest is None else float(steps[widest]),
        largest_gap_after=widest,
        duplicates=int(np.count_nonzero(same[1:] | same[:-1])),
        tilt_degrees=_tilt(positions, normal),
        extent_mm=float(along[-1] - along[0]),
    )


def _tilt(positions: NDArray[np.float64], normal: NDArray[np.float64]) -> float:
    line = positions[-1] - positions[0]
    length = float(np.linalg.norm(line))
    if length <= SAME_POSITION_MM:
        return 0.0
    sideways = line - (line @ normal) * normal
    return math.degrees(math.asin(min(1.0, float(np.linalg.norm(sideways)) / length)))


def _directions(
    planes: Sequence[PlaneFacts],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Row direction, column direction and stack direction, each of length 1."""
    cosines = np.median([plane.cosines for plane in planes if plane.cosines], axis=0)
    row = cosines[:3] / np.linalg.norm(cosines[:3])
    column = cosines[3:] - (cosines[3:] @ row) * row
    column /= np.linalg.norm(column)
    normal = np.cross(row, column)
    if orientation_of(normal) == "axial" and normal[2] < 0:
        normal = -normal
    return row, column, normal


def _unplaced(planes: Sequence[PlaneFacts]) -> str:
    """Planes without a usable position or orientation, in words."""
    lost = [p for p in planes if p.position is None or not _is_orientation(p.cosines)]
    if not lost:
        return ""
    if len(lost) == len(planes):
        return "the images carry no position and orientation in the patient"
    return (
        f"{len(lost)} of {len(planes)} images carry no position and orientation in the patient "
        f"({lost[0].label})"
    )


def _is_orientation(cosines: tuple[float, ...] | None) -> bool:
    if cosines is None:
        return False
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    lengths_fit = all(abs(np.linalg.norm(v) - 1.0) <= UNIT_TOLERANCE for v in (row, column))
    return lengths_fit and abs(float(row @ column)) <= UNIT_TOLERANCE


def _mixed_orientation(planes: Sequence[PlaneFacts]) -> str:
    cosines = np.array([plane.cosines for plane in planes], dtype=np.float64)
    usual = np.median(cosines, axis=0)
    # The median of very different directions is none of them: take the plane nearest to it.
    usual = cosines[int(np.argmin(np.abs(cosines - usual).max(axis=1)))]
    odd = np.flatnonzero(np.abs(cosines - usual).max(axis=1) > COSINE_TOLERANCE)
    if not odd.size:
        return ""
    names = Counter(orientation_of(np.cross(vector[:3], vector[3:])) for vector in cosines)
    counted = ", ".join(f"{number} {name}" for name, number in names.most_common())
    return (
        f"{len(odd)} of {len(planes)} images lie in another plane than the others "
        f"({counted}; the first is {planes[odd[0]].label}), so they are no single stack"
    )


def _mixed(planes: Sequence[PlaneFacts]) -> str:
    """Matrix, pixel spacing or frame of reference that is not the same throughout."""
    sizes = Counter((plane.columns, plane.rows) for plane in planes)
    if len(sizes) > 1:
        listed = " and ".join(f"{c} x {r}" for (c, r), _ in sizes.most_common(3))
        return f"the images have different matrices ({listed})"
    spacings = [plane.pixel_spacing_mm for plane in planes]
    if any(spacings) and _common_spacing(planes) is None:
        stated = sorted({s[0] for s in spacings if s is not None})
        if None in spacings:
            return f"{spacings.count(None)} of {len(planes)} images carry no pixel spacing"
        return f"the images have different pixel spacings ({stated[0]:.3f} to {stated[-1]:.3f} mm)"
    frames = {plane.frame_of_reference_uid for plane in planes} - {""}
    if len(frames) > 1:
        return (
            f"the images belong to {len(frames)} frames of reference, "
            "so their positions cannot be compared"
        )
    return ""


def _sideways(positions: NDArray[np.float64], normal: NDArray[np.float64]) -> str:
    """A plane that stands beside the straight line through the others."""
    along = positions @ normal
    if along[-1] - along[0] <= SAME_POSITION_MM:
        apart = float(np.max(np.linalg.norm(positions - positions[0], axis=1)))
        if apart > SIDEWAYS_TOLERANCE_MM:
            return f"the images lie side by side in one plane ({apart:.1f} mm apart)"
        return ""
    share = (along - along[0]) / (along[-1] - along[0])
    line = positions[0] + share[:, None] * (positions[-1] - positions[0])
    off = np.linalg.norm(positions - line, axis=1)
    worst = int(np.argmax(off))
    if off[worst] > SIDEWAYS_TOLERANCE_MM:
        return (
            f"slice {worst + 1} of {len(positions)} is shifted sideways by {off[worst]:.1f} mm "
            "against the line through the stack"
        )
    return ""


def _common_spacing(planes: Sequence[PlaneFacts]) -> tuple[float, float] | None:
    spacings = [plane.pixel_spacing_mm for plane in planes if plane.pixel_spacing_mm]
    if len(spacings) != len(planes):
        return None
    table = np.array(spacings)
    middle = np.median(table, axis=0)
    if np.any(np.abs(table - middle) > SPACING_TOLERANCE * middle):
        return None
    return float(middle[0]), float(middle[1])


def _common(values: Sequence[int | None]) -> int | None:
    kinds = set(values)
    return kinds.pop() if len(kinds) == 1 else None


def _vector(values: NDArray[np.float64]) -> Vector:
    return float(values[0]), float(values[1]), float(values[2])
