"""What a result says, in one line for the ledger, `status`, `explain` and `run`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dicom_sr.wording import answer_sentence, has_result, text_of
from node.domain.finding import Evaluation, Finding, Findings, Measurement

#: More than these make a line that nobody reads; the report has all of them.
MOST_FINDINGS: Final = 3
MOST_NUMBERS: Final = 6


def summarise(findings: Findings) -> str:
    """Answers, abnormal findings, else numbers; without identifiers; "" where there is no result.

    What makes a result one of a part, or none, is its `reason` and not repeated here.
    """
    if not has_result(findings.status):
        return ""
    said = [answer_sentence(item) for item in findings.exam_evaluations if _is_coded(item)]
    abnormal = [item for item in findings.findings if item.is_abnormal]
    if abnormal:
        said += _cut([_in_words(item) for item in abnormal], MOST_FINDINGS)
    elif not said or findings.findings:
        said += _cut([_number(item) for item in _numbers(findings)], MOST_NUMBERS)
    return "; ".join(said) or findings.status.value


def _is_coded(item: Evaluation) -> bool:
    """An answer that is chosen from a list, not a remark."""
    return not isinstance(item.value, str)


def _in_words(item: Finding) -> str:
    name, what = item.tracking_identifier, item.finding.meaning
    named = name if what.lower() in name.lower() else f"{name}, {what.lower()}"
    side = f" ({item.laterality.meaning.lower()})" if item.laterality else ""
    return f"{named}{side}: {_number(item.measurements[0])}" if item.measurements else named + side


def _numbers(findings: Findings) -> Iterator[Measurement]:
    for item in findings.findings:
        yield from item.measurements
    if not findings.findings:
        yield from findings.exam_measurements


def _number(item: Measurement) -> str:
    return f"{item.label} {text_of(item)}"


def _cut(texts: list[str], most: int) -> list[str]:
    more = len(texts) - most
    return texts if more <= 0 else [*texts[:most], f"and {more} more"]
