"""Truncation: how much of the outline the field of view cuts off."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.body_composition.field_of_view import cut_fraction, imaged

PIXEL = (1.0, 1.0)


def scene(
    shape: tuple[int, int], centre: tuple[float, float], half: tuple[float, float]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """An elliptic body with 3 mm of skin over fat over muscle, in noisy air."""
    row, column = np.ogrid[: shape[0], : shape[1]]
    y, x = row - centre[0], column - centre[1]

    def inside(inset: float) -> NDArray[np.bool_]:
        return np.asarray((y / (half[0] - inset)) ** 2 + (x / (half[1] - inset)) ** 2 <= 1)

    hu = np.random.default_rng(1).normal(-1000, 12, shape).astype(np.float32)
    for inset, value in ((0.0, 20.0), (3.0, -100.0), (25.0, 50.0)):
        hu[inside(inset)] = value
    return hu, inside(0.0)


def fraction(hu: NDArray[np.float32], body: NDArray[np.bool_]) -> float:
    return cut_fraction(body, hu, imaged(hu, None), PIXEL)


def test_a_body_inside_the_field_is_not_cut() -> None:
    assert fraction(*scene((260, 380), (130, 190), (110, 160))) == 0.0


def test_a_body_that_only_touches_with_its_skin_is_not_cut() -> None:
    assert fraction(*scene((260, 322), (130, 160.5), (110, 160))) < 0.005


@pytest.mark.parametrize("lost_mm", [15, 40])
def test_the_cut_share_of_the_outline_is_the_true_one(lost_mm: int) -> None:
    whole, _ = scene((260, 420), (130, 200), (110, 160))
    hu, body = whole[:, 40 + lost_mm :], None
    row, column = np.ogrid[:260, 40 + lost_mm : 420]
    body = np.asarray(((row - 130) / 110) ** 2 + ((column - 200) / 160) ** 2 <= 1)
    chord = int(body[:, 0].sum())
    angle = np.linspace(0, 2 * np.pi, 4000)
    seen = 160 * np.cos(angle) > -(160 - lost_mm)
    steps = np.hypot(110 * np.gradient(np.sin(angle)), 160 * np.gradient(np.cos(angle)))
    expected = chord / (chord + steps[seen].sum())
    assert fraction(hu, body) == pytest.approx(expected, abs=0.05)
    assert fraction(hu, body) > 0.02


def circled(hu: NDArray[np.float32], radius: float, value: float) -> NDArray[np.float32]:
    rows, columns = hu.shape
    row, column = np.ogrid[:rows, :columns]
    beyond = (row - (rows - 1) / 2) ** 2 + (column - (columns - 1) / 2) ** 2 > radius**2
    out = hu.copy()
    out[beyond] = value
    return out


@pytest.mark.parametrize("filling", [-1024.0, -2000.0, -3024.0])
def test_a_round_field_that_cuts_the_body_is_noticed(filling: float) -> None:
    hu, body = scene((300, 300), (150, 150), (110, 160))
    hu = circled(hu, 149.5, filling)
    body &= hu > -500
    assert fraction(hu, body) > 0.05
    slim, small = scene((300, 300), (150, 150), (80, 120))
    assert fraction(circled(slim, 149.5, filling), small) == 0.0


def test_air_clipped_to_one_value_is_no_edge_of_the_field() -> None:
    hu, body = scene((260, 380), (130, 190), (110, 160))
    hu[hu < -900] = -1024.0
    assert fraction(hu, body) == 0.0
    declared = np.asarray(hu == -1024.0)
    # Partial volume at the skin, as every reconstruction has it.
    rim = np.asarray(body & ~np.roll(body, 1, 0) | body & ~np.roll(body, -1, 0))
    rim |= np.asarray(body & ~np.roll(body, 1, 1) | body & ~np.roll(body, -1, 1))
    hu[rim] = -500.0
    assert cut_fraction(body, hu, imaged(hu, declared), PIXEL) == 0.0


def test_declared_padding_that_cuts_the_body_is_the_edge_of_the_field() -> None:
    hu, body = scene((260, 380), (130, 190), (110, 160))
    padding = np.zeros(hu.shape, np.bool_)
    padding[:, :60] = True
    hu[padding] = -1024.0
    assert cut_fraction(body & ~padding, hu, imaged(hu, padding), PIXEL) > 0.05
