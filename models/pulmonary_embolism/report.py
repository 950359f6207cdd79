"""From clots to `Findings`: codes, contours, sentences."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.grid import Mask
from models.outline import outer_polygon
from models.pulmonary_embolism import vocabulary as say
from models.pulmonary_embolism.clots import Clot
from models.pulmonary_embolism.gate import Contrast
from models.pulmonary_embolism.pictures import clot_pictures, overview, slice_picture
from models.pulmonary_embolism.set_aside import SetAside
from models.pulmonary_embolism.space import Space
from models.pulmonary_embolism.ventricles import Ventricles
from models.pulmonary_embolism.vocabulary import Level
from node.domain.analysis import AnalysisRequest
from node.domain.finding import (
    FINDING_SITE,
    CodedConcept,
    Column,
    Contour,
    Evaluation,
    Finding,
    Findings,
    KeyImage,
    Measurement,
    Segment,
    Status,
    derived_uid,
)
from node.domain.label_map import LabelMap, LabelMask

#: Clots that have findings and pictures of their own; the volume counts all of them.
LISTED, PICTURED = 12, 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything found in one series.

    Attributes:
        clots: the surest first. set_aside: places that looked like a clot and are not told.
        blood_hu: attenuation of the blood and where it was measured.
        middle: canonical slice index through the trunk or the hila.
        unseen: which arteries are not in view, or "".
    """

    space: Space
    clots: tuple[Clot, ...]
    set_aside: SetAside
    contrast: Contrast
    blood_hu: float
    where: str
    ventricles: Ventricles
    middle: int
    unseen: str
    seconds: dict[str, float]

    @property
    def left_open(self) -> str:
        """Why that nothing is listed is no negative answer, or ""."""
        return "; ".join(filter(None, (self.unseen, self.set_aside.left_open)))


def findings_of(request: AnalysisRequest, measured: Measured) -> Findings:
    """The result: clots, or that none was found."""
    sure_from = request.thresholds["present"]
    listed = measured.clots[:LISTED]
    planes = sorted({plane for clot in listed for plane in clot.planes})
    values = _label_map(measured, listed, planes)
    pairs = [
        _clot(request, measured, (clot, number, values))
        for number, clot in enumerate(listed, start=1)
    ]
    # Nothing found where not all arteries were seen and judged is no negative answer.
    is_partial = not listed and bool(measured.left_open)
    nothing = Status.PARTIAL if is_partial else Status.NO_FINDINGS
    return Findings(
        model=request.model,
        status=Status.FINDINGS if listed else nothing,
        reason=measured.left_open if is_partial else "",
        findings=tuple(finding for finding, _ in pairs),
        segments=tuple(segment for _, segment in pairs),
        segmented_planes=tuple(
            request.volume.planes[measured.space.grid.source_slice(plane)] for plane in planes
        ),
        exam_evaluations=_evaluations(measured, sure_from),
        exam_measurements=_exam_measurements(measured, sure_from),
        key_images=_pictures(request, measured, [finding for finding, _ in pairs]),
        columns=_COLUMNS if listed else (),
        limits=_limits(measured),
        parameters=_parameters(request, measured),
        seconds=measured.seconds,
    )


_COLUMNS = (
    Column("Where", (FINDING_SITE,)),
    Column("Level", (say.LEVEL,)),
    Column("Volume", (say.VOLUME,)),
    Column("Certainty", (say.CERTAINTY,)),
)


def _label_map(measured: Measured, listed: tuple[Clot, ...], planes: list[int]) -> LabelMap:
    """Numbers from 1 on the slices that hold a clot, in the order of the source."""
    grid = measured.space.grid
    row = {plane: index for index, plane in enumerate(planes)}
    values = np.zeros((len(planes), *_source_shape(measured)), np.uint8)
    for number, clot in enumerate(listed, start=1):
        for plane, part in zip(clot.planes, clot.mask, strict=True):
            whole = np.zeros(grid.shape[1:], np.bool_)
            whole[clot.box] = part
            values[row[plane]][grid.plane_to_source(whole)] = number
    return LabelMap(values)


