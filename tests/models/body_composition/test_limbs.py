"""An arm on the belly that the network took in part for muscle is an arm as a whole."""

from __future__ import annotations

import numpy as np
import pytest

from models.body_composition.compartments import Compartment, Labels, compartments, whole_limbs
from models.body_composition.field_of_view import cut_fraction
from models.body_composition.tissues import Tissue, tissue_masks, trunk_of
from models.grid import Floats, canonical
from tests.models.body_composition.toy import RegionsDouble, Toy, one_hot

PIXEL = (2.0, 2.0)


def belly_with_arm() -> tuple[Labels, Floats]:
    """A square trunk and on it a forearm that the upper border of the image cuts."""
    labels = np.zeros((120, 160), np.uint8)
    labels[40:100, 20:140] = Compartment.SUBCUTANEOUS
    labels[50:90, 30:130] = Compartment.MUSCLE
    labels[58:82, 38:122] = Compartment.VISCERAL
    labels[0:40, 60:70] = Compartment.LIMB
    labels[0:40, 70:100] = Compartment.MUSCLE
    labels[5:35, 80:90] = Compartment.BONE
    hu = np.array([-1000, -100, 50, 300, -100, 0, 50], np.float32)[labels]
    return labels, hu


def test_muscle_beside_an_arm_and_apart_from_the_trunk_is_arm() -> None:
    labels, hu = belly_with_arm()
    whole = whole_limbs(labels, PIXEL)
    assert (whole[0:40, 60:100] == Compartment.LIMB).all()
    assert np.array_equal(whole[40:], labels[40:])
    assert tissue_masks(labels, hu, PIXEL)[Tissue.MUSCLE][:40].any()
    assert not tissue_masks(whole, hu, PIXEL)[Tissue.MUSCLE][:40].any()


def test_the_field_that_cuts_the_arm_does_not_cut_the_trunk() -> None:
    labels, hu = belly_with_arm()
    field = np.ones(labels.shape, np.bool_)
    assert cut_fraction(trunk_of(labels), hu, field, PIXEL) > 0.05
    assert cut_fraction(trunk_of(whole_limbs(labels, PIXEL)), hu, field, PIXEL) == pytest.approx(0)


def test_without_an_arm_a_muscle_of_its_own_stays_muscle() -> None:
    labels, _ = belly_with_arm()
    labels[labels == Compartment.LIMB] = Compartment.OUTSIDE
    assert np.array_equal(whole_limbs(labels, PIXEL), labels)


def test_an_arm_far_from_a_muscle_of_its_own_leaves_it_alone() -> None:
    labels, _ = belly_with_arm()
    labels[0:40, 60:70] = Compartment.OUTSIDE
    labels[0:40, 10:40] = Compartment.LIMB
    assert np.array_equal(whole_limbs(labels, PIXEL), labels)


def test_every_slice_that_is_looked_at_has_whole_arms(monkeypatch: pytest.MonkeyPatch) -> None:
    toy = Toy()
    grid = canonical(toy.volume())
    network = RegionsDouble(toy, grid)

    def run(inputs: Floats) -> Floats:
        drawn = np.zeros(inputs.shape[-2:], np.uint8)
        drawn[100:180, 60:200] = Compartment.MUSCLE
        drawn[60:90, 60:80] = Compartment.LIMB
        drawn[60:90, 80:120] = Compartment.MUSCLE
        return np.repeat(one_hot(drawn, 7)[None], len(inputs), axis=0)

    monkeypatch.setattr(network, "run", run)
    (labels,) = compartments(grid, network, [10])
    assert (labels == Compartment.MUSCLE).sum() > 5000
    rows = np.flatnonzero((labels == Compartment.MUSCLE).any(axis=1))
    assert rows[0] > np.flatnonzero((labels == Compartment.LIMB).any(axis=1))[-1]
