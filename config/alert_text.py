"""The texts of alerts: words with placeholders of a closed set, and nothing that is executed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator

from config.messages import close_to, listed, refusal

PatientData = Literal["none", "accession", "identifiers"]

#: Placeholder -> the least `patient_data` that shows it, for a finding and its correction.
OF_A_FINDING: Mapping[str, PatientData] = {
    "node": "none",
    "label": "none",
    "model": "none",
    "model_version": "none",
    "finding": "none",
    "where": "none",
    "severity": "none",
    "score": "none",
    "threshold": "none",
    "study_uid": "none",
    "time": "none",
    "reason": "none",
    "accession_number": "accession",
    "patient_id": "identifiers",
    "patient_name": "identifiers",
    "patient_birth_date": "identifiers",
}
#: The same for a trouble of the node itself.
OF_AN_EVENT: Mapping[str, PatientData] = {
    name: "none" for name in ("node", "event", "about", "detail", "time")
}
AMOUNTS: tuple[PatientData, ...] = ("none", "accession", "identifiers")

_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")


def placeholders(text: str) -> tuple[str, ...]:
    """Names in braces, in the order of the text."""
    return tuple(_PLACEHOLDER.findall(text))


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with each placeholder replaced; a value is never read as a text again."""
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


def beyond(text: str, patient_data: PatientData) -> tuple[str, ...]:
    """The placeholders that show more of the patient than the site allows."""
    allowed = AMOUNTS.index(patient_data)
    return tuple(
        name
        for name in placeholders(text)
        if AMOUNTS.index(OF_A_FINDING.get(name, "none")) > allowed
    )


def _checked(text: str, known: Mapping[str, PatientData]) -> str:
    for name in placeholders(text):
        if name not in known:
            meant = close_to(name, known)
            raise refusal(
                f"there is no placeholder {{{name}}} in this text",
                f"did you mean {{{meant}}}?"
                if meant
                else f"choose from {listed(f'{{{n}}}' for n in known)}",
            )
    rest = _PLACEHOLDER.sub("", text)
    if "{" in rest or "}" in rest:
        raise refusal(
            "a brace without its partner",
            "write a placeholder as {finding}; other braces cannot stand here",
        )
    if not text.strip():
        raise refusal("must not be empty", "write some words, or delete the line")
    return text


def _of_a_finding(text: str) -> str:
    return _checked(text, OF_A_FINDING)


def _of_an_event(text: str) -> str:
    return _checked(text, OF_AN_EVENT)


def one_line(text: str) -> str:
    """Refuse what would break the header of a mail."""
    if not text.isprintable():
        raise refusal("a subject is one line", "write it without line breaks")
    return text


FindingText = Annotated[str, AfterValidator(_of_a_finding)]
FindingSubject = Annotated[str, AfterValidator(one_line), AfterValidator(_of_a_finding)]
EventText = Annotated[str, AfterValidator(_of_an_event)]
EventSubject = Annotated[str, AfterValidator(one_line), AfterValidator(_of_an_event)]