def _source_shape(measured: Measured) -> tuple[int, int]:
    grid = measured.space.grid
    rows, columns = grid.plane_to_source(np.zeros(grid.shape[1:], np.bool_)).shape
    return rows, columns


def _clot(
    request: AnalysisRequest, measured: Measured, item: tuple[Clot, int, LabelMap]
) -> tuple[Finding, Segment]:
    clot, number, values = item
    sure = clot.certainty >= request.thresholds["present"]
    point = measured.space.to_mm(np.array([clot.candidate.centre], np.float64))[0]
    uid = derived_uid(
        "tracking",
        request.volume.study_uid,
        request.volume.series_uid,
        request.model.name,
        ",".join(f"{value:.1f}" for value in point),
    )
    identifier = f"{'Embolus' if sure else 'Possible embolus'} {number}"
    site, laterality = _site(clot)
    finding = Finding(
        tracking_identifier=identifier,
        tracking_uid=uid,
        finding=say.EMBOLUS,
        category=say.ABNORMAL,
        site=site,
        laterality=laterality,
        contours=tuple(
            Contour(
                plane=request.volume.planes[measured.space.grid.source_slice(index)],
                points=outer_polygon(_source_mask(measured, clot, index)),
            )
            for index in clot.key
        ),
        measurements=_measurements(clot),
        evaluations=(Evaluation(say.LEVEL, clot.level.value),),
        segment_number=number,
    )
    segment = Segment(
        number=number,
        label=f"{identifier}, {clot.level.value}, {_side_words(clot)}",
        category=say.ABNORMAL,
        property_type=say.EMBOLUS,
        mask=LabelMask(values, number),
        colour=say.CLOT_COLOUR if sure else say.POSSIBLE_COLOUR,
        tracking_identifier=identifier,
        tracking_uid=uid,
    )
    return finding, segment


def _source_mask(measured: Measured, clot: Clot, index: int) -> Mask:
    whole = np.zeros(measured.space.grid.shape[1:], np.bool_)
    whole[clot.box] = clot.mask[clot.planes.index(index)]
    return measured.space.grid.plane_to_source(whole)


def _measurements(clot: Clot) -> tuple[Measurement, ...]:
    return (
        Measurement(
            name=say.CERTAINTY,
            value=clot.certainty,
            unit=say.PERCENT,
            label="Certainty",
            decimals=0,
        ),
        Measurement(
            name=say.VOLUME, value=1000.0 * clot.ml, unit=say.MM3, label="Volume", decimals=0
        ),
        Measurement(
            name=say.ATTENUATION,
            value=clot.hu,
            unit=say.HU,
            derivation=say.MEAN,
            label="Mean attenuation",
            decimals=0,
        ),
    )


def _site(clot: Clot) -> tuple[CodedConcept, CodedConcept | None]:
    if clot.side == "both":
        return say.PULMONARY_TRUNK, None
    right = clot.side == "right"
    # The codes of right and left pulmonary artery mean the main branch alone.
    if clot.level is Level.CENTRAL:
        return (say.RIGHT_PULMONARY_ARTERY if right else say.LEFT_PULMONARY_ARTERY), None
    return say.PULMONARY_ARTERY, (say.RIGHT if right else say.LEFT)


def _side_words(clot: Clot) -> str:
    return "astride" if clot.side == "both" else clot.side


def _evaluations(measured: Measured, sure_from: float) -> tuple[Evaluation, ...]:
    best = max((clot.certainty for clot in measured.clots), default=None)
    answer = say.INDETERMINATE if measured.left_open else say.ABSENT
    if best is not None:
        answer = say.PRESENT if best >= sure_from else say.INDETERMINATE
    found = [Evaluation(say.EMBOLISM, answer)]
    sure = [clot for clot in measured.clots if clot.certainty >= sure_from]
    if sure:
        highest = min((clot.level for clot in sure), key=lambda level: level.rank)
        found.append(Evaluation(say.HIGHEST_LEVEL, highest.value))
    if measured.ventricles.withheld:
        found.append(Evaluation(say.VENTRICLES, f"not compared: {measured.ventricles.withheld}"))
    return tuple(found)


