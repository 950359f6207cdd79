"""A study leaves the store as the files that were sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.cli.command import Exit
from node.cli.main import main
from node.intake import FileContent, read_file
from tests.scp.sent import STUDY, content
from tests.scp.storing import opened, put


def test_images_are_exported_as_they_were_sent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = [content(note=str(number)) for number in range(3)]
    with opened(tmp_path / "store") as (store, _):
        intake = store.open("a")
        for item in items:
            put(intake, item)
        intake.close(clean=True)
    config = tmp_path / "appliance.yaml"
    config.write_text(
        "version: 1\n"
        "receiver: {peers: {here: {addresses: [127.0.0.1], any_ae_title: true}}}\n"
        f"storage: {{path: {tmp_path / 'store'}}}\n"
        "models: {body_composition: {unsigned: true}}\n"
        "routes: {all: {models: [body_composition], destinations: [pacs]}}\n"
        "destinations: {pacs: {type: dicom, ae_title: P, host: 127.0.0.1, port: 104}}\n"
    )
    command = ["export", STUDY, "--out", str(tmp_path / "out"), "--config", str(config)]
    assert main(command) == Exit.GOOD
    assert "3 of 3 images" in capsys.readouterr().out
    files = [read_file(path) for path in sorted((tmp_path / "out").iterdir())]
    sent = {item.sop_instance_uid: item for item in items}
    assert {f.sop_instance_uid: f for f in files if isinstance(f, FileContent)} == sent
    assert main(command) == Exit.FAILURES
    assert "File exists" in capsys.readouterr().err
