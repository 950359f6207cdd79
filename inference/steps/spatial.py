"""Steps that change the grid: orientation, resampling, cutting, padding.

Each returns the image with the step in its trace, so that `invert` finds the way back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inference.steps import sampling
from inference.steps.image import Affine, Grid, Image, Move, Values
from inference.steps.moves import Cropped, Reoriented, Resampled, Transformed, read
from inference.steps.sampling import AxisMap
from inference.steps.verdict import NothingLeft
from models.manifest_steps import (
    CropCentre,
    CropForeground,
    CropNonzero,
    Invert,
    Orient,
    Pad,
    Resize,
    Spacing,
)

#: Letters of the patient's axes in RAS: negative, positive.
_LETTERS = ("LR", "PA", "IS")
#: MONAI's tolerance for "the spacing is right already", mm, and for its test of corners.
_MONAI_TOLERANCE = 1e-3
#: Largest deviation from parallel axes, in voxels over a whole axis, that is rounding.
_PARALLEL_VOXELS = 1e-4


def orient(image: Image, step: Orient) -> Image:
    """Axes to the closest ones of the patient (nibabel's `io_orientation`)."""
    closest, signs = _closest_axes(image.affine)
    order, flipped = [], []
    for letter in step.axes:
        patient = next(axis for axis, pair in enumerate(_LETTERS) if letter in pair)
        source = closest.index(patient)
        wanted = 1 if _LETTERS[patient].index(letter) else -1
        order.append(source)
        flipped.append(signs[source] != wanted)
    move = Reoriented(
        source=image.grid,
        order=(order[0], order[1], order[2]),
        flipped=(flipped[0], flipped[1], flipped[2]),
    )
    affine = np.eye(4)
    affine[:3, :3] = image.affine[:3, order]
    affine[:3, 3] = image.affine[:3, 3]
    for axis, backwards in enumerate(flipped):
        if backwards:
            affine[:3, 3] += affine[:3, axis] * (image.shape[order[axis]] - 1)
            affine[:3, axis] *= -1.0
    return image.moved(move.apply(image.values), affine, move)


def _closest_axes(affine: Affine) -> tuple[list[int], list[int]]:
    """For each array axis the patient's axis (R, A, S) closest to it, and 1 or -1.

    The rotation closest to the affine decides (polar decomposition), as in nibabel, so that
    sheared grids are named as other programs name them.
    """
    unit = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    left, _, right = np.linalg.svd(unit)
    rotation = left @ right
    closest, signs = [0, 0, 0], [1, 1, 1]
    for axis in np.argsort(np.min(-np.abs(rotation), axis=0)):
        patient = int(np.argmax(np.abs(rotation[:, axis])))
        closest[axis] = patient
        signs[axis] = -1 if rotation[patient, axis] < 0 else 1
        rotation[patient, :] = 0.0
    return closest, signs


def spacing(image: Image, step: Spacing) -> Image:
    """Resampled to a voxel size, by the rule of MONAI, nnU-Net or scipy."""
    if step.grid == "monai":
        return _monai(image, step)
    now = image.grid.spacing_mm
    wanted = [new or old for new, old in zip(step.spacing_mm, now, strict=True)]
    if step.grid == "zoom":
        if list(now) == wanted:
            return image
        sizes = [
            max(1, round(length * (old / new)))
            for length, old, new in zip(image.shape, now, wanted, strict=True)
        ]
        maps = [AxisMap.corners_kept(*pair) for pair in zip(image.shape, sizes, strict=True)]
        move = Resampled(
            step="spacing", source=image.grid, maps=_three(maps), rounding="up", corners=True
        )
        return _resampled(image, move, step.interpolation)
    sizes = [
        max(1, round(old / new * length))
        for length, old, new in zip(image.shape, now, wanted, strict=True)
    ]
    maps = [AxisMap.edges_kept(*pair) for pair in zip(image.shape, sizes, strict=True)]
    move = Resampled(
        step="spacing",
        source=image.grid,
        maps=_three(maps),
        rounding="up",
        alone=_thick_axis(now, wanted, step.separate_above),
    )
    return _resampled(image, move, step.interpolation)


def _thick_axis(now: Sequence[float], wanted: Sequence[float], limit: float) -> int | None:
    """The axis that nnU-Net resamples on its own: the thick one before, else after."""
    for spacings in (now, wanted):
        if max(spacings) / min(spacings) > limit:
            longest = [axis for axis, size in enumerate(spacings) if max(spacings) / size == 1]
            return longest[0] if len(longest) == 1 else None
    return None


def _three(maps: Sequence[AxisMap]) -> tuple[AxisMap, AxisMap, AxisMap]:
    return maps[0], maps[1], maps[2]


def _resampled(image: Image, move: Resampled, interpolation: str) -> Image:
    if all(along.is_identity(size) for along, size in zip(move.maps, image.shape, strict=True)):
        return image
    values = read(image.values, move.maps, interpolation, move)
    return image.moved(values, image.affine @ sampling.matrix_of(move.maps), move)


def _monai(image: Image, step: Spacing) -> Image:
    """The grid of MONAI's `Spacing(diagonal=False)`, read as its `SpatialResample` does."""
    now = np.sqrt(np.sum(np.square(image.affine[:3, :3]), axis=0))
    wanted = np.array(
        [
            old if new is None or abs(old - new) <= _MONAI_TOLERANCE else new
            for new, old in zip(step.spacing_mm, now, strict=True)
        ]
    )
    # The rotation without zoom and shear.
    upper = np.linalg.cholesky(image.affine[:3, :3].T @ image.affine[:3, :3]).T
    rotation = image.affine[:3, :3] @ np.linalg.inv(upper)
    new = np.eye(4)
    new[:3, :3] = rotation @ np.diag(np.sign(np.diag(upper)) * wanted)
    shape, new[:3, 3] = _monai_place(image.grid, new)
    matrix = np.asarray(np.linalg.solve(image.affine, new), np.float64)
    if shape == image.shape and np.allclose(matrix, np.eye(4), atol=_MONAI_TOLERANCE):
        return image
    if not _is_parallel(matrix, shape):
        away = Transformed(step="spacing", source=image.grid, matrix=matrix)
        order = 0 if step.interpolation == "nearest" else 1
        return image.moved(sampling.affine(image.values, matrix, shape, order), new, away)
    maps = [AxisMap(float(matrix[a, a]), float(matrix[a, 3]), shape[a]) for a in range(3)]
    move = Resampled(step="spacing", source=image.grid, maps=_three(maps), rounding="even")
    return image.moved(read(image.values, move.maps, step.interpolation, move), new, move)


def _monai_place(grid: Grid, new: Affine) -> tuple[tuple[int, int, int], NDArray[np.float64]]:
    """Size and origin of the new grid.

    The new grid starts at the corner voxel from which every other corner lies ahead. That is
    tested so closely that rounding of an oblique affine defeats it; the two grids then share
    their centres instead. Both must be done as MONAI does for its numbers to come out.
    """
    ends = [(0.0, length - 1.0) for length in grid.shape]
    corners = np.asarray(np.meshgrid(*ends, indexing="ij")).reshape((3, -1))
    corners = np.concatenate((corners, np.ones_like(corners[:1])))
    seen = (np.linalg.solve(new, grid.affine) @ corners)[:3]
    i, j, k = (int(size) for size in np.round(np.ptp(seen, axis=1) + 1.0))
    places = grid.affine @ corners
    for number in range(corners.shape[1]):
        ahead = np.min(seen - seen[:, number : number + 1], axis=1)
        if np.allclose(ahead, 0.0, rtol=_MONAI_TOLERANCE):
            return (i, j, k), places[:3, number]
    middle = grid.affine[:3, :3] @ (np.array(grid.shape, float) / 2.0) + grid.affine[:3, 3]
    return (i, j, k), middle - new[:3, :3] @ (np.array((i, j, k), float) / 2.0)


def _is_parallel(matrix: Affine, shape: tuple[int, int, int]) -> bool:
    across = matrix[:3, :3] - np.diag(np.diag(matrix[:3, :3]))
    return bool(np.abs(across * (np.array(shape) - 1)).max() < _PARALLEL_VOXELS)


def resize(image: Image, step: Resize) -> Image:
    """Resampled to a size in voxels, as torch's `interpolate` does."""
    sizes = [size or length for size, length in zip(step.size, image.shape, strict=True)]
    if tuple(sizes) == image.shape:
        return image
    kept = [AxisMap.edges_kept(*pair) for pair in zip(image.shape, sizes, strict=True)]
    affine = image.affine @ sampling.matrix_of(kept)
    if step.interpolation == "nearest":
        # torch reads the sample at i * n / m or before, half a voxel off the kept edges.
        maps = [AxisMap(n / m, 0.0, m) for n, m in zip(image.shape, sizes, strict=True)]
        floor = Resampled(step="resize", source=image.grid, maps=_three(maps), rounding="down")
        return image.moved(read(image.values, floor.maps, "nearest", floor), affine, floor)
    move = Resampled(step="resize", source=image.grid, maps=_three(kept), rounding="up")
    if step.interpolation == "linear":
        return image.moved(read(image.values, move.maps, "linear", move), affine, move)
    return image.moved(sampling.area(image.values, sizes), affine, move)


def crop_foreground(image: Image, step: CropForeground) -> Image:
    """Cut to the box around values above the limit in any channel.

    Raises:
        NothingLeft: no voxel is above it.
    """
    start, behind = _box(np.any(image.values > step.above, axis=0), f"above {step.above:g}")
    first, sizes = [], []
    for low, high, length in zip(start, behind, image.shape, strict=True):
        lower, upper = low - step.margin, high + step.margin
        if step.allow_smaller:
            lower, upper = max(lower, 0), min(upper, length)
        size = -(-(upper - lower) // step.divisible_by) * step.divisible_by
        first.append(lower - (size - (upper - lower)) // 2)
        sizes.append(size)
    return _cut("crop_foreground", image, first, sizes)


def crop_nonzero(image: Image, step: CropNonzero) -> Image:
    """Cut to the box around values other than 0 in any channel.

    Raises:
        NothingLeft: every voxel is 0.
    """
    start, behind = _box(np.any(image.values != 0, axis=0), "other than 0")
    sizes = [high - low for low, high in zip(start, behind, strict=True)]
    return _cut(step.step, image, start, sizes)


def crop_centre(image: Image, step: CropCentre) -> Image:
    """Cut to a size around the centre, as MONAI's CenterSpatialCrop."""
    sizes = [
        min(size or length, length) for size, length in zip(step.size, image.shape, strict=True)
    ]
    start = [
        max(length // 2 - size // 2, 0) for size, length in zip(sizes, image.shape, strict=True)
    ]
    return _cut(step.step, image, start, sizes)


def _box(found: object, what: str) -> tuple[list[int], list[int]]:
    """First and behind-last index of a mask along each axis."""
    mask = np.asarray(found, np.bool_)
    start, behind = [], []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        (places,) = np.nonzero(mask.any(axis=others))
        if not len(places):
            raise NothingLeft(f"the images hold no value {what}")
        start.append(int(places[0]))
        behind.append(int(places[-1]) + 1)
    return start, behind


def _cut(word: str, image: Image, start: Sequence[int], sizes: Sequence[int]) -> Image:
    """A box, with 0 where it reaches beyond the image."""
    if tuple(sizes) == image.shape and not any(start):
        return image
    move = Cropped(
        step=word,
        source=image.grid,
        start=(start[0], start[1], start[2]),
        shape=(sizes[0], sizes[1], sizes[2]),
    )
    inside = [slice(max(first, 0), first + size) for first, size in zip(start, sizes, strict=True)]
    values = image.values[(slice(None), *inside)]
    margins = [
        (max(-first, 0), max(first + size - length, 0))
        for first, size, length in zip(start, sizes, image.shape, strict=True)
    ]
    if any(any(margin) for margin in margins):
        values = np.pad(values, [(0, 0), *margins])
    return image.moved(values, _shifted(image.affine, start), move)


def pad(image: Image, step: Pad) -> Image:
    """Padded to a size or to multiples; on both sides the odd voxel goes to the far end."""
    margins = []
    for axis, length in enumerate(image.shape):
        if step.size is not None:
            missing = max((step.size[axis] or length) - length, 0)
        else:
            assert step.divisible_by is not None
            missing = -length % step.divisible_by[axis]
        before = missing // 2 if step.where == "both" else 0
        margins.append((before, missing - before))
    if not any(any(margin) for margin in margins):
        return image
    start = [-before for before, _ in margins]
    sizes = [length + sum(m) for length, m in zip(image.shape, margins, strict=True)]
    move = Cropped(
        step=step.step,
        source=image.grid,
        start=(start[0], start[1], start[2]),
        shape=(sizes[0], sizes[1], sizes[2]),
    )
    options: dict[str, Any] = {"mode": step.mode}
    if step.mode == "constant":
        options["constant_values"] = step.value
    values: Values = np.pad(image.values, [(0, 0), *margins], **options)
    return image.moved(values, _shifted(image.affine, start), move)


def _shifted(affine: Affine, start: Sequence[int]) -> Affine:
    moved = affine.copy()
    moved[:3, 3] += affine[:3, :3] @ np.array(start, np.float64)
    return moved


def invert(image: Image, step: Invert) -> Image:
    """Undo the spatial steps from the last one back."""
    away, kept = undone(image.trace, step)
    values, certainty = image.values, image.certainty
    for move in away:
        values = move.undo(values, step.interpolation)
        if certainty is not None:
            certainty = move.undo(certainty, "nearest")
    affine = away[-1].source.affine if away else image.affine
    return Image(values=values, affine=affine, trace=kept, certainty=certainty)


def undone(moves: Sequence[Move], step: Invert) -> tuple[tuple[Move, ...], tuple[Move, ...]]:
    """The moves that `invert` undoes, last first, and those that stay."""
    kept = list(moves)
    away = []
    while kept and (not step.only or kept[-1].step in step.only):
        away.append(kept.pop())
    return tuple(away), tuple(kept)


def filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask with what it encloses."""
    return np.asarray(ndimage.binary_fill_holes(mask), np.bool_)
