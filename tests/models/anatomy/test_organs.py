"""A kidney keeps what looks like one, gives back liver and spleen; a shoulder has none."""

from __future__ import annotations

import numpy as np
import pytest

from models.anatomy.organs import above_the_abdomen, rejoined
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
    sight = sight_of(labels, hu)
    assert np.array_equal(rejoined(sight).labels, labels)


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
