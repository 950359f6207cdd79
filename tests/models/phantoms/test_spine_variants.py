"""Spines beside the usual one: what a variant changes is there, and the rest stays."""

from __future__ import annotations

import numpy as np
import pytest

from models.phantoms.anatomy import paint_trunk
from models.phantoms.fractures import Lesion, SpineOptions
from models.phantoms.spine_truth import bodies_of
from models.phantoms.spine_variants import Variant, draw_variant
from models.phantoms.tissue import BODIES, Tissue
from models.phantoms.trunk import Phantom, TrunkOptions, simulate_trunk

SEED = 1_000_011
STEPS = (3.0, 3.0, 3.0)
REACH = (-190.0, 160.0)


def scanned(spine: SpineOptions, reach_mm: tuple[float, float] = (-60.0, 60.0)) -> Phantom:
    options = TrunkOptions(
        matrix=128, slice_mm=3.0, reach_mm=reach_mm, working_mm=(2.0, 2.0), spine=spine,
        noise_hu=4.0, posed=False,
    )  # fmt: skip
    return simulate_trunk(SEED, options)


def test_the_usual_spine_is_the_one_without_a_variant() -> None:
    assert draw_variant(Variant.USUAL, SEED) == SpineOptions()


@pytest.mark.parametrize("variant", Variant)
def test_a_variant_follows_from_its_seed(variant: Variant) -> None:
    assert draw_variant(variant, SEED) == draw_variant(variant, SEED)


@pytest.mark.parametrize("cobb", [15.0, -40.0])
def test_a_scoliosis_leans_by_its_angle_and_turns_its_bodies(cobb: float) -> None:
    spine = SpineOptions(cobb_degrees=cobb, turn_degrees=0.45 * abs(cobb))
    frame = paint_trunk(SEED, (6.0, 6.0, 6.0), spine=spine).frame
    lean = np.degrees(np.arctan(frame.slope_x))
    assert lean.max() - lean.min() == pytest.approx(abs(cobb), abs=1.0)
    assert frame.turn is not None
    assert np.degrees(np.abs(frame.turn).max()) == pytest.approx(0.45 * abs(cobb), abs=0.5)
    # At the convex side of the curve the front of a body looks outwards.
    at = int(np.abs(frame.turn).argmax())
    bend = np.gradient(frame.slope_x, frame.slope_x.size)[at]
    assert np.sign(frame.turn[at]) == -np.sign(bend)


def test_the_truth_of_a_turned_body_lies_on_its_voxels() -> None:
    phantom = scanned(SpineOptions(cobb_degrees=40.0, turn_degrees=18.0))
    inverse = np.linalg.inv(phantom.volume.affine)
    for truth in phantom.truth.bodies:
        if truth.body not in (Tissue.L3, Tissue.L2, Tissue.L4):
            continue
        upper, lower = np.array(truth.points_mm)[1]
        for share in (0.15, 0.5, 0.85):
            point = lower + share * (upper - lower)
            at = np.rint((inverse @ np.append(point, 1.0))[:3]).astype(int)
            assert phantom.labels[tuple(at)] == truth.body


def test_a_lumbarised_vertebra_is_a_sixth_body_above_a_shorter_sacrum() -> None:
    usual = paint_trunk(SEED, STEPS, REACH, SpineOptions())
    six = paint_trunk(SEED, STEPS, REACH, draw_variant(Variant.SIX_LUMBAR, SEED))
    assert [body.tissue for body in six.frame.bodies] == [Tissue.SACRUM, *BODIES]
    assert len(six.shapes) == len(BODIES) + 1
    sixth, fifth = six.frame.bodies[:2]
    assert fifth.z - sixth.z == pytest.approx(
        (fifth.height + sixth.height) / 2 + sixth.disc, abs=1e-3
    )
    # A disc parts it from the sacrum below, as from L5 above.
    z = six.canvas.z
    at = [int(np.searchsorted(z, k)) for k in (sixth.z - sixth.height / 2 - 4, sixth.z)]
    middle = int(np.searchsorted(six.canvas.x, six.frame.spine_x[at[1]]))
    rows = [int(np.searchsorted(six.canvas.y, six.frame.spine_y[k])) for k in at]
    assert six.canvas.labels[at[0], rows[0], middle] == Tissue.DISC
    assert six.canvas.labels[at[1], rows[1], middle] == Tissue.SACRUM
    assert usual.canvas.labels[at[1], rows[1], middle] != Tissue.DISC
    for body in BODIES[1:]:
        assert [b.z for b in usual.frame.bodies if b.tissue is body] == [
            b.z for b in six.frame.bodies if b.tissue is body
        ]


