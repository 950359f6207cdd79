"""A study is complete when its associations ended and it is quiet."""

from __future__ import annotations

from node.domain.study import Certainty, StudyUID
from node.pipeline.completion import Completion, CompletionSettings
from node.pipeline.expectation import Expectation, Standing
from node.pipeline.pace import ENOUGH

STUDY = StudyUID("1.2.3")
OTHER = StudyUID("1.2.4")


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def watched(**changes: float) -> tuple[Completion, Clock]:
    clock = Clock()
    settings = CompletionSettings(
        **{"quiet_time_s": 20, "interrupted_quiet_time_s": 60, "shortest_s": 5} | changes
    )
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
    (done,) = completion.completed()
    assert (done.study_uid, done.why) == (STUDY, "2 associations ended, quiet for 20 s")
    assert done.certainty is Certainty.ASSUMED
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
    assert [done.study_uid for done in completion.completed()] == [STUDY]


def test_association_that_timed_out_after_its_last_image_is_no_interruption() -> None:
    completion, clock = watched()
    completion.arrived(STUDY, "a")
    clock.now += 120
    completion.association_ended("a", clean=False)
    clock.now += 20
    assert [done.study_uid for done in completion.completed()] == [STUDY]


def test_study_being_received_when_the_node_stopped_is_taken_up_again() -> None:
    completion, clock = watched()
    completion.resume(STUDY)
    clock.now += 61
    done = completion.completed()
    assert [item.study_uid for item in done] == [STUDY]
    assert "60 s" in done[0].why


def test_association_that_sent_nothing_of_a_study_does_not_touch_it() -> None:
    completion, clock = watched()
    completion.arrived(STUDY, "a")
    completion.association_ended("a", clean=True)
    clock.now += 15
    assert completion.association_ended("other", clean=False) == ()
    clock.now += 6
    assert [done.study_uid for done in completion.completed()] == [STUDY]


def test_parallel_association_that_ends_well_does_not_make_good_one_that_broke_off() -> None:
    completion, clock = watched()
    completion.arrived(STUDY, "a", "CT1")
    completion.arrived(STUDY, "b", "CT1")
    clock.now += 1
    completion.association_ended("a", clean=False)
    clock.now += 1
    completion.association_ended("b", clean=True)
    assert completion.is_interrupted(STUDY)
    clock.now += 21
    assert completion.completed() == ()
    clock.now += 40
    (done,) = completion.completed()
    assert "broke off" in done.why
    assert done.certainty is Certainty.ASSUMED


def test_later_association_of_another_sender_does_not_make_good_an_interruption() -> None:
    completion, clock = watched()
    completion.arrived(STUDY, "a", "CT1")
    completion.association_ended("a", clean=False)
    completion.arrived(STUDY, "b", "PACS")
    completion.association_ended("b", clean=True)
    clock.now += 21
    assert completion.completed() == ()
    completion.arrived(STUDY, "c", "CT1")
    completion.association_ended("c", clean=True)
    clock.now += 21
    assert [done.study_uid for done in completion.completed()] == [STUDY]


def test_association_that_went_on_to_other_studies_does_not_hold_a_study_for_ever() -> None:
    completion, clock = watched()
    completion.arrived(STUDY, "day-long", "CT1")
    clock.now += 1
    completion.arrived(OTHER, "day-long", "CT1")
    clock.now += 15
    completion.arrived(OTHER, "day-long", "CT1")
    assert completion.completed() == ()
    clock.now += 10
    (done,) = completion.completed()
    assert done.study_uid == STUDY
    assert "went on to other studies" in done.why


def told(standing: Standing, **rest: bool) -> Expectation:
    return Expectation(standing=standing, told="MPPS: 4 images", **rest)


def quiet_for(seconds: float, expectation: Expectation) -> tuple[Completion, Clock, str]:
    completion, clock = watched()
    completion.arrived(STUDY, "a", "CT1")
    completion.association_ended("a", clean=True)
    clock.now += seconds
    done = completion.completed(lambda _uid, _since: expectation)
    return completion, clock, done[0].certainty.value if done else "waits"


