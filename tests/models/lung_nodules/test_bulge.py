"""Tissue in the place of lung: told on the right side, and not where heart or diaphragm are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.grid import canonical
from models.lung_nodules.bulge import find_bulges, look_of
from models.lung_nodules.shape import shape_of
from models.thorax.lungs import Lungs, find_lungs
from tests.models.thorax.chest import Chest, Paint, airless_right, lesion

#: Joined to the middle of the chest, with lung beneath; z, y, x mm.
CENTRE, RADIUS = (35.0, 5.0, -55.0), 34.0


#: Joined to the left lung from below, as the heart is.
HEART = lesion((-75.0, 0.0, 60.0), 45.0)


def lungs_of(*paint: Paint, bottom: float = -120.0) -> Lungs:
    found = find_lungs(canonical(Chest(slice_mm=2.5, paint=paint, bottom=bottom).volume()))
    assert isinstance(found, Lungs)
    return found


@pytest.mark.parametrize(("side", "sign"), [("right", 1.0), ("left", -1.0)])
def test_a_mass_joined_to_the_mediastinum_is_seen_on_its_side(side: str, sign: float) -> None:
    place = (CENTRE[0], CENTRE[1], sign * CENTRE[2])
    volume = Chest(slice_mm=2.5, paint=(lesion(place, RADIUS),)).volume()
    grid = canonical(volume)
    lungs = find_lungs(grid)
    assert isinstance(lungs, Lungs)
    (bulge,) = find_bulges(lungs)
    assert bulge.side == side
    shape = shape_of(grid, look_of(bulge))
    assert shape is not None
    # Its border to the mediastinum is not seen: what is measured is part of it.
    assert 0.6 * 2 * RADIUS < shape.mean_mm < 1.05 * 2 * RADIUS
    z, y, x = place
    assert np.linalg.norm(np.array(shape.centre_mm) - np.array([x, y, z])) < 0.4 * RADIUS


def test_sound_lungs_have_none() -> None:
    assert find_bulges(lungs_of()) == []


def test_tissue_without_lung_beneath_is_heart_or_diaphragm() -> None:
    assert find_bulges(lungs_of(HEART)) == []


@pytest.mark.parametrize(("sides", "told"), [((-20.0, 20.0), ["left"]), ((20.0, 60.0), [])])
def test_airways_divide_only_where_they_lie_on_both_sides(
    sides: tuple[float, float], told: list[str]
) -> None:
    lungs = lungs_of(HEART)
    volume = lungs.volume
    airways = np.zeros_like(lungs.airways)
    middle = volume.shape[2] / 2
    for aside in sides:
        airways[5:10, volume.shape[1] // 2, round(middle + aside / volume.step_mm)] = True
    found = find_bulges(replace(lungs, airways=airways))
    assert [bulge.side for bulge in found] == told


def test_a_lung_without_air_is_told_where_the_series_ends_above_the_carina() -> None:
    lungs = lungs_of(airless_right, bottom=25.0)
    assert not lungs.right.any()
    (bulge,) = find_bulges(lungs)
    assert bulge.side == "right"
    assert bulge.volume_ml > 50
    assert find_bulges(replace(lungs, airways=np.zeros_like(lungs.airways))) == []
    assert find_bulges(lungs_of(bottom=25.0)) == []


def test_what_is_smaller_than_a_mass_is_left_to_the_networks() -> None:
    assert find_bulges(lungs_of(lesion(CENTRE, 11.0))) == []
