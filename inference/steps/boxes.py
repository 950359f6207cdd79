"""Boxes of a RetinaNet: anchors, decoding, selection, suppression. NumPy only, 2-D and 3-D.

The arithmetic is that of MONAI's `RetinaNetDetector` (1.6), in float32 and in its order, so
that the same maps give the same boxes (Lin 2017, "Focal Loss for Dense Object Detection").
Boxes are (n, 2 * axes) float32: all low corners, then all high corners, in voxels of the
network's grid, where the first voxel begins at 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.steps.detections import Detections
from models.manifest_boxes import Boxes

Floats = NDArray[np.float32]
Integers = NDArray[np.int64]

#: Largest logarithm of a side relative to its anchor: exp must not run away.
_LARGEST_GROWTH = np.float32(math.log(1000.0 / 16))
_EPSILON = np.finfo(np.float32).eps


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxRule:
    """How maps become boxes.

    Attributes:
        anchors: sides of the anchors of one place at the finest level, voxels.
        scales: what they are multiplied by at each level, finest first.
        weights: codes are divided by these, centres first, then sides; () for 1.
        score_above: a score must be above it. candidates: at most so many of each level.
        overlap: a box is dropped where it overlaps a better one of its class by more than this
            (intersection over union). at_most: boxes of an image.
        least_side: a box with a shorter side, after cutting to the image, is dropped.
    """

    anchors: tuple[tuple[float, ...], ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...] = ()
    score_above: float = 0.05
    candidates: int = 1000
    overlap: float = 0.5
    at_most: int = 300
    least_side: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Boxes of one image, best first.

    Attributes:
        corners: (n, 2 * axes) float32. scores: (n,) float32, 0 to 1. labels: (n,) from 0.
    """

    corners: Floats
    scores: Floats
    labels: Integers

    def __len__(self) -> int:
        return len(self.scores)


def decode_boxes(
    step: Boxes,
    maps: Mapping[str, Floats],
    shape: tuple[int, ...],
    size: tuple[int, ...] | None = None,
) -> Detections:
    """`detect` for a package's step; see `inference.steps.detections.Decode`.

    Args:
        shape: of the image that the maps were computed of, padding included.
        size: without the padding at its far end; None where nothing was padded.

    Returns:
        Boxes of six numbers; of a planar network the first axis is [0, 0].
    """
    rule = BoxRule(
        anchors=step.anchors,
        scales=step.scales,
        weights=step.weights,
        score_above=step.score_above,
        candidates=step.candidates,
        overlap=step.overlap,
        at_most=step.at_most,
        least_side=step.least_side,
    )
    found = detect(
        [maps[name] for name in step.classes],
        [maps[name] for name in step.boxes],
        rule,
        padded=shape,
        size=size or shape,
    )
    axes = len(shape)
    boxes = np.zeros((len(found), 6), np.float32)
    boxes[:, 3 - axes : 3], boxes[:, 6 - axes :] = found.corners[:, :axes], found.corners[:, axes:]
    return Detections(boxes=boxes, scores=found.scores, classes=found.labels)


def detect(
    classes: Sequence[Floats],
    codes: Sequence[Floats],
    rule: BoxRule,
    *,
    padded: tuple[int, ...],
    size: tuple[int, ...],
) -> Found:
    """From the maps of all levels to boxes.

    Args:
        classes: of each level, (anchor * class, *map), logits, the anchor being outermost.
        codes: of each level, (anchor * 2 * axes, *map).
        padded: size of the image that the maps were computed of. size: without the padding at
            its far end; boxes are cut to it.
    """
    levels = [
        _select(level, code, rule, scale, padded)
        for level, code, scale in zip(classes, codes, rule.scales, strict=True)
    ]
    limit = np.tile(np.asarray(size, np.float32), 2)
    cut = [np.clip(level.corners, np.float32(0), limit) for level in levels]
    wide = [_wide(corners, rule.least_side) for corners in cut]
    corners = np.concatenate([box[kept] for box, kept in zip(cut, wide, strict=True)])
    scores = np.concatenate([level.scores[kept] for level, kept in zip(levels, wide, strict=True)])
    labels = np.concatenate([level.labels[kept] for level, kept in zip(levels, wide, strict=True)])
    best = suppress(corners, scores, labels, overlap=rule.overlap, at_most=rule.at_most)
    return Found(corners=corners[best], scores=scores[best], labels=labels[best])


