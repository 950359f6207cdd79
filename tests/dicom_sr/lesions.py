"""A chest-like study with several lesions, as a nodule model would report them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from inference.volume import load_volume
from models.outline import outer_polygon
from models.three_planes import Lesion, pictures_of
from node.domain.finding import (
    FINDING_SITE,
    CodedConcept,
    Column,
    Contour,
    Evaluation,
    Finding,
    Findings,
    Measurement,
    Segment,
    Status,
    derived_uid,
)
from tests.dicom_sr.results import Case, case

NODULE = CodedConcept("27925004", "SCT", "Nodule")
ABNORMAL = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")
UPPER = CodedConcept("45653009", "SCT", "Upper lobe of lung")
LOWER = CodedConcept("90572001", "SCT", "Lower lobe of lung")
RIGHT = CodedConcept("24028007", "SCT", "Right")
LEFT = CodedConcept("7771000", "SCT", "Left")
SEGMENTAL = CodedConcept("C-SEG", "99VIGIE", "Segmental level")
DIAMETER = CodedConcept("81827009", "SCT", "Diameter")
MEAN = CodedConcept("373098007", "SCT", "Mean")
VOLUME = CodedConcept("118565006", "SCT", "Volume")
CERTAINTY = CodedConcept("111012", "DCM", "Certainty of Finding")
MESH = CodedConcept("L0JK", "IBSI", "Maximum 3D Diameter of a Mesh")
COMPOSITION = CodedConcept("RDE1301", "RADELEMENT", "Composition")
SOLID = CodedConcept("RDE1301.0", "RADELEMENT", "solid")
LUNG_RADS = CodedConcept("RDES267", "RADELEMENT", "Lung-RADS")
PRESENT = CodedConcept("52101004", "SCT", "Present")
COMMENT = CodedConcept("121106", "DCM", "Comment")
MM = CodedConcept("mm", "UCUM", "mm")
MM3 = CodedConcept("mm3", "UCUM", "mm3")
PERCENT = CodedConcept("%", "UCUM", "percent")

COLUMNS = (
    Column("Side, lobe", (FINDING_SITE,)),
    Column("Size", (DIAMETER,)),
    Column("Volume", (VOLUME,)),
    Column("Type", (COMPOSITION,)),
    Column("Lung-RADS", (LUNG_RADS,)),
)
LONG = "A long remark about how this examination was read, and what that means. " * 30


def case_with_lesions(folder: Path, count: int = 3) -> Case:
    """A CT of 24 slices with `count` ellipsoids in it, each with pictures and measurements."""
    it = case(folder)
    volume = load_volume(it.series)
    findings, segments, pictures = [], [], []
    for number in range(1, count + 1):
        box = _ellipsoid(2.0 + number % 6)
        offset = (3 + 2 * (number % 5), 8 + 4 * (number % 8), 6 + 6 * (number % 7))
        uid = derived_uid("lesion", it.series.series_uid, str(number))
        colour = (255, 90 + 20 * (number % 8), 60)
        lesion = Lesion(mask=box, offset=offset, tracking_uid=uid, colour=colour)
        mask = np.zeros(volume.voxels.shape, np.bool_)
        place = tuple(slice(o, o + s) for o, s in zip(offset, box.shape, strict=True))
        mask[place] = box
        findings.append(_finding(number, uid, _contour(it, mask, lesion)))
        segments.append(
            Segment(
                number=number,
                label=f"Nodule {number}",
                category=ABNORMAL,
                property_type=NODULE,
                mask=mask,
                colour=colour,
                tracking_identifier=f"Nodule {number}",
                tracking_uid=uid,
            )
        )
        pictures += pictures_of(volume, lesion)
    said = Findings(
        model=replace(it.findings.model, name="lung_nodules", title="Lung nodules"),
        status=Status.FINDINGS,
        findings=tuple(findings),
        segments=tuple(segments),
        segmented_planes=volume.planes,
        key_images=tuple(pictures),
        columns=COLUMNS,
        exam_evaluations=(Evaluation(NODULE, PRESENT), Evaluation(COMMENT, LONG[:1300])),
        limits=("Nodules below 4 mm are not reported.",),
    )
    return replace(it, findings=said)


def _ellipsoid(radius: float) -> np.ndarray:
    half = int(radius) + 1
    z, y, x = np.mgrid[-1:2, -half : half + 1, -half : half + 1]
    return np.asarray((z / 1.5) ** 2 + (y / radius) ** 2 + (x / (0.8 * radius)) ** 2 <= 1)


def _contour(it: Case, mask: np.ndarray, lesion: Lesion) -> Contour:
    return Contour(it.series.planes[lesion.key_slice], outer_polygon(mask[lesion.key_slice]))


def _finding(number: int, uid: str, contour: Contour) -> Finding:
    return Finding(
        tracking_identifier=f"Nodule {number}",
        tracking_uid=uid,
        finding=NODULE,
        category=ABNORMAL,
        site=UPPER if number % 2 else LOWER,
        laterality=RIGHT if number % 3 else LEFT,
        topography=SEGMENTAL if number == 2 else None,
        contours=(contour,),
        segment_number=number,
        measurements=(
            Measurement(
                name=DIAMETER, value=4.04 * number, unit=MM, derivation=MEAN, label="Mean diameter"
            ),
            Measurement(name=MESH, value=5.0 * number, unit=MM, label="Largest diameter"),
            Measurement(
                name=CERTAINTY, value=87, unit=PERCENT, label="Certainty of finding", decimals=0
            ),
            Measurement(name=VOLUME, value=120.0 * number, unit=MM3, label="Volume", decimals=0),
        ),
        evaluations=(
            Evaluation(COMPOSITION, SOLID),
            Evaluation(LUNG_RADS, f"Lung-RADS 4A (v2022), nodule {number}"),
        ),
    )
