"""The tally of the embolism package: which mark finds which clot, and what is shown of failures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from models.phantoms.vessel_tree import Level
from models.pulmonary_embolism.vocabulary import CERTAINTY
from node.domain.finding import Status
from node.evaluation.filing import CtArray
from node.evaluation.product import Look
from node.evaluation.pulmonary_embolism_tally import PICTURES, Tally, marks_of
from node.evaluation.simulated_clots import SimulatedStudy, TrueClot

SHAPE = (12, 60, 60)


def clot(level: Level, row: int) -> TrueClot:
    return TrueClot(
        level=level, side="left", form="occlusive", low=(4, row, 20),
        mask=np.ones((3, 5, 5), np.bool_), mm3=75.0,
    )  # fmt: skip


def look(*marks: tuple[float, int, int]) -> Look:
    """Marks as (certainty, row, column), each of 3 x 5 x 5 voxels on slices 4 to 6."""
    planes = [SimpleNamespace(sop_instance_uid=str(k)) for k in range(SHAPE[0])]
    segments, findings = [], []
    for number, (certainty, row, column) in enumerate(marks, start=1):
        mask = np.zeros((3, *SHAPE[1:]), np.bool_)
        mask[:, row : row + 5, column : column + 5] = True
        segments.append(SimpleNamespace(mask=mask))
        findings.append(
            SimpleNamespace(
                segment_number=number,
                measurements=(SimpleNamespace(name=CERTAINTY, value=certainty),),
                evaluations=(SimpleNamespace(value="lobar"),),
            )
        )
    found = SimpleNamespace(
        status=Status.FINDINGS, findings=findings, segments=segments,
        segmented_planes=planes[4:7], exam_measurements=(),
    )  # fmt: skip
    volume = SimpleNamespace(planes=planes, voxel_ml=0.001)
    return Look(findings=cast(Any, found), volume=cast(Any, volume), verdict="", seconds=1.0)


@pytest.fixture
def study() -> SimulatedStudy:
    return SimulatedStudy(
        array=CtArray(name="test", voxels=np.zeros(SHAPE, np.int16), affine=np.eye(4)),
        clots=(clot(Level.LOBAR, 10), clot(Level.CENTRAL, 40), clot(Level.SUBSEGMENTAL, 28)),
    )


def test_a_mark_beside_a_clot_finds_it_and_one_far_away_is_false(study: SimulatedStudy) -> None:
    truth = [one.whole(SHAPE) for one in study.clots]
    beside, at, far = marks_of(look((90.0, 15, 20), (80.0, 40, 20), (70.0, 10, 50)), truth)
    assert (beside.clot, at.clot, far.clot) == (0, 1, None)
    assert far.mm3 == pytest.approx(75.0)
    assert np.argwhere(far.whole(SHAPE)).min(axis=0).tolist() == [4, 10, 50]


def test_a_mark_shows_the_clots_that_it_covers_beside_the_one_that_it_lies_at() -> None:
    near, far = clot(Level.LOBAR, 10), clot(Level.SEGMENTAL, 14)
    both = SimulatedStudy(
        array=CtArray(name="test", voxels=np.zeros(SHAPE, np.int16), affine=np.eye(4)),
        clots=(near, replace(far, mask=np.ones((3, 3, 5), np.bool_))),
    )
    truth = [one.whole(SHAPE) for one in both.clots]
    (covering,) = marks_of(look((90.0, 11, 20)), truth)
    assert (covering.clot, covering.also, covering.clots) == (0, (1,), (0, 1))
    # Touched by a corner: the other one is not shown.
    (touching,) = marks_of(look((90.0, 9, 20)), truth)
    assert (touching.clot, touching.also) == (0, ())
    tally = Tally()
    tally.add(both, look((90.0, 11, 20)), 70.0)
    assert (tally.found[Level.LOBAR], tally.found[Level.SEGMENTAL]) == ([True], [True])
    assert tally.found_apart == [True, False]
    assert tally.readings[0].marks == ((90.0, 0), (90.0, 1))
    assert tally.volume_ratio == [pytest.approx(0.5)]
    assert not tally.missed


def test_only_marks_from_the_threshold_on_find_and_alarm(
    study: SimulatedStudy, tmp_path: Path
) -> None:
    tally = Tally()
    tally.add(study, look((98.0, 10, 20), (60.0, 40, 20), (99.0, 10, 50), (30.0, 50, 50)), 97.0)
    assert tally.found[Level.LOBAR] == [True]
    assert tally.found[Level.CENTRAL] == [False]
    assert tally.false_alerts == [1.0]
    assert tally.level_right == [True]
    assert tally.marks == [(98.0, True), (60.0, True), (99.0, False), (30.0, False)]
    # The subsegmental clot is not asked for, and so is no failure to be shown.
    assert [panel.words.splitlines()[0] for panel in tally.missed] == ["missed: central, occlusive"]
    assert [certainty for certainty, _ in tally.false] == [99.0, 30.0]
    tally.draw(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(PICTURES)
    rows = {row.metric: row for row in tally.rows(1)}
    assert rows["clots found, segmental and larger"].value == "0.500"
    assert rows["reliability: true of marks with certainty 95 to 100 %"].value == "0.500"
