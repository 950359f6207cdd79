"""Skin has pixels with the Hounsfield units of fat, and none of them is subcutaneous fat."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from models.phantoms.tissue import Tissue
from models.phantoms.trunk import Phantom, TrunkOptions, simulate_trunk
from node.evaluation.fat_without_skin import (
    cm2_without_bowel,
    cm2_without_skin,
    fat_without_bowel,
    fat_without_skin,
)
from node.evaluation.product import Look
from node.evaluation.vertebral_variants_tally import AreaTally, add_fat_without_skin


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    options = TrunkOptions(
        matrix=128, slice_mm=6.0, reach_mm=(-60.0, 60.0), working_mm=(6.0, 3.0), posed=False
    )
    return simulate_trunk(1_000_004, options)


def look(z: float, cm2: float, name: str = "L3 subcutaneous fat") -> Look:
    found = SimpleNamespace(
        segmented_planes=(SimpleNamespace(position_mm=(0.0, 0.0, z)),),
        findings=(
            SimpleNamespace(
                tracking_identifier=name, measurements=(SimpleNamespace(value=cm2),)
            ),
        ),
    )  # fmt: skip
    return cast(Look, SimpleNamespace(findings=found))


def test_no_pixel_of_the_skin_is_fat_and_every_other_one_by_its_hu_is(phantom: Phantom) -> None:
    at = phantom.truth.l3_slice
    assert at is not None
    assert phantom.truth.areas is not None
    fat = fat_without_skin(phantom, at)
    hu, labels = phantom.volume.voxels[at], phantom.labels[at]
    of_skin = (labels == Tissue.SKIN) & (hu >= -190) & (hu <= -30)
    assert of_skin.sum() > 20
    assert not (fat & of_skin).any()
    pixel_cm2 = phantom.volume.spacing_mm[1] * phantom.volume.spacing_mm[2] / 100
    both = cm2_without_skin(phantom) + float(of_skin.sum()) * pixel_cm2
    assert both == pytest.approx(phantom.truth.areas.subcutaneous_fat)


def test_stool_with_the_hu_of_fat_is_no_fat_and_mesentery_is(phantom: Phantom) -> None:
    at = phantom.truth.l3_slice
    assert at is not None
    assert phantom.truth.areas is not None
    fat = fat_without_bowel(phantom, at)
    hu, labels = phantom.volume.voxels[at], phantom.labels[at]
    bowel = (Tissue.BOWEL_WALL, Tissue.BOWEL_GAS, Tissue.BOWEL_FLUID, Tissue.BOWEL_CONTRAST,
             Tissue.STOOL)  # fmt: skip
    of_bowel = np.isin(labels, bowel) & (hu >= -150) & (hu <= -50)
    assert of_bowel.sum() > 5
    assert not (fat & of_bowel).any()
    pixel_cm2 = phantom.volume.spacing_mm[1] * phantom.volume.spacing_mm[2] / 100
    both = cm2_without_bowel(phantom) + float(of_bowel.sum()) * pixel_cm2
    assert both == pytest.approx(phantom.truth.areas.visceral_fat)


def test_without_l3_there_is_no_area(phantom: Phantom) -> None:
    gone = replace(phantom, truth=replace(phantom.truth, l3_z_mm=None))
    with pytest.raises(ValueError, match="L3"):
        cm2_without_skin(gone)


def test_a_study_counts_where_its_l3_is_the_right_one(phantom: Phantom) -> None:
    middle = phantom.truth.l3_z_mm
    assert middle is not None
    tally = AreaTally()
    add_fat_without_skin(tally, phantom, look(middle + 4, 77.0))
    add_fat_without_skin(tally, phantom, look(middle + 30, 500.0))
    add_fat_without_skin(tally, phantom, look(middle, 500.0, "L3 visceral fat"))
    assert tally.without_skin == [(cm2_without_skin(phantom), 77.0)]
