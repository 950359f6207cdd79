"""The simulated trunk: reproducible, plausible, and its truth is what its voxels say."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from models.phantoms.acquisition import Phase
from models.phantoms.tissue import BODIES, COMPARTMENT_OF, LEVEL_OF, Compartment, Level, Tissue
from models.phantoms.trunk import (
    PADDING_HU,
    Phantom,
    TrunkOptions,
    phantom_uid,
    simulate_trunk,
)

COARSE = TrunkOptions(matrix=128, slice_mm=5.0, reach_mm=(-60.0, 60.0), working_mm=(3.0, 2.5))


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return simulate_trunk(1_000_007, COARSE)


def test_same_seed_gives_the_same_voxels_and_truth(phantom: Phantom) -> None:
    again = simulate_trunk(1_000_007, COARSE)
    assert np.array_equal(again.volume.voxels, phantom.volume.voxels)
    assert np.array_equal(again.labels, phantom.labels)
    assert again.truth == phantom.truth


def test_another_seed_is_another_patient(phantom: Phantom) -> None:
    other = simulate_trunk(1_000_008, COARSE)
    assert other.person != phantom.person
    assert other.volume.study_uid != phantom.volume.study_uid


def test_areas_are_those_counted_from_the_voxels(phantom: Phantom) -> None:
    truth, volume = phantom.truth, phantom.volume
    assert truth.l3_slice is not None
    assert truth.areas is not None
    assert truth.tissue_areas is not None
    hu, labels = volume.voxels[truth.l3_slice], phantom.labels[truth.l3_slice]
    pixel = volume.voxel_ml * 1000 / volume.spacing_mm[0] / 100
    muscle = (COMPARTMENT_OF[labels] == Compartment.MUSCLE) & (hu >= -29) & (hu <= 150)
    cavity = (COMPARTMENT_OF[labels] == Compartment.VISCERAL) & (hu >= -150) & (hu <= -50)
    assert truth.areas.muscle == pytest.approx(muscle.sum() * pixel)
    assert truth.areas.visceral_fat == pytest.approx(cavity.sum() * pixel)
    streaks = labels == Tissue.INTERMUSCULAR_FAT
    assert truth.tissue_areas.intermuscular_fat == pytest.approx(streaks.sum() * pixel)


def test_mid_l3_lies_in_the_middle_of_the_body_of_l3(phantom: Phantom) -> None:
    z = phantom.volume.affine[2, 3] + np.arange(len(phantom.labels)) * phantom.volume.spacing_mm[0]
    body = (phantom.labels == Tissue.L3).sum((1, 2))
    counted = float((z * body).sum() / body.sum())
    assert phantom.truth.l3_z_mm == pytest.approx(counted, abs=4.0)


def test_vertebrae_follow_one_another_upwards_at_adult_distances(phantom: Phantom) -> None:
    found = [phantom.truth.centroids_mm[t][2] for t in BODIES if t in phantom.truth.centroids_mm]
    steps = np.diff(found)
    assert len(found) >= 3
    assert np.all((steps > 20) & (steps < 50))


def test_fat_air_muscle_and_bone_have_their_hounsfield_units(phantom: Phantom) -> None:
    def middle(tissue: Tissue) -> float:
        return float(np.median(phantom.volume.voxels[phantom.labels == tissue]))

    assert -125 < middle(Tissue.SUBCUTANEOUS_FAT) < -75
    assert 15 < middle(Tissue.ERECTOR) < 80
    assert middle(Tissue.ARCH) > 120
    assert middle(Tissue.AIR) < -900


def test_padding_is_marked_and_outside_the_circle(phantom: Phantom) -> None:
    padding = phantom.volume.padding
    assert padding is not None
    assert padding[0, 0, 0]
    assert not padding[0, 64, 64]
    assert np.all(phantom.volume.voxels[padding] == PADDING_HU)
    assert np.all(phantom.labels[padding] == Tissue.AIR)


def test_phase_raises_vessels_and_kidneys_only_with_contrast() -> None:
    def aorta(phase: Phase) -> float:
        options = TrunkOptions(
            matrix=96, slice_mm=5.0, reach_mm=(-10.0, 40.0), working_mm=(3.0, 3.0), phase=phase
        )
        done = simulate_trunk(1_000_009, options)
        return float(np.median(done.volume.voxels[done.labels == Tissue.ARTERY]))

    native, arterial = aorta(Phase.NATIVE), aorta(Phase.ARTERIAL)
    assert native < 70
    assert arterial > native + 100


def test_truncated_field_reports_how_much_of_the_trunk_is_cut() -> None:
    options = TrunkOptions(
        matrix=96, slice_mm=5.0, reach_mm=(-15.0, 15.0), working_mm=(3.0, 3.0), truncated=True
    )
    assert simulate_trunk(1_000_010, options).truth.trunk_cut > 0.02


def test_stack_without_l3_has_no_l3_truth() -> None:
    options = TrunkOptions(matrix=64, slice_mm=5.0, reach_mm=(90.0, 130.0), working_mm=(3.0, 3.0))
    truth = simulate_trunk(1_000_011, options).truth
    assert truth.l3_z_mm is None
    assert truth.areas is None


def test_areas_at_l3_lie_in_the_range_of_adults() -> None:
    options = TrunkOptions(matrix=96, slice_mm=5.0, reach_mm=(-8.0, 8.0), working_mm=(5.0, 3.0))
    measured = [simulate_trunk(1_000_100 + k, options).truth.areas for k in range(6)]
    areas = np.array([list(asdict(a).values()) for a in measured if a is not None])
    assert len(areas) == 6
    muscle, between, under, inside = areas.T
    assert np.all((muscle > 50) & (muscle < 290))
    assert np.all((between >= 0) & (between < 90))
    assert np.all((under > 5) & (under < 900))
    assert np.all((inside > 2) & (inside < 600))
    assert np.ptp(under) > 50


def test_every_tissue_belongs_to_a_class_of_both_networks() -> None:
    assert set(COMPARTMENT_OF[[int(t) for t in Tissue]]) == set(Compartment)
    assert set(LEVEL_OF[[int(t) for t in Tissue]]) == set(Level)


def test_identifiers_depend_on_seed_and_role_alone() -> None:
    assert phantom_uid(5, "study") == phantom_uid(5, "study")
    assert phantom_uid(5, "study") != phantom_uid(6, "study")
    assert len(phantom_uid(5, "study")) <= 64
