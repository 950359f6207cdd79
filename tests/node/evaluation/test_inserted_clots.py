"""Clots put into a drawn vessel: its blood goes, its surroundings stay."""

from __future__ import annotations

import numpy as np

from node.evaluation.inserted_clots import CLOT_HU, insert_clots


def test_blood_becomes_clot_and_what_lies_beside_the_vessel_stays() -> None:
    z, y, x = np.ogrid[:60, :40, :40]
    tube = np.broadcast_to(np.hypot(y - 20, x - 20) < 4, (60, 40, 40))
    tissue = np.broadcast_to((y < 17) & (x > -1) & (z > -1), tube.shape) & ~tube
    rng = np.random.default_rng(2)
    hu = np.where(tube, 400.0, np.where(tissue, 40.0, -850.0)) + rng.normal(0, 10, tube.shape)
    before = np.rint(hu).astype(np.int16)
    put = insert_clots(before, (1.0, 1.0, 1.0), np.ones(tube.shape, np.bool_), 1, rng)
    assert len(put.clots) == 1
    clot = put.clots[0]
    assert 3.0 <= put.radii_mm[0] <= 4.5
    assert (tube | ~clot).all()
    values = put.voxels[clot]
    assert CLOT_HU[0] - 5 <= np.median(values) <= CLOT_HU[1] + 5
    assert 4 < values.std() < 20
    # Soft tissue that noise made brighter than the clot is cut to it; none gets darker than that.
    changed = before[tissue] - put.voxels[tissue]
    assert changed.min() == 0
    assert put.voxels[tissue & (before != put.voxels)].min(initial=99) >= CLOT_HU[0] - 1
    far = tube & (put.voxels > 300)
    assert far.sum() > 0.3 * tube.sum()
