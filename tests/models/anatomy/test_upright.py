"""Head and feet exchanged in the header, as the organs tell."""

from dataclasses import replace

import numpy as np
import pytest

from models.anatomy.pipeline import analyse
from models.anatomy.structures import Structure as S
from models.anatomy.upright import mirror_doubt, refuse_turned
from node.domain.anatomy import Anatomy
from node.domain.finding import Status
from tests.models.anatomy.looks import Trunk, block

NAMES = {1: "lung_right", 2: "lung_left", 3: "liver", 4: "kidney_right", 5: "spleen"}


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


@pytest.mark.parametrize(
    ("liver", "spleen", "cut", "is_told"),
    [
        (14, 6, (), False),
        (10, 14, (), True),
        (10, 14, ("liver",), False),
        (6, 14, ("liver",), True),
        (1, 2, (), False),
    ],
)
def test_a_spleen_that_is_larger_than_the_liver_is_told(
    liver: int, spleen: int, cut: tuple[str, ...], is_told: bool
) -> None:
    anatomy = seen(NOTHING, slice(0, liver))
    anatomy.labels[:spleen, :, 20:] = 5
    doubt = mirror_doubt(replace(anatomy, cut=cut))
    assert ("left and right may be exchanged" in doubt) is is_told


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_organs_that_lie_mirrored_make_the_result_partial(
    monkeypatch: pytest.MonkeyPatch, *, is_mirrored: bool
) -> None:
    large, small = block((60, 110), (20, 70), (15, 55)), block((70, 90), (60, 90), (85, 110))
    parts = [(S.SPLEEN, large), (S.LIVER, small)] if is_mirrored else [(S.LIVER, large)]
    findings = analyse(Trunk(parts).request(monkeypatch))
    assert (findings.status is Status.PARTIAL) is is_mirrored
    assert ("left and right may be exchanged" in findings.reason) is is_mirrored
    assert findings.segments
