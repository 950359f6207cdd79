"""Head and feet exchanged in the header, as the organs tell."""

import numpy as np

from models.anatomy.upright import refuse_turned
from node.domain.anatomy import Anatomy

NAMES = {1: "lung_right", 2: "lung_left", 3: "liver", 4: "kidney_right"}


NOTHING = slice(0, 0)


def seen(lungs: slice, liver: slice, kidney: slice = NOTHING) -> Anatomy:
    labels = np.zeros((60, 40, 40), np.uint8)
    labels[lungs, :, :15], labels[lungs, :, 25:] = 1, 2
    labels[liver, :, :20] = 3
    labels[kidney, :10, :10] = 4
    return Anatomy(
        labels=labels,
        affine=np.array(
            [[0.0, 0.0, 3.0, 0.0], [0.0, 3.0, 0.0, 0.0], [3.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
        ),
        names=NAMES,
        vertebrae=(),
        anchors=(),
        doubts=(),
        model_digest="toy",
    )


def test_lungs_above_the_liver_are_as_they_should_be() -> None:
    assert refuse_turned(seen(slice(30, 60), slice(10, 35))) is None


def test_lungs_below_the_liver_contradict_the_header() -> None:
    refusal = refuse_turned(seen(slice(0, 30), slice(30, 50)))
    assert refusal is not None
    assert "head and feet" in refusal.reason


def test_kidneys_above_the_lungs_contradict_the_header() -> None:
    refusal = refuse_turned(seen(slice(0, 10), NOTHING, slice(30, 50)))
    assert refusal is not None
    assert "below the kidneys" in refusal.reason


def test_too_little_of_either_tells_nothing() -> None:
    assert refuse_turned(seen(NOTHING, slice(30, 50))) is None
    assert refuse_turned(seen(slice(0, 30), NOTHING)) is None
