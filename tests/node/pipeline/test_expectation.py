"""What was announced, or what the PACS counts, is held against what came."""

from __future__ import annotations

from node.ledger.announcements import Announced, Step
from node.pipeline.archive import Counts, NoAnswer, Pending
from node.pipeline.expectation import Expectation, Standing, of_announcements, of_counts
from scp.notices import COMPLETED, DISCONTINUED, IN_PROGRESS, ExpectedSeries

CAME = {"1": frozenset({"1.1", "1.2"}), "2": frozenset({"2.1"})}


def step(*series: ExpectedSeries, status: str = COMPLETED, reason: str = "") -> Step:
    return Step(step_uid="9", status=status, reason=reason, calling_ae_title="CT1", series=series)


def mpps(*steps: Step) -> Expectation:
    return of_announcements(Announced(steps, ()), CAME)


def pacs(**series: int) -> Expectation:
    counts = {uid.removeprefix("s"): number for uid, number in series.items()}
    return of_counts(Counts(is_known=True, by_series=counts, identity={}), CAME, frozenset({"900"}))


FIRST = ExpectedSeries("1", ("1.1", "1.2"))
SECOND = ExpectedSeries("2", ("2.1",))


def test_all_announced_images_make_the_study_whole_and_end_it() -> None:
    found = mpps(step(FIRST), step(SECOND))
    assert (found.standing, found.ends) == (Standing.WHOLE, True)
    assert found.told == "MPPS: 3 images in 2 series, all of them came"


def test_as_many_images_as_announced_but_other_ones_are_not_all() -> None:
    found = mpps(step(ExpectedSeries("1", ("1.1", "1.3"))))
    assert found.standing is Standing.LACKING
    assert found.may_change
    assert "1 did not come" in found.told


def test_step_in_progress_is_waited_for() -> None:
    found = mpps(step(FIRST), step(status=IN_PROGRESS))
    assert found.standing is Standing.LACKING
    assert "1 of 2 procedure steps in progress" in found.told


def test_discontinued_procedure_is_said() -> None:
    found = mpps(step(FIRST, SECOND, status=DISCONTINUED, reason="Patient refused to continue"))
    assert found.standing is Standing.WHOLE
    assert "discontinued (Patient refused to continue)" in found.told


def test_series_that_nobody_forwards_is_no_reason_to_wait() -> None:
    found = mpps(step(FIRST, SECOND, ExpectedSeries("3", ("3.1",))))
    assert (found.standing, found.may_change) == (Standing.SERIES_WHOLE, False)
    assert "1 of the series did not come" in found.told


def test_availability_notification_counts_like_mpps() -> None:
    found = of_announcements(Announced((), (FIRST, SECOND)), CAME)
    assert (found.standing, found.ends) == (Standing.WHOLE, True)
    assert found.told.startswith("availability notification")


def test_count_of_the_pacs_leaves_out_our_own_results() -> None:
    found = pacs(s1=2, s2=1, s900=3)
    assert (found.standing, found.ends) == (Standing.WHOLE, False)
    assert pacs(s1=5, s2=1).standing is Standing.LACKING


def test_dead_pacs_only_lowers_the_certainty() -> None:
    found = of_counts(NoAnswer("it does not answer"), CAME, frozenset())
    assert (found.standing, found.may_change, found.doubt) == (Standing.UNKNOWN, False, True)
    assert of_counts(Pending(), CAME, frozenset()).may_change
