"""A model gets its first series with the others that a rule asks for, and their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from dicom_sr.context import ResultContext
from inference.series import describe_study
from node.domain.analysis import AnalysisRequest
from node.domain.finding import Findings, Status
from node.domain.study import Instance, StackID, StudyUID
from node.domain.verdict import Companion
from node.pipeline import analysis
from node.pipeline.analysis import AnalysisTask, StudyInput, analyse
from node.pipeline.resident import ModelSetup
from tests.dicom_factory import ct_series, instances, write
from tests.node import words

WHEN = datetime(2026, 1, 5, tzinfo=UTC)
MODEL = "body_composition"


def study_input(rows: Sequence[Instance]) -> StudyInput:
    return StudyInput(
        study_uid=rows[0].study_uid,
        instances=tuple(rows),
        generation=1,
        completed_at=WHEN,
        confidence="all",
    )


def stack_ids(rows: Sequence[Instance]) -> list[StackID]:
    study = describe_study(rows, generation=1, completed_at=WHEN, confidence="all")
    return [series.stack_id for series in study.series]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[AnalysisRequest]:
    requests: list[AnalysisRequest] = []

    def look(request: AnalysisRequest) -> Findings:
        requests.append(request)
        return Findings(model=request.model, status=Status.NOT_ELIGIBLE, reason="seen")

    model = SimpleNamespace(networks={}, analyse=look)
    monkeypatch.setattr(analysis.residents, "get", lambda _setup: model)
    return requests


def task(
    rows: Sequence[Instance], companion: Companion, folder: Path, *others: StudyInput
) -> AnalysisTask:
    first = stack_ids(rows)[0]
    context = ResultContext(
        software_version="0", serial_number="0", station_name="s", configuration_digest="c"
    )
    return AnalysisTask(
        study=study_input(rows),
        setup=ModelSetup(manifest=words.manifest(MODEL)),
        candidates=(first,),
        context=context,
        folder=folder / "out",
        report_not_eligible=False,
        companions=((first, companion),),
        others=others,
    )


def test_a_companion_of_the_same_study_is_handed_over(
    tmp_path: Path, seen: list[AnalysisRequest]
) -> None:
    images = [*ct_series(slices=5), *ct_series(slices=7, series_number=3)]
    rows = instances(write(images, tmp_path))
    other = stack_ids(rows)[1]
    analyse(task(rows, Companion("ct", rows[0].study_uid, other), tmp_path))
    (request,) = seen
    assert request.series.series_number == 2
    assert request.companions["ct"].series.series_number == 3
    assert request.companions["ct"].load().voxels.shape[0] == 7


def test_a_prior_comes_from_its_own_study(tmp_path: Path, seen: list[AnalysisRequest]) -> None:
    rows = instances(write(ct_series(slices=5), tmp_path / "now"))
    before = instances(write(ct_series(slices=6, study_uid="2.25.77"), tmp_path / "prior"))
    companion = Companion("prior", StudyUID("2.25.77"), stack_ids(before)[0])
    analyse(task(rows, companion, tmp_path, study_input(before)))
    assert seen[0].companions["prior"].series.study_uid == "2.25.77"


def test_a_companion_that_was_deleted_meanwhile_is_a_reason(
    tmp_path: Path, seen: list[AnalysisRequest]
) -> None:
    rows = instances(write(ct_series(slices=5), tmp_path))
    companion = Companion("prior", StudyUID("2.25.77"), StackID("2.25.78"))
    result = analyse(task(rows, companion, tmp_path))
    assert result.reason == "the series for the role 'prior' is no longer stored"
    assert seen == []
