"""Where the lungs are: thresholds, connected parts and closing on a coarse grid; no network.

The mask is the room that a lung fills, not the air in it: vessels, nodules, tumours that touch
the pleura and moderate effusions stay inside. Trachea and main bronchi do not.
"""

from __future__ import annotations

from dataclasses import dataclass

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.distance import distance_inside
from models.grid import Grid, Mask
from models.morphology import holes_filled, parts_of
from models.refusal import Refusal
from models.thorax.airways import find_airways
from models.thorax.frame import Coarse, coarse
from models.thorax.pleura import dents_filled

#: Between lung and tissue on the coarse grid; ground glass (to about -450 HU) is lung.
LUNG_HU = -400.0
#: Gas without lung around it: stomach, bowel, trachea, free air.
GAS_HU = -960.0
#: A body of gas larger than this that tissue surrounds (mean HU of its surroundings) is no lung,
#: unless it is as large as no loop of bowel is: then it is a lung destroyed by emphysema.
GAS_ML, SURROUNDED_HU, SURELY_LUNG_ML = 1.0, -500.0, 1200.0
#: A wall between gas and tissue is blurred over so many coarse voxels.
_WALL = 2
#: A part with more than this share of gas, or of a rim around gas that was taken out, is bowel;
#: a part as large as a lung may hold more, where it is emphysematous.
MOST_GAS, LARGE_PART_ML, MOST_GAS_LARGE = 0.1, 400.0, 0.4
#: Smallest part of a lung that is looked at; the lung bases of an abdominal scan are some
#: hundred ml, a loop of bowel with stool and gas seldom reaches this.
LEAST_PART_ML = 25.0
#: Below this both lungs together are not "in view".
LEAST_LUNG_ML = 150.0
#: Radius of the closing that takes vessels, hila and nodules at the pleura in, mm.
CLOSING_MM = 9.0
#: A part that lies on both sides of the middle by more than this share is two lungs in one.
BOTH_SIDES = 0.12
#: Radii of erosion that are tried to part two lungs that touch, voxels.
_PARTING = (1, 2, 3, 4, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lungs:
    """The lungs of one series on a coarse isotropic grid.

    Attributes:
        volume: the coarse grid with its HU; `volume.at` and `volume.on_grid` lead back.
        right, left: (slice, row, column) room of each lung; all False where it is not in view.
        aerated: what of it holds air.
        airways: trachea and main bronchi, where the trachea is in view.
        cut_below, cut_above: the lungs go on beyond the lowest or highest slice.
    """

    volume: Coarse
    right: Mask
    left: Mask
    aerated: Mask
    airways: Mask
    cut_below: bool
    cut_above: bool

    @property
    def both(self) -> Mask:
        """Both lungs together."""
        return self.right | self.left

    @property
    def right_ml(self) -> float:
        """Volume of the room of the right lung, ml."""
        return float(self.right.sum()) * self.volume.voxel_ml

    @property
    def left_ml(self) -> float:
        """Volume of the room of the left lung, ml."""
        return float(self.left.sum()) * self.volume.voxel_ml

    def side_at(self, point: NDArray[np.float64]) -> str:
        """ "right" or "left" for a position (3,) of the grid; "" where it is in neither lung."""
        for name, mask in (("right", self.right), ("left", self.left)):
            if self.volume.at(mask, point[None])[0]:
                return name
        return ""


def find_lungs(grid: Grid) -> Lungs | Refusal:
    """Both lungs of a series in HU, or why there is none to look at."""
    volume = coarse(grid)
    inside, middle = _enclosed(volume)
    air = _lung_parts(volume, inside)
    if air is None:
        return Refusal(
            "no lung is in view: nothing in these slices looks like lung filled with air "
            "(-950 to -400 HU, enclosed by the chest wall)"
        )
    lowest = int(np.median(np.nonzero(air)[0]))
    airways = find_airways(volume, inside, (lowest, middle))
    walls = ndimage.binary_dilation(airways, iterations=1)
    aerated = air & ~walls
    seen_ml = float(aerated.sum()) * volume.voxel_ml
    if seen_ml < LEAST_LUNG_ML:
        return Refusal(
            f"too little lung is in view: {seen_ml:.0f} ml with air "
            f"(at least {LEAST_LUNG_ML:.0f} ml are needed)"
        )
    right, left = _sides(aerated, middle)
    rooms = [_room(side, volume, middle) for side in (right, left)]
    twice = rooms[0] & rooms[1]
    if twice.any():
        nearer = _nearer(right, left)
        rooms[0] &= ~twice | nearer
        rooms[1] &= ~twice | ~nearer
    rooms = [room & ~walls for room in rooms]
    least = int(LEAST_PART_ML / volume.voxel_ml / 25)
    return Lungs(
        volume=volume,
        right=rooms[0],
        left=rooms[1],
        aerated=aerated,
        airways=airways,
        cut_below=bool(aerated[0].sum() > least),
        cut_above=bool(aerated[-1].sum() > least),
    )


def _enclosed(volume: Coarse) -> tuple[Mask, float]:
    """Air that the body encloses, slice by slice, and the middle column of the body."""
    low = volume.hu < LUNG_HU
    inside = np.zeros(volume.shape, np.bool_)
    columns = []
    for index, plane in enumerate(low):
        parts = parts_of(plane)
        border = np.unique(np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
        outside = np.isin(parts, border[border > 0])
        inside[index] = plane & ~outside
        body = ndimage.binary_opening(~outside, np.ones((5, 5), np.bool_))
        numbered = parts_of(body)
        sizes = np.bincount(numbered.ravel())
        sizes[0] = 0
        if sizes.max() > 0:
            trunk = numbered == int(sizes.argmax())
            inside[index] &= trunk
            span = np.flatnonzero(trunk.any(axis=0))
            columns.append((span[0] + span[-1]) / 2)
    middle = float(np.median(columns)) if columns else volume.shape[2] / 2
    return inside, middle


def _lung_parts(volume: Coarse, inside: Mask) -> Mask | None:
    """The parts of the enclosed air that are lung, by their size and by their share of gas.

    Bodies of gas are taken out first, or a thin wall of bowel would join it to the lung.
    """
    bowel = _bowel_gas(volume, inside)
    parts = _parts(inside & ~bowel)
    sizes = np.bincount(parts.ravel()) * volume.voxel_ml
    rim = ndimage.binary_dilation(bowel, iterations=_WALL) | (volume.hu < GAS_HU)
    gas = np.bincount(parts.ravel(), weights=rim.ravel()) * volume.voxel_ml

    def is_lung(number: int) -> bool:
        size = float(sizes[number])
        most = MOST_GAS if size < LARGE_PART_ML else MOST_GAS_LARGE
        return size > SURELY_LUNG_ML or (size >= LEAST_PART_ML and gas[number] < most * size)

    lungs = [number for number in range(1, len(sizes)) if is_lung(number)]
    return np.asarray(np.isin(parts, lungs), np.bool_) if lungs else None


def _bowel_gas(volume: Coarse, inside: Mask) -> Mask:
    """Bodies of gas in tissue with their blurred walls; the trachea is one of them."""
    found = np.zeros_like(inside)
    cores = _parts(ndimage.binary_erosion(inside & (volume.hu < GAS_HU)))
    sizes = np.bincount(cores.ravel()) * volume.voxel_ml
    boxes = ndimage.find_objects(cores.astype(np.int32))
    reach = _WALL + 3
    for number, box in enumerate(boxes, start=1):
        if box is None or not GAS_ML / 3 < sizes[number] < SURELY_LUNG_ML:
            continue
        wide = tuple(slice(max(0, part.start - reach), part.stop + reach) for part in box)
        body = ndimage.binary_dilation(cores[wide] == number, iterations=1 + _WALL)
        if body.sum() * volume.voxel_ml < GAS_ML:
            continue
        ring = ndimage.binary_dilation(body, iterations=2) & ~body
        if ring.any() and float(volume.hu[wide][ring].mean()) > SURROUNDED_HU:
            found[wide] |= body & inside[wide]
    return found


def _sides(aerated: Mask, middle: float) -> tuple[Mask, Mask]:
    """The parts with air as (right, left)."""
    right, left = np.zeros_like(aerated), np.zeros_like(aerated)
    parts = _parts(aerated)
    for number in range(1, int(parts.max(initial=0)) + 1):
        part = parts == number
        for piece in _parted(part, middle):
            columns = np.nonzero(piece)[2]
            target = right if columns.mean() < middle else left
            target |= piece
    return right, left


def _parted(part: Mask, middle: float) -> tuple[Mask, ...]:
    """One part, or its two lungs where it spans both sides of the middle."""
    columns = np.arange(part.shape[2])
    count = part.sum(axis=(0, 1))
    share = float(count[columns < middle].sum()) / float(count.sum())
    if not BOTH_SIDES < share < 1.0 - BOTH_SIDES:
        return (part,)
    box = ndimage.find_objects(part.astype(np.uint8))[0]
    small = part[box]
    depth = distance_inside(np.pad(small, 1))[1:-1, 1:-1, 1:-1]
    for steps in _PARTING:
        cores = _parts(depth > steps)
        sizes = np.bincount(cores.ravel())
        sizes[0] = 0
        order = np.argsort(sizes)[::-1][:2]
        if len(order) == 2 and sizes[order[1]] > BOTH_SIDES / 2 * sizes.sum():
            first, second = cores == order[0], cores == order[1]
            means = [np.nonzero(core)[2].mean() + box[2].start for core in (first, second)]
            if (means[0] < middle) != (means[1] < middle):
                near = _nearer(first, second)
                return _placed(part, box, small & near), _placed(part, box, small & ~near)
    halves = np.broadcast_to(columns < middle, part.shape)
    return part & halves, part & ~halves


def _placed(part: Mask, box: tuple[slice, ...], piece: Mask) -> Mask:
    whole = np.zeros_like(part)
    whole[box] = piece
    return whole


def _nearer(first: Mask, second: Mask) -> Mask:
    """Where the first of two masks is nearer than the second."""
    if not first.any() or not second.any():
        return np.full(first.shape, bool(first.any()))
    own = distance_inside(~first)
    other = distance_inside(~second)
    return np.asarray(own <= other, np.bool_)


def _room(side: Mask, volume: Coarse, middle: float) -> Mask:
    """The room of one lung: closed, holes filled, dents of the costal side filled."""
    room = np.zeros_like(side)
    if not side.any():
        return room
    reach = int(np.ceil(CLOSING_MM / volume.step_mm)) + 1
    box = tuple(
        slice(max(0, part.start - reach), part.stop + reach)
        for part in ndimage.find_objects(side.astype(np.uint8))[0]
    )
    small = side[box]
    radius = CLOSING_MM / volume.step_mm
    # The image's ends count as lung while closing, or the closing would eat into a cut lung.
    padded = np.pad(small, ((reach, reach), (reach, reach), (reach, reach)), mode="edge")
    grown = distance_inside(~padded) <= radius
    closed = distance_inside(grown) > radius
    cut = slice(reach, -reach)
    closed = closed[cut, cut, cut] | small
    for index in range(closed.shape[0]):
        closed[index] = holes_filled(closed[index])
    room[box] = closed
    return dents_filled(room, volume, middle)


def _parts(mask: Mask) -> NDArray[np.uint32]:
    """Parts over faces, numbered from 1."""
    return np.asarray(
        cc3d.connected_components(np.ascontiguousarray(mask), connectivity=6), np.uint32
    )
