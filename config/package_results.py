"""`results:` of a package: what becomes which finding, by label value or output channel.

Same words as `models.manifest_results`; a test holds the two together.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from config.messages import refusal
from config.package_words import Name, Positive, Text
from config.schema.base import Section

_SCHEMES = ("SCT", "DCM", "LN", "UCUM", "RADLEX", "IBSI", "NCIt", "FMA")


def _code(code: tuple[str, str, str]) -> tuple[str, str, str]:
    value, scheme, meaning = code
    if not all(part.strip() for part in code):
        raise refusal(
            "an empty part of a code",
            "write [code value, coding scheme, meaning], for example [78961009, SCT, Spleen]",
        )
    if len(value) > 16 or len(scheme) > 16 or len(meaning) > 64:
        raise refusal(
            "too long for a coded concept (PS3.3 8.1)",
            "code value and scheme have 16 characters at most, the meaning 64",
        )
    if scheme not in _SCHEMES and not scheme.startswith("99"):
        raise refusal(
            f"the coding scheme '{scheme}' is not known here",
            f"write one of {', '.join(_SCHEMES)}, or a private scheme that begins with 99",
        )
    return code


def _digits(value: object) -> object:
    """YAML reads a code of digits as a number; no code begins with a zero."""
    return str(value) if type(value) is int else value


Code = Annotated[
    tuple[Annotated[str, BeforeValidator(_digits)], str, str],
    AfterValidator(_code),
    Field(examples=["[78961009, SCT, Spleen]"]),
]
Colour = Annotated[
    tuple[
        Annotated[int, Field(ge=0, le=255)],
        Annotated[int, Field(ge=0, le=255)],
        Annotated[int, Field(ge=0, le=255)],
    ],
    Field(examples=[[157, 108, 162]]),
]
Channel = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=1)]
Short = Annotated[str, Field(min_length=1, max_length=48)]


class LabelSection(Section):
    """One label value of a segmentation."""

    value: Annotated[int, Field(ge=1, le=65535)]
    name: Short
    kind: Literal["structure", "lesion"] = "structure"
    code: Code
    category: Code | None = None
    site: Code | None = None
    laterality: Code | None = None
    colour: Colour
    measure: tuple[
        Literal[
            "volume", "attenuation", "area", "long_axis", "short_axis", "diameter", "certainty"
        ],
        ...,
    ] = ("volume",)
    least_ml: Annotated[float, Field(ge=0)] = 0.0
    at_most: Annotated[int, Field(ge=1, le=200)] = 50

    @model_validator(mode="after")
    def _placed(self) -> Self:
        if self.kind == "lesion" and self.site is None:
            raise refusal(
                "where the lesion is, is not said",
                "add the code of the organ, for example site: [39607008, SCT, Lung]",
            )
        return self


class ClassSection(Section):
    """One channel of a classification."""

    channel: Channel
    name: Short
    code: Code
    threshold: Text
    score: Code | None = None


class AnswerSection(Section):
    """One channel of a question."""

    channel: Channel
    code: Code


class QuestionSection(Section):
    """A question that the channel with the largest value answers."""

    code: Code
    answers: Annotated[tuple[AnswerSection, ...], Field(min_length=2)]


class BoxSection(Section):
    """One class of a detector."""

    channel: Channel
    name: Short
    code: Code
    category: Code | None = None
    site: Code
    colour: Colour
    threshold: Text
    at_most: Annotated[int, Field(ge=1, le=200)] = 50


class RegionSection(Section):
    """One channel of a tile classifier."""

    channel: Channel
    name: Short
    code: Code
    category: Code | None = None
    site: Code
    colour: Colour
    threshold: Text
    least_mm2: Annotated[float, Field(ge=0)] = 0.0
    at_most: Annotated[int, Field(ge=1, le=200)] = 20


class AggregateSection(Section):
    """Many scores to one."""

    how: Literal["max", "mean", "top"] = "max"
    top: Count = 3


class TilesSection(Section):
    """How a slide is read."""

    mpp_um: Positive
    tissue: Literal["saturation", "all"] = "saturation"
    least_tissue: Annotated[float, Field(ge=0, le=1)] = 0.1
    overlap: Annotated[float, Field(ge=0, lt=1)] = 0.0
    at_most: Count = 200_000
    stains: tuple[Text, ...] = Field(default=(), examples=["[Hematoxylin, Eosin]"])


class ResultsSection(Section):
    """`results:`."""

    window: tuple[float, Positive] | None = Field(default=None, examples=[[40, 400]])
    limits: tuple[Annotated[str, Field(min_length=1, max_length=300)], ...] = ()
    labels: tuple[LabelSection, ...] = ()
    classes: tuple[ClassSection, ...] = ()
    questions: tuple[QuestionSection, ...] = ()
    boxes: tuple[BoxSection, ...] = ()
    regions: tuple[RegionSection, ...] = ()
    aggregate: AggregateSection = AggregateSection()
    views: tuple[Name, ...] = ()
    tiles: TilesSection | None = None

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        values = [label.value for label in self.labels]
        twice = next((value for value in values if values.count(value) > 1), None)
        if twice is not None:
            raise refusal(
                f"label value {twice} stands twice", "give each value one entry", at="labels"
            )
        for key, entries in (("classes", self.classes), ("boxes", self.boxes)):
            channels = [entry.channel for entry in entries]
            twice = next((number for number in channels if channels.count(number) > 1), None)
            if twice is not None:
                raise refusal(
                    f"channel {twice} stands twice", "give each channel one entry", at=key
                )
        return self

    @model_validator(mode="after")
    def _scores_apart(self) -> Self:
        """Several probabilities under one name could not be told apart in a report."""
        if len(self.classes) < 2:
            return self
        scores = [entry.score for entry in self.classes]
        for number, entry in enumerate(self.classes):
            if entry.score is None or scores.count(entry.score) > 1:
                raise refusal(
                    "several classes need a name of their own for their probability",
                    f"add 'score: [P{number + 1}, 99LOCAL, Probability of {entry.name}]'",
                    at=f"classes.{number}.score",
                )
        return self
