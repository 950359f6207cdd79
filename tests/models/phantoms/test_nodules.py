"""Nodules have the size they claim, and insertion changes nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.phantoms.insertion import (
    Physics,
    Scan,
    diameters,
    insert_nodule,
    measure_physics,
)
from models.phantoms.nodules import Density, Nodule, draw_nodule

SHARP = Physics(blur_mm=0.3, slice_mm=1.0, noise_hu=0.0, grain_mm=0.5)


def smooth(radii: tuple[float, float, float], density: Density = Density.SOLID) -> Nodule:
    """An ellipsoid without bumps, along the axes."""
    drawn = draw_nodule(np.random.default_rng(1), 10.0, density)
    return replace(
        drawn,
        radii_mm=np.array(radii, np.float32),
        turn=np.eye(3, dtype=np.float32),
        heights=np.zeros_like(drawn.heights),
        spicules=(),
    )


def lung(hu: float = -850.0) -> Scan:
    return Scan(hu=np.full((60, 80, 80), hu, np.float32), spacing_mm=(1.0, 0.7, 0.7), physics=SHARP)


CENTRE = np.array([30.2, 40.4, 39.7])


def test_volume_and_diameters_of_an_ellipsoid_are_exact() -> None:
    put = insert_nodule(lung(), smooth((5.0, 6.0, 8.0)), CENTRE, np.random.default_rng(0))
    assert put is not None
    assert put.volume_mm3 == pytest.approx(4 / 3 * np.pi * 5 * 6 * 8, rel=0.01)
    assert put.long_mm == pytest.approx(16.0, abs=0.4)
    assert put.short_mm == pytest.approx(12.0, abs=0.6)
    assert float(put.coverage.sum()) * 0.49 == pytest.approx(put.volume_mm3, rel=1e-3)
    assert put.centre == pytest.approx(CENTRE, abs=0.1)


def test_attenuation_that_was_added_is_that_of_the_volume() -> None:
    scan = lung()
    nodule = replace(smooth((6.0, 6.0, 6.0)), hu=50.0)
    put = insert_nodule(scan, nodule, CENTRE, np.random.default_rng(0))
    assert put is not None
    added = float((scan.hu + 850.0).sum()) / 900.0 * 0.49
    assert added == pytest.approx(put.volume_mm3, rel=0.02)
    assert scan.hu[30, 40, 40] == pytest.approx(50.0, abs=3)
    assert scan.hu[0, 0, 0] == -850.0


def test_ground_glass_lets_a_vessel_shine_through() -> None:
    scan = lung()
    scan.hu[:, 40, 40] = 40.0
    put = insert_nodule(
        scan, smooth((6.0, 6.0, 6.0), Density.GROUND_GLASS), CENTRE, np.random.default_rng(0)
    )
    assert put is not None
    assert put.solid_mm == 0.0
    assert scan.hu[30, 40, 40] >= 40.0
    assert -750 < scan.hu[30, 44, 40] < -300


def test_the_chest_wall_stays_and_cuts_the_nodule() -> None:
    scan = lung()
    scan.hu[:, 45:] = 400.0
    whole = 4 / 3 * np.pi * 8**3
    put = insert_nodule(scan, smooth((8.0, 8.0, 8.0)), CENTRE, np.random.default_rng(0))
    assert put is not None
    assert put.volume_mm3 < 0.85 * whole
    assert (scan.hu[:, 50:] == 400.0).all()
    assert put.coverage.max() == 1.0


def test_hardly_any_lung_means_no_nodule() -> None:
    assert (
        insert_nodule(lung(40.0), smooth((5.0, 5.0, 5.0)), CENTRE, np.random.default_rng(0)) is None
    )


def test_noise_within_the_nodule_is_that_of_the_scan() -> None:
    rng = np.random.default_rng(3)
    noisy = np.full((40, 80, 80), 30.0, np.float32)
    noisy += rng.standard_normal(noisy.shape).astype(np.float32) * 25
    physics = measure_physics(noisy, (1.0, 0.7, 0.7))
    assert physics.noise_hu == pytest.approx(25.0, rel=0.15)
    scan = replace(lung(), physics=physics)
    put = insert_nodule(scan, smooth((9.0, 9.0, 9.0)), CENTRE, rng)
    assert put is not None
    assert float(scan.hu[26:34, 36:44, 36:44].std()) == pytest.approx(25.0, rel=0.3)


@pytest.mark.parametrize("density", list(Density))
def test_drawn_nodules_are_about_as_large_as_asked(density: Density) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        put = insert_nodule(lung(), draw_nodule(rng, 12.0, density), CENTRE, rng)
        assert put is not None
        assert 9.0 < put.mean_mm < 16.0
        assert put.density is density


def test_diameters_of_a_rectangle() -> None:
    plane = np.zeros((20, 30), np.bool_)
    plane[5:9, 4:24] = True
    long_mm, short_mm = diameters(plane, np.array([1.0, 1.0]))
    assert long_mm == pytest.approx(np.hypot(4, 20), abs=0.25)
    assert 4.0 < short_mm < 9.0
