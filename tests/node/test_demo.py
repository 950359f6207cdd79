"""`make demo` is a newcomer's first look: it must go round, and say what came back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.node.serving import CHECKOUT


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_demonstration_shows_a_simulated_study_with_its_results(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["-m", "node", "demo", "--simulated", "1", "--out", str(out)]

    shown = subprocess.run(
        [sys.executable, *command], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )

    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "muscle" in shown.stdout
    names = {path.suffix for path in (out / "results").rglob("*") if path.is_file()}
    assert {".dcm", ".png", ".txt"} <= names
