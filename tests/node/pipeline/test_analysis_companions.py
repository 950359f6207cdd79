"""A model gets its first series with the others that a rule asks for, and their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydicom import dcmread

from config.schema.needs import Need
from dicom_sr.context import Predecessor, ResultContext
from inference.series import describe_study
from node.domain.analysis import AnalysisRequest
from node.domain.finding import Findings, Status, Tracked
from node.domain.study import Instance, StackID, StudyUID
from node.domain.verdict import Companion
from node.pipeline import analysis
from node.pipeline.analysis import AnalysisTask, analyse
from node.pipeline.others import StudyInput
from node.pipeline.priors import PriorResult
from node.pipeline.resident import ModelSetup
from tests.dicom_factory import Person, ct_series, instances, write
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
        context=context.at(WHEN),
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


PRIOR = StudyUID("2.25.77")
TRACKED = Tracked(
    tracking_uid="2.25.5",
    identifier="Nodule 1",
    finding="27925004 SCT",
    laterality="",
    frame_of_reference_uid="2.25.6",
    centre_mm=(1.0, 2.0, 3.0),
    radius_mm=4.0,
)
REPORT = Predecessor(
    study_uid=PRIOR,
    series_uid="2.25.8",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.88.34",
    sop_instance_uid="2.25.9",
    instance_number=1,
)


def with_prior(folder: Path, **of_the_prior: object) -> tuple[AnalysisTask, list[Instance]]:
    """A task whose package can do without the prior that it has."""
    rows = instances(write(ct_series(slices=5), folder / "now"))
    images = ct_series(slices=6, study_uid=PRIOR, **of_the_prior)  # type: ignore[arg-type]
    before = instances(write(images, folder / "prior"))
    companion = Companion("prior", PRIOR, stack_ids(before)[0])
    made = task(rows, companion, folder, study_input(before))
    need = Need.model_validate({"study": "prior", "optional": True, "series": {"modality": "CT"}})
    manifest = replace(made.setup.manifest, needs={"prior": need})
    known = PriorResult(study_uid=PRIOR, tracked=(TRACKED,), report=REPORT)
    return replace(made, setup=ModelSetup(manifest=manifest), priors=(known,)), list(before)


def test_a_prior_comes_with_its_date_and_with_what_was_tracked_in_it(
    tmp_path: Path, seen: list[AnalysisRequest]
) -> None:
    made, _ = with_prior(tmp_path)
    analyse(made)
    (request,) = seen
    prior = request.companions["prior"]
    assert prior.tracked == (TRACKED,)
    assert len(prior.study_date) == len(request.study_date) == 8


def test_an_analysis_that_can_do_without_its_prior_runs_when_it_was_deleted_meanwhile(
    tmp_path: Path, seen: list[AnalysisRequest]
) -> None:
    made, _ = with_prior(tmp_path)
    assert analyse(replace(made, others=())).reason == "seen"
    assert dict(seen[0].companions) == {}


def test_images_that_belong_to_somebody_else_by_now_are_no_prior(
    tmp_path: Path, seen: list[AnalysisRequest]
) -> None:
    made, _ = with_prior(tmp_path, patient=Person(patient_id="SOMEBODY-ELSE"))
    analyse(made)
    assert dict(seen[0].companions) == {}


@pytest.mark.parametrize("is_compared", [True, False])
def test_a_report_lists_the_prior_as_other_evidence_only_where_it_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_compared: bool
) -> None:
    def look(request: AnalysisRequest) -> Findings:
        if is_compared:
            request.companions["prior"].load()
        return Findings(model=request.model, status=Status.NO_FINDINGS)

    model = SimpleNamespace(networks={}, analyse=look)
    monkeypatch.setattr(analysis.residents, "get", lambda _setup: model)
    made, before = with_prior(tmp_path)
    result = analyse(made)
    (path,) = [item.path for item in result.objects if item.kind == "report"]
    report = dcmread(path)
    own = {str(i.sop_instance_uid) for i in made.study.instances}
    current = {
        str(item.ReferencedSOPInstanceUID)
        for study in report.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert own <= current
    assert ("PertinentOtherEvidenceSequence" in report) is is_compared
    if is_compared:
        (study,) = report.PertinentOtherEvidenceSequence
        assert study.StudyInstanceUID == PRIOR
        listed = {
            str(item.ReferencedSOPInstanceUID)
            for series in study.ReferencedSeriesSequence
            for item in series.ReferencedSOPSequence
        }
        assert listed == {str(i.sop_instance_uid) for i in before} | {REPORT.sop_instance_uid}


@pytest.mark.parametrize(
    "other", [{"patient_id": "SOMEBODY-ELSE"}, {"birth_date": "19610101"}, {"sex": "M"}]
)
def test_a_prior_that_is_not_used_is_told_in_the_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: dict[str, str]
) -> None:
    found = done_with(tmp_path, monkeypatch, patient=Person(**other))
    told = (
        "The series for the role 'prior' was not used: it is of a patient whose identity differs."
    )
    assert told in found


@pytest.mark.parametrize("keyword", ["PatientID", "PatientBirthDate"])
def test_where_the_pacs_contradicts_the_images_nothing_is_their_prior(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keyword: str
) -> None:
    found = done_with(tmp_path, monkeypatch, held={keyword: "19990101"})
    assert any("the PACS contradicts the identity in these images" in text for text in found)


def test_a_prior_that_the_pacs_holds_under_another_patient_is_said_to_be_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = done_with(tmp_path, monkeypatch, apart=True)
    assert any("held by the PACS under another patient" in text for text in found)
    assert not any("no longer stored" in text for text in found)


def test_a_prior_that_is_used_adds_no_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert done_with(tmp_path, monkeypatch) == ("its own",)


def limits_kept(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Filled with the limits of each result of a model that finds nothing."""
    limits: list[tuple[str, ...]] = []

    def kept(findings: Findings, *_: object) -> Findings:
        limits.append(findings.limits)
        return findings

    def look(request: AnalysisRequest) -> Findings:
        return Findings(model=request.model, status=Status.NO_FINDINGS, limits=("its own",))

    model = SimpleNamespace(networks={}, analyse=look)
    monkeypatch.setattr(analysis.residents, "get", lambda _setup: model)
    monkeypatch.setattr(analysis, "keep_tracking", kept)
    return limits


