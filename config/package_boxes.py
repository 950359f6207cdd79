"""The step `boxes` of a package; same words as `models.manifest_boxes.Boxes`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from config.messages import refusal
from config.schema.base import Section

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Boxes(Section):
    """Anchors of a RetinaNet to boxes with scores."""

    step: Literal["boxes"]
    classes: Annotated[tuple[str, ...], Field(min_length=1)]
    boxes: Annotated[tuple[str, ...], Field(min_length=1)]
    anchors: Annotated[
        tuple[Annotated[tuple[Positive, ...], Field(min_length=2, max_length=3)], ...],
        Field(min_length=1),
    ]
    scales: Annotated[tuple[Positive, ...], Field(min_length=1)]
    weights: tuple[Positive, ...] = ()
    score_above: Annotated[float, Field(ge=0, lt=1)] = 0.02
    candidates: Count = 1000
    overlap: Annotated[float, Field(gt=0, le=1)] = 0.22
    at_most: Count = 300
    least_side: Annotated[float, Field(ge=0)] = 1.0
    divisible_by: tuple[Count, ...] = ()
    zero: Literal["centre", "edge"] = "centre"

    @model_validator(mode="after")
    def _levels_agree(self) -> Boxes:
        levels = {len(self.classes), len(self.boxes), len(self.scales)}
        if len(levels) > 1:
            raise refusal(
                "classes, boxes and scales are for different numbers of levels",
                "write one entry for each feature map in each of them, the finest first",
                at="scales",
            )
        axes = {len(anchor) for anchor in self.anchors}
        if len(axes) > 1:
            raise refusal(
                "anchors of different numbers of axes",
                "write two or three sides in all of them",
                at="anchors",
            )
        return self
