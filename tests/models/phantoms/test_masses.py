"""Masses of simulated chests: where they were asked for, and only in what gives way to them."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from models.phantoms.chest import Block, ChestOptions, ChestTissue, build_chest, simulate_block
from models.phantoms.masses import Mass, Site, draw_mass

SEED, DIAMETER = 1_930_007, 46.0
STEP = 2.5


@pytest.fixture(scope="module", params=list(Site))
def mass(request: pytest.FixtureRequest) -> Mass:
    return draw_mass(build_chest(SEED), SEED, request.param, DIAMETER, collapse_mm=12.0)


def test_a_mass_lies_where_it_was_asked_for_and_bulges_into_lung(mass: Mass) -> None:
    anatomy = build_chest(SEED)
    around = mass.centre + DIAMETER / 2 * np.random.default_rng(0).uniform(-1, 1, (4000, 3))
    ball = around[np.linalg.norm(around - mass.centre, axis=1) < DIAMETER / 2]
    assert (anatomy.lungs.depth.at(ball) > 0).mean() > 0.3
    again = draw_mass(anatomy, SEED, mass.site, DIAMETER, collapse_mm=12.0)
    assert np.array_equal(again.centre, mass.centre)


def test_it_paints_tissue_that_is_its_truth_and_leaves_bone_and_blood_alone(mass: Mass) -> None:
    options = ChestOptions(findings=False, motion=0.0, noise_hu=0.0)
    z, y, x = (float(v) for v in mass.centre)
    block = Block(centre_mm=(z, y, x), size_mm=(100.0,) * 3, spacing_mm=(STEP,) * 3)
    plain = simulate_block(SEED, block, options)
    with_mass = simulate_block(SEED, block, options, lesions=[mass])
    truth = with_mass.lesions["mass"].mask(with_mass.hu.shape)
    ball = np.pi / 6 * DIAMETER**3
    assert 0.25 * ball < truth.sum() * STEP**3 < 1.5 * ball
    assert 0 < np.median(with_mass.clean[truth]) < 90
    kept = np.isin(plain.labels, (ChestTissue.RIB, ChestTissue.AORTA, ChestTissue.VERTEBRA))
    # Whole voxels of them: those at their border share lung, which gives way.
    away = binary_erosion(kept, np.ones((3, 3, 3), np.bool_))
    assert away.any()
    assert np.allclose(with_mass.clean[away], plain.clean[away], atol=1.0)
    assert not truth[plain.labels == ChestTissue.VERTEBRA].any()
    airless = with_mass.lesions["collapse"].mask(with_mass.hu.shape) & ~truth
    assert np.median(with_mass.clean[airless] - plain.clean[airless]) > 500
