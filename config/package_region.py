"""The step `region_of_interest`; same words as `models.manifest_region.RegionOfInterest`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from config.messages import listed, refusal
from config.schema.base import Section

WORD = "region_of_interest"
#: Built-in pipelines whose networks look at windows of an image.
WITH_REGION = ("segmentation", "detection")


class RegionOfInterest(Section):
    """Where a network has to look."""

    step: Literal["region_of_interest"]
    above: float
    parts: Literal["all", "largest"] = "all"
    filled: bool = False
    margin_mm: Annotated[float, Field(ge=0)] = 0.0
    background: Annotated[int, Field(ge=0)] = 0
    outside: tuple[float, float] = (-20.0, 20.0)

    @model_validator(mode="after")
    def _background_wins(self) -> RegionOfInterest:
        if self.outside[0] >= self.outside[1]:
            raise refusal(
                "the background would not be the best channel outside",
                "write the score of all channels first, then that of the background, larger",
                at="outside",
            )
        return self


def region_faults(
    pipeline: str,
    channels: int | None,
    steps: tuple[Sequence[Any], Sequence[Any]],
    spatial: Sequence[str],
) -> Iterator[PydanticCustomError]:
    """What a region of a package contradicts.

    Args:
        channels: of the network's output, where they are known.
        steps: of `preprocess:` and of `postprocess:`.
        spatial: words of the steps that change the grid.
    """
    pre, post = steps
    places = [at for at, step in enumerate(pre) if step.step == WORD]
    if not places:
        return
    here = f"preprocess.{places[0]}"
    if pipeline not in WITH_REGION:
        yield refusal(
            f"the pipeline '{pipeline}' runs no windows over an image",
            f"remove it; {listed(WITH_REGION)} know a region",
            at=f"{here}.step",
        )
        return
    if len(places) > 1:
        yield refusal("a second region", "state one", at=f"preprocess.{places[1]}.step")
    for number, step in enumerate(pre[places[0] :], places[0]):
        if step.step in spatial:
            yield refusal(
                f"'{step.step}' changes the grid that the region lies on",
                "put 'region_of_interest' behind it",
                at=f"preprocess.{number}.step",
            )
    if pipeline == "segmentation":
        yield from _background(pre[places[0]], here, channels, post)


def _background(
    region: RegionOfInterest, here: str, channels: int | None, post: Sequence[Any]
) -> Iterator[PydanticCustomError]:
    """Outside must not become a finding."""
    if channels is not None and region.background >= channels:
        yield refusal(
            f"there is no channel {region.background}: the network has {channels}",
            "the first channel is 0",
            at=f"{here}.background",
        )
    words = {step.step for step in post}
    for number, step in enumerate(post):
        if step.step == "select_channels":
            yield refusal(
                "which channel is the background outside the region is not known behind it",
                "leave out select_channels, or region_of_interest",
                at=f"postprocess.{number}.step",
            )
        if "softmax" not in words:
            continue
        if step.step == "regions" or (
            step.step == "threshold" and step.channel == region.background
        ):
            yield refusal(
                f"channel {region.background} is the background, and '{step.step}' would find it "
                "everywhere outside the region",
                "name another channel as 'background' of region_of_interest",
                at=f"postprocess.{number}.step",
            )
