"""One bad package never takes the others down: real workers, real networks, one cause each."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.load import load_appliance
from node.app import Node
from node.demo.pacs import SmallPacs
from node.domain.serving import ModelState
from node.ledger.states import JobState
from node.packages import installed_models
from tests.dicom_factory import ct_series, write
from tests.node.asking import get, send
from tests.node.packages import build_package, change_golden, tamper
from tests.node.serving import free_port, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

#: Short limits: what hangs must not make the test wait.
WORKERS: dict[str, Any] = {
    "providers": ["cpu"],
    "load_limit_s": 12,
    "out_of_service_wait_s": 0,
    "failures_in_a_row": 2,
    "reserve_mb": 0,
}


@dataclass
class Running:
    """A node in this process; its workers are processes of their own."""

    node: Node
    pacs: SmallPacs
    models: Path

    def ready(self) -> tuple[int, dict[str, Any]]:
        status, body = get(self.node.web.port, "/readyz")
        return status, json.loads(body)

    def outcomes(self, study_uid: str) -> dict[str, tuple[str, str]]:
        jobs = self.node.ledger.jobs.of_study(study_uid)
        return {job.model: (job.state.value, job.reason) for job in jobs}

    def ended(self, study_uid: str) -> bool:
        jobs = self.node.ledger.jobs.of_study(study_uid)
        return bool(jobs) and all(
            job.state not in (JobState.WAITING, JobState.RUNNING) for job in jobs
        )


@contextmanager
def running(folder: Path, models: Path, **workers: Any) -> Iterator[Running]:
    pacs = SmallPacs(folder / "pacs")
    pacs.start()
    installed = installed_models(models)
    document = {
        "version": 1,
        "receiver": {
            "host": "127.0.0.1",
            "port": free_port(),
            "peers": {"here": {"addresses": ["127.0.0.1"], "any_ae_title": True}},
        },
        "storage": {
            "path": str(folder / "store"),
            "refuse_above_percent": 99,
            "keep_free_gb": 0,
            "spare_segments": 0,
            "delete_when": "accepted",
        },
        "completion": {"quiet_time_s": 1, "interrupted_quiet_time_s": 2},
        "models": {name: {"unsigned": name != "foreign"} for name in installed},
        "routes": {"all": {"models": [*installed], "destinations": ["pacs"]}},
        "destinations": {
            "pacs": {
                "type": "dicom",
                "ae_title": "PACS",
                "host": "127.0.0.1",
                "port": pacs.port,
                "proof": "none",
            }
        },
        "http": {"host": "127.0.0.1", "port": free_port()},
        "workers": WORKERS | workers,
    }
    config = folder / "appliance.yaml"
    config.write_text(yaml.safe_dump(document))
    node = Node(load_appliance(config, installed), models_folder=models)
    try:
        node.start()
        yield Running(node, pacs, models)
    finally:
        node.stop(0.5)
        pacs.stop()


def settled(run: Running) -> bool:
    return ModelState.LOADING not in {state for state, _ in run.node.core.roster.states().values()}


def test_a_good_model_serves_while_every_other_package_is_broken_in_its_own_way(
    tmp_path: Path,
) -> None:
    models = tmp_path / "models"
    build_package(models, "good")
    tamper(build_package(models, "tampered"))
    change_golden(build_package(models, "drifted"), 1.02)
    build_package(models, "nan", "no_numbers", golden=False)
    build_package(models, "hanging", "endless", golden=False)
    build_package(models, "hungry", "hungry", golden=False)
    build_package(models, "strange", "strange_set", golden=False)
    build_package(models, "escaping", "weights_above", golden=False)
    foreign = build_package(models, "foreign")
    (foreign / "signature.json").write_text('{"payload": "", "signatures": []}')
    build_package(models, "other").rename(models / "misnamed")
    piped = build_package(models, "piped") / "weights" / "net.onnx"
    piped.unlink()
    os.mkfifo(piped)
    endless = build_package(models, "endless") / "golden" / "inputs.npz"
    endless.unlink()
    endless.symlink_to("/dev/zero")
    (build_package(models, "dangling") / "own.py").symlink_to("/nonexistent")
    build_package(models, "stray", pipeline="models.good.pipeline")
    (models / "unreadable").mkdir()
    (models / "unreadable" / "model.yaml").write_text("format: 2\nname: [unreadable\n")
    with running(tmp_path, models) as run:
        assert run.ready()[0] == 503
        assert wait_for(lambda: settled(run), 180), run.node.core.roster.states()
        status, told = run.ready()
        assert status == 200
        assert told["models"]["good"] == "ready"
        causes = {
            "tampered": "net.onnx has SHA-256",
            "drifted": "differs from its golden case",
            "nan": "values that are no numbers",
            "hanging": "longer than 12 s",
            "hungry": "memory",
            "strange": "operator 'Teleport' of the set 'evil.example'",
            "escaping": "'../weights.bin'",
            "foreign": "is no signature",
            "misnamed": "calls it 'other'",
            "piped": "not a regular file",
            "endless": "not a regular file",
            "dangling": "own.py cannot be read",
            "stray": "its digest does not cover it",
            "unreadable": "its model.yaml cannot be used",
        }
        for name, cause in causes.items():
            assert told["models"][name].startswith("quarantined: "), told["models"][name]
            assert cause in told["models"][name]
        _, metrics = get(run.node.web.port, "/metrics")
        assert 'vigie_model_state{model="good",state="ready"} 1.0' in metrics
        for name in causes:
            assert f'vigie_model_state{{model="{name}",state="quarantined"}} 1.0' in metrics
            assert f'vigie_model_ready{{model="{name}"}} 0.0' in metrics
        rows = write(ct_series(slices=5), tmp_path / "study")
        study_uid = send(run.node.receiver.port, rows)
        assert wait_for(lambda: run.ended(study_uid), 90), run.outcomes(study_uid)
        outcomes = run.outcomes(study_uid)
        assert outcomes.pop("good")[0] == "done"
        assert outcomes.keys() == causes.keys() - {"unreadable", "misnamed", "dangling"}
        for name, (state, reason) in outcomes.items():
            assert state == "failed"
            assert "the model is out of service" in reason
            assert causes[name] in reason
        # What nobody looked at is told where somebody reads.
        assert wait_for(lambda: len(run.pacs.files()) >= 8, 60)
        verdicts = {v.model: v for v in run.node.ledger.studies.verdicts(study_uid, 1)}
        assert {verdicts[name].verdict for name in ("unreadable", "misnamed")} == {"failed"}
        said = " ".join(e.detail for e in run.node.ledger.studies.events(study_uid))
        assert "unreadable" in said
        assert run.node.core.roster.out().keys() == causes.keys()


def test_a_network_that_hangs_or_dies_on_images_is_taken_out_after_some_failures_and_comes_back(
    tmp_path: Path,
) -> None:
    models = tmp_path / "models"
    build_package(models, "good")
    limits = {"job_time_s": 1.5, "job_memory_mb": 512}
    build_package(models, "hanging", "endless_on_images", golden=False, limits=limits)
    with running(tmp_path, models) as run:
        assert wait_for(lambda: run.ready()[0] == 200, 60)
        assert run.ready()[1]["models"] == {"good": "ready", "hanging": "ready"}
        for number in range(2):
            images = ct_series(slices=4, study_uid=f"2.25.{90 + number}")
            study_uid = send(run.node.receiver.port, write(images, tmp_path / str(number)))
            assert wait_for(lambda uid=study_uid: run.ended(uid), 60), run.outcomes(study_uid)
            assert run.outcomes(study_uid)["good"][0] == "done"
            state, reason = run.outcomes(study_uid)["hanging"]
            assert (state, "took longer than 1.5 s" in reason) == ("failed", True)
        assert wait_for(lambda: "hanging" in run.node.core.roster.out(), 10)
        assert "2 analyses in a row failed" in run.node.core.roster.out()["hanging"]
        assert run.ready()[0] == 200
        # A person has mended it, and asks for it.
        assert run.node.ledger.service.ask("hanging")
        assert wait_for(lambda: run.ready()[1]["models"]["hanging"] == "ready", 60)


def test_jobs_wait_for_a_model_that_is_out_for_a_short_time_and_are_done_when_it_is_back(
    tmp_path: Path,
) -> None:
    models = tmp_path / "models"
    folder = build_package(models, "only")
    whole = (folder / "weights" / "net.onnx").read_bytes()
    tamper(folder)
    with running(tmp_path, models, out_of_service_wait_s=600) as run:
        assert wait_for(lambda: settled(run), 60)
        status, told = run.ready()
        assert status == 503
        assert "no model can be used: only: " in told["faults"]["models"]
        study_uid = send(run.node.receiver.port, write(ct_series(slices=4), tmp_path / "study"))
        assert wait_for(lambda: "only" in run.outcomes(study_uid), 30)
        time.sleep(2)
        assert run.outcomes(study_uid)["only"][0] == "waiting"
        (folder / "weights" / "net.onnx").write_bytes(whole)
        run.node.ledger.service.ask("only")
        assert wait_for(lambda: run.outcomes(study_uid)["only"][0] == "done", 60)
        assert run.ready()[0] == 200


def test_a_package_that_was_changed_while_the_node_runs_is_taken_out_at_its_next_proof(
    tmp_path: Path,
) -> None:
    models = tmp_path / "models"
    build_package(models, "good")
    folder = build_package(models, "changed")
    with running(tmp_path, models, golden_every_hours=2.0 / 3600) as run:
        assert wait_for(lambda: run.ready()[0] == 200, 60)
        tamper(folder)
        assert wait_for(lambda: "changed" in run.node.core.roster.out(), 30)
        assert "SHA-256" in run.node.core.roster.out()["changed"]
        assert run.ready()[1]["models"]["good"] == "ready"
        first = run.node.ledger.service.get("good")
        assert first is not None
        assert first.proved_at is not None
        again = first.proved_at + 1
        assert wait_for(
            lambda: (run.node.ledger.service.get("good") or first).proved_at > again, 30
        )


@pytest.mark.parametrize("gpus", [None, [0, 1]])
def test_one_process_a_device_holds_the_networks_of_all_workers_and_a_bad_model_is_taken_out(
    tmp_path: Path, gpus: list[int] | None
) -> None:
    """Which GPU a process sees does not matter to a network on the CPU."""
    models = tmp_path / "models"
    build_package(models, "good")
    limits = {"job_time_s": 2.0, "job_memory_mb": 512}
    build_package(models, "hanging", "endless_on_images", golden=False, limits=limits)
    tamper(build_package(models, "tampered"))
    shared = {"one_process_per_device": True, "count": 2, "load_limit_s": 15, "gpus": gpus}
    with running(tmp_path, models, **shared, failures_in_a_row=1) as run:
        assert wait_for(lambda: run.ready()[0] == 200, 120)
        assert "SHA-256" in run.node.core.roster.out()["tampered"]
        device = run.node.core.device
        assert device is not None
        assert device.size == len(gpus or [0])
        study_uid = send(run.node.receiver.port, write(ct_series(slices=5), tmp_path / "0"))
        assert wait_for(lambda: run.ended(study_uid), 120), run.outcomes(study_uid)
        outcomes = run.outcomes(study_uid)
        assert outcomes["good"][0] == "done"
        assert outcomes["hanging"][0] == outcomes["tampered"][0] == "failed"
        assert wait_for(lambda: "hanging" in run.node.core.roster.out(), 30)
        # The call that hangs ends the process of the device, which comes back with what is good.
        images = ct_series(slices=4, study_uid="2.25.77")
        again = send(run.node.receiver.port, write(images, tmp_path / "1"))
        assert wait_for(lambda: run.ended(again), 120), run.outcomes(again)
        assert run.outcomes(again)["good"][0] == "done", run.outcomes(again)


def test_what_failed_while_a_model_was_out_is_analysed_when_it_is_back_and_nothing_else(
    tmp_path: Path,
) -> None:
    models = tmp_path / "models"
    build_package(models, "good")
    folder = build_package(models, "mended")
    whole = (folder / "weights" / "net.onnx").read_bytes()
    tamper(folder)
    with running(tmp_path, models) as run:
        assert wait_for(lambda: settled(run), 60)
        study_uid = send(run.node.receiver.port, write(ct_series(slices=4), tmp_path / "study"))
        assert wait_for(lambda: run.ended(study_uid), 90), run.outcomes(study_uid)
        assert run.outcomes(study_uid)["mended"][0] == "failed"
        (folder / "weights" / "net.onnx").write_bytes(whole)
        run.node.ledger.service.ask("mended")
        assert wait_for(lambda: run.outcomes(study_uid)["mended"][0] == "done", 90)
        jobs = run.node.ledger.jobs.of_study(study_uid)
        assert [job.model for job in jobs].count("good") == 1
        old, new = (job for job in jobs if job.model == "mended")
        assert (old.state, new.predecessor) == (JobState.SUPERSEDED, old.key)
        ended = ("delivering", "ended")
        assert wait_for(
            lambda: run.node.ledger.studies.get(study_uid).state.value in ended,  # type: ignore[union-attr]
            30,
        )
