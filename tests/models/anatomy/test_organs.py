"""A kidney keeps what looks like a kidney, and gives back what is liver or spleen."""

from __future__ import annotations

import numpy as np

from models.anatomy.organs import rejoined
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
