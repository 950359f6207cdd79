"""The simulated chest: one anatomy whatever the grid, vessels where they belong, exact lesions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from scipy import ndimage
from scipy.spatial import cKDTree

from models.phantoms.chest import (
    Block,
    ChestAnatomy,
    ChestBlock,
    ChestCanvas,
    ChestOptions,
    ChestTissue,
    ContrastPhase,
    Kernel,
    Lobe,
    build_chest,
    simulate_block,
    simulate_chest,
    slabs_of,
)
from models.phantoms.scanner import write_ct_series
from models.phantoms.vessel_tree import Level, Tree, share

SEED = 1_000_021
STILL = ChestOptions(
    phase=ContrastPhase.PULMONARY, kernel=Kernel.SOFT, strength=1.0, noise_hu=0.0, motion=0.0,
    findings=False,
)  # fmt: skip
LOBES = [lobe for lobe in Lobe if lobe is not Lobe.MEDIASTINUM]


@pytest.fixture(scope="module")
def chest() -> ChestAnatomy:
    return build_chest(SEED)


def _block(chest: ChestAnatomy, phase: ContrastPhase) -> ChestBlock:
    fork = chest.arteries.branches[0].points[-1]
    block = Block(
        centre_mm=(fork[0] - 6, fork[1] + 12, fork[2] - 12), size_mm=(24, 84, 90),
        spacing_mm=(3.0, 1.5, 1.5),
    )  # fmt: skip
    options = ChestOptions(
        phase=phase, kernel=Kernel.SOFT, strength=1.0, noise_hu=0.0, motion=0.0, findings=False
    )
    return simulate_block(SEED, block, options)


def test_vessels_get_thinner_and_levels_go_outwards(chest: ChestAnatomy) -> None:
    order = list(Level)
    for tree in (chest.arteries, chest.veins, chest.airways):
        for branch in tree:
            assert branch.radius_mm[0] >= branch.radius_mm[-1] > 0
            if branch.parent is not None:
                parent = tree.branches[branch.parent]
                assert branch.radius_mm[-1] <= parent.radius_mm[0]
                assert order.index(branch.level) >= order.index(parent.level)


def test_every_lobe_has_segmental_arteries_and_bronchi(chest: ChestAnatomy) -> None:
    for tree in (chest.arteries, chest.airways):
        found = {tree.branches[k].lobe for k in tree.of_level(Level.SEGMENTAL)}
        assert found == set(LOBES)
    assert len(chest.arteries.of_level(Level.SEGMENTAL)) >= 15


def test_bronchi_run_beside_arteries_and_never_through_their_blood(chest: ChestAnatomy) -> None:
    arteries, airways = chest.arteries.samples, chest.airways.samples
    near, which = cKDTree(arteries.points).query(airways.points, k=8)
    inside = (arteries.radius_mm[which] - near).max(axis=1)
    assert float((inside > 0).mean()) < 0.015
    # Where they still meet, the picture shows an artery that is whole.
    deep = np.argsort(-inside)[:1][0]
    place = tuple(float(v) for v in airways.points[deep])
    block = Block(centre_mm=place, size_mm=(9.0, 9.0, 9.0), spacing_mm=(0.6, 0.6, 0.6))
    scan = simulate_block(SEED, block, STILL)
    blood = scan.labels == ChestTissue.PULMONARY_ARTERY
    core = ndimage.binary_erosion(blood, iterations=2)
    assert core.any()
    assert scan.clean[core].min() > 0.7 * np.median(scan.clean[core])


def test_arteries_lie_in_the_lungs_or_the_mediastinum(chest: ChestAnatomy) -> None:
    samples = chest.arteries.samples
    fine = samples.radius_mm < 2
    below = chest.lungs.depth.at(samples.points)
    assert float((below[fine] > -1.0).mean()) > 0.98
    assert float((chest.lungs.cage.at(samples.points) > 0).mean()) > 0.99


def _overlap(a: Tree, b: Tree) -> float:
    one, other = a.samples, b.samples
    distance, near = cKDTree(other.points).query(one.points)
    return float((distance < 0.6 * (one.radius_mm + other.radius_mm[near])).mean())


def test_arteries_and_veins_keep_apart(chest: ChestAnatomy) -> None:
    assert _overlap(chest.veins, chest.arteries) < 0.02


def _middle(block: ChestBlock, tissue: ChestTissue) -> float:
    found = block.clean[block.labels == tissue]
    assert found.size > 20, tissue.name
    return float(np.median(found))


def test_attenuation_follows_the_phase(chest: ChestAnatomy) -> None:
    native = _block(chest, ContrastPhase.NATIVE)
    early = _block(chest, ContrastPhase.PULMONARY)
    late = _block(chest, ContrastPhase.ROUTINE)
    artery = ChestTissue.PULMONARY_ARTERY
    assert 25 < _middle(native, artery) < 60
    assert _middle(early, artery) > 200
    assert 110 < _middle(late, artery) < 260
    assert _middle(late, ChestTissue.AORTA) == pytest.approx(_middle(late, artery), abs=60)
    for block in (native, early, late):
        assert _middle(block, ChestTissue.MEDIASTINAL_FAT) < -60
        air = block.clean[np.isin(block.labels, [ChestTissue.AIRWAY, ChestTissue.TRACHEA])]
        assert float(np.median(air)) < -800


def test_a_block_is_the_part_of_a_larger_block(chest: ChestAnatomy) -> None:
    z, y, x = chest.frame.carina[0] - 40, chest.frame.carina[1], -70.0
    large = simulate_block(
        SEED, Block(centre_mm=(z, y, x), size_mm=(32, 48, 48), spacing_mm=(2, 2, 2)), STILL
    )
    small = simulate_block(
        SEED, Block(centre_mm=(z, y, x), size_mm=(16, 24, 24), spacing_mm=(2, 2, 2)), STILL
    )
    part = (slice(4, 12), slice(6, 18), slice(6, 18))
    assert np.allclose(large.axes[2][6:18], small.axes[2], atol=1e-3)
    assert float(np.abs(large.clean[part] - small.clean).max()) < 2.0
    assert np.mean(large.labels[part] != small.labels) < 1e-3


class _Ball:
    """A solid ball of 50 HU."""

    def __init__(self, centre: np.ndarray, radius: float) -> None:
        self.centre, self.radius = centre, radius

    def __call__(self, canvas: ChestCanvas) -> None:
        box = canvas.box(self.centre - self.radius - 2, self.centre + self.radius + 2)
        z, y, x = canvas.coordinates(box)
        c = self.centre
        away = np.sqrt((z - c[0]) ** 2 + (y - c[1]) ** 2 + (x - c[2]) ** 2)
        canvas.blend("ball", box, share((self.radius - away).astype(np.float32), canvas.voxel_mm),
                     50.0)  # fmt: skip


def test_a_lesion_has_its_volume_in_a_block_and_its_place_in_a_scan(
    chest: ChestAnatomy, tmp_path: Path
) -> None:
    centre = np.array([chest.frame.carina[0] - 30, chest.frame.carina[1] + 10, -80.0])
    ball = _Ball(centre, 8.0)
    block = simulate_block(
        SEED, Block(centre_mm=tuple(centre), size_mm=(30, 30, 30), spacing_mm=(1, 1, 1)), STILL,
        lesions=[ball],
    )  # fmt: skip
    truth = block.lesions["ball"]
    assert truth.volume_mm3((1, 1, 1)) == pytest.approx(4 / 3 * np.pi * 8**3, rel=0.03)
    inside = truth.mask(block.hu.shape)
    assert float(np.median(block.clean[inside])) == pytest.approx(50, abs=1)

    options = ChestOptions(
        matrix=96, slice_mm=3.0, reach_mm=(centre[0] - 6, centre[0] + 7),
        phase=ContrastPhase.PULMONARY, kernel=Kernel.LUNG, noise_hu=10.0, motion=0.0,
        findings=False,
    )  # fmt: skip
    phantom = simulate_chest(SEED, options, lesions=[ball])
    again = simulate_chest(SEED, options, lesions=[ball])
    assert np.array_equal(phantom.volume.voxels, again.volume.voxels)
    assert np.array_equal(phantom.labels, again.labels)
    mask = phantom.lesions["ball"].mask(phantom.labels.shape)
    expected = phantom.to_index(centre[None])[0]
    assert np.allclose(np.argwhere(mask).mean(0)[1:], expected[1:], atol=1.0)
    assert np.allclose(phantom.to_patient(expected[None])[0], centre, atol=1e-6)

    first = pydicom.dcmread(write_ct_series(phantom, tmp_path)[0])
    assert (first.BodyPartExamined, first.ConvolutionKernel) == ("CHEST", "LUNG")
    hu = first.pixel_array * float(first.RescaleSlope) + float(first.RescaleIntercept)
    assert np.array_equal(hu, phantom.volume.voxels[0])


@pytest.mark.parametrize("planes", [2, 23, 24, 25, 47, 48, 49, 50])
def test_no_plane_is_painted_alone_and_none_is_left_out(planes: int) -> None:
    slabs = slabs_of(planes)
    assert [k for slab in slabs for k in range(planes)[slab]] == list(range(planes))
    assert min(slab.stop - slab.start for slab in slabs) > 1
