"""Steps from channels to labels, and on labels: one channel of an unsigned integer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, special

from inference.labels import arg_max, label_type
from inference.steps.image import Image, Values
from models.manifest_steps import (
    Argmax,
    Connectivity,
    Dust,
    FillHoles,
    LargestComponent,
    Regions,
    Relabel,
    Sigmoid,
    Softmax,
    Threshold,
)
from node.domain.errors import ModelError

Mask = NDArray[np.bool_]


def softmax(image: Image, step: Softmax) -> Image:
    """Over the channels."""
    values = image.values.astype(np.float32)
    values -= values.max(axis=0)
    np.exp(values, out=values)
    values /= values.sum(axis=0)
    return image.with_values(values)


def sigmoid(image: Image, step: Sigmoid) -> Image:
    """Of every value."""
    return image.with_values(special.expit(image.values.astype(np.float32)))


def argmax(image: Image, step: Argmax) -> Image:
    """The first channel with the largest value."""
    return image.with_values(arg_max(image.values)[np.newaxis])


def threshold(image: Image, step: Threshold, thresholds: Mapping[str, float]) -> Image:
    """1 where the channel is above the limit."""
    if step.channel >= len(image.values):
        raise ModelError(
            f"step threshold asks for channel {step.channel} of {len(image.values)}, counted "
            "from 0; correct model.yaml"
        )
    above = image.values[step.channel : step.channel + 1] > limit(step.at, thresholds)
    return image.with_values(above.astype(np.uint8))


def regions(image: Image, step: Regions, thresholds: Mapping[str, float]) -> Image:
    """The label of the last channel that is above the limit."""
    if len(step.values) != len(image.values):
        raise ModelError(
            f"step regions names {len(step.values)} labels for {len(image.values)} channels; "
            "correct model.yaml"
        )
    labels = np.zeros((1, *image.shape), label_type(max(step.values) + 1))
    for channel, value in zip(image.values, step.values, strict=True):
        labels[0][channel > limit(step.at, thresholds)] = value
    return image.with_values(labels)


def limit(at: float | str, thresholds: Mapping[str, float]) -> float:
    """A number as it stands, or the threshold of that name."""
    return thresholds[at] if isinstance(at, str) else at


def largest_component(image: Image, step: LargestComponent) -> Image:
    """Largest parts of labels; of equal ones the first in the order of the raster."""
    labels = image.values.copy()
    wanted = step.labels or present(labels)
    groups = [(label,) for label in wanted] if step.independent else [tuple(wanted)]
    for group in groups:
        mask = np.isin(labels[0], group)
        parts, count = components(mask, step.connectivity)
        if count <= step.keep:
            continue
        sizes = np.bincount(parts.ravel(), minlength=count + 1)
        sizes[0] = 0
        kept = np.argsort(-sizes, kind="stable")[: step.keep]
        labels[0][mask & ~np.isin(parts, kept)] = 0
    return image.with_values(labels)


def dust(image: Image, step: Dust) -> Image:
    """Without parts that are smaller than the limit."""
    labels = image.values.copy()
    if step.least_voxels is not None:
        least = float(step.least_voxels)
    else:
        assert step.least_ml is not None
        least = step.least_ml / image.grid.voxel_ml
    for label in step.labels or present(labels):
        mask = labels[0] == label
        parts, count = components(mask, step.connectivity)
        sizes = np.bincount(parts.ravel(), minlength=count + 1)
        small = sizes < least
        small[0] = False
        labels[0][small[parts]] = 0
    return image.with_values(labels)


def fill_holes(image: Image, step: FillHoles) -> Image:
    """Background that a label encloses takes its value."""
    labels = image.values.copy()
    flat = ndimage.generate_binary_structure(3, 1)
    if step.planar:
        flat[[0, 2]] = False
    for label in step.labels or present(labels):
        whole = ndimage.binary_fill_holes(labels[0] == label, flat)
        labels[0][np.asarray(whole, np.bool_) & (labels[0] == 0)] = label
    return image.with_values(labels)


def relabel(image: Image, step: Relabel) -> Image:
    """Every value by the table; what it does not name becomes 0."""
    largest = max(int(image.values.max(initial=0)), *step.table)
    table = np.zeros(largest + 1, label_type(max(step.table.values()) + 1))
    for source, target in step.table.items():
        table[source] = target
    return image.with_values(table[image.values])


def components(mask: Mask, connectivity: Connectivity) -> tuple[Values, int]:
    """Connected parts of a mask, numbered from 1, and how many."""
    if not mask.any():
        return np.zeros(mask.shape, np.uint16), 0
    parts, count = cc3d.connected_components(
        np.ascontiguousarray(mask), connectivity=connectivity, return_N=True
    )
    return parts, int(count)


def present(labels: Values) -> Iterable[int]:
    """Labels above 0 that there are, sorted."""
    return [int(label) for label in np.flatnonzero(np.bincount(labels.ravel())) if label]
