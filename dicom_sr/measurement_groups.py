"""Measurement groups of TID 1500: TID 1410 on source images, TID 1411 on segments.

Geometry is 2D SCOORD on source images only, and every tracking UID owns at least one, because
viewers show nothing of a report with a group that has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from highdicom import sr
from pydicom import Dataset

from dicom_sr import codes
from dicom_sr.codes import as_code
from dicom_sr.common import ResultInput, clipped
from dicom_sr.segmentation import covered_segments
from dicom_sr.source import study_class
from dicom_sr.wording import rounded
from node.domain.finding import CodedConcept, Contour, Finding, Measurement
from node.domain.study import Plane

#: Units of measurements of a whole volume; they go to the volumetric group where there is one.
VOLUME_UNITS: Final = frozenset({"mm3", "cm3", "ml", "mL", "l", "L"})


def measurement_groups(work: ResultInput, segmentation: Dataset | None) -> list[Sequence[Dataset]]:
    """TID 1410 for each contour, and the TID 1411 twin of each finding that has a segment."""
    groups: list[Sequence[Dataset]] = []
    covered = covered_segments(work) if segmentation is not None else frozenset()
    for finding in work.findings.findings:
        twin = finding.segment_number in covered
        planar = [m for m in finding.measurements if not (twin and m.unit.value in VOLUME_UNITS)]
        for index, contour in enumerate(finding.contours):
            # The numbers stand once, with the first contour; the others share its tracking UID.
            numbers = planar if index == 0 else []
            groups.append(_planar(work, finding, contour, numbers))
        if twin and segmentation is not None:
            volumes = [m for m in finding.measurements if m.unit.value in VOLUME_UNITS]
            groups.append(_volumetric(work, finding, segmentation, volumes))
    return groups


def _planar(
    work: ResultInput, finding: Finding, contour: Contour, numbers: Sequence[Measurement]
) -> Sequence[Dataset]:
    closed = np.concatenate([contour.points, contour.points[:1]]).astype(np.float64)
    region = sr.ImageRegion(
        graphic_type="POINT" if contour.is_point else "POLYLINE",
        graphic_data=closed[:1] if contour.is_point else closed,
        source_image=sr.SourceImageForRegion(
            referenced_sop_class_uid=study_class(
                work.study, work.series, contour.plane.sop_instance_uid
            ),
            referenced_sop_instance_uid=contour.plane.sop_instance_uid,
            referenced_frame_numbers=frames_of(contour.plane),
        ),
    )
    group: Sequence[Dataset] = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(finding),
        referenced_region=region,
        finding_type=as_code(finding.finding),
        finding_category=as_code(finding.category),
        algorithm_id=_algorithm(work),
        finding_sites=[_site(finding)],
        measurements=[_number(finding, item) for item in numbers] or None,
        qualitative_evaluations=_coded_evaluations(finding),
    )
    _append_texts(group, finding)
    return group


def _volumetric(
    work: ResultInput, finding: Finding, segmentation: Dataset, numbers: Sequence[Measurement]
) -> Sequence[Dataset]:
    assert finding.segment_number is not None
    group: Sequence[Dataset] = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(finding),
        referenced_segment=sr.ReferencedSegment(
            sop_class_uid=segmentation.SOPClassUID,
            sop_instance_uid=segmentation.SOPInstanceUID,
            segment_number=finding.segment_number,
            source_series=sr.SourceSeriesForSegmentation(
                referenced_series_instance_uid=str(work.series.series_uid)
            ),
        ),
        finding_type=as_code(finding.finding),
        finding_category=as_code(finding.category),
        algorithm_id=_algorithm(work),
        finding_sites=[_site(finding)],
        measurements=[_number(finding, item) for item in numbers] or None,
    )
    return group


def _tracking(finding: Finding) -> sr.TrackingIdentifier:
    return sr.TrackingIdentifier(
        uid=finding.tracking_uid, identifier=clipped(finding.tracking_identifier)
    )


def _site(finding: Finding) -> sr.FindingSite:
    return sr.FindingSite(
        anatomic_location=as_code(finding.site),
        laterality=as_code(finding.laterality) if finding.laterality else None,
        topographical_modifier=as_code(finding.topography) if finding.topography else None,
    )


def _algorithm(work: ResultInput) -> sr.AlgorithmIdentification:
    """TID 4019: name, version, parameters of the model."""
    model = work.findings.model
    parameters = [f"{name}={value}" for name, value in work.findings.parameters]
    return sr.AlgorithmIdentification(
        name=model.name,
        version=model.version,
        parameters=parameters or None,
        family=as_code(codes.ARTIFICIAL_INTELLIGENCE),
        manufacturer=model.manufacturer,
    )


def _number(finding: Finding, item: Measurement) -> sr.Measurement:
    """TID 1419: a number, with its own place where it was taken at a part of the site."""
    own = None
    if item.topography is not None:
        own = sr.FindingSite(
            anatomic_location=as_code(finding.site),
            topographical_modifier=as_code(item.topography),
        )
    return sr.Measurement(
        finding_sites=[own] if own is not None else None,
        name=as_code(item.name),
        value=rounded(item),
        unit=as_code(item.unit),
        derivation=as_code(item.derivation) if item.derivation else None,
    )


def _coded_evaluations(finding: Finding) -> list[sr.QualitativeEvaluation] | None:
    coded = [
        sr.QualitativeEvaluation(name=as_code(e.name), value=as_code(e.value))
        for e in finding.evaluations
        if isinstance(e.value, CodedConcept)
    ]
    return coded or None


def _append_texts(group: Sequence[Dataset], finding: Finding) -> None:
    for evaluation in finding.evaluations:
        if isinstance(evaluation.value, str):
            group[0].ContentSequence.append(text_item(evaluation.name, evaluation.value))


def frames_of(plane: Plane) -> list[int] | None:
    """Referenced frame numbers of a plane; None for a single-frame image."""
    return None if plane.frame_number is None else [plane.frame_number]


def text_item(name: CodedConcept, value: str) -> sr.TextContentItem:
    """A text that is CONTAINed in its parent."""
    return sr.TextContentItem(
        name=as_code(name), value=value, relationship_type=sr.RelationshipTypeValues.CONTAINS
    )
