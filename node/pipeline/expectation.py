"""What more is expected of a study: announcements and the count of the PACS against what came."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from node.domain.study import StudyUID
from node.ledger import Ledger
from node.ledger.announcements import Announced, Step
from node.pipeline.archive import Counts, NoAnswer, Pending

#: What the PACS says of a study, asked after a moment of the monotonic clock.
AskCounts = Callable[[str, float], Counts | NoAnswer | Pending]


class Standing(Enum):
    """How what came stands against what was told."""

    UNKNOWN = "nothing was told"
    #: All that was told has come.
    WHOLE = "whole"
    #: Each received series is whole; others of the study did not come.
    SERIES_WHOLE = "the received series are whole"
    #: A received series lacks images, or a procedure step is still in progress.
    LACKING = "images are missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What is expected of one study.

    Attributes:
        told: in words, "" where nothing was told.
        ends: it was told by somebody who says that there will be no more.
        may_change: worth waiting for, beyond the quiet time.
        doubt: somebody who should know did not answer.
    """

    standing: Standing
    told: str = ""
    ends: bool = False
    may_change: bool = False
    doubt: bool = False


NOTHING_EXPECTED = Expectation(standing=Standing.UNKNOWN)


@dataclass(frozen=True, slots=True)
class _Compared:
    standing: Standing
    told: str


class Expecting:
    """Asks ledger and PACS what is expected; quick, because the PACS answers in the background."""

    def __init__(self, ledger: Ledger, ask: AskCounts | None = None) -> None:
        self._ledger = ledger
        self._ask = ask

    def __call__(self, study_uid: StudyUID, quiet_since: float) -> Expectation:
        """What more is expected of a study that is quiet since a moment of the monotonic clock."""
        announced = self._ledger.announcements.of_study(study_uid)
        received = self._ledger.instances.received(study_uid)
        if announced.steps or announced.available:
            return of_announcements(announced, received)
        if self._ask is None:
            return NOTHING_EXPECTED
        answer = self._ask(study_uid, quiet_since)
        ours = {item.object.series_uid for item in self._ledger.outbox.of_study(study_uid)}
        return of_counts(answer, received, frozenset(ours))


def of_announcements(announced: Announced, received: Mapping[str, frozenset[str]]) -> Expectation:
    """What MPPS and availability notifications say.

    Args:
        received: SOP Instance UIDs of what came, by series.
    """
    steps = announced.steps
    expected: dict[str, set[str]] = {}
    for item in (*(s for step in steps for s in step.series), *announced.available):
        expected.setdefault(item.series_uid, set()).update(item.sop_instance_uids)
    source = " and ".join(_sources(announced))
    in_progress = [step for step in steps if step.is_open]
    note = _discontinued(steps)
    if in_progress:
        told = f"{source}: {len(in_progress)} of {len(steps)} procedure steps in progress"
        return Expectation(standing=Standing.LACKING, told=told + note, may_change=True)
    found = _compare({uid: len(uids) for uid, uids in expected.items()}, expected, received)
    return Expectation(
        standing=found.standing,
        told=f"{source}: {found.told}{note}",
        ends=True,
        may_change=found.standing is Standing.LACKING,
    )


def of_counts(
    answer: Counts | NoAnswer | Pending,
    received: Mapping[str, frozenset[str]],
    results: frozenset[str],
) -> Expectation:
    """What the PACS counts.

    Args:
        results: series of this node's own results, which the PACS counts too.
    """
    match answer:
        case Pending():
            return Expectation(standing=Standing.UNKNOWN, may_change=True)
        case NoAnswer(cause):
            return Expectation(
                standing=Standing.UNKNOWN, told=f"the PACS did not tell ({cause})", doubt=True
            )
        case Counts():
            counts = {uid: n for uid, n in answer.by_series.items() if uid not in results}
            if not counts:
                why = "does not count its images" if answer.is_known else "does not know the study"
                return Expectation(standing=Standing.UNKNOWN, told=f"the PACS {why}", doubt=True)
            found = _compare(counts, {}, received)
            return Expectation(
                standing=found.standing,
                told=f"the PACS: {found.told}",
                may_change=found.standing is Standing.LACKING,
            )


def _compare(
    counts: Mapping[str, int],
    expected: Mapping[str, Iterable[str]],
    received: Mapping[str, frozenset[str]],
) -> _Compared:
    """Hold counts, and SOP Instance UIDs where they are known, against what came."""
    total = sum(counts.values())
    lacking = 0
    absent = 0
    for uid, count in counts.items():
        came = received.get(uid, frozenset())
        if not came:
            absent += bool(count)
            continue
        wanted = expected.get(uid)
        lacking += len(set(wanted) - came) if wanted is not None else max(0, count - len(came))
    named = f"{total} images in {len(counts)} series"
    if not total:
        return _Compared(Standing.UNKNOWN, "no images are named")
    if lacking:
        return _Compared(Standing.LACKING, f"{named}, of which {lacking} did not come")
    if absent:
        did = f"{absent} of the series did not come"
        if absent == len(counts):
            return _Compared(Standing.UNKNOWN, f"{named}, none of which came")
        return _Compared(Standing.SERIES_WHOLE, f"{named}, those received are whole, {did}")
    return _Compared(Standing.WHOLE, f"{named}, all of them came")


def _sources(announced: Announced) -> Iterator[str]:
    if announced.steps:
        yield "MPPS"
    if announced.available:
        yield "availability notification"


def _discontinued(steps: Iterable[Step]) -> str:
    for step in steps:
        if step.is_discontinued:
            return "; the procedure was discontinued" + (f" ({step.reason})" if step.reason else "")
    return ""
