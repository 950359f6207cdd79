"""The step of a detector behind its network, as a frozen value of the vocabulary of steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Boxes:
    """Anchor boxes of a RetinaNet to boxes with scores, by decoding and suppression.

    Attributes:
        classes, boxes: output names, finest level first.
        anchors: sides of the anchors of one place at the finest level, in voxels, in the order
            of the axes. scales: what they are multiplied by, for each level.
        weights: of the box coder, centres and then sides.
        score_above: lower scores are dropped. candidates: kept of each level.
        overlap: boxes that overlap a better one by more (intersection over union) are dropped.
        at_most: boxes kept. least_side: shorter boxes are dropped, voxels.
        divisible_by: the image was padded at its far end to multiples of it.
        zero: what the coordinate 0 is: the "centre" of the first voxel (boxes that were made
            from places in the patient, as MONAI's are) or its outer "edge" (torchvision).
    """

    step: ClassVar[str] = "boxes"
    classes: tuple[str, ...]
    boxes: tuple[str, ...]
    anchors: tuple[tuple[float, ...], ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...] = ()
    score_above: float = 0.02
    candidates: int = 1000
    overlap: float = 0.22
    at_most: int = 300
    least_side: float = 1.0
    divisible_by: tuple[int, ...] = ()
    zero: Literal["centre", "edge"] = "centre"
