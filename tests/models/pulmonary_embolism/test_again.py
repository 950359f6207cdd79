"""What turned, scaled and mirrored windows show of a candidate is a part of its certainty."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from models.grid import canonical
from models.pulmonary_embolism import pipeline
from models.pulmonary_embolism import vocabulary as say
from models.pulmonary_embolism.again import LOOKS, Again, look_again
from models.pulmonary_embolism.candidates import NETWORK, Candidate, find_candidates
from models.pulmonary_embolism.pipeline import analyse
from models.pulmonary_embolism.set_aside import SetAside
from models.pulmonary_embolism.space import Space, space_of
from models.pulmonary_embolism.windows import probabilities
from node.domain.finding import Status
from tests.models.pulmonary_embolism.toy import CLOT_HU, Clots, Toy, Trunk, request


class Fickle(Clots):
    """Sees the clot in the first windows, and in some of the looks at it alone."""

    def __init__(self, blood_hu: float, looks: int) -> None:
        super().__init__(blood_hu)
        self.looks = looks
        self.asked = 0

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        logits = super().run(inputs)
        # Only the looks have it in the middle of every window; the first pass must still see it.
        clot = logits[:, 3, 20:28, 20:28, 20:28].max(axis=(1, 2, 3)) > 0
        if len(inputs) == len(LOOKS) and clot.all():
            self.asked += 1
            logits[self.looks :, 3] = 0.0
        return logits


@pytest.fixture(scope="module")
def space() -> Space:
    return space_of(canonical(Toy().volume()))


@pytest.fixture(scope="module")
def clot(space: Space) -> Candidate:
    toy = Toy()
    where = np.ones(space.hu.shape, np.bool_)
    chances = probabilities(space.hu, where, Clots(toy.blood_hu), 48, (-1000.0, 600.0))
    found = find_candidates(space.hu, chances, where, toy.blood_hu)
    # The wall of the chest is as dense as a clot.
    return max((one for one in found if abs(one.hu - CLOT_HU) < 25), key=lambda one: one.blood)


def test_a_clot_lies_in_every_look_where_the_candidate_is(space: Space, clot: Candidate) -> None:
    where = np.ones(space.hu.shape, np.bool_)
    again = look_again(space, where, clot, Clots(Toy().blood_hu))
    assert len(again.cover) == len(LOOKS)
    assert again.cover.min() > 0.5
    assert again.features[:2].min() > 0.5
    elsewhere = replace(
        clot,
        box=tuple(slice(s.start + 12, s.stop + 12) for s in clot.box),
    )
    assert look_again(space, where, elsewhere, Clots(Toy().blood_hu)).cover.max() < 0.3


def test_what_lies_outside_of_the_search_is_not_seen(space: Space, clot: Candidate) -> None:
    nowhere = np.zeros(space.hu.shape, np.bool_)
    assert not look_again(space, nowhere, clot, Clots(Toy().blood_hu)).features.any()


def test_one_look_that_fails_is_not_the_lowest_that_counts() -> None:
    again = Again(np.array([0.0, 0.4, *[0.8] * 6]), np.array([0.0, *[1.0] * 7]))
    assert again.features == pytest.approx([5.2 / 8, 0.4, 7 / 8])


@pytest.mark.parametrize(("looks", "status"), [(8, Status.FINDINGS), (0, Status.NO_FINDINGS)])
def test_what_no_look_sees_again_is_not_told(looks: int, status: Status) -> None:
    asked = request(Toy(), Trunk(320.0))
    fickle = Fickle(Toy().blood_hu, looks)
    findings = analyse(replace(asked, networks={**asked.networks, NETWORK: fickle}))
    assert fickle.asked >= 1
    assert findings.status is status, findings.reason
    # What was set aside is counted: a place that was doubted is no place where nothing was seen.
    aside = [line for line in findings.limits if "turned and scaled" in line]
    assert bool(aside) == (status is Status.NO_FINDINGS)
    assert bool(findings.findings) == (status is Status.FINDINGS)


def test_what_is_left_unchecked_is_no_negative(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "MOST_LOOKED_AT", 0)
    asked = request(Toy(), Trunk(320.0))
    clots = Fickle(Toy().blood_hu, 8)
    findings = analyse(replace(asked, networks={**asked.networks, NETWORK: clots}))
    assert findings.status is Status.PARTIAL
    assert "could not be checked" in findings.reason
    # Whoever reads the coded answer alone must not read "absent".
    answers = {one.name: one.value for one in findings.exam_evaluations}
    assert answers[say.EMBOLISM] == say.INDETERMINATE
    assert any(line.startswith("Not judged: ") for line in findings.limits)
    assert not findings.findings


def test_each_kind_of_place_that_is_not_listed_has_its_sentence() -> None:
    assert SetAside().told == ()
    assert SetAside().left_open == ""
    one = SetAside(unsure=1, no_clot=2, not_looked_at=3)
    assert [("1 place" in line, "2 places" in line, "3 places" in line) for line in one.told] == [
        (True, False, False), (False, True, False), (False, False, True),
    ]  # fmt: skip
    assert one.left_open.startswith("3 places")
    assert SetAside(unsure=1, no_clot=2).left_open == ""
