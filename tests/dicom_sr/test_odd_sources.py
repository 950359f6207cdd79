"""A result is owed for any image that was received, whoever wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dicom_sr.validation import validate
from inference.series import describe_study
from node.domain.finding import Status
from tests.dicom_factory import ct_series, instances
from tests.dicom_sr.results import WHEN, Case, case, case_of, encoded, found

LARGEST = 5_000_000


def test_images_of_a_retired_class_are_answered(tmp_path: Path) -> None:
    retired = "1.2.840.10008.5.1.4.1.1.6"  # Ultrasound Image Storage (Retired)
    it = case(tmp_path, Status.NOT_ELIGIBLE, changes={"SOPClassUID": retired})
    results = it.results()
    assert "SR" in {item.Modality for item in results}
    validate(results, it.study)


@pytest.mark.parametrize(
    ("keyword", "value", "written"),
    [("PatientSize", "1.78", b"1,78"), ("PatientWeight", "76.5", b"76kg")],
)
@pytest.mark.parametrize("status", [Status.FINDINGS, Status.FAILED])
def test_number_that_is_none_costs_no_result(
    tmp_path: Path, keyword: str, value: str, written: bytes, status: Status
) -> None:
    it = case_of(ct_series(slices=20, changes={keyword: value}), tmp_path, status)
    for image in it.series.instances:
        raw = image.extent.path.read_bytes()
        assert value.encode() in raw
        image.extent.path.write_bytes(raw.replace(value.encode(), written))
    results = it.results()
    validate(results, it.study)
    assert all(not item.get(keyword) for item in results)


def test_truncated_images_are_answered(tmp_path: Path) -> None:
    it = case_of(ct_series(slices=6), tmp_path, Status.FAILED)
    for image in it.series.instances:
        image.extent.path.write_bytes(image.extent.path.read_bytes()[:700])
    results = it.results()
    assert "SR" in {item.Modality for item in results}
    validate(results, it.study)


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.filterwarnings("ignore")
def test_every_odd_file_gets_a_valid_report_that_it_could_not_be_processed(
    shared_images: Path,
) -> None:
    files = [p for p in sorted((shared_images / "odd_dicom").rglob("*")) if p.is_file()]
    told = 0
    for path in files:
        if path.stat().st_size > LARGEST or path.suffix == ".csv":
            continue
        rows = instances([path])
        study = describe_study(rows, generation=1, completed_at=WHEN, confidence="test")
        series = study.series[0]
        it = Case(study, series, found(series, Status.FAILED))
        results = it.results()
        validate(results, it.study)
        assert all(encoded(item) for item in results)
        told += 1
    assert told > 100
