"""A study goes round: sent by dcmtk, analysed, answered, and found in Orthanc."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import JPEGLSLossless

from node.demo.pacs import SmallPacs
from node.demo.sender import Receiver, send_folder
from node.demo.simulated import simulate
from tests.node.serving import free_port, orthanc, serving, wait_for

NEEDED = ("dcmsend", "Orthanc")
missing = [program for program in NEEDED if shutil.which(program) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}"),
]


def test_simulated_study_comes_back_as_report_segmentation_and_capture(tmp_path: Path) -> None:
    simulated = simulate(0, tmp_path / "study", matrix=256)
    port = free_port()
    with (
        orthanc(tmp_path, node_port=port) as pacs,
        serving(tmp_path, pacs_port=pacs.dicom_port, pacs_title="ORTHANC", dicom_port=port) as node,
    ):
        node.send(simulated.folder)
        assert wait_for(lambda: set(node.states().values()) == {"ended"}, 240), node.states()
        (study_uid,) = node.states()
        objects = [dcmread(BytesIO(pacs.file(item))) for item in pacs.get("/instances")]
        assert {item.Modality for item in objects} >= {"SR", "SEG"}
        assert "1.2.840.10008.5.1.4.1.1.7" in {item.SOPClassUID for item in objects}
        source = dcmread(next(simulated.folder.rglob("*.dcm")), stop_before_pixels=True)
        for item in objects:
            assert item.StudyInstanceUID == study_uid == source.StudyInstanceUID
            assert item.PatientID == source.PatientID
            assert "RESEARCH" in item.SeriesDescription
        explained = node.command("explain", study_uid)
        assert explained.returncode == 0
        assert "body_composition: done" in explained.stdout
        assert "report to pacs: proved" in explained.stdout
        assert "(storage commitment)" in explained.stdout
        _, metrics = node.get("/metrics")
        assert 'vigie_studies{state="ended"} 1.0' in metrics
        assert 'vigie_jobs_total{model="body_composition",outcome="done"} 1.0' in metrics
        log = node.log.read_text()
        for identifying in (str(source.PatientName), source.PatientID, source.PatientBirthDate):
            assert not identifying or identifying not in log + metrics
        _each_passes_dciodvfy(objects, tmp_path)


@contextmanager
def stopping(pacs: SmallPacs) -> Iterator[None]:
    try:
        yield
    finally:
        pacs.stop()


def test_a_compressed_study_is_decoded_while_it_arrives_and_read_once(tmp_path: Path) -> None:
    simulated = simulate(0, tmp_path / "native", matrix=256)
    compressed = tmp_path / "study"
    compressed.mkdir()
    images = sorted(simulated.folder.rglob("*.dcm"))
    for path in images:
        image = dcmread(path)
        image.compress(JPEGLSLossless, generate_instance_uid=False)
        image.save_as(compressed / path.name)
    pacs = SmallPacs(tmp_path / "pacs")
    pacs.start()
    with stopping(pacs), serving(tmp_path, pacs_port=pacs.port) as node:
        # dcmsend would send them native.
        there = Receiver(host="127.0.0.1", port=node.dicom_port, ae_title="VIGIE")
        assert not send_folder(compressed, there).problems
        assert wait_for(lambda: set(node.states().values()) == {"ended"}, 240), node.states()

        def let_go() -> bool:
            memory = 'vigie_shared_memory_bytes{kind="decoded images"} 0.0'
            return memory in node.get("/metrics")[1]

        assert wait_for(let_go, 30)
        _, metrics = node.get("/metrics")
        decoded = f'vigie_images_decoded_ahead_total{{outcome="decoded"}} {len(images)}.0'
        assert decoded in metrics
        assert 'vigie_volume_loads_total{how="read"} 1.0' in metrics
        assert 'vigie_jobs_total{model="body_composition",outcome="done"} 1.0' in metrics


def _each_passes_dciodvfy(objects: list, folder: Path) -> None:  # type: ignore[type-arg]
    if shutil.which("dciodvfy") is None:
        return
    for number, item in enumerate(objects):
        path = folder / f"{number}.dcm"
        item.save_as(path, enforce_file_format=True)
        told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        # Laterality is type 2C "if a paired body part is examined"; the tool cannot tell.
        errors = [line for line in told.stderr.splitlines() if line.startswith("Error")]
        assert [line for line in errors if "<Laterality>" not in line] == []


def test_late_images_and_a_rerun_make_results_that_replace_the_old(tmp_path: Path) -> None:
    simulated = simulate(1, tmp_path / "study", matrix=256)
    files = sorted(
        simulated.folder.rglob("*.dcm"),
        key=lambda p: float(dcmread(p, stop_before_pixels=True).ImagePositionPatient[2]),
    )
    late = tmp_path / "late"
    late.mkdir()
    for path in files[-3:]:
        path.rename(late / path.name)
    pacs = SmallPacs(tmp_path / "pacs")
    pacs.start()
    try:
        with serving(tmp_path, pacs_port=pacs.port) as node:
            node.send(simulated.folder)
            assert wait_for(lambda: set(node.states().values()) == {"ended"}, 240)
            once = len(pacs.files())
            node.send(late)
            assert wait_for(lambda: len(pacs.files()) > once, 240)
            assert wait_for(lambda: set(node.states().values()) == {"ended"}, 240)
            twice = len(pacs.files())
            (study_uid,) = node.states()
            assert node.command("rerun", study_uid).returncode == 0
            assert wait_for(lambda: len(pacs.files()) > twice, 240)
            assert wait_for(lambda: set(node.states().values()) == {"ended"}, 240)
    finally:
        pacs.stop()
    reports_now = [dcmread(p) for p in pacs.files() if dcmread(p).Modality == "SR"]
    assert len(reports_now) == 3
    in_order = sorted(reports_now, key=lambda item: int(item.InstanceNumber))
    for old, new in pairwise(in_order):
        assert new.SeriesInstanceUID == old.SeriesInstanceUID
        referenced = new.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0]
        assert referenced.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == old.SOPInstanceUID


def test_node_stops_cleanly_and_takes_up_what_it_had(tmp_path: Path) -> None:
    simulated = simulate(2, tmp_path / "study", matrix=256)
    pacs = SmallPacs(tmp_path / "pacs")
    pacs.start()
    try:
        with serving(tmp_path, pacs_port=pacs.port) as node:
            node.send(simulated.folder)
            node.process.send_signal(signal.SIGTERM)
            assert node.process.wait(40) == 0
        with serving(tmp_path, pacs_port=pacs.port) as node:
            assert wait_for(lambda: set(node.states().values()) == {"ended"}, 240), node.states()
    finally:
        pacs.stop()
    assert len([p for p in pacs.files() if dcmread(p).Modality == "SR"]) == 1
