"""What validators that nobody on the project wrote say of our objects."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from node.domain.finding import Status
from tests.dicom_sr.results import case, encoded

#: Messages that are a limit of a validator of 2022, not a fault of the object.
KNOWN = re.compile(r"Type 2C Conditional Element=<Laterality>")


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def _files(folder: Path, status: Status) -> dict[str, list[Path]]:
    """Part 10 files by modality."""
    files: dict[str, list[Path]] = {}
    for number, item in enumerate(case(folder / "source", status).results()):
        path = folder / f"{number}.dcm"
        path.write_bytes(encoded(item))
        files.setdefault(str(item.Modality), []).append(path)
    return files


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("status", list(Status))
def test_dciodvfy_finds_no_error(tmp_path: Path, status: Status) -> None:
    program = _program("dciodvfy")
    for paths in _files(tmp_path, status).values():
        for path in paths:
            errors = [
                line
                for line in _said(program, str(path)).splitlines()
                if line.startswith("Error") and not KNOWN.search(line)
            ]
            assert errors == []


@pytest.mark.parametrize("status", list(Status))
def test_dcmtk_reads_and_prints_the_report(tmp_path: Path, status: Status) -> None:
    program = _program("dsrdump")
    (path,) = _files(tmp_path, status)["SR"]
    said = _said(program, str(path))
    assert not re.search(r"^[EF]:", said, re.MULTILINE)
    assert "Imaging Measurement Report" in said
    assert "Qualitative Evaluations" in said


def test_dcmtk_decodes_the_pages(tmp_path: Path) -> None:
    program = _program("dcm2pnm")
    for path in _files(tmp_path, Status.FINDINGS)["OT"]:
        picture = path.with_suffix(".ppm")
        assert not re.search(r"^[EF]:", _said(program, str(path), str(picture)), re.MULTILINE)
        assert picture.read_bytes().startswith(b"P6\n1024 1024\n255\n")