def done_with(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    held: dict[str, str] | None = None,
    *,
    apart: bool = False,
    **of_the_prior: object,
) -> tuple[str, ...]:
    """Limits of the findings of a run that could have compared with a prior."""
    limits = limits_kept(monkeypatch)
    made, _ = with_prior(folder, **of_the_prior)
    context = replace(made.context, identity=tuple((held or {}).items()))
    strangers = tuple(one.study_uid for _, one in made.companions) if apart else ()
    analyse(replace(made, context=context, apart=strangers))
    return limits[0]


def test_other_images_of_a_series_that_is_no_single_stack_are_told_in_the_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = limits_kept(monkeypatch)
    lower = ct_series(slices=6, series_uid="2.25.5", changes={"AcquisitionNumber": 1})
    upper = ct_series(slices=5, series_uid="2.25.5", changes={"AcquisitionNumber": 2})
    for image in upper:
        image.SOPInstanceUID = f"{image.SOPInstanceUID}1"
        image.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    rows = instances(write([*lower, *upper], tmp_path / "now"))
    first, second = stack_ids(rows)
    unused = Companion("ct", rows[0].study_uid, second)
    analyse(replace(task(rows, unused, tmp_path), candidates=(first,), companions=()))
    told, own = limits[0]
    assert told.startswith("The series holds 2 sets of images that are no single stack; only the ")
    assert own == "its own"
