"""The `levels` network: vertebral bodies with their names, and the middle of L3.

A vertebra is named only when an anchor is in view and every body between the anchor and L3 is
seen: the sacrum with the hip bones below, or the ribs at T12 or T11 with the lungs above. A
name without an anchor is a guess, and a guess is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.body_composition.discs import disc_heights, moved, undecided
from models.body_composition.sacral_disc import HALF_WIDTH_MM, Midline, disc_on_sacrum
from models.grid import (
    Axis,
    Floats,
    Grid,
    most_probable,
    normalised,
    sample_volume,
)
from models.hounsfield import BODY_HU
from models.morphology import largest_component
from models.trunk.course import course_of
from node.domain.imaging import Network

NETWORK = "levels"
SPACING_MM = 4.0
VALUE_RANGE = (-250.0, 750.0)
WINDOW = (96, 80, 112)
CLASSES = (
    "background",
    "sacrum",
    "L5",
    "L4",
    "L3",
    "L2",
    "L1",
    "T12",
    "T11",
    "upper_thoracic",
    "posterior",
    "ribs",
    "hip_bones",
    "lungs",
    "kidneys",
)
#: Bodies with a name of their own, from below.
NAMED = ("L5", "L4", "L3", "L2", "L1", "T12", "T11")
_SACRUM = CLASSES.index("sacrum")


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """One vertebral body, or the sacrum.

    Attributes:
        centre: canonical (slice, row, column) index, fractional, of its centroid.
        centre_mm: the same in LPS mm.
        lowest, highest: canonical slice indices of its lower and upper end, fractional.
        cut: it reaches the first or the last slice of the series.
    """

    name: str
    ml: float
    centre: tuple[float, float, float]
    centre_mm: tuple[float, float, float]
    lowest: float
    highest: float
    cut: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelMap:
    """What the network saw.

    Attributes:
        labels: (slice, row, column) uint8 on the network's grid, indices of `CLASSES`.
        axes: the network's grid in canonical indices.
        bodies: the vertebral bodies (and the sacrum) of sufficient size, by name.
        ml: volume seen of each structure.
        kidney_hu: median HU of the kidneys, None where there are none.
        unsure: to which bodies between visible discs the names belong is not clear.
    """

    labels: NDArray[np.uint8]
    axes: tuple[Axis, Axis, Axis]
    bodies: Mapping[str, Body]
    ml: Mapping[str, float]
    kidney_hu: float | None
    unsure: bool = False

    @property
    def named(self) -> list[Body]:
        """Vertebral bodies from below, without the sacrum."""
        return [self.bodies[name] for name in NAMED if name in self.bodies]


def find_levels(grid: Grid, network: Network, body_ml: float) -> LevelMap:
    """Run the network over the whole series.

    Args:
        body_ml: smallest part of a vertebral body that counts as seen.
    """
    axes = network_axes(grid)
    hu = sample_volume(grid.hu, axes)
    image = normalised(hu, VALUE_RANGE)
    # What lies outside the series is air to the network, as in its training.
    missing = max(0, WINDOW[0] - image.shape[0])
    padded = np.pad(image, ((missing // 2, missing - missing // 2), (0, 0), (0, 0)))
    logits = network.run_windows(padded[None])
    labels = most_probable(logits[:, missing // 2 :][:, : image.shape[0]])
    voxel_ml = SPACING_MM**3 / 1000.0
    counts = np.bincount(labels.ravel(), minlength=len(CLASSES))
    ml = {name: float(count) * voxel_ml for name, count in zip(CLASSES, counts, strict=True)}
    boxes = ndimage.find_objects(labels, len(CLASSES) - 1)
    bodies = {}
    for name in ("sacrum", *NAMED):
        body = _body(grid, axes, labels, name, boxes[CLASSES.index(name) - 1])
        if body is not None and body.ml >= body_ml:
            bodies[name] = body
    between, unsure = _between_discs(grid, axes, labels, [bodies[n] for n in NAMED if n in bodies])
    bodies |= between
    kidneys = hu[labels == CLASSES.index("kidneys")]
    return LevelMap(
        labels=labels,
        axes=axes,
        bodies=bodies,
        ml=ml,
        kidney_hu=float(np.median(kidneys)) if kidneys.size * voxel_ml > 20.0 else None,
        unsure=unsure,
    )


def _between_discs(
    grid: Grid, axes: tuple[Axis, Axis, Axis], labels: NDArray[np.uint8], found: list[Body]
) -> tuple[dict[str, Body], bool]:
    """The bodies with their middles moved half-way between visible discs, where that is clear.

    Also whether it is unclear to which bodies between discs they belong.
    """
    numbers = [NAMED.index(body.name) for body in found]
    if len(found) < 3 or numbers != list(range(numbers[0], numbers[0] + len(found))):
        return {}, False
    course = course_of(grid, axes, (labels > _SACRUM) & (labels <= CLASSES.index("upper_thoracic")))
    heights = [body.centre[0] * grid.spacing_mm[0] for body in found]
    if course is None or np.any(np.diff(heights) <= 0):
        return {}, False
    pitch = float(np.median(np.diff(heights)))
    discs = disc_heights(course, pitch)
    on_sacrum = None
    if found[0].name == "L5":
        on_sacrum = disc_on_sacrum(_midline(grid, axes, labels, found[0]), discs, pitch)
    out = {}
    for body, height in zip(found, moved(heights, discs, pitch, on_sacrum), strict=True):
        at = int(np.argmin(np.abs(course.height_mm - height)))
        if height == body.centre[0] * grid.spacing_mm[0]:
            continue
        centre = (height / grid.spacing_mm[0], float(course.rows[at]), float(course.columns[at]))
        point = grid.affine @ np.array([*centre, 1.0])
        half = 0.38 * pitch / grid.spacing_mm[0]
        lowest, highest = centre[0] - half, centre[0] + half
        out[body.name] = replace(
            body,
            centre=centre,
            centre_mm=(float(point[0]), float(point[1]), float(point[2])),
            lowest=lowest,
            highest=highest,
            cut=lowest < -0.5 or highest > grid.shape[0] - 0.5,
        )
    return out, undecided(heights, discs, pitch, on_sacrum)


def _midline(
    grid: Grid, axes: tuple[Axis, Axis, Axis], labels: NDArray[np.uint8], lowest: Body
) -> Midline:
    """Sacrum and bodies near the column of the lowest body."""
    aside_mm = np.abs(axes[2].positions() - lowest.centre[2]) * grid.spacing_mm[2]
    near = labels[:, :, aside_mm <= HALF_WIDTH_MM]
    bodies = (near > _SACRUM) & (near <= CLASSES.index("upper_thoracic"))
    voxel_ml = SPACING_MM**3 / 1000.0
    return Midline(
        heights_mm=axes[0].positions() * grid.spacing_mm[0],
        sacrum_ml=(near == _SACRUM).sum(axis=(1, 2)) * voxel_ml,
        bodies_ml=bodies.sum(axis=(1, 2)) * voxel_ml,
    )


def network_axes(grid: Grid) -> tuple[Axis, Axis, Axis]:
    """The network's voxels: all of the series along z, one window around the body across."""
    slices = grid.shape[0]
    step = SPACING_MM / grid.spacing_mm[0]
    count = max(1, round(slices / step))
    along = Axis.centred((slices - 1) / 2, step, count)
    coarse = grid.hu[:: max(1, slices // 40), ::4, ::4] > BODY_HU
    across = []
    for axis in (1, 2):
        # Most slices, so that one with an arm or a table corner does not move the window.
        share = coarse.any(axis=3 - axis).mean(axis=0)
        hit = np.flatnonzero(share > 0.5) * 4.0
        centre = (hit[0] + hit[-1]) / 2 if hit.size else (grid.shape[axis] - 1) / 2
        across.append(Axis.centred(centre, SPACING_MM / grid.spacing_mm[axis], WINDOW[axis]))
    return along, across[0], across[1]


def _body(
    grid: Grid,
    axes: tuple[Axis, Axis, Axis],
    labels: NDArray[np.uint8],
    name: str,
    box: tuple[slice, ...] | None,
) -> Body | None:
    """The largest connected part of one class, which lies within `box`; None without one."""
    if box is None:
        return None
    part = largest_component(labels[box] == CLASSES.index(name))
    where = np.argwhere(part) + [span.start for span in box]
    low, high = int(where[:, 0].min()), int(where[:, 0].max())
    middle = where.mean(axis=0)
    centre = tuple(
        axis.start + axis.step * float(at) for axis, at in zip(axes, middle, strict=True)
    )
    point = grid.affine @ np.array([*centre, 1.0])
    along = axes[0]
    return Body(
        name=name,
        ml=float(len(where)) * SPACING_MM**3 / 1000.0,
        centre=(centre[0], centre[1], centre[2]),
        centre_mm=(float(point[0]), float(point[1]), float(point[2])),
        lowest=along.start + along.step * (low - 0.5),
        highest=along.start + along.step * (high + 0.5),
        cut=low == 0 or high == labels.shape[0] - 1,
    )


def painted(level_map: LevelMap, grid: Grid, column: float) -> Floats:
    """(slice, row) labels of the sagittal plane at a canonical column, on the grid."""
    along, rows, columns = level_map.axes
    nearest = int(np.clip(round((column - columns.start) / columns.step), 0, columns.count - 1))
    plane = level_map.labels[:, :, nearest]
    indices = []
    for axis, length in ((along, grid.shape[0]), (rows, grid.shape[1])):
        at = np.round((np.arange(length) - axis.start) / axis.step).astype(int)
        indices.append(np.where((at >= 0) & (at < axis.count), at, -1))
    padded = np.pad(plane, ((0, 1), (0, 1)))
    return np.asarray(padded[np.ix_(indices[0], indices[1])], np.float32)
