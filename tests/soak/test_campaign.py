"""A short form of `make soak`: whatever was acknowledged survives kill -9, and is answered once."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.demo.simulated import simulate
from tests.soak.campaign import Campaign, Plan


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_and_every_study_is_answered_once_through_kill_9(
    tmp_path: Path,
) -> None:
    studies = []
    for number in range(2):
        folder = tmp_path / "studies" / str(number)
        simulate(number, folder, matrix=192)
        studies.append(folder)
    plan = Plan(
        folder=tmp_path, studies=tuple(studies), kills=5, seed=20260101, longest_life_s=10.0
    )
    verdict = Campaign(plan).run()
    assert verdict.faults == []
    assert verdict.kills == 5
    assert verdict.studies == 2
    assert verdict.acknowledged > 0
