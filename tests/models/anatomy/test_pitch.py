"""Lumbar vertebrae that lie too near to each other for an adult."""

from __future__ import annotations

import numpy as np
import pytest

from models.anatomy import report
from models.anatomy.pipeline import analyse
from models.anatomy.pitch import pitch_doubt
from models.anatomy.structures import Structure as S
from node.domain.anatomy import Anatomy, Vertebra
from node.domain.finding import Status
from tests.models.anatomy.looks import Trunk, block


def spine(pitch_mm: float, levels: tuple[str, ...] = ("L5", "L4", "L3", "L2")) -> Anatomy:
    return Anatomy(
        labels=np.zeros((4, 4, 4), np.uint8),
        affine=np.eye(4),
        names={},
        vertebrae=tuple(
            Vertebra(level=level, value=k + 1, centre_mm=(0.0, 5.0 * k, pitch_mm * k))
            for k, level in enumerate(levels)
        ),
        anchors=("sacrum",),
        doubts=(),
        model_digest="toy",
    )


@pytest.mark.parametrize(("pitch_mm", "is_told"), [(36.0, False), (27.0, False), (24.0, True)])
def test_a_pitch_that_no_adult_has_is_told(pitch_mm: float, *, is_told: bool) -> None:
    assert ("slice distance in the headers" in pitch_doubt(spine(pitch_mm))) is is_told


@pytest.mark.parametrize("levels", [("", "", "", ""), ("L5", "L3", "L1"), ("T12", "T11", "T10")])
def test_without_neighbours_of_known_lumbar_levels_nothing_is_told(levels: tuple[str, ...]) -> None:
    assert pitch_doubt(spine(20.0, levels)) == ""


def test_the_doubt_makes_the_result_partial(monkeypatch: pytest.MonkeyPatch) -> None:
    request = Trunk([(S.LIVER, block((60, 110), (20, 70), (15, 55)))]).request(monkeypatch)
    assert analyse(request).status is Status.FINDINGS
    monkeypatch.setattr(report, "pitch_doubt", lambda _: "too near")
    findings = analyse(request)
    assert (findings.status, findings.reason) == (Status.PARTIAL, "too near")
