"""Two models of one study look at the same pixels, which one node reads once for both."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydicom.uid import JPEGLSLossless

from tests.dicom_factory import ct_series, write
from tests.node.asking import get, send
from tests.node.packages import build_package
from tests.node.serving import wait_for
from tests.node.test_broken_packages import running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
SLICES = 6


def test_two_packages_in_one_node_decode_the_images_of_a_study_once_and_load_one_volume(
    tmp_path: Path,
) -> None:
    models = tmp_path / "models"
    build_package(models, "first")
    build_package(models, "second")
    with running(tmp_path, models) as run:
        assert wait_for(lambda: run.ready()[0] == 200, 400), run.ready()
        images = ct_series(slices=SLICES, transfer_syntax=JPEGLSLossless)
        study_uid = send(run.node.receiver.port, write(images, tmp_path / "study"))
        assert wait_for(lambda: run.ended(study_uid), 400), run.outcomes(study_uid)
        outcomes = run.outcomes(study_uid)
        assert {name: state for name, (state, _) in outcomes.items()} == {
            "first": "done",
            "second": "done",
        }
        _, metrics = get(run.node.web.port, "/metrics")
        assert _counted(metrics, "vigie_images_decoded_ahead_total") == {"decoded": SLICES}
        # One of them read the volume; the other found it in memory.
        assert _counted(metrics, "vigie_volume_loads_total") == {"read": 1, "shared": 1}


def _counted(metrics: str, name: str) -> dict[str, float]:
    """Values that are not 0, by their only label."""
    found = re.findall(rf'^{name}\{{\w+="(\w+)"\}} (\S+)$', metrics, re.MULTILINE)
    return {label: float(value) for label, value in found if float(value)}
