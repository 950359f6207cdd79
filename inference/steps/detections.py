"""Boxes that a detector found, on the grid of the network and back on that of the volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from inference.steps.image import Move
from models.manifest_boxes import Boxes


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """Boxes, best first.

    Attributes:
        boxes: (n, 6) float32, in voxels of the grid: the three lower and then the three upper
            edges. What 0 is, is `Boxes.zero`; on the grid of the volume it is the centre of the
            first voxel. Of a planar network the first axis is [slice, slice].
        scores: (n,) float32, 0..1. classes: (n,) the channel of each, from 0.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.scores)

    def chosen(self, index: NDArray[np.intp] | NDArray[np.bool_]) -> Detections:
        """Some of them."""
        return Detections(
            boxes=self.boxes[index], scores=self.scores[index], classes=self.classes[index]
        )


class Decode(Protocol):
    """From the maps of a network to boxes on its image (`inference/steps/boxes.py`)."""

    def __call__(
        self,
        step: Boxes,
        maps: Mapping[str, NDArray[np.float32]],
        shape: tuple[int, ...],
    ) -> Detections:
        """Decode one image.

        Args:
            maps: by output name, (channel, *spatial of that level).
            shape: of the network's image, padding included.
        """
        ...


def boxes_back(found: Detections, moves: Sequence[Move]) -> Detections:
    """Boxes on the grid before the moves, by their two corners; axes may have turned round."""
    lower, upper = (np.asarray(found.boxes[:, at : at + 3], np.float64) for at in (0, 3))
    for move in moves:
        lower, upper = move.points_back(lower), move.points_back(upper)
    corners = np.concatenate([np.minimum(lower, upper), np.maximum(lower, upper)], axis=1)
    return replace(found, boxes=corners.astype(np.float32))