def _exam_measurements(measured: Measured, sure_from: float) -> tuple[Measurement, ...]:
    found = [
        Measurement(
            name=say.BLOOD,
            value=measured.blood_hu,
            unit=say.HU,
            label=f"Attenuation of {measured.where}",
            decimals=0,
        )
    ]
    if measured.clots:
        found.insert(
            0,
            Measurement(
                name=say.CERTAINTY,
                value=max(clot.certainty for clot in measured.clots),
                unit=say.PERCENT,
                label="Certainty of the surest mark",
                decimals=0,
            ),
        )
    # What is only possible is no embolus, and adds nothing to the burden.
    sure = [clot for clot in measured.clots if clot.certainty >= sure_from]
    if sure:
        found.append(
            Measurement(
                name=say.CLOT_BURDEN,
                value=1000.0 * sum(clot.ml for clot in sure),
                unit=say.MM3,
                label="Volume of all emboli",
                decimals=0,
            )
        )
    if measured.ventricles.ratio is not None:
        found.append(
            Measurement(
                name=say.VENTRICLE_RATIO,
                value=measured.ventricles.ratio,
                unit=say.RATIO,
                label="Right/left ventricle diameter",
                decimals=2,
            )
        )
    return tuple(found)


def _pictures(
    request: AnalysisRequest, measured: Measured, findings: list[Finding]
) -> tuple[KeyImage, ...]:
    sure_from, planes = request.thresholds["present"], request.volume.planes
    whole = overview(measured.space, measured.clots[:LISTED], sure_from)
    if not findings:
        blank = slice_picture(
            measured.space.grid,
            measured.middle,
            planes,
            f"No embolus was found; {measured.where}: {measured.blood_hu:.0f} HU",
        )
        return (blank, whole)
    found: list[KeyImage] = []
    for clot, finding in list(zip(measured.clots, findings, strict=False))[:PICTURED]:
        title = f"{finding.tracking_identifier}, {clot.level.value}, {_side_words(clot)}"
        words = (title, finding.tracking_uid, clot.certainty >= sure_from)
        found += clot_pictures(measured.space, clot, planes, words)
    return (*found, whole)


def _limits(measured: Measured) -> tuple[str, ...]:
    found = list(say.LIMITS)
    if measured.unseen:
        found.append(f"Not all arteries were in view: {measured.unseen}.")
    if len(measured.clots) > LISTED:
        found.append(f"{len(measured.clots)} clots were found; the {LISTED} surest are listed.")
    found += measured.set_aside.told
    if measured.space.grid.spacing_mm[0] > 1.6:
        found.append(
            f"Slices lie {measured.space.grid.spacing_mm[0]:.1f} mm apart: segmental and smaller "
            "clots can be missed."
        )
    if measured.ventricles.withheld:
        found.append(f"No ratio of the ventricles: {measured.ventricles.withheld}.")
    else:
        found.append(
            "The ratio of the ventricles was taken on axial slices of a beating heart; it is no "
            "echocardiography."
        )
    return tuple(found)


def _parameters(request: AnalysisRequest, measured: Measured) -> tuple[tuple[str, str], ...]:
    wide = measured.ventricles
    found = [
        ("least attenuation of the blood", f"{request.thresholds['contrast_hu']:.0f} HU"),
        ("embolus from", f"{request.thresholds['present']:.0f} %"),
        ("possible embolus from", f"{request.thresholds['possible']:.0f} %"),
        ("slice distance", f"{measured.space.grid.spacing_mm[0]:.2f} mm"),
    ]
    if not wide.withheld:
        found.append(("ventricles", f"right {wide.right_mm:.0f} mm, left {wide.left_mm:.0f} mm"))
    return tuple(found)
