"""Scores of classes -> the class with the highest score, fast."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.uint8] | NDArray[np.uint16]

#: Voxels whose best score so far stays in the processor's cache.
_BLOCK = 1 << 15


def label_type(classes: int) -> type[np.uint8] | type[np.uint16]:
    """The smallest type that holds every class."""
    return np.uint8 if classes <= 256 else np.uint16


def arg_max(scores: NDArray[np.floating]) -> Labels:
    """(class, *spatial) -> (*spatial) uint8, or uint16 above 256 classes; the first of equals.

    Scores are finite. As `scores.argmax(0)`, several times faster: numpy's goes through memory
    by voxel, this by class, and compares many voxels at once.
    """
    labels: Any = np.empty(scores.shape[1:], label_type(len(scores)))
    if scores.ndim < 3 or scores[0].flags.c_contiguous:
        _arg_max(scores.reshape(len(scores), -1), labels.reshape(-1))
    else:
        for plane, target in zip(np.moveaxis(scores, 1, 0), labels, strict=True):
            _arg_max(plane.reshape(len(scores), -1), target.reshape(-1))
    found: Labels = labels
    return found


def _arg_max(scores: NDArray[np.floating], labels: NDArray[Any]) -> None:
    """(class, n) into (n), block by block."""
    best = np.empty(_BLOCK, scores.dtype)
    higher = np.empty(_BLOCK, np.bool_)
    number = np.empty(_BLOCK, labels.dtype)
    for start in range(0, len(labels), _BLOCK):
        block = scores[:, start : start + _BLOCK]
        target = labels[start : start + _BLOCK]
        size = len(target)
        top, mask, mine = best[:size], higher[:size], number[:size]
        np.copyto(top, block[0])
        target[:] = 0
        for label in range(1, len(block)):
            np.greater(block[label], top, out=mask)
            np.maximum(top, block[label], out=top)
            # Classes come in order, so the larger number is the later, higher one.
            np.multiply(mask, labels.dtype.type(label), out=mine)
            np.maximum(target, mine, out=target)
