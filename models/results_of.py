"""From the checked section `results:` to the values of `models.manifest_results`."""

from __future__ import annotations

from config.package_results import (
    BoxSection,
    ClassSection,
    LabelSection,
    RegionSection,
    ResultsSection,
)
from models.manifest_results import (
    Aggregate,
    Answer,
    BoxResult,
    ClassResult,
    LabelResult,
    Question,
    RegionResult,
    Results,
    TileReading,
)
from node.domain.finding import CodedConcept

#: PS3.16 CID 7150.
STRUCTURE = CodedConcept("123037004", "SCT", "Anatomical structure")
ABNORMAL = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")
#: TID 1501: the probability of the finding.
CERTAINTY = CodedConcept("111012", "DCM", "Certainty of Finding")


def results_of(section: ResultsSection) -> Results:
    """The same as frozen values, with what the section leaves out filled in."""
    return Results(
        window=section.window,
        limits=section.limits,
        labels=tuple(_label(item) for item in section.labels),
        classes=tuple(_class(item) for item in section.classes),
        questions=tuple(
            Question(
                code=CodedConcept(*item.code),
                answers=tuple(
                    Answer(channel=answer.channel, code=CodedConcept(*answer.code))
                    for answer in item.answers
                ),
            )
            for item in section.questions
        ),
        boxes=tuple(_box(item) for item in section.boxes),
        regions=tuple(_region(item) for item in section.regions),
        aggregate=Aggregate(how=section.aggregate.how, top=section.aggregate.top),
        views=section.views,
        tiles=None
        if section.tiles is None
        else TileReading(
            mpp_um=section.tiles.mpp_um,
            tissue=section.tiles.tissue,
            least_tissue=section.tiles.least_tissue,
            overlap=section.tiles.overlap,
            at_most=section.tiles.at_most,
            stains=section.tiles.stains,
        ),
    )


def _label(section: LabelSection) -> LabelResult:
    code = CodedConcept(*section.code)
    usual = STRUCTURE if section.kind == "structure" else ABNORMAL
    return LabelResult(
        value=section.value,
        name=section.name,
        kind=section.kind,
        code=code,
        category=_coded(section.category, usual),
        site=_coded(section.site, code),
        colour=section.colour,
        laterality=None if section.laterality is None else CodedConcept(*section.laterality),
        measure=section.measure,
        least_ml=section.least_ml,
        at_most=section.at_most,
    )


def _class(section: ClassSection) -> ClassResult:
    return ClassResult(
        channel=section.channel,
        name=section.name,
        code=CodedConcept(*section.code),
        threshold=section.threshold,
        score=_coded(section.score, CERTAINTY),
    )


def _box(section: BoxSection) -> BoxResult:
    return BoxResult(
        channel=section.channel,
        name=section.name,
        code=CodedConcept(*section.code),
        category=_coded(section.category, ABNORMAL),
        site=CodedConcept(*section.site),
        colour=section.colour,
        threshold=section.threshold,
        at_most=section.at_most,
    )


def _region(section: RegionSection) -> RegionResult:
    return RegionResult(
        channel=section.channel,
        name=section.name,
        code=CodedConcept(*section.code),
        category=_coded(section.category, ABNORMAL),
        site=CodedConcept(*section.site),
        colour=section.colour,
        threshold=section.threshold,
        least_mm2=section.least_mm2,
        at_most=section.at_most,
    )


def _coded(stated: tuple[str, str, str] | None, usual: CodedConcept) -> CodedConcept:
    return usual if stated is None else CodedConcept(*stated)
