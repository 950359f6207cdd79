"""Of a package's Python, only what its digest covers is ever run."""

from __future__ import annotations

import importlib
import os
import py_compile
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import models
from models.package_code import load_code
from models.registry import package_digest, read_manifest
from node.domain.errors import ModelError
from tests.node.packages import build_package

SIGNED = "from models.covered.words import WORD\ndef analyse(request): return WORD\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with code of its own; what was imported of it is forgotten."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    made = build_package(tmp_path, "covered", pipeline="models.covered.pipeline")
    (made / "pipeline.py").write_text(SIGNED)
    (made / "words.py").write_text("WORD = 'signed'\n")
    yield made
    for name in [name for name in sys.modules if name.startswith("models.covered")]:
        del sys.modules[name]


def test_the_code_of_the_folder_that_was_verified_is_run(folder: Path) -> None:
    assert load_code(read_manifest(folder)).analyse(None) == "signed"


def test_a_folder_does_not_stand_in_for_a_module(folder: Path) -> None:
    before = package_digest(folder)
    for name in ("pipeline", "words"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text("raise SystemExit('a stranger was run')\n")
    assert package_digest(folder) == before
    assert load_code(read_manifest(folder)).analyse(None) == "signed"


def test_compiled_bytes_of_a_stranger_are_not_run(folder: Path) -> None:
    source = folder / "words.py"
    stat = source.stat()
    strange = folder.parent / "strange.py"
    strange.write_text("WORD = 'forged'\n")
    os.utime(strange, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert strange.stat().st_size == stat.st_size
    py_compile.compile(str(strange), cfile=importlib.util.cache_from_source(str(source)))
    assert load_code(read_manifest(folder)).analyse(None) == "signed"


def test_what_the_digest_leaves_out_is_not_imported(folder: Path) -> None:
    (folder / "hidden").mkdir()
    (folder / "hidden" / "__init__.py").write_text("def analyse(request): return 'a stranger'\n")
    (folder / "pipeline.py").write_text("from models.covered.hidden import analyse\n")
    with pytest.raises(ModuleNotFoundError, match=r"no hidden\.py beside model\.yaml"):
        load_code(read_manifest(folder))


@pytest.mark.parametrize("pipeline", ["models.other.pipeline", "models.covered.hidden.pipeline"])
def test_a_pipeline_of_another_folder_is_refused(pipeline: str, tmp_path: Path) -> None:
    made = build_package(tmp_path, "covered", pipeline=pipeline)
    with pytest.raises(ModelError, match="its digest does not cover it"):
        load_code(read_manifest(made))


def test_a_package_does_not_stand_in_for_a_module_of_the_node(tmp_path: Path) -> None:
    room = tmp_path / "models"
    (room / "registry").mkdir(parents=True)
    shutil.copy(models.__file__, room)
    (room / "registry.py").write_text("WORD = 'ours'\n")
    (room / "registry" / "__init__.py").write_text("WORD = 'a stranger'\n")
    command = [sys.executable, "-c", "import models.registry; print(models.registry.WORD)"]
    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ran.stdout == "ours\n"
