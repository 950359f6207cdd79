"""Small cohorts on disk: images of 8 slices, and reports on them that say what a test needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dicom_sr.common import ResultInput
from dicom_sr.report import write_report
from dicom_sr.write import ResultContext
from inference.series import describe_study
from node.domain.finding import (
    CodedConcept,
    Contour,
    Finding,
    Findings,
    Measurement,
    Status,
    derived_uid,
)
from node.domain.study import Series
from tests.dicom_factory import Person, ct_series, instances, uid, write
from tests.dicom_sr.results import CONTEXT, L3, MODEL, WHEN

LESION = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")
NODULE = CodedConcept("27925004", "SCT", "Nodule")
CERTAINTY = CodedConcept("111012", "DCM", "Certainty of Finding")
DIAMETER = CodedConcept("81827009", "SCT", "Diameter")
PERCENT = CodedConcept("%", "UCUM", "percent")
MM = CodedConcept("mm", "UCUM", "mm")


@dataclass(frozen=True, kw_only=True)
class Found:
    """One nodule: on which slice, around which pixel, how sure."""

    slice: int = 3
    column: float = 30.0
    row: float = 30.0
    certainty: float | None = 90.0
    diameter_mm: float = 8.0


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a model says of a study."""

    found: tuple[Found, ...] = ()
    status: Status | None = None
    reason: str = ""
    model: str = "nodules"


@dataclass(frozen=True, kw_only=True)
class OneStudy:
    """One study on disk."""

    study_uid: str
    sop_instance_uids: tuple[str, ...]
    series: Series


class Folder:
    """`images/` and `reports/` below a folder."""

    def __init__(self, folder: Path) -> None:
        self.images, self.reports = folder / "images", folder / "reports"
        self.reports.mkdir(parents=True)

    def study(
        self, name: str, *said: Said, patient: str = "", site: str = "", accession: str = ""
    ) -> OneStudy:
        data_sets = ct_series(
            slices=8,
            rows=64,
            columns=64,
            spacing_mm=5.0,
            pixel_mm=(1.0, 1.0),
            origin=(0.0, 0.0, 0.0),
            study_uid=uid("cohort", name),
            series_uid=uid("cohort", name, "series"),
            patient=Person(patient_id=patient or f"P-{name}"),
        )
        for data_set in data_sets:
            data_set.InstitutionName = site
            data_set.AccessionNumber = accession
        rows = instances(write(data_sets, self.images / name))
        study = describe_study(rows, generation=1, completed_at=WHEN, confidence="test")
        (series,) = study.series
        for one in said:
            work = ResultInput(
                findings=_findings(series, one), study=study, series=series, context=CONTEXT
            )
            self.save(work)
        return OneStudy(
            study_uid=study.study_uid,
            sop_instance_uids=tuple(str(plane.sop_instance_uid) for plane in series.planes),
            series=series,
        )

    def save(self, work: ResultInput, name: str = "") -> Path:
        """Write the report of a result."""
        report = write_report(work, None, ())
        path = self.reports / f"{name or report.SOPInstanceUID}.dcm"
        report.save_as(path, enforce_file_format=True)
        return path


def _findings(series: Series, said: Said) -> Findings:
    status = said.status or (Status.FINDINGS if said.found else Status.NO_FINDINGS)
    return Findings(
        model=replace(MODEL, name=said.model, title=said.model.capitalize()),
        status=status,
        findings=tuple(_nodule(series, n, one) for n, one in enumerate(said.found, 1)),
        reason=said.reason,
    )


def _nodule(series: Series, number: int, found: Found) -> Finding:
    half = 4.0
    corners = [(-half, -half), (half, -half), (half, half), (-half, half)]
    points = np.array([(found.column + dx, found.row + dy) for dx, dy in corners], np.float32)
    measurements = [Measurement(name=DIAMETER, value=found.diameter_mm, unit=MM, label="Diameter")]
    if found.certainty is not None:
        measurements.append(
            Measurement(name=CERTAINTY, value=found.certainty, unit=PERCENT, label="Certainty")
        )
    return Finding(
        tracking_identifier=f"nodule {number}",
        tracking_uid=derived_uid("nodule", series.series_uid, str(number)),
        finding=NODULE,
        category=LESION,
        site=L3,
        contours=(Contour(series.planes[found.slice], points),),
        measurements=tuple(measurements),
    )


def context(**changes: object) -> ResultContext:
    """As CONTEXT, changed."""
    return replace(CONTEXT, **changes)  # type: ignore[arg-type]
