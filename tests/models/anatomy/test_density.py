"""Where the image itself decides what a voxel is, the network is corrected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.anatomy.density import by_density
from models.anatomy.structures import Structure as S
from tests.models.anatomy.scene import sight_of

SHAPE = (8, 80, 96)


def trunk() -> tuple[np.ndarray, np.ndarray]:
    """A trunk of soft tissue in air, and its labels."""
    hu = np.full(SHAPE, -1000.0, np.float32)
    labels = np.full(SHAPE, S.OUTSIDE, np.uint8)
    hu[:, 10:70, 10:86] = 40.0
    labels[:, 10:70, 10:86] = S.BODY
    return hu, labels


def test_air_beside_the_patient_is_no_lung_and_an_arm_stays_an_arm() -> None:
    hu, labels = trunk()
    labels[:, 20:40, :8] = S.LUNG
    hu[:, 20:40, 90:95] = 40.0
    labels[:, 20:40, 90:95] = S.LIMB
    found = by_density(sight_of(labels, hu)).labels
    assert not (found == S.LUNG).any()
    assert (found[:, 20:40, 90:95] == S.LIMB).all()


def test_a_lung_reaches_to_where_its_air_ends() -> None:
    hu, labels = trunk()
    hu[:, 20:60, 20:40] = -850.0
    # The network draws it two voxels too far to the right side and two too short at the other.
    labels[:, 20:60, 18:38] = S.LUNG
    # A vessel within it is lung too, whatever the network calls it.
    hu[:, 38:41, 29:31] = 60.0
    labels[:, 38:41, 29:31] = S.BODY
    found = by_density(sight_of(labels, hu)).labels
    assert np.array_equal(found == S.LUNG, np.isin(hu, (-850.0,)) | _vessel())


def _vessel() -> np.ndarray:
    there = np.zeros(SHAPE, np.bool_)
    there[:, 38:41, 29:31] = True
    return there


def test_fat_is_no_muscle_and_gas_is_no_bone() -> None:
    hu, labels = trunk()
    labels[:, 20:40, 20:40] = S.ERECTOR
    hu[:, 20:25, 20:40] = -100.0
    labels[:, 45:60, 20:40] = S.SACRUM
    hu[:, 45:50, 20:40] = -800.0
    hu[:, 50:60, 20:40] = -70.0  # fatty marrow
    found = by_density(sight_of(labels, hu)).labels
    assert (found[:, 20:25, 20:40] == S.BODY).all()
    assert (found[:, 25:40, 20:40] == S.ERECTOR).all()
    assert (found[:, 45:50, 20:40] == S.BODY).all()
    assert (found[:, 50:60, 20:40] == S.SACRUM).all()


def test_the_sight_handed_in_stays_as_it_is() -> None:
    hu, labels = trunk()
    labels[:, 20:40, :8] = S.LUNG
    sight = sight_of(labels, hu)
    by_density(sight)
    assert (sight.labels == S.LUNG).any()


def test_nothing_of_the_pelvis_lies_beside_lung() -> None:
    hu, labels = trunk()
    hu[4:, 20:60, 20:40] = -850.0
    labels[4:, 20:60, 20:40] = S.LUNG
    labels[:, 30:40, 50:60] = S.HIP_BONE
    found = by_density(sight_of(labels, hu)).labels
    assert (found[:4, 30:40, 50:60] == S.HIP_BONE).all()
    assert (found[4:, 30:40, 50:60] == S.BODY).all()


def test_a_table_below_the_patient_is_not_the_patient() -> None:
    hu, labels = trunk()
    hu[:, 76:78, :] = 300.0
    labels[:, 76:78, :] = S.PELVIC_MUSCLE
    found = by_density(sight_of(labels, hu)).labels
    assert (found[:, 76:78] == S.OUTSIDE).all()


def test_air_of_a_lung_that_the_network_calls_outside_is_lung_if_it_thought_of_lung_first() -> None:
    hu, labels = trunk()
    hu[:, 20:60, 20:60] = -850.0
    labels[:, 20:60, 20:60] = S.OUTSIDE
    sight = sight_of(labels, hu)
    sight.logits[S.LUNG, :, 10:30, 10:20] = 3.0
    sight.logits[S.BODY, :, 10:30, 20:30] = 3.0
    found = by_density(sight).labels
    assert (found[:, 20:60, 20:40] == S.LUNG).all()
    # Gas of bowel.
    assert (found[:, 20:60, 52:60] == S.BODY).all()


def test_muscle_as_dense_as_bone_and_one_piece_with_a_rib_is_rib() -> None:
    hu, labels = trunk()
    labels[:, 20:60, 20:40] = S.ABDOMINAL_WALL
    hu[:, 30:36, 24:36] = 300.0
    labels[:, 30:36, 24:26] = S.RIB
    # The rim of the bone, and a bone that the network sees nothing of: they stay what they are.
    hu[:, 36:38, 24:36] = 140.0
    hu[:, 50:56, 24:36] = 300.0
    sight = sight_of(labels, hu)
    sight.logits[S.RIB, :, 15:19, 13:18] = 3.0
    found = by_density(sight).labels
    assert (found[:, 30:36, 24:36] == S.RIB).all()
    assert (found[:, 36:38, 24:36] == S.ABDOMINAL_WALL).all()
    assert (found[:, 50:56, 24:36] == S.ABDOMINAL_WALL).all()


@pytest.mark.parametrize("density", [170.0, 240.0])
def test_muscle_beside_a_vertebra_is_bone_only_where_some_of_it_is_surely_bone(
    density: float,
) -> None:
    hu, labels = trunk()
    labels[:, 30:50, 30:60] = S.ERECTOR
    hu[:, 30:50, 30:60] = density
    labels[:, 30:50, 30:40] = S.POSTERIOR
    found = by_density(sight_of(labels, hu)).labels
    assert (found[:, 30:50, 40:60] == S.POSTERIOR).all() == (density > 200)


def test_what_is_dense_never_becomes_a_body_or_a_bone_that_is_not_in_view() -> None:
    hu, labels = trunk()
    labels[:, 30:50, 30:60] = S.PSOAS
    hu[:, 30:50, 30:60] = 300.0
    labels[:, 30:50, 30:40] = S.L3
    labels[:, 30:50, 50:60] = S.POSTERIOR
    sight = sight_of(labels, hu)
    logits = sight.logits.copy()
    logits[S.L3, :, 15:25, 20:22] = 3.0
    logits[S.SACRUM, :, 15:25, 22:25] = 3.0
    found = by_density(replace(sight, logits=logits)).labels
    assert (found[:, 30:50, 40:44] == S.PSOAS).all()
    assert not (found == S.SACRUM).any()
    assert np.array_equal(found == S.L3, labels == S.L3)
