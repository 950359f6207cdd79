"""`models import` says what it does, what it found, and why it stops."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from node.cli.command import Exit
from node.cli.main import main
from node.importing import importer
from node.importing.importer import ImportRequest
from tests.node.importing.drafts import draft


@pytest.fixture
def _fake(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kind "onnx" gives a ready draft, without a framework."""

    def draft_package(request: ImportRequest) -> object:
        request.tell("read the file")
        return draft()

    fake: Any = SimpleNamespace(draft_package=draft_package)
    monkeypatch.setitem(sys.modules, "node.importing.fake", fake)
    monkeypatch.setattr(importer, "IMPORTERS", {"onnx": "node.importing.fake"})


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "net.onnx"
    path.write_bytes(b"x")
    return path


@pytest.mark.usefixtures("_fake")
def test_one_command_writes_the_package_and_prints_the_parity(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "models" / "tiny"
    arguments = ["models", "import", str(source), "--kind", "onnx", "--out", str(out)]
    assert main(arguments) == Exit.GOOD
    told = capsys.readouterr()
    assert "read the file" in told.err
    assert "plain volume" in told.out
    assert "1.0e-05" in told.out
    assert "note: something was assumed" in told.out
    assert (out / "model.yaml").exists()
    assert main(arguments) == Exit.FAILURES
    told = capsys.readouterr()
    assert "this folder exists" in told.err
    assert "read the file" not in told.err  # said before the work, not after it


@pytest.mark.usefixtures("_fake")
def test_the_table_is_json_when_asked(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "models" / "tiny"
    main(["models", "import", str(source), "--kind", "onnx", "--out", str(out), "--json"])
    told = json.loads(capsys.readouterr().out)
    assert told["parity"][0]["generated volume"] == "plain volume"
    assert told["notes"] == ["something was assumed"]


@pytest.mark.parametrize("kind", ["monai", "onnx"])
def test_without_the_import_environment_the_command_to_make_it_is_named(
    tmp_path: Path, source: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "tiny"), "--python", str(tmp_path / "no" / "python")]
    assert main(["models", "import", str(source), "--kind", kind, *out]) == Exit.FAILURES
    assert "make import-env" in capsys.readouterr().err


def test_a_source_that_does_not_exist_and_a_name_that_cannot_be_one_are_told(
    tmp_path: Path, source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "tiny")
    assert main(["models", "import", "nowhere", "--kind", "onnx", "--out", out]) == Exit.FAILURES
    assert "nowhere: this does not exist" in capsys.readouterr().err
    out = str(tmp_path / "Tiny-Net")
    assert main(["models", "import", str(source), "--kind", "onnx", "--out", out]) == Exit.FAILURES
    assert "for example tiny_net" in capsys.readouterr().err
