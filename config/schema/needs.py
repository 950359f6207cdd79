"""`needs:` other series that are analysed together with the first, by the role they play."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from config.schema.base import Section
from config.schema.conditions import Conditions
from config.schema.preferences import Preference


class Need(Section):
    """One role: which series may play it, and how it belongs to the first one."""

    series: Conditions = Field(
        title="Conditions",
        description="What the series must be; the same conditions as in 'when'.",
        examples=["{modality: CT}"],
    )
    same: tuple[Literal["frame_of_reference", "laterality", "view", "orientation"], ...] = Field(
        default=(),
        title="Same as the first series",
        description="'frame_of_reference': its positions can be compared, as of a PET and its CT.",
        examples=["[frame_of_reference]"],
    )
    study: Literal["same", "prior"] = Field(
        default="same",
        title="Study",
        description="'prior': the newest earlier study of the same patient that is still stored.",
    )
    prefer: tuple[Preference, ...] = Field(
        default=(), title="Prefer", description="When several qualify; the same words as a route's."
    )
    optional: bool = Field(
        default=False,
        title="Optional",
        description="true: the analysis also runs without it.",
    )
