"""`alerts:` whom to call, about what, and with which words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from config.alert_text import EventSubject, EventText, FindingSubject, FindingText, PatientData
from config.fields import EntryName
from config.schema.alert_channels import AnyChannel
from config.schema.base import Section

Severity = Literal["routine", "urgent", "critical"]
Event = Literal[
    "disk_full",
    "segment_retired",
    "result_held_back",
    "destination_dead",
    "model_out_of_service",
    "provider_failed",
    "alert_not_taken",
]


class FindingRule(Section):
    """Which acute findings call somebody. All that is given must hold."""

    models: tuple[str, ...] = Field(
        default=(),
        title="Models",
        description="Names from 'models:'; empty: every model.",
        examples=["[pulmonary_embolism]"],
    )
    findings: tuple[str, ...] = Field(
        default=(),
        title="Findings",
        description="Acute findings as the package names them; empty: all of them.",
        examples=["[pulmonary_embolism]"],
    )
    severity: Severity = Field(
        default="routine",
        title="Least severity",
        description="Only findings that the package calls at least so severe.",
    )
    at_least: float | None = Field(
        default=None,
        title="Least score",
        description="In the unit of the package (mostly per cent); left out: the operating "
        "threshold of the package, below which nothing ever calls.",
        examples=[90],
    )
    channels: tuple[EntryName, ...] = Field(
        title="Channels",
        description="Names from 'alerts.channels:'.",
        min_length=1,
        examples=["[duty]"],
    )
    subject: FindingSubject | None = Field(
        default=None,
        title="Subject",
        description="Left out: alerts.templates.finding_subject.",
        examples=["Vigie: {finding}"],
    )
    text: FindingText | None = Field(
        default=None,
        title="Text",
        description="Left out: alerts.templates.finding_text.",
        examples=["Please look at this study: {finding}."],
    )


class EventRule(Section):
    """Which troubles of the node call somebody."""

    events: tuple[Event, ...] = Field(
        title="Events",
        description="'disk_full': new images are refused. 'segment_retired': the disk failed. "
        "'result_held_back': a destination refused a result for good, or a study is held because "
        "its patient data differ. 'destination_dead': see alerts.destination_dead_after_hours. "
        "'model_out_of_service': a model cannot be used. 'provider_failed': a GPU or runtime gave "
        "other numbers than the golden case of a model, or failed, and the next one of "
        "workers.providers serves it. 'alert_not_taken': a finding or a correction waits "
        "for 15 minutes, was refused or given up; name another channel here.",
        min_length=1,
        examples=["[disk_full, destination_dead]"],
    )
    channels: tuple[EntryName, ...] = Field(
        title="Channels",
        description="Names from 'alerts.channels:', webhook or email.",
        min_length=1,
        examples=["[engineer]"],
    )


class Templates(Section):
    """The words of every alert. Words in braces are replaced; the set of them is closed."""

    finding_subject: FindingSubject = Field(
        default="Vigie: please look at a study ({finding})",
        title="Subject of an alert",
        description="Of a mail, and the heading elsewhere.",
    )
    finding_text: FindingText = Field(
        default="Please look at this study: {finding} ({where}), {severity}, score {score} (counts "
        "from {threshold}).\nStudy {study_uid}, {time}.\nFound by {model} {model_version} on "
        "{node}. {label}.",
        title="Text of an alert",
        description="The mark RESEARCH or UNVERIFIED is added where {label} is left out.",
    )
    correction_subject: FindingSubject = Field(
        default="Vigie: correction, {finding} is taken back",
        title="Subject of a correction",
        description="Sent to whom the finding was sent.",
    )
    correction_text: FindingText = Field(
        default="An alert is taken back: {finding}. {reason}.\nStudy {study_uid}, {time}.\n"
        "From {model} {model_version} on {node}. {label}.",
        title="Text of a correction",
        description="When a newer result no longer holds the finding.",
    )
    event_subject: EventSubject = Field(
        default="Vigie on {node}: {event} ({about})",
        title="Subject of a trouble",
        description="Of the node's own troubles.",
    )
    event_text: EventText = Field(
        default="{event} ({about}): {detail}.\nOn {node}, {time}.",
        title="Text of a trouble",
        description="What happened, and what to do.",
    )
    recovery_subject: EventSubject = Field(
        default="Vigie on {node}: over, {event} ({about})",
        title="Subject when a trouble is over",
        description="Sent to whom the trouble was told.",
    )
    recovery_text: EventText = Field(
        default="It is over: {event} ({about}).\nOn {node}, {time}.",
        title="Text when a trouble is over",
        description="Sent when it did not come back for five minutes.",
    )


class Alerts(Section):
    """An alert says 'look at this study'. Nobody is called unless a rule below says so."""

    patient_data: PatientData = Field(
        default="none",
        title="Patient data in alerts",
        description="'none'; 'accession': the accession number; 'identifiers': also name, ID and "
        "date of birth. No text can show more.",
    )
    channels: Mapping[EntryName, AnyChannel] = Field(
        default_factory=dict, title="Channels", description="Ways to call somebody, by name."
    )
    findings: Mapping[EntryName, FindingRule] = Field(
        default_factory=dict,
        title="Rules for findings",
        description="Which acute findings call whom, by name of the rule.",
    )
    events: Mapping[EntryName, EventRule] = Field(
        default_factory=dict,
        title="Rules for the node itself",
        description="Which troubles call whom, by name of the rule.",
    )
    destination_dead_after_hours: float = Field(
        default=4,
        title="A destination is dead after",
        description="Hours in which it took no result while one was waiting.",
        ge=0.01,
        le=720,
    )
    templates: Templates = Field(
        default_factory=Templates, title="Texts", description="The words of every alert."
    )
