"""Spines in detail: exact heights, and plain trunks exactly as they were."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from models.phantoms.fractures import Change, Deformity, Lesion, SpineOptions, draw_spine
from models.phantoms.tissue import BODIES, Tissue
from models.phantoms.trunk import Phantom, TrunkOptions, simulate_trunk
from models.phantoms.vertebral_shape import Shape

PLAIN = TrunkOptions(matrix=96, slice_mm=6.0, reach_mm=(-60.0, 40.0), working_mm=(6.0, 4.0))
#: Of voxels and labels, as they were before spines could be drawn in detail.
AS_BEFORE = {
    7: "b3b0481a39fbb196fe4ed8b3a80807f4145221954c63838a18680c6c1686e2b9",
    1_000_007: "6e9971b0136d4c4bd2d340ee94f7720ce8f3fc2fe76d462ce2a6fac99e839164",
}
BROKEN = SpineOptions(
    changes=(
        Change(body=Tissue.L2, deformity=Deformity.WEDGE, loss=0.36, acute=True),
        Change(body=Tissue.L4, cement=True),
    ),
    marrow_hu=140.0,
)


@pytest.mark.parametrize("seed", AS_BEFORE)
def test_plain_trunks_are_bit_for_bit_what_networks_were_trained_on(seed: int) -> None:
    phantom = simulate_trunk(seed, PLAIN)
    state = hashlib.sha256(phantom.volume.voxels.tobytes() + phantom.labels.tobytes())
    assert state.hexdigest() == AS_BEFORE[seed]
    assert phantom.truth.bodies == ()


@pytest.fixture(scope="module")
def broken() -> Phantom:
    options = TrunkOptions(
        matrix=128, slice_mm=2.0, reach_mm=(-60.0, 70.0), working_mm=(2.0, 2.0), spine=BROKEN
    )
    return simulate_trunk(1_000_007, options)


def test_the_rest_of_the_trunk_stays_the_same_person(broken: Phantom) -> None:
    options = TrunkOptions(matrix=128, slice_mm=2.0, reach_mm=(-60.0, 70.0), working_mm=(2.0, 2.0))
    plain = simulate_trunk(1_000_007, options)
    spine = np.isin(plain.labels, [*BODIES, Tissue.DISC]) | np.isin(
        broken.labels, [*BODIES, Tissue.DISC]
    )
    assert (plain.labels == broken.labels)[~spine].mean() > 0.995


def test_heights_lie_where_the_voxels_have_them(broken: Phantom) -> None:
    truth = {body.body: body for body in broken.truth.bodies}
    wedge = truth[Tissue.L2]
    assert wedge.grade == 2
    assert wedge.heights_mm[0] < 0.75 * wedge.heights_mm[2]
    assert truth[Tissue.L3].loss == pytest.approx(0.0, abs=1e-6)
    inverse = np.linalg.inv(broken.volume.affine)
    for body in (Tissue.L2, Tissue.L3):
        for upper, lower in truth[body].points_mm:
            assert np.linalg.norm(np.subtract(upper, lower)) > 10
            middle = (np.array(upper) + np.array(lower)) / 2
            at = np.rint(inverse[:3, :3] @ middle + inverse[:3, 3]).astype(int)
            assert broken.labels[tuple(at)] == body
            for end, way in ((upper, 1), (lower, -1)):
                beyond = np.array(end) + way * 0.3 * (np.array(upper) - np.array(lower)) * 0.9
                at = np.rint(inverse[:3, :3] @ beyond + inverse[:3, 3]).astype(int)
                assert broken.labels[tuple(at)] != body


def test_endplates_are_denser_than_the_marrow_and_cement_is_denser_than_bone(
    broken: Phantom,
) -> None:
    voxels = np.asarray(broken.volume.voxels)
    marrow = float(np.median(voxels[broken.labels == Tissue.L3]))
    inverse = np.linalg.inv(broken.volume.affine)
    body = next(one for one in broken.truth.bodies if one.body is Tissue.L3)
    for end in body.points_mm[1]:
        slice_, row, column = np.rint(inverse[:3, :3] @ np.array(end) + inverse[:3, 3]).astype(int)
        assert voxels[slice_ - 1 : slice_ + 2, row, column].max() > marrow + 30
    assert voxels[broken.labels == Tissue.L4].max() > 1200


def test_each_deformity_loses_height_where_its_name_says() -> None:
    def losses(deformity: Deformity) -> tuple[float, ...]:
        shape = Shape(
            half_width=22, half_depth=16, height=26, tilt=0.0, hollow=1.0,
            change=Change(body=Tissue.L1, deformity=deformity, loss=0.3),
        )  # fmt: skip
        pairs = zip(shape.heights(), shape.heights(whole=True), strict=True)
        return tuple(1 - now / before for now, before in pairs)

    front, middle, behind = losses(Deformity.WEDGE)
    assert front > 0.25 > middle > behind
    front, middle, behind = losses(Deformity.BICONCAVE)
    assert middle > 0.25
    assert max(front, behind) < 0.2
    assert min(losses(Deformity.CRUSH)) > 0.25


def test_drawn_spines_have_the_grades_that_were_asked_for() -> None:
    options = draw_spine(1_000_123, grades=(2, 3), among=(Tissue.L1, Tissue.L2, Tissue.T12))
    broken = [change for change in options.changes if change.deformity is not None]
    assert len(broken) == 2
    assert 0.25 < broken[0].loss < 0.4 < broken[1].loss
    assert options == draw_spine(1_000_123, grades=(2, 3), among=(Tissue.L1, Tissue.L2, Tissue.T12))
    assert any(change.lesion in Lesion for change in options.changes if change.lesion)