def anchors_at(
    places: Integers, level: tuple[int, ...], padded: tuple[int, ...], shapes: Floats
) -> Floats:
    """Anchors of a level by their numbers: places in C order, the anchor of a place innermost.

    Args:
        level: size of the map. padded: size of the image. shapes: (anchor, axes), voxels.

    Their centres lie half a stride from the border, rounded down; half sides are rounded to
    the nearest integer, halves to even.
    """
    stride = np.asarray(padded, np.int64) // np.asarray(level, np.int64)
    position, anchor = np.divmod(places, len(shapes))
    index = np.stack(np.unravel_index(position, level), axis=1)
    centre = (index * stride + stride // 2).astype(np.float32)
    half = np.round(shapes / np.float32(2))[anchor]
    return np.concatenate([centre - half, centre + half], axis=1)


def decode(codes: Floats, anchors: Floats, weights: Sequence[float]) -> Floats:
    """Boxes that codes (n, 2 * axes) name relative to anchors (n, 2 * axes).

    Centres move by a fraction of the anchor's side, sides grow by the exponential of the code.
    """
    axes = anchors.shape[1] // 2
    scale = np.asarray(weights or [1.0] * 2 * axes, np.float32)
    sides = anchors[:, axes:] - anchors[:, :axes]
    centres = (anchors[:, :axes] + anchors[:, axes:]) / np.float32(2)
    moved = codes[:, :axes] / scale[:axes] * sides + centres
    growth = np.minimum(codes[:, axes:] / scale[axes:], _LARGEST_GROWTH)
    half = np.float32(0.5) * (np.exp(growth) * sides)
    return np.concatenate([moved - half, moved + half], axis=1)


def suppress(
    corners: Floats, scores: Floats, labels: Integers, *, overlap: float, at_most: int
) -> Integers:
    """Which boxes stay, best first: none overlaps a better one of its class by more."""
    if len(corners) == 0:
        return np.zeros(0, np.int64)
    # Classes are moved apart, so that boxes of different classes never meet.
    apart = labels.astype(np.float32) * (corners.max() + np.float32(1))
    moved = corners + apart[:, np.newaxis]
    waiting = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(waiting) and len(kept) < at_most:
        best, waiting = int(waiting[0]), waiting[1:]
        kept.append(best)
        waiting = waiting[overlaps(moved[waiting], moved[best]) <= np.float32(overlap)]
    return np.asarray(kept, np.int64)


def overlaps(boxes: Floats, box: Floats) -> Floats:
    """Intersection over union of boxes (n, 2 * axes) with one box (2 * axes,)."""
    axes = boxes.shape[1] // 2
    low = np.maximum(boxes[:, :axes], box[:axes])
    high = np.minimum(boxes[:, axes:], box[axes:])
    common = _content(np.maximum(high - low, np.float32(0)))
    union = _content(boxes[:, axes:] - boxes[:, :axes]) + _content(box[axes:] - box[:axes]) - common
    ratio: Floats = common / (union + _EPSILON)
    return ratio


def _content(sides: Floats) -> Floats:
    """Product over the last axis, in the order in which it is written."""
    product: Floats = sides[..., 0]
    for axis in range(1, sides.shape[-1]):
        product = product * sides[..., axis]
    return product


def _select(
    classes: Floats, codes: Floats, rule: BoxRule, scale: float, padded: tuple[int, ...]
) -> Found:
    """The best candidates of one level, decoded, not yet cut to the image."""
    shapes = np.asarray(rule.anchors, np.float32) * np.float32(scale)
    count, axes = shapes.shape
    level = classes.shape[1:]
    if len(classes) % count or len(codes) != count * 2 * axes or codes.shape[1:] != level:
        raise ValueError(
            f"maps of {classes.shape} and {codes.shape} do not fit {count} anchors of {axes} axes"
        )
    kinds = len(classes) // count
    # In the order place, anchor, class.
    logits = np.moveaxis(classes.reshape(count, kinds, -1), -1, 0).reshape(-1)
    with np.errstate(over="ignore"):
        scores: Floats = np.float32(1) / (np.float32(1) + np.exp(-logits))
    chosen = np.flatnonzero(scores > np.float32(rule.score_above))
    # Stable, so that equal scores keep the order of their places.
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")[: rule.candidates]]
    places, labels = np.divmod(chosen, kinds)
    position, anchor = np.divmod(places, count)
    picked = codes.reshape(count, 2 * axes, -1)[anchor, :, position]
    corners = decode(picked, anchors_at(places, level, padded, shapes), rule.weights)
    return Found(corners=corners, scores=scores[chosen], labels=labels)


def _wide(corners: Floats, least: float) -> NDArray[np.bool_]:
    axes = corners.shape[1] // 2
    sides_enough = corners[:, axes:] >= corners[:, :axes] + np.float32(least)
    return np.asarray(sides_enough.all(axis=1), np.bool_)
