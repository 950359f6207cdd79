"""Liver, spleen and kidneys keep and get what looks like them; a shoulder has no kidney."""

from __future__ import annotations

import numpy as np
import pytest

from models.anatomy.organs import above_the_abdomen, rejoined
from models.anatomy.sampling import Sight
from models.anatomy.structures import Structure as S
from tests.models.anatomy.scene import sight_of

SHAPE = (48, 64, 64)


def test_the_back_of_a_liver_called_kidney_is_liver_and_a_kidney_beside_it_stays() -> None:
    hu = np.full(SHAPE, -100.0, np.float32)
    labels = np.full(SHAPE, S.BODY, np.uint8)
    hu[4:40, 4:34, 4:40] = 100.0
    labels[4:40, 4:34, 4:40] = S.LIVER
    labels[10:30, 24:34, 10:30] = S.KIDNEY  # liver by its density, in one piece with it
    hu[10:30, 34:54, 10:26] = 190.0
    labels[10:30, 34:54, 10:26] = S.KIDNEY  # a kidney that touches the liver
    found = rejoined(sight_of(labels, hu)).labels
    assert (found[12:28, 24:30, 12:28] == S.LIVER).mean() > 0.95
    assert (found[12:28, 38:54, 12:24] == S.KIDNEY).all()


def test_a_kidney_as_dense_as_the_spleen_but_apart_from_it_stays() -> None:
    hu = np.full(SHAPE, -100.0, np.float32)
    labels = np.full(SHAPE, S.BODY, np.uint8)
    for start, stop, structure in ((4, 28, S.SPLEEN), (30, 54, S.KIDNEY)):
        hu[4:40, start:stop, 4:40] = 100.0
        labels[4:40, start:stop, 4:40] = structure
    found = rejoined(sight_of(labels, hu)).labels
    for structure in (S.SPLEEN, S.KIDNEY):
        assert not ((found == structure) & (labels != structure)).any()
    # Corners are thinner than an organ is.
    assert (found[:, :, 8:36] == labels[:, :, 8:36])[8:36].all()


@pytest.mark.parametrize(("rows", "stays"), [(50, False), (20, True)])
def test_no_kidney_is_beside_lungs_that_go_on_below_the_images(rows: int, stays: bool) -> None:
    labels = np.full(SHAPE, S.BODY, np.uint8)
    labels[:, 4 : 4 + rows, 10:50] = S.LUNG  # 80 or 32 cm2
    labels[20:40, 56:62, 20:40] = S.KIDNEY
    labels[20:40, 56:62, 4:8] = S.T12
    found = above_the_abdomen(sight_of(labels, np.zeros(SHAPE, np.float32))).labels
    assert (found == S.KIDNEY).any() == stays
    assert (found == S.T12).any()
    assert (found == S.LUNG).sum() == (labels == S.LUNG).sum()


def _block(*boxes: tuple[S, float, tuple[slice, slice, slice]]) -> Sight:
    """Fat, and in it boxes that are called so and measure so many HU; later ones lie on top."""
    hu = np.full(SHAPE, -100.0, np.float32)
    labels = np.full(SHAPE, S.BODY, np.uint8)
    for structure, value, box in boxes:
        hu[box] = value
        labels[box] = structure
    return sight_of(labels, hu)


Z, X = slice(6, 42), slice(4, 36)


def test_a_kidney_takes_its_own_from_spleen_and_muscle_and_leaves_muscle_its_own() -> None:
    sight = _block(
        (S.KIDNEY, 180.0, (Z, slice(10, 24), X)),
        (S.SPLEEN, 180.0, (Z, slice(4, 10), X)),  # the kidney's
        (S.QUADRATUS, 180.0, (Z, slice(24, 28), X)),  # the kidney's
        (S.QUADRATUS, 55.0, (Z, slice(28, 48), X)),
        (S.SPLEEN, 120.0, (Z, slice(4, 44), slice(42, 60))),
    )
    found = rejoined(sight).labels
    inner = (slice(10, 38), slice(None), slice(8, 32))
    assert (found[inner][:, 5:27] == S.KIDNEY).mean() > 0.95
    assert (found[inner][:, 29:47] == S.QUADRATUS).mean() > 0.95
    assert (found[10:38, 8:40, 46:56] == S.SPLEEN).all()


def test_what_lies_against_an_organ_and_is_fluid_or_contrast_medium_is_not_of_it() -> None:
    sight = _block(
        (S.LIVER, 110.0, (Z, slice(4, 44), slice(4, 30))),
        (S.LIVER, 5.0, (Z, slice(44, 56), slice(4, 30))),  # a gall bladder
        (S.LIVER, 8.0, (slice(18, 30), slice(18, 30), slice(12, 22))),  # a cyst within it
        (S.SPLEEN, 110.0, (Z, slice(4, 44), slice(36, 50))),
        (S.SPLEEN, 320.0, (Z, slice(4, 44), slice(50, 58))),  # bowel full of contrast medium
    )
    found = rejoined(sight).labels
    assert (found[12:36, 46:56, 8:26] == S.BODY).all()
    assert (found[12:36, 10:40, 52:58] == S.BODY).all()
    assert (found[18:30, 18:30, 12:22] == S.LIVER).all()
    assert (found[12:36, 8:40, 40:48] == S.SPLEEN).all()


def test_fat_around_a_kidney_is_peeled_off_and_that_of_its_sinus_stays() -> None:
    sight = _block(
        (S.KIDNEY, -100.0, (slice(4, 44), slice(8, 44), slice(8, 44))),
        (S.KIDNEY, 35.0, (Z, slice(10, 42), slice(10, 42))),
        (S.KIDNEY, -90.0, (slice(20, 28), slice(22, 30), slice(22, 30))),
    )
    found = rejoined(sight).labels
    assert (found[10:38, 8:10, 12:40] == S.BODY).all()
    assert (found[20:28, 22:30, 22:30] == S.KIDNEY).all()


def test_an_organ_grows_to_its_own_border_and_not_into_what_is_less_dense() -> None:
    sight = _block(
        (S.BODY, 20.0, (Z, slice(4, 60), slice(4, 30))),
        (S.BODY, 100.0, (Z, slice(4, 34), slice(4, 30))),
        (S.LIVER, 100.0, (Z, slice(4, 28), slice(4, 30))),
    )
    found = rejoined(sight).labels
    assert (found[12:36, 28:33, 8:26] == S.LIVER).mean() > 0.95
    assert (found[12:36, 36:, 8:26] == S.BODY).all()


def test_a_piece_within_a_liver_that_is_not_quite_as_dense_is_liver() -> None:
    sight = _block(
        (S.LIVER, 60.0, (Z, slice(4, 60), slice(4, 60))),
        (S.KIDNEY, 30.0, (slice(18, 28), slice(26, 36), slice(26, 36))),
    )
    assert not (rejoined(sight).labels == S.KIDNEY).any()
