"""From a row of the ledger to a message, with no more of the patient than is allowed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from config.alert_text import PatientData, beyond, filled, placeholders
from node.ledger.alerts import AlertKind, AlertRow

log = structlog.get_logger(__name__)

UNKNOWN = "not known"
#: Of a finding that the exam as a whole holds, or whose alert was queued without its place.
NO_PLACE = "place not stated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the study is of, as its result object says; "" for what is not allowed or not there.

    Attributes:
        name: (family, given, middle, prefix, suffix), PS3.5 6.2.1.
        birth_date: YYYYMMDD.
    """

    accession_number: str = ""
    patient_id: str = ""
    name: tuple[str, str, str, str, str] = ("", "", "", "", "")
    birth_date: str = ""

    @property
    def name_in_words(self) -> str:
        """Prefix, given, middle and family name, suffix."""
        family, given, middle, prefix, suffix = self.name
        return " ".join(part for part in (prefix, given, middle, family, suffix) if part)

    def bounded(self, patient_data: PatientData) -> Identity:
        """Only what the site allows to leave."""
        if patient_data == "identifiers":
            return self
        allowed = patient_data == "accession"
        return Identity(accession_number=self.accession_number if allowed else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What one channel is to carry.

    Attributes:
        key: of the alert; the same at each attempt, so that a receiver can tell a repetition.
        corrects: key of the alert that a correction takes back, else "".
        facts: what it is about, by name; nothing about the patient.
        label: how results of this node are marked.
    """

    key: str
    kind: AlertKind
    rule: str
    node: str
    created_at: datetime
    subject: str
    text: str
    label: str
    study_uid: str = ""
    corrects: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    identity: Identity = field(default_factory=Identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """What `appliance.yaml` says of the words.

    Attributes:
        texts: (subject, text) by kind. rules: the same by rule, for findings, where it has its own.
    """

    node: str
    label: str
    patient_data: PatientData
    texts: Mapping[AlertKind, tuple[str, str]]
    rules: Mapping[str, tuple[str, str]] = field(default_factory=dict)


#: The files of the result objects of a job.
ObjectsOf = Callable[[str], Iterable[Path]]


def compose(row: AlertRow, wording: Wording, objects_of: ObjectsOf) -> Message:
    """Fill the words in. The identity is read from the result objects, which hold it anyway."""
    identity = Identity()
    if wording.patient_data != "none" and row.job_key:
        identity = read_identity(objects_of(row.job_key)).bounded(wording.patient_data)
    at = datetime.fromtimestamp(row.created_at, tz=UTC)
    values = _values(row, wording, identity, at)
    subject, text = wording.texts[row.kind]
    if row.kind is AlertKind.FINDING:
        subject, text = wording.rules.get(row.rule, (subject, text))
    of_a_study = row.kind in (AlertKind.FINDING, AlertKind.CORRECTION)
    if of_a_study and "label" not in placeholders(text):
        text = f"{text}\n{{label}}"
    return Message(
        key=row.key,
        kind=row.kind,
        rule=row.rule,
        node=wording.node,
        created_at=at,
        subject=" ".join(_allowed(subject, values, wording).split()),
        text=_allowed(text, values, wording),
        label=wording.label if of_a_study else "",
        study_uid=row.study_uid,
        corrects=row.facts.get("corrects", ""),
        facts=row.facts,
        identity=identity,
    )


def _allowed(text: str, values: Mapping[str, str], wording: Wording) -> str:
    """`check` refuses a text that shows too much; this is the second lock on the same door."""
    shown = dict(values) | dict.fromkeys(beyond(text, wording.patient_data), "(not shown)")
    return filled(text, shown)


def _values(row: AlertRow, wording: Wording, identity: Identity, at: datetime) -> Mapping[str, str]:
    values = {
        **row.facts,
        "node": wording.node,
        "label": wording.label,
        "model": row.model,
        "finding": row.facts.get("title", row.finding),
        "where": row.facts.get("where") or NO_PLACE,
        "study_uid": row.study_uid,
        "time": at.astimezone().strftime("%Y-%m-%d %H:%M"),
        "accession_number": identity.accession_number or UNKNOWN,
        "patient_id": identity.patient_id or UNKNOWN,
        "patient_name": identity.name_in_words or UNKNOWN,
        "patient_birth_date": identity.birth_date or UNKNOWN,
    }
    values.setdefault("reason", "-")
    # One line each: a value from a header must not add a line or a heading to a mail.
    return {name: " ".join(str(value).split()) for name, value in values.items()}


def read_identity(paths: Iterable[Path]) -> Identity:
    """From the first result object that can be read (PS3.3 C.7.1.1, C.7.2.1)."""
    wanted = ["AccessionNumber", "PatientID", "PatientName", "PatientBirthDate"]
    for path in paths:
        try:
            with warnings.catch_warnings():
                # pydicom's warnings would print the values.
                warnings.simplefilter("ignore")
                header = dcmread(
                    path,
                    stop_before_pixels=True,
                    specific_tags=[*wanted, "SpecificCharacterSet"],
                )
                return _identity(header)
        except (OSError, InvalidDicomError, ValueError, AttributeError, TypeError) as error:
            log.warning("alert.identity_unreadable", cause=type(error).__name__)
    return Identity()


def _identity(header: Any) -> Identity:  # noqa: ANN401 - a pydicom data set
    name = header.get("PatientName")
    parts = ("family_name", "given_name", "middle_name", "name_prefix", "name_suffix")
    family, given, middle, prefix, suffix = (
        _clean(getattr(name, part, "")) if name else "" for part in parts
    )
    return Identity(
        accession_number=_clean(header.get("AccessionNumber", "")),
        patient_id=_clean(header.get("PatientID", "")),
        name=(family, given, middle, prefix, suffix),
        birth_date=_clean(header.get("PatientBirthDate", "")),
    )


def _clean(value: object) -> str:
    text = "".join(c if c.isprintable() else " " for c in str(value or ""))
    return " ".join(text.split())
