"""Varied trunks: organs elsewhere, the same spine, nothing left over of how they are painted."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from models.phantoms.anatomy import Trunk, paint_trunk
from models.phantoms.left_flank import paint_left_flank
from models.phantoms.shapes import Canvas
from models.phantoms.tissue import BODIES, Tissue
from models.phantoms.variety import worn

STEPS = (4.0, 4.0, 4.0)


@pytest.fixture(scope="module")
def pairs() -> list[tuple[Trunk, Trunk]]:
    seeds = (3, 5)
    return [(paint_trunk(s, STEPS), paint_trunk(s, STEPS, varied=True)) for s in seeds]


def test_vertebrae_stay_where_they_are(pairs: list[tuple[Trunk, Trunk]]) -> None:
    for plain, varied in pairs:
        for body in BODIES:
            before, after = (np.argwhere(t.canvas.labels == body) for t in (plain, varied))
            assert np.abs(before.mean(axis=0) - after.mean(axis=0)).max() < 0.5


@pytest.mark.parametrize(
    ("organ", "ml"),
    [(Tissue.KIDNEY, (80, 600)), (Tissue.LIVER, (500, 2600)), (Tissue.SPLEEN, (40, 700))],
)
def test_organs_are_of_a_patients_size(
    organ: Tissue, ml: tuple[float, float], pairs: list[tuple[Trunk, Trunk]]
) -> None:
    for _, varied in pairs:
        volume = float((varied.canvas.labels == organ).sum()) * np.prod(STEPS) / 1000
        assert ml[0] < volume < ml[1]


def test_fat_kept_free_round_a_kidney_is_fat_in_the_end(pairs: list[tuple[Trunk, Trunk]]) -> None:
    # Breast tissue holds the place of that fat for a while; it lies in the chest's front only.
    for plain, varied in pairs:
        before, after = (t.canvas.labels == Tissue.BREAST for t in (plain, varied))
        assert np.array_equal(before, after)


def test_the_same_seed_varies_in_the_same_way() -> None:
    first, second = (paint_trunk(9, STEPS, varied=True).canvas.labels for _ in range(2))
    assert np.array_equal(first, second)


def test_what_a_worn_disc_loses_its_neighbours_gain(pairs: list[tuple[Trunk, Trunk]]) -> None:
    frame = pairs[0][0].frame
    seen = [worn(frame, seed).bodies for seed in range(12)]
    thinner = [bodies for bodies in seen if bodies != frame.bodies]
    assert 2 <= len(thinner) <= 10
    for bodies in thinner:
        for before, after in zip(frame.bodies, bodies, strict=True):
            assert 0.2 * before.disc < after.disc <= before.disc
        for lower, upper in pairwise(bodies):
            gap = upper.z - upper.height / 2 - (lower.z + lower.height / 2)
            # L5 to T6 lie on one another as before, with nothing between but the disc.
            assert gap == pytest.approx(lower.disc, abs=0.01)


def test_bowel_beside_the_spleen_takes_the_place_of_fat_alone(
    pairs: list[tuple[Trunk, Trunk]],
) -> None:
    plain = pairs[0][0]
    bowel = (Tissue.STOOL, Tissue.BOWEL_WALL, Tissue.BOWEL_FLUID, Tissue.BOWEL_GAS)
    painted = 0
    for seed in range(4):
        now = plain.canvas.labels.copy()
        canvas = Canvas(plain.canvas.z, plain.canvas.y, plain.canvas.x, now)
        paint_left_flank(canvas, plain.frame, np.random.default_rng(seed))
        changed = now != plain.canvas.labels
        # Walls of bowel that meet are one.
        assert np.isin(plain.canvas.labels[changed], (Tissue.VISCERAL_FAT, Tissue.BOWEL_WALL)).all()
        assert np.isin(now[changed], bowel).all()
        painted += int(changed.sum())
    assert painted > 100
