"""`run FOLDER` tells a damaged image from a picture that lies beside the images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydicom import dcmread

from config.load import load_appliance
from node.cli.main import main
from node.folder import scratch_core
from node.packages import installed_models
from tests import dicom_factory

GOOD, FAILURES = 0, 1
CONFIGURATION = """\
version: 1
receiver: {{host: 127.0.0.1, peers: {{here: {{addresses: [127.0.0.1], any_ae_title: true}}}}}}
storage: {{path: {path}, spare_segments: 0}}
"""


@pytest.fixture(autouse=True)
def no_log_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays open until the process ends."""
    monkeypatch.setattr("node.cli.folder.configure_logging", lambda _settings: None)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "CT" / "1").mkdir(parents=True)
    for number, data_set in enumerate(dicom_factory.ct_series(slices=2)):
        data_set.save_as(folder / "CT" / "1" / f"{number}.dcm", enforce_file_format=True)
    return folder


def run(images: Path, tmp_path: Path) -> int:
    config = tmp_path / "appliance.yaml"
    config.write_text(CONFIGURATION.format(path=tmp_path / "var"), encoding="utf-8")
    return main(["run", str(images), "--out", str(tmp_path / "out"), "--config", str(config)])


def test_a_picture_and_a_list_beside_the_images_are_noted_and_no_failure(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (images / "screen.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4)
    (images / "CT" / "studies.json").write_text('{"patients": [1, 2, 3]}')
    assert run(images, tmp_path) == GOOD
    told = capsys.readouterr().err
    assert "note: screen.png: no DICOM file, left out" in told
    assert "note: CT/studies.json: no DICOM file, left out" in told
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert len(summary["notes"]) == 2
    assert summary["problems"] == []


def test_a_folder_does_not_wait_for_the_hours_of_a_route(tmp_path: Path) -> None:
    config = tmp_path / "appliance.yaml"
    config.write_text(
        CONFIGURATION.format(path=tmp_path / "var")
        + "models: {body_composition: {}}\n"
        + "destinations: {pacs: {type: dicom, ae_title: A, host: a, port: 104}}\n"
        + "routes:\n  night: {models: [body_composition], destinations: [pacs], "
        + 'schedule: {from: "20:00", to: "07:00"}}\n'
    )
    with scratch_core(load_appliance(config, installed_models())) as core:
        (route,) = core.routes
        assert [rule.schedule for rule in route.rules] == [None]


def test_a_refused_file_is_named_by_its_path_in_the_folder(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = images / "CT" / "1" / "0.dcm"
    data_set = dcmread(path)
    del data_set.StudyInstanceUID
    data_set.save_as(path)
    (images / "cut.dcm").write_bytes(bytes(128) + b"DICM")
    assert run(images, tmp_path) == FAILURES
    told = capsys.readouterr().err.splitlines()
    assert any(t.startswith("CT/1/0.dcm: Study Instance UID is missing") for t in told), told
    assert any(t.startswith("cut.dcm: a DICOM file that cannot be read") for t in told), told
