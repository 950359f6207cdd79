"""Tissue rules on one slice: compartments, HU ranges with both ends, borders, gas, metal."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.body_composition.compartments import Compartment, Labels
from models.body_composition.tissues import (
    Tissue,
    beside_gas,
    mean_attenuation,
    metal_area,
    tissue_masks,
    trunk_of,
)

PIXEL = (1.0, 1.0)


def slab(compartment: Compartment, values: list[float]) -> tuple[Labels, NDArray[np.float32]]:
    """A block of one compartment, far from any border, with one stripe per value."""
    labels = np.full((40, 10 * len(values)), int(compartment), np.uint8)
    hu = np.repeat(np.array(values, np.float32), 10)[None].repeat(40, 0)
    return labels, hu


def counted(compartment: Compartment, values: list[float]) -> dict[Tissue, list[bool]]:
    masks = tissue_masks(*slab(compartment, values), PIXEL)
    return {t: [bool(m[20, 10 * i + 5]) for i in range(len(values))] for t, m in masks.items()}


def test_muscle_is_minus_29_to_150_hu_both_ends_included() -> None:
    found = counted(Compartment.MUSCLE, [-29.5, -29, 0, 150, 150.5])
    assert found[Tissue.MUSCLE] == [False, True, True, True, False]


def test_fat_between_muscles_is_minus_190_to_minus_30_hu() -> None:
    found = counted(Compartment.MUSCLE, [-190.5, -190, -100, -30, -29.5])
    assert found[Tissue.INTERMUSCULAR] == [False, True, True, True, False]
    assert not any(found[Tissue.SUBCUTANEOUS])


def test_subcutaneous_fat_is_minus_190_to_minus_30_hu() -> None:
    found = counted(Compartment.SUBCUTANEOUS, [-190.5, -190, -30, -29.5, 20])
    assert found[Tissue.SUBCUTANEOUS] == [False, True, True, False, False]
    assert not any(found[Tissue.MUSCLE])


def test_visceral_fat_is_minus_150_to_minus_50_hu() -> None:
    found = counted(Compartment.VISCERAL, [-150.5, -150, -50, -49.5, 40])
    assert found[Tissue.VISCERAL] == [False, True, True, False, False]
    assert not any(found[Tissue.MUSCLE])


@pytest.mark.parametrize("part", [Compartment.LIMB, Compartment.BONE, Compartment.THORAX])
def test_arms_bones_and_chest_are_not_counted(part: Compartment) -> None:
    found = counted(part, [-100, 50])
    assert not any(any(flags) for flags in found.values())


def test_a_second_body_in_the_field_is_not_counted() -> None:
    labels = np.zeros((50, 120), np.uint8)
    labels[10:40, 10:70] = Compartment.MUSCLE
    labels[15:25, 90:100] = Compartment.MUSCLE
    hu = np.full(labels.shape, 50.0, np.float32)
    muscle = tissue_masks(labels, hu, PIXEL)[Tissue.MUSCLE]
    assert muscle[20, 40]
    assert not muscle[20, 95]
    assert not trunk_of(labels)[20, 95]


def test_a_rim_of_fat_on_the_border_of_muscle_is_not_fat_between_muscles() -> None:
    labels = np.full((40, 80), int(Compartment.SUBCUTANEOUS), np.uint8)
    labels[:, 40:] = Compartment.MUSCLE
    hu = np.where(np.arange(80)[None] < 41, -100.0, 50.0).astype(np.float32).repeat(40, 0)
    masks = tissue_masks(labels, hu, PIXEL)
    assert not masks[Tissue.INTERMUSCULAR].any()
    assert masks[Tissue.SUBCUTANEOUS][:, 40].all()


def test_half_filled_pixels_on_the_wall_of_gas_are_not_visceral_fat() -> None:
    labels = np.full((60, 60), int(Compartment.VISCERAL), np.uint8)
    hu = np.full((60, 60), 40.0, np.float32)
    hu[20:40, 20:40] = -100.0
    hu[21:39, 21:39] = -900.0
    hu[50:58, 5:55] = -100.0
    visceral = tissue_masks(labels, hu, PIXEL)[Tissue.VISCERAL]
    assert not visceral[18:42, 18:42].any()
    assert visceral[54, 30]


def test_stool_less_dense_than_fat_has_gas_in_it_and_what_lies_round_it_is_no_fat() -> None:
    labels = np.full((60, 60), int(Compartment.VISCERAL), np.uint8)
    hu = np.full((60, 60), 40.0, np.float32)
    hu[10:30, 10:30] = -80.0
    hu[12:28:6, 12:28:6] = -200.0
    hu[40:56, 5:55] = -100.0
    visceral = tissue_masks(labels, hu, PIXEL)[Tissue.VISCERAL]
    assert not visceral[11:26, 11:26].any()
    assert visceral[42:54, 10:50].all()


@pytest.mark.parametrize("pixel_mm", [0.5, 1.0, 3.0])
def test_single_pixels_with_the_hu_of_fat_are_no_fat_and_a_patch_is(pixel_mm: float) -> None:
    size = round(90 / pixel_mm)
    labels = np.full((size, size), int(Compartment.VISCERAL), np.uint8)
    hu = np.full((size, size), 40.0, np.float32)
    hu[size // 4, size // 4] = -100.0
    patch = slice(size // 2, size // 2 + round(6 / pixel_mm))
    hu[patch, patch] = -100.0
    visceral = tissue_masks(labels, hu, (pixel_mm, pixel_mm))[Tissue.VISCERAL]
    assert np.array_equal(visceral, (hu < 0) & (np.arange(size) >= size // 2))


@pytest.mark.parametrize("pixel_mm", [0.6, 1.0, 3.0])
def test_the_distance_from_gas_is_the_same_at_every_pixel_size(pixel_mm: float) -> None:
    size = round(90 / pixel_mm)
    at = (np.arange(size) + 0.5) * pixel_mm - 45.0
    radius = np.hypot(at[:, None], at[None, :])
    hu = np.where(radius < 15, -900.0, -100.0).astype(np.float32)
    labels = np.full(hu.shape, int(Compartment.VISCERAL), np.uint8)
    near = beside_gas(labels, hu, (pixel_mm, pixel_mm))
    reach = np.sqrt(near.sum() * pixel_mm**2 / np.pi) - 15
    assert reach == pytest.approx(max(2.0, pixel_mm), abs=max(0.5, pixel_mm / 2))


def test_attenuation_is_over_muscle_voxels_and_absent_without_muscle() -> None:
    hu = np.array([[10.0, 30.0, -100.0]], np.float32)
    assert mean_attenuation(np.array([[True, True, False]]), hu) == pytest.approx(20.0)
    assert mean_attenuation(np.zeros((1, 3), np.bool_), hu) is None


def test_metal_counts_within_the_trunk_only_also_where_the_network_calls_it_outside() -> None:
    labels = np.zeros((60, 60), np.uint8)
    labels[10:50, 10:50] = Compartment.MUSCLE
    labels[25:30, 25:30] = Compartment.OUTSIDE
    hu = np.full((60, 60), 50.0, np.float32)
    hu[25:30, 25:30] = 3000.0
    hu[0:3, 0:3] = 3000.0
    assert metal_area(labels, hu, 0.01) == pytest.approx(0.25)


@pytest.mark.parametrize("pixel_mm", [0.7, 1.0, 3.0])
def test_skin_and_fascia_are_thinner_than_muscle(pixel_mm: float) -> None:
    """A strand of 2 mm, or of one pixel of 3 mm, is none; a wall of 9 mm is muscle, fat and all."""
    size = round(60 / pixel_mm)
    labels = np.full((size, size), Compartment.VISCERAL, np.uint8)
    hu = np.full((size, size), 10, np.int16)
    strand, wall = max(1, int(2 / pixel_mm)), round(9 / pixel_mm)
    labels[5 : 5 + strand, 2:-2] = Compartment.MUSCLE
    labels[-10 - wall : -10, 2:-2] = Compartment.MUSCLE
    hu[-10 - wall // 2 - 1, size // 2] = -80
    masks = tissue_masks(labels, hu, (pixel_mm, pixel_mm))
    assert not masks[Tissue.MUSCLE][: size // 3].any()
    lower = masks[Tissue.MUSCLE] | masks[Tissue.INTERMUSCULAR]
    assert lower[-10 - wall : -10, 3:-3].all()


def wall(pixel_mm: float, thickness_mm: float, hu_of_it: float) -> NDArray[np.bool_]:
    """Muscle found on a slice with a plate of other HU in the front wall, and the plate itself."""
    size = round(120 / pixel_mm)
    at = (np.arange(size) + 0.5) * pixel_mm
    labels = np.full((size, size), int(Compartment.MUSCLE), np.uint8)
    labels[at > 70] = Compartment.BONE
    hu = np.full((size, size), 30.0, np.float32)
    hu += np.random.default_rng(7).normal(0.0, 15.0, hu.shape).astype(np.float32)
    plate = (np.abs(at - 30.0) < thickness_mm / 2)[:, None] & (np.abs(at - 60.0) < 30)[None, :]
    hu[plate] += hu_of_it - 30.0
    hu[at > 70] = 300.0
    muscle = tissue_masks(labels, hu, (pixel_mm, pixel_mm))[Tissue.MUSCLE]
    return np.asarray(muscle[plate], np.bool_)


@pytest.mark.parametrize("pixel_mm", [0.8, 1.5, 3.0])
def test_costal_cartilage_is_no_muscle_at_every_pixel_size(pixel_mm: float) -> None:
    assert wall(pixel_mm, 12.0, 110.0).mean() < 0.1
    assert wall(pixel_mm, 12.0, 60.0).mean() > 0.97


def test_muscle_with_contrast_medium_is_muscle_and_so_is_a_thin_dense_border() -> None:
    labels = np.full((120, 120), int(Compartment.MUSCLE), np.uint8)
    labels[80:] = Compartment.BONE
    hu = np.full((120, 120), 85.0, np.float32)
    hu[80:] = 300.0
    hu[76:80] = 140.0
    hu[30:34] = 140.0
    muscle = tissue_masks(labels, hu, PIXEL)[Tissue.MUSCLE]
    assert muscle[:80].all()


def test_dense_pixels_beside_the_spine_stay_what_they_were() -> None:
    labels = np.full((120, 120), int(Compartment.MUSCLE), np.uint8)
    labels[60:90, 40:80] = Compartment.BONE
    hu = np.full((120, 120), 50.0, np.float32)
    hu[60:90, 40:80] = 300.0
    hu[70:90, 82:100] = 120.0
    hu[10:30, 82:100] = 120.0
    muscle = tissue_masks(labels, hu, PIXEL)[Tissue.MUSCLE]
    assert muscle[75:85, 85:95].all()
    assert not muscle[15:25, 85:95].any()
