"""The step that says where a network has to look, as a frozen value of the vocabulary of steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionOfInterest:
    """Windows that hold no voxel of the region are not run.

    Stands behind the last spatial step, before the values are scaled. Inside the region the
    result is what it is without this step, to the last bit; everything outside is background.

    Attributes:
        above: voxels of the region are above this in any channel, in the values as they are at
            this step (HU before they are scaled; -500 is the body).
        parts: "all", or "largest": the largest connected part (a body without its couch).
        filled: what the region encloses in its axial planes belongs to it (lungs in a body).
        margin_mm: the region is larger by this along every axis.
        background: the channel that everything outside is, counted from 0. Where there is
            neither softmax nor argmax, outside is no channel at all; of a detection there are
            no boxes outside.
        outside: scores of a segmentation outside: of all channels, and of the background. Write
            [0, 1] for a network that gives probabilities; the default is of logits.
    """

    step: ClassVar[str] = "region_of_interest"
    above: float
    parts: Literal["all", "largest"] = "all"
    filled: bool = False
    margin_mm: float = 0.0
    background: int = 0
    outside: tuple[float, float] = (-20.0, 20.0)
