"""From classes to structures with sides, on the grid of the labels and of the images."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from models.anatomy import words
from models.anatomy.names import PAIRED, SINGLE, sided
from models.anatomy.on_source import on_source
from models.anatomy.sampling import FINE_MM, fine_labels, see
from models.anatomy.structures import Structure as S
from models.anatomy.tidy import kept_parts, tidy
from models.importers.structures import structure_of
from node.domain.anatomy import Anatomy
from node.domain.errors import ModelError
from tests.models.anatomy.scene import MIDDLE, SHAPE, grid_of, sight_of


def test_left_is_the_side_of_larger_columns_of_the_midline() -> None:
    labels = np.full(SHAPE, S.BODY, np.uint8)
    labels[50:80, 30:50, 10:25] = S.KIDNEY
    labels[50:80, 30:50, 70:85] = S.KIDNEY
    labels[90:94, 10:12, 10:12] = S.KIDNEY  # noise
    found = tidy(sight_of(labels, labels.astype(np.float32)), np.full(SHAPE[0], MIDDLE[1]))
    names = {name: value for value, name in found.names.items()}
    assert names.keys() == {"body", "kidney_right", "kidney_left"}
    right = np.argwhere(found.labels == names["kidney_right"])
    assert right[:, 2].max() == 24
    assert (found.labels == names["kidney_left"]).sum() == 30 * 20 * 15


def test_only_one_spleen_is_kept() -> None:
    mask = np.zeros((40, 40, 40), np.bool_)
    mask[5:20, 5:20, 5:20] = True
    mask[30:36, 30:40, 20:30] = True
    assert kept_parts(mask, S.SPLEEN).sum() == 15**3


def test_a_little_muscle_is_not_of_the_pelvis() -> None:
    mask = np.zeros((40, 60, 60), np.bool_)
    mask[5:9, 5:15, 5:15] = True
    voxel_ml = FINE_MM**3 / 1000.0
    assert 0.5 < mask.sum() * voxel_ml < 10.0
    assert not kept_parts(mask, S.PELVIC_MUSCLE).any()
    assert kept_parts(mask, S.QUADRATUS).sum() == mask.sum()
    mask[5:9, 5:55, 5:55] = True
    assert mask.sum() * voxel_ml > 10.0
    assert kept_parts(mask, S.PELVIC_MUSCLE).sum() == mask.sum()


def test_borders_follow_the_probabilities_between_coarse_voxels() -> None:
    logits = np.zeros((2, 4, 4, 4), np.float32)
    logits[1] = np.array([-3.0, -1.0, 3.0, 5.0])[None, None, :]
    labels = fine_labels(logits)
    assert labels.shape == (8, 8, 8)
    # -1 to 3 crosses 0 a quarter of the way from column 1 to 2: fine column 3 is beyond it.
    assert labels[0, 0].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    logits[1] = np.array([-3.0, -0.9, 3.0, 5.0])[None, None, :]
    assert fine_labels(logits)[0, 0].tolist() == [0, 0, 0, 1, 1, 1, 1, 1]


class Flat:
    """A network that calls everything above 0 HU body."""

    name, provider = "anatomy", "test"

    def run_windows(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        assert min(image.shape[1:]) >= 80
        logits = np.zeros((len(S), *image.shape[1:]), np.float32)
        logits[S.BODY] = (image[0] - 0.25) * 20
        return logits


def test_what_the_network_sees_comes_back_where_it_lies() -> None:
    hu = np.full((60, 150, 160), -1000.0, np.float32)
    hu[:, 40:110, 30:120] = 60.0
    grid = grid_of(hu)
    sight = see(grid, Flat())  # type: ignore[arg-type]
    where = np.argwhere(sight.labels == S.BODY)
    low, high = where.min(axis=0), where.max(axis=0)
    for axis, (start, stop) in enumerate(((0, 59), (40, 109), (30, 119))):
        points = sight.fine[axis].start + sight.fine[axis].step * np.array([low[axis], high[axis]])
        assert points == pytest.approx([start, stop], abs=3.0)


def sphere() -> Anatomy:
    z, y, x = np.mgrid[:50, :50, :50]
    labels = ((z - 25) ** 2 + (y - 25) ** 2 + (x - 25) ** 2 <= 15**2).astype(np.uint8) * 9
    affine = np.array(
        [[0.0, 0.0, 2.0, 5.0], [0.0, 2.0, 0.0, -3.0], [2.0, 0.0, 0.0, 7.0], [0.0, 0.0, 0.0, 1.0]]
    )
    return Anatomy(
        labels=labels, affine=affine, names={9: "liver"}, vertebrae=(), anchors=(), doubts=(),
        model_digest="",
    )  # fmt: skip


def test_a_structure_keeps_volume_and_place_on_finer_images() -> None:
    anatomy = sphere()
    grid = grid_of(np.zeros((40, 120, 120), np.float32))
    affine = np.array(
        [[0.0, 0.0, 0.9, 4.0], [0.0, 0.9, 0.0, -2.0], [2.7, 0.0, 0.0, 6.0], [0.0, 0.0, 0.0, 1.0]]
    )
    grid = type(grid)(
        hu=grid.hu, spacing_mm=(2.7, 0.9, 0.9), affine=affine, order=grid.order,
        flipped=grid.flipped,
    )  # fmt: skip
    found = on_source(anatomy, grid, (9,)) == 1
    assert found.sum() * grid.voxel_ml == pytest.approx(
        (anatomy.labels == 9).sum() * anatomy.voxel_ml, rel=0.01
    )
    centre = affine @ np.array([*np.argwhere(found).mean(axis=0), 1.0])
    assert centre[:3] == pytest.approx([55.0, 47.0, 57.0], abs=0.3)


def test_an_anatomy_of_other_axes_is_refused() -> None:
    anatomy = sphere()
    anatomy.affine[0, 1] = 0.5
    with pytest.raises(ModelError, match="not of this series"):
        on_source(anatomy, grid_of(np.zeros((4, 4, 4), np.float32)), (9,))


def test_organs_and_bones_have_standard_codes_and_sides() -> None:
    private = {
        "vertebral_posterior_elements",
        "abdominal_wall_muscles",
        "pelvic_muscles",
        "quadratus_lumborum",
        "ribs",
    }
    for _, name in SINGLE.values():
        if name not in words.NOT_REPORTED | private:
            assert words.code(name).scheme == "SCT", name
    for _, name in PAIRED.values():
        side = words.laterality(sided(name, "left"))
        if name not in private:
            assert words.code(sided(name, "left")).scheme == "SCT", name
            assert side is not None, name
            assert side.meaning == "Left"
    assert words.code("vertebra_L3") == words.CodedConcept("36470004", "SCT", "L3 vertebra")
    assert structure_of("rib left 12").name
