"""Candidates near the limit are judged by several looks, which lie as they are said to."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from models.grid import Grid
from models.lung_nodules.again import LOOKS, look_again
from models.lung_nodules.candidates import STRIDE, WINDOW, Candidate
from models.lung_nodules.cubes import axes_round
from models.lung_nodules.refining import PATCH, Look
from models.turned import turn

CENTRE = np.array([48.0, 70.0, 66.0])
SPACING = (1.0, 0.8, 0.8)
#: From the middle to a second spot: slices, rows and columns, mm.
ASIDE_MM = np.array([6.0, -8.0, 11.0])


class Seen:
    """A network that keeps what it was shown and answers with given values."""

    def __init__(self, answer: object) -> None:
        self.shown: list[NDArray[np.float32]] = []
        self._answer = answer

    def run(self, shown: object) -> object:
        batch = shown["image"] if isinstance(shown, dict) else shown
        self.shown += list(np.asarray(batch))
        return self._answer(len(batch))  # type: ignore[operator]


def heat(count: int) -> NDArray[np.float32]:
    cells = WINDOW // STRIDE
    out = np.full((count, 2, cells, cells, cells), -9.0, np.float32)
    # Far from the middle lies another one, which is none of the candidate's.
    out[:, 0, :6] = 8.0
    out[:, 0, 14:18, 14:18, 14:18] = 2.0
    return out


def scores(count: int) -> dict[str, NDArray[np.float32]]:
    return {"score": np.full((count, 1), 3.0, np.float32)}


@pytest.fixture(scope="module")
def grid() -> Grid:
    shape = (100, 140, 140)
    at = np.stack(np.meshgrid(*(np.arange(n) for n in shape), indexing="ij"), axis=-1)
    mm = (at - CENTRE) * SPACING
    spots = [np.exp(-0.5 * (np.linalg.norm(mm - aside, axis=-1) / 2.0) ** 2)
             for aside in (np.zeros(3), ASIDE_MM)]  # fmt: skip
    hu = np.float32(-900.0) + 900.0 * spots[0] + 1100.0 * spots[1]
    return SimpleNamespace(hu=hu.astype(np.float32), shape=shape, spacing_mm=SPACING)  # type: ignore[return-value]


def look_at(grid: Grid, step_mm: float) -> Look:
    share = np.zeros((PATCH, PATCH, PATCH), np.float32)
    share[23:25, 23:25, 23:25] = 1.0
    return Look(
        candidate=Candidate(centre=CENTRE, diameter_mm=6.0, logit=0.4, step_mm=step_mm),
        share=share,
        axes=axes_round(grid, CENTRE, 0.7, PATCH),
        step_mm=0.7,
        logit=1.0,
    )


@pytest.mark.parametrize("step_mm", [1.0, 2.0])
def test_every_look_lies_turned_scaled_and_mirrored_round_the_candidate(
    grid: Grid, step_mm: float
) -> None:
    detector, refiner = Seen(heat), Seen(scores)
    look_again(grid, look_at(grid, step_mm), detector, refiner)  # type: ignore[arg-type]
    for shown, own_mm in ((detector.shown, step_mm), (refiner.shown, 0.7)):
        assert len(shown) == len(LOOKS)
        for (degrees, size, mirrored, shift), cube in zip(LOOKS, shown, strict=True):
            back = np.linalg.inv(turn(degrees, size, mirrored=mirrored))
            middle = (cube.shape[-1] - 1) / 2
            spot = middle - shift + back @ ASIDE_MM / own_mm
            brightest = np.unravel_index(int(cube[0].argmax()), cube[0].shape)
            assert np.linalg.norm(np.array(brightest) - spot) <= 1.5


def test_the_looks_differ_and_none_is_the_first_one() -> None:
    turned = [turn(degrees, size, mirrored=mirrored) for degrees, size, mirrored, _ in LOOKS]
    assert all(np.linalg.norm(one - np.eye(3)) > 0.1 for one in turned)
    assert all(
        np.linalg.norm(one - other) > 0.1
        for number, one in enumerate(turned) for other in turned[:number]
    )  # fmt: skip


def test_the_answers_are_read_at_the_candidate(grid: Grid) -> None:
    again = look_again(grid, look_at(grid, 1.0), Seen(heat), Seen(scores))  # type: ignore[arg-type]
    assert again.detector == pytest.approx([2.0] * len(LOOKS), abs=0.3)
    assert again.refiner == pytest.approx([3.0] * len(LOOKS))
