"""How numbers and outcomes are put into words: the same on a page and in a report."""

from __future__ import annotations

from typing import Final

from node.domain.finding import CodedConcept, Findings, Measurement, Status

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
}

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
    """ "151.4 cm²"."""
    return f"{rounded(item):.{item.decimals}f} {unit_text(item.unit)}".rstrip()


def status_sentence(findings: Findings) -> str:
    """The outcome with its reason: "Not analysed: slice gap 7.5 mm after slice 14"."""
    words = STATUS_WORDS[findings.status]
    return f"{words}: {findings.reason}" if findings.reason else words


def has_result(status: Status) -> bool:
    """False where nothing was measured at all."""
    return status not in (Status.FAILED, Status.NOT_ELIGIBLE)
