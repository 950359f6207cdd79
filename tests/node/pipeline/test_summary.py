"""The one line of a result: answers, lesions by name, few numbers, nothing about the patient."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from node.domain.finding import (
    CodedConcept,
    Contour,
    Evaluation,
    Finding,
    Findings,
    Measurement,
    ModelIdentity,
    Status,
)
from node.pipeline.summary import MOST_FINDINGS, MOST_NUMBERS, summarise
from tests.node.words import series

MODEL = ModelIdentity(
    name="m", title="M", version="1", digest="0" * 64, manufacturer="V", task_number=1
)
EMBOLISM = CodedConcept("59282003", "SCT", "Pulmonary embolism")
ABSENT = CodedConcept("272519000", "SCT", "Absent")
LESION = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")
TISSUE = CodedConcept("85756007", "SCT", "Tissue")
EMPTY = Findings(model=MODEL, status=Status.NO_FINDINGS)


def number(label: str, value: float) -> Measurement:
    return Measurement(
        name=CodedConcept("1", "X", label),
        value=value,
        unit=CodedConcept("mm", "UCUM", "millimeter"),
        label=label,
    )


def finding(name: str, category: CodedConcept, count: int = 1) -> Finding:
    return Finding(
        tracking_identifier=name,
        tracking_uid="2.25.1",
        finding=CodedConcept("27925004", "SCT", "Nodule"),
        category=category,
        site=CodedConcept("39607008", "SCT", "Lung"),
        contours=(Contour(series().planes[0], np.zeros((1, 2), np.float32)),),
        measurements=tuple(number(f"Size {n}", 8 + n) for n in range(count)),
        laterality=CodedConcept("24028007", "SCT", "Right"),
    )


def test_an_answer_stands_in_front_and_a_negative_one_is_said_in_words() -> None:
    findings = replace(EMPTY, exam_evaluations=(Evaluation(EMBOLISM, ABSENT),))

    assert summarise(findings) == "No pulmonary embolism detected"


def test_a_lesion_is_named_with_its_side_and_its_first_number_only() -> None:
    findings = replace(EMPTY, status=Status.FINDINGS, findings=(finding("Nodule 1", LESION, 3),))

    assert summarise(findings) == "Nodule 1 (right): Size 0 8.0 mm"


def test_parts_of_the_body_do_not_stand_beside_lesions() -> None:
    both = (finding("Liver", TISSUE), finding("Mass 1", LESION), finding("Possible nodule", LESION))

    said = summarise(replace(EMPTY, status=Status.FINDINGS, findings=both))

    assert said == "Mass 1, nodule (right): Size 0 8.0 mm; Possible nodule (right): Size 0 8.0 mm"


@pytest.mark.parametrize(
    ("items", "most"),
    [
        (tuple(finding(f"Nodule {n}", LESION) for n in range(9)), MOST_FINDINGS),
        ((finding("Muscle", TISSUE, 9),), MOST_NUMBERS),
    ],
)
def test_what_is_too_much_for_a_line_is_counted(items: tuple[Finding, ...], most: int) -> None:
    parts = summarise(replace(EMPTY, status=Status.FINDINGS, findings=items)).split("; ")

    assert len(parts) == most + 1
    assert parts[-1] == f"and {9 - most} more"


def test_numbers_of_the_whole_exam_are_told_where_nothing_else_is() -> None:
    said = summarise(replace(EMPTY, exam_measurements=(number("Score", 3),)))

    assert said == "Score 3.0 mm"


def test_a_result_of_a_part_says_what_it_found() -> None:
    part = replace(
        EMPTY,
        status=Status.PARTIAL,
        reason="the lungs go on",
        findings=(finding("Nodule 1", LESION),),
    )

    assert summarise(part) == "Nodule 1 (right): Size 0 8.0 mm"


def test_a_result_without_answer_and_number_says_how_it_ended() -> None:
    assert summarise(EMPTY) == Status.NO_FINDINGS.value


def test_no_result_has_no_summary() -> None:
    failed = replace(
        EMPTY, status=Status.FAILED, reason="broken", exam_measurements=(number("S", 1),)
    )

    assert summarise(failed) == ""
