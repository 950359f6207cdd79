"""Packages that build on the anatomy of a series get one that was computed once."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from dicom_sr.context import ResultContext
from inference.shared_anatomy import decoded, encoded, see_shared
from node.domain.analysis import AnalysisRequest
from node.domain.anatomy import Anatomy, Vertebra
from node.domain.errors import ModelError
from node.domain.finding import Findings, Status
from node.domain.verdict import Job, ModelName
from node.ledger import Ledger
from node.ledger.jobs import JobRow
from node.metrics import Metrics
from node.pipeline import seeing
from node.pipeline.analysis import AnalysisTask, analyse
from node.pipeline.decoding import Decoding, DecodingSettings
from node.pipeline.resident import ModelSetup
from node.pipeline.volumes import Volumes
from tests.dicom_factory import ct_series, instances, write
from tests.inference.reading import describe
from tests.node import words
from tests.node.pipeline.test_analysis_companions import study_input

ANATOMY = ModelSetup(manifest=words.manifest("anatomy"))


def anatomy(seed: int = 0) -> Anatomy:
    labels = np.random.default_rng(seed).integers(0, 4, (5, 6, 7)).astype(np.uint8)
    return Anatomy(
        labels=labels,
        affine=np.diag([2.0, 2.0, 2.0, 1.0]) + 1 / 3,
        names={1: "body", 2: "liver", 3: "vertebra_L3"},
        vertebrae=(
            Vertebra(
                level="L3", value=3, centre_mm=(0.1, 0.2, 1 / 3),
            ),
        ),
        anchors=("sacrum",),
        doubts=(),
        model_digest="ab" * 32,
        cut=("liver",),
    )  # fmt: skip


class Ward:
    """A study of one series, with the node's memory for what its jobs share."""

    def __init__(self, ledger: Ledger, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.ledger, self.folder, self.metrics = ledger, folder, Metrics()
        self.rows = tuple(instances(write(ct_series(slices=6), folder / "in")))
        for row in self.rows:
            ledger.instances.record(row)
        self.series = describe(self.rows).series[0]
        decoding = Decoding(
            ledger,
            None,  # type: ignore[arg-type]
            DecodingSettings(limit_bytes=0, sop_classes=frozenset()),
            self.metrics,
        )
        sizes = SimpleNamespace(voxels_of=lambda _study, _candidates: 6 * 64 * 64)
        self.volumes = Volumes(ledger, decoding, sizes, self.metrics, 1 << 30)
        self.runs: list[str] = []
        self.handed: dict[str, Anatomy] = {}
        self.faults = 0

        def see(request: AnalysisRequest) -> Anatomy:
            self.runs.append(request.model.name)
            if self.faults:
                self.faults -= 1
                raise ModelError("the network failed")
            return anatomy()

        def look(request: AnalysisRequest) -> Findings:
            assert request.anatomy is not None
            # Asked twice, as by two stages of a pipeline.
            request.anatomy()
            self.handed[request.model.name] = request.anatomy()
            return Findings(model=request.model, status=Status.NOT_ELIGIBLE, reason="seen")

        model = SimpleNamespace(networks={}, analyse=look)
        patch.setattr(seeing.residents, "get", lambda _setup: model)
        patch.setattr(seeing, "seer_of", lambda _manifest: see)

    def job(self, model: str) -> JobRow:
        self.ledger.jobs.add(
            Job(
                key=model,
                study_uid=self.rows[0].study_uid,
                candidates=(self.series.stack_id,),
                model=ModelName(model),
                generation=1,
                priority=50,
            ),
            destinations=[],
        )
        row = self.ledger.jobs.get(model)
        assert row is not None
        return row

    def task(self, model: str) -> AnalysisTask:
        context = ResultContext(
            software_version="0", serial_number="0", station_name="s", configuration_digest="c"
        )
        return AnalysisTask(
            study=study_input(self.rows),
            setup=ModelSetup(manifest=words.manifest(model)),
            candidates=(self.series.stack_id,),
            context=context,
            folder=self.folder / "out",
            report_not_eligible=False,
            anatomy=ANATOMY,
        )

    def run(self, job: JobRow) -> None:
        task = self.volumes.provide(job, self.task(job.model), lambda: False)
        self.volumes.count(analyse(task))

    def counted(self, name: str) -> float:
        value: Any = self.metrics.registry.get_sample_value(name)
        return float(value)


@pytest.fixture
def ward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ward]:
    (tmp_path / "store").mkdir()
    ledger = Ledger(tmp_path / "store")
    yield Ward(ledger, tmp_path, monkeypatch)
    ledger.close()