def test_a_sacralised_l5_is_sacrum_and_no_body() -> None:
    four = paint_trunk(SEED, STEPS, REACH, draw_variant(Variant.FOUR_LUMBAR, SEED))
    assert [body.tissue for body in four.frame.bodies] == list(BODIES[1:])
    assert not (four.canvas.labels == Tissue.L5).any()
    usual = paint_trunk(SEED, STEPS, REACH, SpineOptions())
    was = usual.canvas.labels == Tissue.L5
    assert (four.canvas.labels[was] == Tissue.SACRUM).mean() > 0.95
    pose = scanned(SpineOptions()).pose
    assert Tissue.L5 not in {truth.body for truth in bodies_of(four, pose)}


def test_screws_run_through_pedicles_into_bodies_and_shine() -> None:
    phantom = scanned(SpineOptions(screws=(Tissue.L4, Tissue.L3)))
    metal = phantom.labels == Tissue.METAL
    assert metal.any()
    assert (phantom.volume.voxels[metal] > 2000).mean() > 0.3
    without = scanned(SpineOptions())
    inside = metal & np.isin(without.labels, [Tissue.L4, Tissue.L3])
    assert inside.sum() > 20
    assert not (metal & np.isin(without.labels, [Tissue.CANAL])).any()
    # Rays of the streaks go through soft tissue of the same slices, and of no others.
    far = np.isin(phantom.labels, [Tissue.ERECTOR]) & ~metal
    struck = metal.any(axis=(1, 2))
    noise = np.abs(phantom.volume.voxels.astype(int) - without.volume.voxels)
    assert noise[struck][far[struck]].mean() > 10 * max(noise[~struck][far[~struck]].mean(), 0.1)


def test_bridges_join_two_rims_and_spare_bodies_and_canal() -> None:
    spine = SpineOptions(bridged=(Tissue.L4, Tissue.L3))
    usual = paint_trunk(SEED, STEPS, REACH, SpineOptions())
    bridged = paint_trunk(SEED, STEPS, REACH, spine)
    new = (bridged.canvas.labels != usual.canvas.labels) & (bridged.canvas.labels == Tissue.ARCH)
    assert new.sum() > 30
    assert not np.isin(usual.canvas.labels[new], [*BODIES, Tissue.CANAL]).any()
    low, high = (next(b for b in usual.frame.bodies if b.tissue is t) for t in spine.bridged)
    slices = np.flatnonzero(new.any(axis=(1, 2)))
    z = usual.canvas.z[slices]
    assert z.min() < low.z + low.height / 2
    assert z.max() > high.z + high.height / 2


@pytest.mark.parametrize("lesion", Lesion)
def test_metastases_are_denser_or_less_dense_and_take_no_height(lesion: Lesion) -> None:
    drawn = [(seed, draw_variant(Variant.METASTASES, seed)) for seed in range(SEED, SEED + 60)]
    spine = next(
        one
        for _, one in drawn
        if any(c.body is Tissue.L3 and c.spots[0].lesion is lesion for c in one.changes)
    )
    phantom, sound = scanned(spine), scanned(SpineOptions())
    (truth,) = (b for b in phantom.truth.bodies if b.body is Tissue.L3)
    assert truth.loss == 0.0
    assert truth.change is not None
    bone = phantom.labels == Tissue.L3
    change = phantom.volume.voxels[bone].astype(int) - sound.volume.voxels[bone]
    assert (change > 150 if lesion is Lesion.SCLEROTIC else change < -40).sum() > 10


def test_collapse_loses_height_where_a_metastasis_is() -> None:
    for seed in range(SEED, SEED + 20):
        spine = draw_variant(Variant.COLLAPSE, seed)
        lost = [c for c in spine.changes if c.deformity is not None]
        assert lost
        assert all(c.spots and c.loss >= 0.25 for c in lost)
