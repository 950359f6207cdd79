"""The measured masks are those of the plain definitions with scipy.ndimage on whole slices."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from models.body_composition.compartments import (
    SPACING_MM,
    TRUNK,
    WINDOW,
    Compartment,
    Labels,
    brought_back,
)
from models.body_composition.field_of_view import cut_fraction, imaged
from models.body_composition.tissues import (
    AIR_BELOW_HU,
    BORDER_MM,
    GAS_GAP_MM,
    GAS_HU,
    GAS_RIM_MM,
    RULES,
    SKIN_DEPTH_MM,
    SMALLEST_FAT_MM2,
    THINNEST_MUSCLE_MM,
    Tissue,
    metal_area,
    tissue_masks,
)
from models.grid import Axis, Floats, Mask
from models.trunk.pixels import BODY_HU, body_mask

SHAPE = (150, 190)
#: A trunk in the middle of the image, and one that the image cuts on two sides.
CENTRES = [(75.0, 95.0), (30.0, 160.0)]
PIXELS = [(0.9, 0.9), (0.7, 0.7), (1.5, 0.8)]


def _largest(mask: Mask) -> Mask:
    parts, _ = ndimage.label(mask)
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(mask & (parts == sizes.argmax()), np.bool_)


def _slice(centre: tuple[float, float], seed: int) -> tuple[Labels, NDArray[np.int16]]:
    """Nested rings of compartments with ragged borders, gas bubbles, an arm, specks."""
    rng = np.random.default_rng(seed)
    row, column = np.indices(SHAPE, dtype=np.float64)
    ragged = ndimage.gaussian_filter(rng.normal(size=SHAPE), 3) * 18
    out = np.hypot((row - centre[0]) / 0.7, column - centre[1]) + ragged
    labels = np.zeros(SHAPE, np.uint8)
    hu = rng.normal(-1000, 10, SHAPE)
    for radius, part, value in (
        (78, Compartment.SUBCUTANEOUS, -100),
        (60, Compartment.MUSCLE, 40),
        (45, Compartment.VISCERAL, -90),
        (12, Compartment.BONE, 400),
    ):
        labels[out < radius] = part
        hu[out < radius] = value + rng.normal(0, 45, SHAPE)[out < radius]
    labels[(row - 120) ** 2 + (column - 8) ** 2 < 50] = Compartment.LIMB
    labels[rng.random(SHAPE) < 0.002] = Compartment.SUBCUTANEOUS
    gas = ndimage.gaussian_filter(rng.normal(size=SHAPE), 2.5) > 0.16
    hu[gas & (out < 45)] = -800
    return labels, hu.round().astype(np.int16)


def _slow_masks(
    labels: Labels, hu: NDArray[np.int16], pixel_mm: tuple[float, float]
) -> dict[Tissue, Mask]:
    steps = max(1, round(BORDER_MM / min(pixel_mm)))
    fat, muscle = (hu >= -190) & (hu <= -30), labels == Compartment.MUSCLE
    settled = labels.copy()
    for part in (Compartment.SUBCUTANEOUS, Compartment.VISCERAL):
        reach = ndimage.binary_dilation(labels == part, iterations=steps)
        settled[muscle & fat & reach] = part
    reach = ndimage.binary_dilation(muscle, iterations=steps)
    outer = labels == Compartment.SUBCUTANEOUS
    settled[outer & reach & (hu >= -29) & (hu <= 150)] = Compartment.MUSCLE

    trunk = _largest(np.isin(settled, [int(part) for part in TRUNK]))
    masks = {
        tissue: trunk & (settled == rule.compartment) & (hu >= rule.low_hu) & (hu <= rule.high_hu)
        for tissue, rule in RULES.items()
    }
    both = masks[Tissue.MUSCLE] | masks[Tissue.INTERMUSCULAR]
    down, across = (int(THINNEST_MUSCLE_MM / size) + 1 for size in pixel_mm)
    masks[Tissue.MUSCLE] &= ndimage.binary_opening(both, np.ones((1, across), np.bool_))
    masks[Tissue.MUSCLE] &= ndimage.binary_opening(both, np.ones((down, 1), np.bool_))

    filled = ndimage.binary_fill_holes(trunk)
    depth = max(1, round(SKIN_DEPTH_MM / min(pixel_mm)))
    deep = ndimage.binary_erosion(filled, iterations=depth, border_value=1)
    outside = ~filled | ((hu < AIR_BELOW_HU) & ~deep)
    masks[Tissue.SUBCUTANEOUS] &= ~ndimage.binary_dilation(outside)

    gas = (settled == Compartment.VISCERAL) & (hu < GAS_HU)
    grown = ndimage.distance_transform_edt(~np.pad(gas, 1), pixel_mm) <= GAS_GAP_MM
    closed = ndimage.distance_transform_edt(np.pad(grown, 1), pixel_mm) > GAS_GAP_MM
    rim = max(GAS_RIM_MM, *pixel_mm)
    beside = ndimage.distance_transform_edt(~(closed[2:-2, 2:-2] | gas), pixel_mm) <= rim
    masks[Tissue.VISCERAL] &= ~beside
    patches, _ = ndimage.label(masks[Tissue.VISCERAL], np.ones((3, 3)))
    area = np.bincount(patches.ravel()) * (pixel_mm[0] * pixel_mm[1])
    masks[Tissue.VISCERAL] &= (area >= SMALLEST_FAT_MM2)[patches]
    return masks


@pytest.mark.parametrize("pixel_mm", PIXELS)
@pytest.mark.parametrize("centre", CENTRES)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_tissues(seed: int, centre: tuple[float, float], pixel_mm: tuple[float, float]) -> None:
    labels, hu = _slice(centre, seed)
    expected = _slow_masks(labels, hu, pixel_mm)
    assert all(mask.any() for mask in expected.values())
    found = tissue_masks(labels, hu, pixel_mm)
    for tissue, mask in expected.items():
        np.testing.assert_array_equal(found[tissue], mask, err_msg=tissue)


def test_a_slice_without_a_trunk_has_no_tissue() -> None:
    labels = np.full(SHAPE, Compartment.LIMB, np.uint8)
    masks = tissue_masks(labels, np.zeros(SHAPE, np.int16), (1.0, 1.0))
    assert {mask.shape for mask in masks.values()} == {SHAPE}
    assert not any(mask.any() for mask in masks.values())


@pytest.mark.parametrize("centre", CENTRES)
def test_body_outline_and_metal(centre: tuple[float, float]) -> None:
    labels, hu = _slice(centre, 4)
    hu[20:60:7, 100:170:9] = 3000
    radius = 3
    row, column = np.ogrid[-radius : radius + 1, -radius : radius + 1]
    disc = row**2 + column**2 <= radius**2
    smaller = ndimage.binary_erosion(hu > BODY_HU, disc, border_value=1)
    opened = ndimage.binary_dilation(smaller, disc) & (hu > BODY_HU)
    expected = ndimage.binary_fill_holes(_largest(opened))
    np.testing.assert_array_equal(body_mask(hu, (0.8, 0.9)), expected)

    trunk = _largest(np.isin(labels, [int(part) for part in TRUNK]))
    metal = ndimage.binary_fill_holes(trunk) & (hu > 2500)
    assert metal.any()
    assert metal_area(labels, hu, 1.0) == metal.sum()

    field = imaged(hu, None)
    whole = ndimage.binary_dilation(trunk, iterations=7) & (hu > -300) & field
    whole = _largest(ndimage.binary_fill_holes((trunk & field) | whole))
    outline = whole & ~ndimage.binary_erosion(whole)
    share = cut_fraction(trunk, hu, field, (0.9, 0.9))
    assert share * outline.sum() == pytest.approx(round(share * outline.sum()), abs=1e-9)
    assert (share > 0) == (centre != CENTRES[0])


def _slow_labels(logits: Floats, axes: tuple[Axis, Axis], shape: tuple[int, int]) -> Labels:
    shifted = np.exp(logits - logits.max(axis=0, keepdims=True))
    probability = shifted / shifted.sum(axis=0, keepdims=True)
    rows, columns = axes[0].inverse(shape[0]), axes[1].inverse(shape[1])
    return np.asarray((rows @ probability @ columns.T).argmax(axis=0), np.uint8)


@pytest.mark.parametrize("sharpness", [0.5, 4.0, 40.0])
@pytest.mark.parametrize("pixel_mm", [0.7, 1.4])
@pytest.mark.parametrize("present", [1, 2, 7])
def test_most_probable_class(present: int, pixel_mm: float, sharpness: float) -> None:
    rng = np.random.default_rng(present)
    axes = (
        Axis.centred(200.0, SPACING_MM / pixel_mm, WINDOW),
        Axis.centred(90.0, SPACING_MM / pixel_mm, WINDOW),
    )
    logits = np.full((len(Compartment), WINDOW, WINDOW), -30.0, np.float32)
    for index in range(present):
        smooth = ndimage.gaussian_filter(rng.normal(size=(WINDOW, WINDOW)), 3)
        logits[index] = smooth / smooth.std() * sharpness
    # A border of plain outside, as on every real slice, and one class in a corner only.
    logits[1:, :60], logits[1:, :, :90] = -30.0, -30.0
    logits[5, 100:110, 120:130] = 50.0
    shape = (420, 300)
    expected = _slow_labels(logits, axes, shape)
    assert len(np.unique(expected)) >= min(present, 2)
    np.testing.assert_array_equal(brought_back(logits, axes, shape), expected)