def test_study_of_which_all_announced_images_came_is_certain_without_the_quiet_time() -> None:
    whole = told(Standing.WHOLE, ends=True)
    assert quiet_for(4, whole)[2] == "waits"
    assert quiet_for(6, whole)[2] == "certain"


def test_count_of_the_pacs_makes_certain_but_not_early() -> None:
    assert quiet_for(6, told(Standing.WHOLE))[2] == "waits"
    assert quiet_for(21, told(Standing.WHOLE))[2] == "certain"


def test_announced_images_that_lack_are_waited_for_up_to_the_longest_time() -> None:
    lacking = told(Standing.LACKING, may_change=True)
    assert quiet_for(300, lacking)[2] == "waits"
    assert quiet_for(601, lacking)[2] == "assumed"


def test_whole_series_of_a_study_of_which_others_did_not_come_are_likely_all() -> None:
    assert quiet_for(21, told(Standing.SERIES_WHOLE))[2] == "likely"


def test_image_that_comes_while_the_pacs_is_asked_is_not_overlooked() -> None:
    completion, clock = watched()
    completion.arrived(STUDY, "a", "CT1")
    completion.association_ended("a", clean=True)
    clock.now += 21

    def ask(_uid: StudyUID, _since: float) -> Expectation:
        completion.arrived(STUDY, "b", "CT1")
        return told(Standing.WHOLE, ends=True)

    assert completion.completed(ask) == ()


def send(completion: Completion, clock: Clock, study: str, *, pauses: tuple[float, ...]) -> None:
    """One association, and after each pause another one."""
    uid = StudyUID(study)
    for number, pause in enumerate((0.0, *pauses)):
        clock.now += pause
        completion.arrived(uid, f"{study}-{number}", "CT1")
        completion.association_ended(f"{study}-{number}", clean=True)


def test_quiet_time_shrinks_for_a_sender_that_sends_each_study_at_once() -> None:
    completion, clock = watched()
    for number in range(ENOUGH):
        send(completion, clock, f"1.{number}", pauses=())
        clock.now += 21
        assert len(completion.completed()) == 1
    send(completion, clock, "2", pauses=())
    clock.now += 6
    (done,) = completion.completed()
    assert done.certainty is Certainty.LIKELY
    assert "learnt from 30 sendings of CT1" in done.why


def test_quiet_time_grows_for_a_sender_that_pauses_between_associations() -> None:
    completion, clock = watched()
    for number in range(ENOUGH):
        send(completion, clock, f"1.{number}", pauses=(18.0, 18.0))
        clock.now += 61
        completion.completed()
    send(completion, clock, "2", pauses=())
    clock.now += 21
    assert completion.completed() == ()
    clock.now += 15
    assert [done.study_uid for done in completion.completed()] == ["2"]


def test_late_image_teaches_how_long_to_wait() -> None:
    completion, clock = watched()
    for number in range(ENOUGH):
        send(completion, clock, f"1.{number}", pauses=())
        clock.now += 25
        completion.completed()
        send(completion, clock, f"1.{number}", pauses=(65.0,))
        clock.now += 300
        completion.completed()
    send(completion, clock, "2", pauses=())
    clock.now += 80
    assert completion.completed() == ()


def test_learnt_quiet_time_stays_within_its_bounds() -> None:
    completion, clock = watched(longest_s=50)
    for number in range(ENOUGH):
        send(completion, clock, f"1.{number}", pauses=(19.0, 19.0, 19.0))
        clock.now += 400
        completion.completed()
        send(completion, clock, f"1.{number}", pauses=(200.0,))
        clock.now += 400
        completion.completed()
    send(completion, clock, "2", pauses=())
    clock.now += 51
    assert [done.study_uid for done in completion.completed()] == ["2"]
