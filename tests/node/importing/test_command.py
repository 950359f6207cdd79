"""`models import` says what it does, what it found, and why it stops."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from models.registry import load_manifest
from node.cli import importing
from node.cli.command import Exit
from node.cli.main import main
from node.importing import importer
from node.importing.importer import Imported, ImportRequest
from tests.inference.builtin.examples import package
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


def test_the_last_line_says_that_slides_are_not_analysed_yet(
    tmp_path: Path,
    source: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stated = load_manifest(package("tiles", tmp_path))
    imported = Imported(manifest=stated, draft=draft())
    monkeypatch.setattr(importing, "import_model", lambda *_: imported)
    arguments = ["models", "import", str(source), "--kind", "onnx", "--out", str(tmp_path / "o")]
    assert main(arguments) == Exit.GOOD
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("note: the node does not yet analyse slides")
    assert main([*arguments, "--json"]) == Exit.GOOD
    assert "not yet analyse slides" in json.loads(capsys.readouterr().out)["notes"][-1]


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


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        ("--time-s=-4", "write seconds from 1"),
        ("--time-s=0", "write seconds from 1"),
        ("--time-s=nan", "write seconds from 1"),
        ("--time-s=inf", "write seconds from 1"),
        ("--memory-mb=0", "write a whole number of megabytes of 256 or more"),
        ("--memory-mb=-16000", "write a whole number of megabytes of 256 or more"),
        ("--memory-mb=16GB", "write a whole number of megabytes of 256 or more"),
    ],
)
def test_a_limit_under_which_nothing_could_run_is_refused_with_one_that_works(
    tmp_path: Path,
    source: Path,
    limit: str,
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    arguments = ["models", "import", str(source), "--kind", "onnx", limit]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--out", str(tmp_path / "tiny")])
    assert ended.value.code == Exit.REFUSED
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["onnx", "monai", "nnunet", "totalsegmentator"])
def test_a_form_that_is_not_there_is_asked_for_by_its_own_option(
    tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "net.onnx"
    source.write_bytes(b"x")
    arguments = ["models", "import", str(source), "--kind", kind, "--out", str(tmp_path / "tiny")]
    assert main([*arguments, "--form", str(tmp_path / "no.yaml")]) == Exit.REFUSED
    told = capsys.readouterr().err
    assert "no such file" in told
    assert "--form FILE" in told
    assert "--config" not in told


def test_without_out_the_package_is_called_as_every_other_part_of_the_import_calls_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importing, "MODELS_FOLDER", tmp_path)
    source = tmp_path / "3D-Leber Müller.v1.onnx"
    source.write_bytes(b"x")
    main(["models", "import", str(source), "--kind", "onnx", "--python", str(tmp_path / "none")])
    # Not "this cannot be one": a name that begins with a figure or holds an umlaut is mended.
    assert "the folder's name" not in capsys.readouterr().err
