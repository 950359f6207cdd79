"""`routes:` which series which models look at, and where the results go."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field, model_validator

from config.fields import AETitle, EntryName, ModalityCode
from config.messages import refusal
from config.schema.base import Section
from config.schema.conditions import Conditions
from config.schema.needs import Need
from config.schema.preferences import Preference
from config.schema.schedule import Schedule


class When(Conditions):
    """Conditions on the study and on the series; all that are given must hold."""

    modalities: tuple[ModalityCode, ...] = Field(
        default=(),
        title="Modalities",
        description="At least one series of the study has one of these.",
        examples=["[CT]"],
    )
    calling_ae_titles: tuple[AETitle, ...] = Field(
        default=(),
        title="Calling AE titles",
        description="At least one instance of the study was sent by one of these.",
        examples=["[CT1]"],
    )
    study_has: Conditions | None = Field(
        default=None,
        title="The study has",
        description="Some series of the study, this or another, meets these conditions.",
        examples=["{modality: PT}"],
    )


class Route(Section):
    """These models look at these series and send their results there."""

    models: tuple[str, ...] = Field(
        title="Models",
        description="Names from 'models:'.",
        min_length=1,
        examples=["[body_composition]"],
    )
    destinations: tuple[EntryName, ...] = Field(
        default=(),
        title="Destinations",
        description="Names from 'destinations:'; may only be left out with 'shadow: true'.",
        examples=["[pacs]"],
    )
    when: When = Field(
        default_factory=When,
        title="Conditions",
        description="Left out: every series. What a model can read is its own affair besides.",
    )
    prefer: tuple[Preference, ...] = Field(
        default=(),
        title="Prefer",
        description="When several series qualify: the first word that tells two apart decides; "
        "left out: the longest series with the thinnest slices.",
        examples=["[thinnest, soft_kernel]"],
    )
    needs: Mapping[EntryName, Need] = Field(
        default_factory=dict,
        title="Needs",
        description="Other series that are analysed together with the first, by role.",
    )
    schedule: Schedule | None = Field(
        default=None,
        title="Schedule",
        description="Hours in which the route applies; left out: always.",
        examples=['{from: "20:00", to: "07:00"}'],
    )
    priority: int | None = Field(
        default=None,
        title="Priority",
        description="Smaller runs first; left out: that of the model.",
        ge=0,
        le=1000,
        examples=[20],
    )
    shadow: bool = Field(
        default=False,
        title="Shadow",
        description="true: results are made and kept, and sent to nobody.",
    )

    exclusive: bool = Field(
        default=False,
        title="Exclusive",
        description="true: for these models no other route counts for a series that this one "
        "takes; its results go to these destinations only.",
    )

    @model_validator(mode="after")
    def _leads_somewhere(self) -> Route:
        if self.shadow and self.destinations:
            raise refusal(
                "results of a shadow route are sent to nobody, but it names destinations",
                "delete 'destinations', or write shadow: false",
                at="shadow",
            )
        if not self.shadow and not self.destinations:
            raise refusal(
                "the results of this route would go nowhere",
                "add 'destinations: [pacs]', or 'shadow: true' to keep them without sending",
                at="destinations",
            )
        return self
