"""The disc on the sacrum is told by what the network saw below and above it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from models.body_composition import levels
from models.body_composition.levels import NAMED, LevelMap, find_levels
from models.body_composition.sacral_disc import Midline, disc_on_sacrum
from models.grid import Floats, canonical
from models.trunk.course import Course
from tests.models.body_composition.toy import LevelsDouble, Toy

DISCS = [20.0, 56.0, 92.0, 128.0]
#: Of bodies 36 mm apart. The drawing has them every 34 mm: L5 10 mm lower, L3 14, T11 22.
MIDDLES = [132.0 + 36.0 * number for number in range(len(NAMED))]


def midline(sacrum_to: float, bodies_from: float, ml: float = 3.0) -> Midline:
    heights = np.arange(-40.0, 160.0, 4.0)
    return Midline(
        heights_mm=heights,
        sacrum_ml=np.where(heights < sacrum_to, ml, 0.0),
        bodies_ml=np.where(heights >= bodies_from, ml, 0.0),
    )


@pytest.mark.parametrize("slip", [-8.0, 0.0, 8.0])
def test_the_disc_where_sacrum_ends_and_bodies_begin(slip: float) -> None:
    assert disc_on_sacrum(midline(20.0 + slip, 20.0 + slip), DISCS, 36.0) == 0
    assert disc_on_sacrum(midline(56.0 + slip, 56.0 + slip), DISCS, 36.0) == 1


def test_without_enough_sacrum_no_disc_is_the_one() -> None:
    assert disc_on_sacrum(midline(-40.0, 20.0), DISCS, 36.0) is None
    assert disc_on_sacrum(midline(20.0, 20.0, ml=0.5), DISCS, 36.0) is None


def test_sacrum_that_ends_far_below_the_discs_names_none() -> None:
    assert disc_on_sacrum(midline(-12.0, 20.0), DISCS, 36.0) is None


def slipped(monkeypatch: pytest.MonkeyPatch, *, sacrum: bool) -> LevelMap:
    """A drawing whose visible discs stand so that each named body slips further than the last."""
    toy = Toy(bottom=-190.0)
    grid = canonical(toy.volume())
    network = LevelsDouble(toy, grid)
    discs = [MIDDLES[0] - 18.0, *(height + 18.0 for height in MIDDLES)]

    def course(*_: object) -> Course:
        at = np.arange(20.0, 380.0)
        return Course(at / 5.0, np.full(at.size, 87.0), np.full(at.size, 97.0), at, at)

    def seen(*_: object) -> list[float]:
        return discs

    monkeypatch.setattr(levels, "course_of", course)
    monkeypatch.setattr(levels, "disc_heights", seen)
    if not sacrum:
        monkeypatch.setattr(network, "run_windows", without_sacrum(network.run_windows))
    return find_levels(grid, network, 1.5)


def without_sacrum(run: Callable[[Floats], Floats]) -> Callable[[Floats], Floats]:
    def answered(image: Floats) -> Floats:
        logits = run(image)
        logits[0] = np.maximum(logits[0], logits[levels.CLASSES.index("sacrum")])
        logits[levels.CLASSES.index("sacrum")] = 0.0
        return logits

    return answered


def test_bodies_of_the_network_are_counted_from_the_sacrum(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    level_map = slipped(monkeypatch, sacrum=True)
    assert not level_map.unsure
    heights = [level_map.bodies[name].centre[0] * 5.0 for name in NAMED]
    assert heights == pytest.approx(MIDDLES, abs=0.1)


def test_without_a_sacrum_the_same_bodies_stay_unsure(monkeypatch: pytest.MonkeyPatch) -> None:
    assert slipped(monkeypatch, sacrum=False).unsure
