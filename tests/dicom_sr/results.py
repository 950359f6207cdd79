"""Studies and findings to write results of, small enough to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataset import FileDataset
from pydicom.uid import SecondaryCaptureImageStorage, SegmentationStorage

from dicom_sr.write import ResultContext, write_results
from inference.series import describe_study
from node.domain.finding import (
    CodedConcept,
    Contour,
    Evaluation,
    Finding,
    Findings,
    KeyImage,
    Measurement,
    ModelIdentity,
    Overlay,
    Segment,
    Status,
    derived_uid,
)
from node.domain.study import CompletedStudy, Series
from tests.dicom_factory import ct_series, instances, write

MODEL = ModelIdentity(
    name="body_composition",
    title="Body composition",
    version="1.2.3",
    digest="ab" * 32,
    manufacturer="Vigie",
    task_number=4,
)
WHEN = datetime(2026, 1, 6, 9, 30, tzinfo=UTC)
CONTEXT = ResultContext(
    software_version="0.1.0",
    serial_number="0",
    station_name="vigie",
    configuration_digest="cd" * 32,
).at(WHEN)

AREA = CodedConcept("42798000", "SCT", "Area")
VOLUME = CodedConcept("118565006", "SCT", "Volume")
CM2 = CodedConcept("cm2", "UCUM", "cm2")
CM3 = CodedConcept("cm3", "UCUM", "cm3")
MUSCLE = CodedConcept("127954009", "SCT", "Skeletal muscle")
TISSUE = CodedConcept("85756007", "SCT", "Tissue")
L3 = CodedConcept("36470004", "SCT", "L3 vertebra")
EMBOLISM = CodedConcept("59282003", "SCT", "Pulmonary embolism")
ABSENT = CodedConcept("272519000", "SCT", "Absent")

LIMITS = ("Arms in the field of view are left out.", "Trained on simulated anatomy.")


@dataclass(frozen=True)
class Case:
    """A study on disk with what was found on it."""

    study: CompletedStudy
    series: Series
    findings: Findings

    def results(self, context: ResultContext = CONTEXT) -> tuple[Dataset, ...]:
        return write_results(self.findings, self.study, self.series, context)

    def having(self, **changes: Any) -> Case:
        """The same with other findings."""
        return replace(self, findings=replace(self.findings, **changes))


def case(folder: Path, status: Status = Status.FINDINGS, **options: Any) -> Case:
    """A CT of 24 slices (options of `dicom_factory.Ct`) with an ellipse found on slice 12."""
    return case_of(ct_series(**{"slices": 24, **options}), folder, status)


def case_of(
    data_sets: Sequence[FileDataset], folder: Path, status: Status = Status.FINDINGS
) -> Case:
    """The same on any data sets of one series."""
    rows = instances(write(data_sets, folder))
    study = describe_study(rows, generation=1, completed_at=WHEN, confidence="test")
    series = study.series[0]
    return Case(study, series, found(series, status))


def ellipse(rows: int = 64, columns: int = 64) -> NDArray[np.bool_]:
    """A mask (row, column) that is nowhere symmetric: centre (40, 25), semi-axes 9 and 15."""
    row, column = np.mgrid[:rows, :columns]
    return np.asarray(((row - 40) / 9) ** 2 + ((column - 25) / 15) ** 2 <= 1)


def outline(mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Contour along the outer pixel edges of a mask whose rows are single runs, SCOORD."""
    left, right = [], []
    for row in np.flatnonzero(mask.any(axis=1)):
        columns = np.flatnonzero(mask[row])
        left += [(columns[0], row), (columns[0], row + 1)]
        right += [(columns[-1] + 1, row), (columns[-1] + 1, row + 1)]
    return np.array([*right, *left[::-1]], np.float32)


def found(series: Series, status: Status) -> Findings:
    """Findings of any status."""
    if status in (Status.FAILED, Status.NOT_ELIGIBLE):
        return Findings(model=MODEL, status=status, reason="slice gap 7.5 mm after slice 14")
    mask = ellipse()
    plane = series.planes[12]
    key = KeyImage(
        pixels=np.where(mask, 60.0, -100.0).astype(np.float32),
        window=(40, 400),
        pixel_mm=(0.8, 0.8),
        plane=plane,
        caption="Slice 13, window 40/400 HU",
        overlays=(Overlay(mask=mask, colour=(255, 80, 80), label="Skeletal muscle"),),
        edges=("R", "L", "A", "P"),
    )
    if status is Status.NO_FINDINGS:
        return Findings(
            model=MODEL,
            status=status,
            exam_evaluations=(Evaluation(EMBOLISM, ABSENT),),
            key_images=(replace(key, overlays=()),),
            limits=LIMITS,
        )
    tracking = derived_uid("test", series.series_uid)
    finding = Finding(
        tracking_identifier="L3 skeletal muscle",
        tracking_uid=tracking,
        finding=MUSCLE,
        category=TISSUE,
        site=L3,
        contours=(Contour(plane, outline(mask)),),
        measurements=(
            Measurement(name=AREA, value=154.64, unit=CM2, label="Skeletal muscle area"),
            Measurement(name=VOLUME, value=41.2, unit=CM3, label="Volume in this slice"),
        ),
        segment_number=1,
    )
    segment = Segment(
        number=1,
        label="Skeletal muscle",
        category=TISSUE,
        property_type=MUSCLE,
        mask=mask[None],
        colour=(255, 80, 80),
        tracking_identifier="L3 skeletal muscle",
        tracking_uid=tracking,
    )
    return Findings(
        model=MODEL,
        status=status,
        findings=(finding,),
        segments=(segment,),
        segmented_planes=(plane,),
        exam_measurements=(
            Measurement(name=VOLUME, value=1234.5, unit=CM3, label="Muscle volume of the trunk"),
        ),
        key_images=(key,),
        limits=LIMITS,
        parameters=(("muscle", "-29 to 150 HU"),),
        reason="the scan ends below L4" if status is Status.PARTIAL else "",
        seconds={"network": 1.5},
    )


def encoded(data_set: Dataset) -> bytes:
    """The Part 10 file of a data set."""
    stream = BytesIO()
    data_set.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def report_of(results: Sequence[Dataset]) -> Dataset:
    """The one SR."""
    (report,) = [item for item in results if item.Modality == "SR"]
    return report


def segmentations_of(results: Sequence[Dataset]) -> list[Dataset]:
    """Every SEG."""
    return [item for item in results if item.SOPClassUID == SegmentationStorage]


def captures_of(results: Sequence[Dataset]) -> list[Dataset]:
    """Every secondary capture."""
    return [item for item in results if item.SOPClassUID == SecondaryCaptureImageStorage]
