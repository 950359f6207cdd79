"""models/PACKAGE.md is as the code is, and every example on it is a package that loads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from config.package_schema import BUILT_IN, Package
from inference.builtin.pipeline import BUILT_IN as VOLUMES
from inference.builtin.pipeline import OF_SLIDES
from inference.engine import EngineOptions, open_network
from models.package_page import FIRST_COLUMN, PAGE, page_with_reference
from models.registry import load_manifest
from tests.inference.builtin.examples import ROOT, examples, package


def test_the_reference_is_current() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == page_with_reference(text), "run `python -m models.package_page`"
    assert set(FIRST_COLUMN) == set(Package.model_fields)


def test_every_built_in_pipeline_exists_and_has_an_example(tmp_path: Path) -> None:
    assert {*VOLUMES, *OF_SLIDES} == set(BUILT_IN)
    shown = {load_manifest(package(word, tmp_path)).pipeline for word in examples()}
    assert shown == set(BUILT_IN)


@pytest.mark.parametrize("word", examples())
def test_an_example_loads_and_its_networks_open(tmp_path: Path, word: str) -> None:
    folder = package(word, tmp_path)
    manifest = load_manifest(folder)
    for spec in manifest.networks:
        assert open_network(spec, EngineOptions()).provider == "CPUExecutionProvider"
    assert not list(folder.rglob("*.py"))


def test_the_commands_of_the_page_are_real(tmp_path: Path) -> None:
    folder = package("segmentation", tmp_path)
    (folder / "model.yaml").write_text(
        (folder / "model.yaml").read_text().replace("weights/bright.onnx", "weights/gone.onnx")
    )
    (folder / "weights" / "bright.onnx").rename(folder / "weights" / "gone.onnx")
    seal = [sys.executable, "-m", "models.seal", str(folder)]
    subprocess.run(seal, cwd=ROOT, check=True)
    assert load_manifest(folder).networks[0].path.name == "gone.onnx"


def test_seal_says_plainly_where_there_is_no_package(tmp_path: Path) -> None:
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "model.yaml").write_bytes(b"\xff\xfe")
    for name, told in (("gone", "holds no model.yaml; name the folder"), ("odd", "is not text")):
        run = [sys.executable, "-m", "models.seal", str(tmp_path / name)]
        ended = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        assert f"{tmp_path / name}" in ended.stderr
        assert told in ended.stderr
        assert "Traceback" not in ended.stderr
