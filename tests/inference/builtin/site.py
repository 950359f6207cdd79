"""A node of its own with some packages: what `python -m node run FOLDER` makes of a study."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from tests.inference.builtin.examples import ROOT

ROOMS = ("node", "scp", "inference", "dicom_sr", "config")
_SETTINGS = """\
version: 1
receiver: {{host: 127.0.0.1, peers: {{here: {{addresses: [127.0.0.1], any_ae_title: true}}}}}}
storage: {{path: {path}, spare_segments: 0}}
models: {{{name}: {{unsigned: true, report_not_eligible: true}}}}
routes:
  all:
    when: {when}
    models: [{name}]
    shadow: true
"""


@dataclass(frozen=True)
class Run:
    """What came of it: exit status, summary, objects by modality, and where they lie."""

    status: int
    told: str
    summary: dict[str, Any]
    files: dict[str, list[Path]]

    def data_sets(self, modality: str) -> list[Dataset]:
        """The objects of a modality, read."""
        return [dcmread(path) for path in self.files.get(modality, [])]

    @property
    def outcome(self) -> dict[str, Any]:
        """The row of the only job."""
        (row,) = self.summary["outcomes"]
        return dict(row)


def site(folder: Path) -> Path:
    """The checkout again with an empty place for packages; returns where they go."""
    (folder / "models").mkdir(parents=True)
    for room in ROOMS:
        (folder / room).symlink_to(ROOT / room)
    for path in (ROOT / "models").iterdir():
        if path.suffix == ".py":
            (folder / "models" / path.name).write_bytes(path.read_bytes())
        elif (
            path.is_dir()
            and (path / "__init__.py").is_file()
            and not (path / "model.yaml").exists()
        ):
            (folder / "models" / path.name).symlink_to(path)
    return folder / "models"


def run_node(folder: Path, images: Path, name: str, when: str = "{modality: CT}") -> Run:
    """`python -m node run IMAGES` in the site at `folder`, in a process of its own."""
    (folder / "appliance.yaml").write_text(
        _SETTINGS.format(path=folder / "var", name=name, when=when),
        encoding="utf-8",
    )
    out = folder / "out"
    done = subprocess.run(
        [sys.executable, "-m", "node", "run", str(images), "--out", str(out)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    told = done.stdout + done.stderr
    summary = out / "summary.json"
    if not summary.is_file():
        raise AssertionError(told)
    files: dict[str, list[Path]] = {}
    for path in sorted(out.rglob("*.dcm")):
        modality_found = str(dcmread(path, stop_before_pixels=True).Modality)
        files.setdefault(modality_found, []).append(path)
    return Run(done.returncode, told, json.loads(summary.read_text()), files)
