"""A reader's answer as JSON, checked field by field; each refusal says what to send instead."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from node.domain.feedback import Answer, MeasuredValue
from node.requests import Refusal

#: An identity of a reader: opaque, short, and fit for a log of another system.
READER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
UID_CHARACTERS: Final = 64
COMMENT_CHARACTERS: Final = 2000
TEXT_CHARACTERS: Final = 64
MEASUREMENTS: Final = 32
_KEYS: Final = (
    "study",
    "tracking_uid",
    "answer",
    "reader",
    "result",
    "measurements",
    "comment",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A checked answer. `result`: key of a job or SOP Instance UID of its report, "" for current.

    `reader`: "" where the request names none.
    """

    study_uid: str
    tracking_uid: str
    answer: Answer
    reader: str = ""
    result: str = ""
    measurements: tuple[MeasuredValue, ...] = ()
    comment: str = field(default="", repr=False)


def parse_answer(body: bytes | None) -> Posted:
    """Read and check the body of a POST; raises Refusal 400 or 422 with the remedy."""
    values = _object(body)
    unknown = sorted(set(values) - set(_KEYS))
    if unknown:
        raise Refusal(422, f"unknown key {unknown[0]!r:.80}", f"known keys: {', '.join(_KEYS)}")
    answer = _text(values, "answer", 16)
    if answer not in [one.value for one in Answer]:
        raise Refusal(
            422,
            "'answer' is missing" if not answer else "'answer' is none of the three",
            'send "accepted", "rejected" or "corrected"',
        )
    posted = Posted(
        study_uid=_uid(values, "study"),
        tracking_uid=_uid(values, "tracking_uid"),
        answer=Answer(answer),
        reader=_text(values, "reader", TEXT_CHARACTERS),
        result=_text(values, "result", 128),
        measurements=_measurements(values.get("measurements")),
        comment=_text(values, "comment", COMMENT_CHARACTERS),
    )
    if posted.measurements and posted.answer is not Answer.CORRECTED:
        raise Refusal(
            422,
            f"an answer '{posted.answer}' has no other measurements",
            "leave 'measurements' out, or answer \"corrected\"",
        )
    if posted.reader and not READER.fullmatch(posted.reader):
        raise Refusal(
            422,
            "'reader' is not an identity",
            "send 1 to 64 letters, digits, . _ @ and -, such as a login name",
        )
    return posted


def _object(body: bytes | None) -> Mapping[str, object]:
    try:
        values = json.loads(body or b"")
    except (ValueError, RecursionError):
        raise Refusal(
            400, "the body is not JSON", "send one JSON object, encoded as UTF-8"
        ) from None
    if not isinstance(values, dict):
        raise Refusal(400, "the body is not a JSON object", "send one JSON object, {...}")
    return values


def _text(values: Mapping[str, object], key: str, longest: int) -> str:
    value = values.get(key, "")
    if not isinstance(value, str):
        raise Refusal(422, f"'{key}' is not a text", f"send '{key}' as a JSON string")
    text = value.strip()
    if len(text) > longest:
        raise Refusal(
            422, f"'{key}' has {len(text)} characters", f"send at most {longest} characters"
        )
    if any(not (char.isprintable() or char in "\n\t") for char in text):
        raise Refusal(422, f"'{key}' has control characters", "send printable text")
    return text


def _uid(values: Mapping[str, object], key: str) -> str:
    text = _text(values, key, UID_CHARACTERS)
    if not _UID.fullmatch(text):
        raise Refusal(
            422,
            f"'{key}' is missing" if not text else f"'{key}' is not a DICOM UID",
            f"send the '{key}' that GET /api/v1/studies/STUDY_UID/findings lists",
        )
    return text


def _measurements(value: object) -> tuple[MeasuredValue, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > MEASUREMENTS:
        raise Refusal(
            422,
            "'measurements' is not a list of at most 32",
            'send [{"name": "Area", "value": 151.2, "unit": "cm2"}]',
        )
    return tuple(_measurement(item) for item in value)


def _measurement(item: object) -> MeasuredValue:
    remedy = 'send each as {"name": "Area", "value": 151.2, "unit": "cm2"} and nothing else'
    if not isinstance(item, dict) or set(item) != {"name", "value", "unit"}:
        raise Refusal(422, "a measurement has other keys than name, value and unit", remedy)
    number = item["value"]
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise Refusal(422, "the value of a measurement is not a number", remedy)
    try:
        value = float(number)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise Refusal(422, "the value of a measurement is not finite", remedy)
    name, unit = _text(item, "name", TEXT_CHARACTERS), _text(item, "unit", TEXT_CHARACTERS)
    if not name or not unit:
        raise Refusal(422, "a measurement has no name or no unit", remedy)
    return MeasuredValue(name=name, value=value, unit=unit)
