"""What is said of one body: a fracture, a possible one, or neither."""

from __future__ import annotations

from dataclasses import dataclass

from models.vertebral_fractures import vocabulary as say
from models.vertebral_fractures.genant import Grading
from node.domain.finding import CodedConcept


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is said of one body: a fracture, a possible one, or neither."""

    finding: CodedConcept
    colour: tuple[int, int, int]
    words: str
    doubt: str


def verdict_of(grading: Grading, *, present: float, possible: float) -> Verdict:
    """From grade 2 on, sure enough and by form and size alike: a fracture. Less: a possible one.

    Args:
        present, possible: certainty of grade 2 or more, per cent.
    """
    percent = 100 * grading.certainty
    shape = say.SHAPES[grading.deformity]
    words = f"{grading.grade} ({say.GRADE_WORDS[grading.grade]}), {shape}"
    if grading.grade >= 2 and grading.agrees and percent >= present:
        return Verdict(finding=say.FRACTURE, colour=say.FRACTURE_COLOUR, words=words, doubt="")
    if grading.grade == 0 and percent < possible:
        return Verdict(finding=say.MEASURED, colour=say.SOUND_COLOUR, words="0", doubt="")
    doubt = "a mild loss of height, within what can be usual"
    if not grading.agrees:
        doubt = "form and size of the body do not agree on the loss"
    elif grading.grade >= 2:
        doubt = f"grade 2 or more is only {percent:.0f} % certain"
    words = f"possible {words}" if grading.grade else "possible, below 1"
    return Verdict(finding=say.DEFORMITY, colour=say.POSSIBLE_COLOUR, words=words, doubt=doubt)
