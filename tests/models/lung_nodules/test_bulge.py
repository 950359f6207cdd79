"""Tissue in the place of lung: told on the right side, and not where heart or diaphragm are."""

from __future__ import annotations

import numpy as np
import pytest

from models.grid import canonical
from models.lung_nodules.bulge import find_bulges, look_of
from models.lung_nodules.shape import shape_of
from models.thorax.lungs import Lungs, find_lungs
from tests.models.thorax.chest import Chest, Paint, lesion

#: Joined to the middle of the chest, with lung beneath; z, y, x mm.
CENTRE, RADIUS = (35.0, 5.0, -55.0), 34.0


def lungs_of(*paint: Paint) -> Lungs:
    found = find_lungs(canonical(Chest(slice_mm=2.5, paint=paint).volume()))
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
    heart = lesion((-75.0, 0.0, 60.0), 45.0)
    assert find_bulges(lungs_of(heart)) == []


def test_what_is_smaller_than_a_mass_is_left_to_the_networks() -> None:
    assert find_bulges(lungs_of(lesion(CENTRE, 11.0))) == []
