"""How numbers and outcomes are put into words: the same on a page and in a report."""

from __future__ import annotations

import re
from typing import Final

from node.domain.finding import CodedConcept, Evaluation, Findings, Measurement, Status

#: UCUM codes as a radiologist writes them; any other unit is shown by its meaning.
UNIT_TEXT: Final = {
    "cm2": "cm²",
    "mm2": "mm²",
    "cm3": "cm³",
    "mm3": "mm³",
    "mm": "mm",
    "cm": "cm",
    "ml": "ml",
    "mL": "ml",
    "[hnsf'U]": "HU",
    "%": "%",
    "1": "",
    "g/ml{SUVbw}": "SUVbw",
    "cm2/m2": "cm²/m²",
    "d": "days",
    "{ratio}": "",
}

#: (272519000, SCT, Absent)
ABSENT: Final = ("272519000", "SCT")

STATUS_WORDS: Final = {
    Status.FINDINGS: "Analysed, with findings",
    Status.NO_FINDINGS: "Analysed, nothing found",
    Status.PARTIAL: "Analysed in part",
    Status.FAILED: "AI could not process this study",
    Status.NOT_ELIGIBLE: "Not analysed",
}

RESEARCH_COMMENT: Final = (
    "FOR RESEARCH USE ONLY. NOT FOR DIAGNOSIS. Produced by software without human "
    "verification; every value needs to be confirmed by a qualified reader."
)
CLEARED_COMMENT: Final = (
    "Produced by software without human verification; every value needs to be confirmed "
    "by a qualified reader."
)
NO_RESULT: Final = "No result exists for this task. This is not a negative finding."


def rounded(item: Measurement) -> float:
    """The value with the decimals that it deserves."""
    return round(float(item.value), item.decimals) + 0.0


def unit_text(unit: CodedConcept) -> str:
    """ "cm²" for (cm2, UCUM, ...)."""
    return UNIT_TEXT.get(unit.value, unit.meaning)


def text_of(item: Measurement) -> str:
    """ "151.4 cm²", and "+3.4 mm" of a change."""
    sign = "+" if item.is_change else ""
    return f"{rounded(item):{sign}.{item.decimals}f} {unit_text(item.unit)}".rstrip()


def raised_digits(text: str) -> str:
    """ "12 cm2/m2" as "12 cm²/m²", wherever a unit of area or volume stands in a sentence."""
    return re.sub(
        r"\b([cm]?m)([23])\b", lambda unit: unit[1] + ("²" if unit[2] == "2" else "³"), text
    )


def sentence(text: str) -> str:
    """The text with a capital in front, where it begins with a word."""
    first = text.split(" ", maxsplit=1)[0]
    return text[:1].upper() + text[1:] if first.islower() and first.isalpha() else text


def answer_sentence(item: Evaluation) -> str:
    """ "No pulmonary embolism detected", or "question: answer"."""
    if isinstance(item.value, str):
        # A bare comment needs no "Comment:" in front of it.
        is_comment = (item.name.value, item.name.scheme) == ("121106", "DCM")
        return item.value if is_comment else f"{item.name.meaning}: {item.value}"
    if (item.value.value, item.value.scheme) == ABSENT:
        name = item.name.meaning
        return f"No {name[:1].lower()}{name[1:]} detected"
    return f"{item.name.meaning}: {item.value.meaning}"


def answer_text(item: Evaluation) -> str:
    """The answer alone, without its question."""
    return item.value if isinstance(item.value, str) else item.value.meaning


def short_answer(item: Evaluation) -> str:
    """The answer, with its question only where it does not speak for itself."""
    text = answer_text(item)
    speaks = text.endswith(".") or text.lower().startswith(item.name.meaning.lower())
    return text if isinstance(item.value, str) and speaks else answer_sentence(item)


def status_sentence(findings: Findings) -> str:
    """The outcome with its reason: "Not analysed: slice gap 7.5 mm after slice 14"."""
    words = STATUS_WORDS[findings.status]
    return f"{words}: {findings.reason}" if findings.reason else words


def has_result(status: Status) -> bool:
    """False where nothing was measured at all."""
    return status not in (Status.FAILED, Status.NOT_ELIGIBLE)
