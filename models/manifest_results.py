"""What becomes of a built-in pipeline's output: `results:` of a `model.yaml`, as frozen values.

Every code is (code value, coding scheme designator, code meaning). Thresholds are names among
the package's `thresholds:`, in per cent, so that a site may set them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from node.domain.finding import CodedConcept

Colour = tuple[int, int, int]
#: Of the voxels of a label; `results.labels[].measure`.
Measure = Literal[
    "volume", "attenuation", "area", "long_axis", "short_axis", "diameter", "certainty"
]
Kind = Literal["structure", "lesion"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelResult:
    """One label value of a segmentation.

    Attributes:
        kind: "structure": expected in the images, one finding for all of it. "lesion": one
            finding for each connected part, and none is a result as well.
        code: what it is. category: PS3.16 CID 7150. site: where; the code itself for structures.
        measure: in this order; "certainty" is the mean probability of its voxels, per cent.
        least_ml: smaller parts are not reported. at_most: lesions listed, the largest first.
    """

    value: int
    name: str
    kind: Kind
    code: CodedConcept
    category: CodedConcept
    site: CodedConcept
    colour: Colour
    laterality: CodedConcept | None = None
    measure: tuple[Measure, ...] = ("volume",)
    least_ml: float = 0.0
    at_most: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassResult:
    """One channel of a classification: present or absent in the exam.

    Attributes:
        threshold: name of the threshold, per cent, from which on it is present.
        score: name of the measurement that holds the probability, per cent.
    """

    channel: int
    name: str
    code: CodedConcept
    threshold: str
    score: CodedConcept


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One channel of a question."""

    channel: int
    code: CodedConcept


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question that one of several channels answers: the one with the largest value."""

    code: CodedConcept
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxResult:
    """One class of a detector: a finding for each box from the threshold on."""

    channel: int
    name: str
    code: CodedConcept
    category: CodedConcept
    site: CodedConcept
    colour: Colour
    threshold: str
    at_most: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionResult:
    """One channel of a tile classifier: the places of a slide from the threshold on.

    Attributes:
        least_mm2: smaller regions are not reported. at_most: regions listed, the largest first.
    """

    channel: int
    name: str
    code: CodedConcept
    category: CodedConcept
    site: CodedConcept
    colour: Colour
    threshold: str
    least_mm2: float = 0.0
    at_most: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """How the scores of many slices, windows, tiles or views become that of the exam.

    Attributes:
        how: "max", "mean", or "top": the mean of the `top` largest.
    """

    how: Literal["max", "mean", "top"] = "max"
    top: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TileReading:
    """How a slide is read.

    Attributes:
        mpp_um: micrometres a pixel that the network learned at.
        tissue: "saturation": only tiles with tissue; "all": every tile.
        least_tissue: fraction of a tile that must be tissue.
        overlap: fraction of a tile shared with the next; of detections the core counts.
        at_most: tiles read; more refuses the slide.
        stains: that the slide must state, in the words of its header; () for any.
    """

    mpp_um: float
    tissue: Literal["saturation", "all"] = "saturation"
    least_tissue: float = 0.1
    overlap: float = 0.0
    at_most: int = 200_000
    stains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """`results:`.

    Attributes:
        window: (centre, width) of the key images; None takes the network's value range.
        limits: sentences that every result carries.
        views: of a classification of several series: the role of the series itself, then
            roles of `needs:`. () for one series.
    """

    window: tuple[float, float] | None = None
    limits: tuple[str, ...] = ()
    labels: tuple[LabelResult, ...] = ()
    classes: tuple[ClassResult, ...] = ()
    questions: tuple[Question, ...] = ()
    boxes: tuple[BoxResult, ...] = ()
    regions: tuple[RegionResult, ...] = ()
    aggregate: Aggregate = Aggregate()
    views: tuple[str, ...] = ()
    tiles: TileReading | None = None
