"""A node with the test package, started as a process of its own; and studies for it."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from node.demo.sender import Receiver, send_folder
from node.ledger import Ledger
from node.ledger.alerts import AlertRow
from tests import dicom_factory
from tests.inference.specs import FOLDER as NETWORKS
from tests.node.serving import CHECKOUT, free_port, wait_for

MODEL = """\
format: 1
name: acute
title: Pulmonary embolism
version: 1.2.3
manufacturer: Tests
task: 2
ebai_class: C
pipeline: tests.node.alerting.acute_pipeline
intended_use: tests
triage: true
priority: 1
limits: {{job_time_s: 60, job_memory_mb: 2048}}
inputs:
  modalities: [CT]
  sop_class_uids: ["1.2.840.10008.5.1.4.1.1.2"]
  orientations: [axial]
  min_planes: 5
  min_extent_mm: 0
  max_spacing_mm: 5.0
  max_tilt_degrees: 0
  max_gap_factor: 1.5
  pixel_spacing_mm: [0.3, 3.0]
networks:
  - name: flat
    path: weights/flat.onnx
    sha256: "{sha256}"
    input_name: image
    output_name: logits
    patch: [16, 16]
    channels: [CT]
    classes: [a, b]
    spacing_mm: [1.0, 1.0]
    value_range: [-250, 250]
    overlap: 0.5
    batch: 1
    tolerance: {{CPUExecutionProvider: 0.001}}
thresholds: {{embolism_percent: 82.0}}
acute_findings:
  embolism:
    title: Pulmonary embolism
    code: ["59282003", SCT]
    severity: critical
    threshold: embolism_percent
"""
CONFIGURATION = """\
version: 1
receiver:
  host: 127.0.0.1
  port: {dicom}
  peers: {{here: {{addresses: [127.0.0.1], any_ae_title: true}}}}
storage: {{path: {storage}, refuse_above_percent: 99, keep_free_gb: 0, spare_segments: 0}}
completion: {{quiet_time_s: 0.5, interrupted_quiet_time_s: 2}}
models: {{acute: {{unsigned: true}}}}
routes: {{all: {{models: [acute], destinations: [pacs]}}}}
destinations:
  pacs: {{type: dicom, ae_title: PACS, host: 127.0.0.1, port: {pacs}, retry_first_s: 0.5}}
http: {{host: "::1", port: {http}}}
workers: {{providers: [cpu]}}
logging: {{file: {log}}}
{alerts}
"""


def package(folder: Path) -> Path:
    """The folder of packages with the one of the tests."""
    made = folder / "acute"
    (made / "weights").mkdir(parents=True)
    shutil.copy(NETWORKS / "flat.onnx", made / "weights")
    digest = hashlib.sha256((NETWORKS / "flat.onnx").read_bytes()).hexdigest()
    (made / "model.yaml").write_text(MODEL.format(sha256=digest))
    return folder


def ct(folder: Path, *, brightest: int, first: int = 0, slices: int = 8) -> Path:
    """Slices `first` to `first + slices` of one study whose brightest voxel is given."""
    hu = dicom_factory.cylinder(first + slices, 64, 64)
    hu[first + slices // 2, 30, 30] = brightest
    series = dicom_factory.ct_series(
        slices=first + slices,
        hu=hu.astype(np.int16),
        study_uid="1.2.826.0.1.3680043.10.99",
        series_uid="1.2.826.0.1.3680043.10.99.1",
    )
    for number, data_set in enumerate(series[first:], start=first):
        folder.mkdir(parents=True, exist_ok=True)
        data_set.AccessionNumber = "ACC-7"
        data_set.save_as(folder / f"{number:03d}.dcm", enforce_file_format=True)
    return folder


@dataclass(slots=True)
class AcuteNode:
    """A running node."""

    process: subprocess.Popen[bytes]
    folder: Path
    dicom_port: int
    http_port: int

    def get(self, path: str) -> tuple[int, str]:
        try:
            url = f"http://[::1]:{self.http_port}{path}"
            with urllib.request.urlopen(url, timeout=5) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def send(self, folder: Path) -> str:
        """Send a study; returns its UID."""
        sent = send_folder(
            folder, Receiver(host="127.0.0.1", port=self.dicom_port, ae_title="VIGIE")
        )
        assert not sent.problems
        (study_uid,) = sent.studies
        return study_uid

    def alerts(self, study_uid: str) -> list[AlertRow]:
        ledger = Ledger(self.folder / "store", read_only=True)
        try:
            return list(ledger.alerts.of_study(study_uid))
        finally:
            ledger.close()

    def state(self, study_uid: str) -> str:
        ledger = Ledger(self.folder / "store", read_only=True)
        try:
            study = ledger.studies.get(study_uid)
            return study.state.value if study else ""
        finally:
            ledger.close()

    def ended(self, study_uid: str) -> bool:
        return wait_for(lambda: self.state(study_uid) == "ended", 60)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command of the node, with the packages of the tests."""
        code = (
            "import sys, node.packages as p; from pathlib import Path; "
            f"p.installed_models.__defaults__ = (Path({str(self.folder / 'models')!r}),); "
            "from node.cli.main import main; sys.exit(main(sys.argv[1:]))"
        )
        config = ["--config", str(self.folder / "appliance.yaml")]
        return subprocess.run(
            [sys.executable, "-c", code, *arguments, *config],
            cwd=CHECKOUT,
            capture_output=True,
            text=True,
            check=False,
        )

    def kill(self) -> None:
        """-9, with its workers."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


@contextmanager
def acute_node(folder: Path, *, pacs_port: int, alerts: str) -> Iterator[AcuteNode]:
    """Start it and wait until it is ready; a second time it takes up what it had."""
    packages = folder / "models"
    if not packages.exists():
        package(packages)
    dicom, http = free_port(), free_port()
    config = folder / "appliance.yaml"
    config.write_text(
        CONFIGURATION.format(
            dicom=dicom,
            http=http,
            storage=folder / "store",
            pacs=pacs_port,
            log=folder / "node.log",
            alerts=alerts,
        )
    )
    with (folder / "stderr.log").open("ab") as errors:
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.node.alerting.acute_node"),
                *(str(config), str(packages)),
            ],
            cwd=CHECKOUT,
            start_new_session=True,
            stderr=errors,
        )
    running = AcuteNode(process, folder, dicom, http)
    try:
        ready = wait_for(lambda: running.get("/readyz")[0] == 200 or process.poll() is not None, 60)
        assert ready
        assert process.poll() is None, (folder / "stderr.log").read_text()
        yield running
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                running.kill()
