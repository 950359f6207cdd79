"""What is said of one body: a fracture, a possible one, or neither."""

from __future__ import annotations

from dataclasses import dataclass

from models.vertebral_fractures import vocabulary as say
from models.vertebral_fractures.genant import Grading
from node.domain.finding import CodedConcept

#: Probability of any loss beyond what bodies differ anyway, without which nothing is a fracture.
SURELY_LOST = 0.80


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is said of one body: a fracture, a possible one, or neither.

    Attributes:
        words: grade and shape. shape: alone, "" where no height is lost. grade: alone, as it
            stands beside a picture.
    """

    finding: CodedConcept
    colour: tuple[int, int, int]
    words: str
    shape: str = ""
    grade: str = ""
    doubt: str = ""

    @property
    def is_abnormal(self) -> bool:
        """A fracture, or a possible one."""
        return self.finding in (say.FRACTURE, say.DEFORMITY)


#: Of each body where too few were measured to hold heights against one another.
NOT_GRADED = Verdict(finding=say.UNGRADED, colour=say.UNGRADED_COLOUR, words="not graded")


def verdict_of(grading: Grading, *, present: float, possible: float) -> Verdict:
    """A loss that is sure enough, by form and size alike: a fracture; else possible, or none.

    Sure enough is grade 2 or more by `present`, and any loss at all by `SURELY_LOST`. The two hold
    for a body of grade 1 too, where its loss is just below grade 2; the words say so.

    Args:
        present, possible: certainty of grade 2 or more, per cent.
    """
    percent = 100 * grading.certainty
    shape = say.SHAPES[grading.deformity]
    grade = str(grading.grade)
    words = f"{grade} ({say.GRADE_WORDS[grading.grade]}), {shape}"
    doubtful = grading.is_behind_alone or grading.may_be_usual or grading.may_be_sacral
    is_of_a_fracture = grading.agrees and not doubtful
    if is_of_a_fracture and percent >= present and grading.lost >= SURELY_LOST:
        if grading.grade < 2:
            grade, words = "1 to 2", f"1 to 2 (mild to moderate), {shape}"
        return Verdict(
            finding=say.FRACTURE,
            colour=say.FRACTURE_COLOUR,
            words=words,
            shape=shape,
            grade=grade,
        )
    if grading.grade == 0 and percent < possible:
        return Verdict(finding=say.MEASURED, colour=say.SOUND_COLOUR, words="0")
    doubt = "a mild loss of height, within what can be usual"
    if not grading.agrees:
        doubt = "form and size of the body do not agree on the loss"
    elif grading.is_behind_alone:
        doubt = "height is lost behind alone, which no usual form of a fracture is"
    elif grading.may_be_sacral:
        doubt = (
            "it narrows to the front, it is the lowest one, and its level is not known: it may be "
            "the first piece of the sacrum"
        )
    elif grading.may_be_usual:
        doubt = (
            "it is low as a whole, nearly all its neighbours lie on one side, and its level is not "
            "known: it may be usual for this person, or a transitional vertebra may be near"
        )
    elif grading.grade >= 2 or percent >= present:
        doubt = f"grade 2 or more is only {percent:.0f} % certain"
    words = f"possible {words}" if grading.grade else "possible, below grade 1"
    return Verdict(
        finding=say.DEFORMITY,
        colour=say.POSSIBLE_COLOUR,
        words=words,
        shape=shape,
        grade=f"{grade}?" if grading.grade else "below 1?",
        doubt=doubt,
    )