def test_one_run_serves_three_packages_and_the_metrics_say_so(ward: Ward) -> None:
    jobs = [ward.job(name) for name in ("fractures", "body_composition", "anatomy")]
    for job in jobs:
        ward.run(job)
    assert ward.runs == ["anatomy"]
    assert ward.counted("vigie_anatomy_runs_total") == 1
    assert ward.counted("vigie_anatomy_reused_total") == 2
    first, *others = (ward.handed[job.model] for job in jobs)
    for other in others:
        assert np.array_equal(other.labels, first.labels)
        assert np.array_equal(other.affine, first.affine)
        assert replace(other, labels=first.labels, affine=first.affine) == first


def test_other_images_of_the_series_are_seen_anew(ward: Ward) -> None:
    one, two = ward.job("fractures"), ward.job("body_composition")
    ward.run(one)
    ward.rows = ward.rows[:-1]
    ward.run(two)
    assert ward.runs == ["anatomy", "anatomy"]


def test_what_failed_for_one_package_is_tried_for_the_next(ward: Ward) -> None:
    one, two = ward.job("fractures"), ward.job("body_composition")
    ward.faults = 1
    with pytest.raises(ModelError, match="the network failed"):
        ward.run(one)
    ward.run(two)
    assert ward.runs == ["anatomy", "anatomy"]
    assert set(ward.handed) == {"body_composition"}


def test_memory_of_the_anatomy_is_let_go_with_the_last_job(ward: Ward) -> None:
    one, _ = ward.job("fractures"), ward.job("body_composition")
    task = ward.volumes.provide(one, ward.task("fractures"), lambda: False)
    file = task.anatomies[ward.series.stack_id]
    ward.ledger.jobs.supersede_others(ward.rows[0].study_uid, frozenset())
    ward.volumes.sweep()
    assert ward.volumes.held_bytes == 0
    with pytest.raises(OSError, match=r"."):
        file.open(0)


def test_a_package_that_asks_for_none_gets_none(ward: Ward) -> None:
    one, _ = ward.job("fractures"), ward.job("body_composition")
    task = replace(ward.task("fractures"), anatomy=None)
    assert ward.volumes.provide(one, task, lambda: False).anatomies == {}


def test_every_number_comes_back_exactly() -> None:
    before = anatomy(3)
    after = decoded(encoded(before))
    assert np.array_equal(after.labels, before.labels)
    assert np.array_equal(after.affine, before.affine)
    assert replace(after, labels=before.labels, affine=before.affine) == before


def test_a_fault_in_its_code_names_the_package_and_is_not_tried_twice(
    ward: Ward, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = ward.job("fractures"), ward.job("body_composition")
    tried: list[str] = []

    def see(request: AnalysisRequest) -> Anatomy:
        tried.append(request.model.name)
        raise OSError("no such file")

    monkeypatch.setattr(seeing, "seer_of", lambda _manifest: see)
    with pytest.raises(ModelError, match="package anatomy failed while it looked") as caught:
        ward.run(one)
    assert caught.value.package == "anatomy"
    assert tried == ["anatomy"]


def test_who_waits_too_long_for_another_process_computes_it_alone(ward: Ward) -> None:
    one, _ = ward.job("fractures"), ward.job("body_composition")
    file = ward.volumes.provide(one, ward.task("fractures"), lambda: False).anatomies[
        ward.series.stack_id
    ]
    other = file.open(os.O_RDWR)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        seen = see_shared(file, anatomy, wait_s=0.2)
    finally:
        os.close(other)
    assert not seen.was_shared
    assert np.array_equal(seen.anatomy.labels, anatomy().labels)
    # It was not its to keep.
    assert not see_shared(file, anatomy).was_shared
    assert see_shared(file, anatomy).was_shared
