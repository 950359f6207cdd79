"""`routes:` which studies which models look at, and where the results go."""

from __future__ import annotations

from pydantic import Field

from config.fields import AETitle, EntryName, ModalityCode
from config.schema.base import Section
from node.domain.study import CompletedStudy


class When(Section):
    """Conditions on a completed study; all that are given must hold."""

    modalities: tuple[ModalityCode, ...] = Field(
        default=(),
        title="Modalities",
        description="At least one series of the study has one of these.",
        examples=["[CT]"],
    )
    calling_ae_titles: tuple[AETitle, ...] = Field(
        default=(),
        title="Calling AE titles",
        description="At least one instance was sent by one of these.",
        examples=["[CT1]"],
    )

    def unmet(self, study: CompletedStudy) -> str:
        """Why the study does not meet the conditions, in words; "" when it does."""
        modalities = {series.modality for series in study.series}
        if self.modalities and modalities.isdisjoint(self.modalities):
            return f"the study has no series of modality {', '.join(self.modalities)}"
        senders = {i.calling_ae_title for series in study.series for i in series.instances}
        if self.calling_ae_titles and senders.isdisjoint(self.calling_ae_titles):
            return f"the study was not sent by {', '.join(self.calling_ae_titles)}"
        return ""


class Route(Section):
    """These models look at these studies and send their results there."""

    models: tuple[str, ...] = Field(
        title="Models",
        description="Names from 'models:'.",
        min_length=1,
        examples=["[body_composition]"],
    )
    destinations: tuple[EntryName, ...] = Field(
        title="Destinations",
        description="Names from 'destinations:'.",
        min_length=1,
        examples=["[pacs]"],
    )
    when: When = Field(
        default_factory=When,
        title="Conditions",
        description="Left out: every study. What a series must be is the model's own affair.",
    )
