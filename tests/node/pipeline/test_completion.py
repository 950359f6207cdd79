"""A study is complete when its associations ended and it is quiet."""

from __future__ import annotations

from node.domain.study import StudyUID
from node.pipeline.completion import Completion, CompletionSettings

STUDY = StudyUID("1.2.3")


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def watched() -> tuple[Completion, Clock]:
    clock = Clock()
    settings = CompletionSettings(quiet_time_s=20, interrupted_quiet_time_s=60)
    return Completion(settings, clock=clock), clock


def test_study_is_not_complete_while_its_association_is_open() -> None:
    completion, clock = watched()
    completion.arrived(STUDY, "a")
    clock.now += 1000
    assert completion.completed() == ()


def test_study_is_complete_a_quiet_time_after_its_last_association_ended() -> None:
    completion, clock = watched()
    completion.arrived(STUDY, "a")
    completion.arrived(STUDY, "b")
    assert completion.association_ended("a", clean=True) == (STUDY,)
    clock.now += 30
    assert completion.completed() == ()
    completion.association_ended("b", clean=True)
    clock.now += 19.9
    assert completion.completed() == ()
    clock.now += 0.2
    assert completion.completed() == ((STUDY, "2 associations ended, quiet for 20 s"),)
    assert completion.waiting() == 0


def test_interrupted_study_waits_longer_for_its_sender_to_return() -> None:
    completion, clock = watched()
    completion.arrived(STUDY, "a")
    completion.association_ended("a", clean=False)
    clock.now += 59
    assert completion.completed() == ()
    completion.arrived(STUDY, "b")
    completion.association_ended("b", clean=True)
    clock.now += 21
    assert [uid for uid, _ in completion.completed()] == [STUDY]


def test_association_that_timed_out_after_its_last_image_is_no_interruption() -> None:
    completion, clock = watched()
    completion.arrived(STUDY, "a")
    clock.now += 120
    completion.association_ended("a", clean=False)
    clock.now += 20
    assert [uid for uid, _ in completion.completed()] == [STUDY]


def test_study_being_received_when_the_node_stopped_is_taken_up_again() -> None:
    completion, clock = watched()
    completion.resume(STUDY)
    clock.now += 61
    done = completion.completed()
    assert [uid for uid, _ in done] == [STUDY]
    assert "60 s" in done[0][1]


def test_association_that_sent_nothing_of_a_study_does_not_touch_it() -> None:
    completion, clock = watched()
    completion.arrived(STUDY, "a")
    completion.association_ended("a", clean=True)
    clock.now += 15
    assert completion.association_ended("other", clean=False) == ()
    clock.now += 6
    assert [uid for uid, _ in completion.completed()] == [STUDY]
