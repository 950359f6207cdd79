"""Series in, completed studies out: when is nothing more expected of a study?

Three things are asked, in this order: is an association open that is still at work on it; has
everything come that was announced or that the PACS counts (`node.pipeline.expectation`); has
it been quiet for long enough, where long enough is learnt from each sender
(`node.pipeline.pace`) within the bounds of the configuration. A late image reopens the study.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from node.domain.study import Certainty, StudyUID
from node.pipeline.expectation import NOTHING_EXPECTED, Expectation, Standing
from node.pipeline.pace import Gap, Pace

#: Of all ends of associations, so many are followed by nothing within the learnt quiet time.
QUANTILE: Final = 0.99
#: The learnt pause is waited for with this much to spare.
MARGIN: Final = 1.5
#: An association that went on to other studies is done with one that it has not touched for
#: so many of its usual gaps.
GONE_ON: Final = 3.0
#: A late image tells of its sender's habits up to here; later ones are another story.
LEARNT_LATE_S: Final = 3600.0
#: What is expected of a study is asked for this often while it is quiet.
ASK_INTERVAL_S: Final = 1.0
_ANYBODY: Final = "*"


@dataclass(frozen=True, slots=True)
class CompletionSettings:
    """How long to wait, in seconds.

    Attributes:
        quiet_time_s: while the sender's habits are unknown.
        shortest_s, longest_s: bounds of what is learnt; `longest_s` also bounds the wait for
            what was announced.
        learns: adapt the quiet time to each sender.
    """

    quiet_time_s: float
    interrupted_quiet_time_s: float
    shortest_s: float = 0.0
    longest_s: float = 600.0
    learns: bool = True


@dataclass(frozen=True, slots=True)
class Completed:
    """A study of which nothing more is expected, with the reason in words."""

    study_uid: StudyUID
    certainty: Certainty
    why: str


@dataclass(slots=True)
class _Association:
    """One that is open. `latest`: the study of its last instance."""

    calling_ae_title: str
    latest: StudyUID


@dataclass(slots=True)
class _Part:
    """What one open association brought of a study; times of a monotonic clock."""

    first_at: float
    last_at: float


@dataclass(slots=True)
class _Arrival:
    """What is known of a study that is being received; times of a monotonic clock.

    Attributes:
        parts: by the ID of each open association that brought some of it.
        broken: when the last association of a sender broke off, by calling AE title.
        sender: calling AE title of the last instance.
    """

    last_at: float
    parts: dict[str, _Part] = field(default_factory=dict)
    broken: dict[str, float] = field(default_factory=dict)
    sender: str = ""
    ended_associations: int = 0
    asked_at: float = float("-inf")
    expectation: Expectation = NOTHING_EXPECTED


class Completion:
    """Watches arrivals; thread-safe, and a pure function of its events and the clock."""

    def __init__(
        self,
        settings: CompletionSettings,
        *,
        pace: Pace | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self.pace = pace or Pace()
        self._clock = clock
        self._lock = threading.Lock()
        self._arrivals: dict[StudyUID, _Arrival] = {}
        self._associations: dict[str, _Association] = {}
        #: When studies were last complete, so that a late image teaches how long to wait.
        self._left: dict[StudyUID, float] = {}

    def arrived(self, study_uid: StudyUID, association_id: str, calling_ae_title: str = "") -> None:
        """An instance of the study was acknowledged on this association."""
        with self._lock:
            now = self._clock()
            arrival = self._arrivals.get(study_uid)
            quiet_since = self._left.pop(study_uid, now) if arrival is None else arrival.last_at
            if arrival is None:
                arrival = self._arrivals[study_uid] = _Arrival(now)
                follows = now > quiet_since
            else:
                follows = not arrival.parts and arrival.ended_associations > 0
            if follows and now - quiet_since <= LEARNT_LATE_S:
                self.pace.note(calling_ae_title, Gap.ASSOCIATION, now - quiet_since)
            part = arrival.parts.get(association_id)
            if part is None:
                arrival.parts[association_id] = _Part(now, now)
            else:
                self.pace.note(calling_ae_title, Gap.INSTANCE, now - part.last_at)
                part.last_at = now
            arrival.last_at, arrival.sender = now, calling_ae_title
            self._associations[association_id] = _Association(calling_ae_title, study_uid)

    def association_ended(self, association_id: str, *, clean: bool) -> tuple[StudyUID, ...]:
        """An association was released (clean) or broke off; returns the studies it sent."""
        with self._lock:
            now = self._clock()
            ended = self._associations.pop(association_id, None)
            sender = ended.calling_ae_title if ended else ""
            touched = []
            for study_uid, arrival in self._arrivals.items():
                part = arrival.parts.pop(association_id, None)
                if part is None:
                    continue
                arrival.ended_associations += 1
                arrival.last_at = now
                if clean:
                    self._make_good(arrival, sender, part)
                elif now - part.last_at < self._settings.quiet_time_s:
                    # An association that broke off long after its last instance had nothing
                    # more to send: many senders keep it open until it times out.
                    arrival.broken[sender] = now
                touched.append(study_uid)
            return tuple(touched)

    def resume(self, study_uid: StudyUID, *, interrupted: bool = True) -> None:
        """At start: a study was being received when the node stopped."""
        with self._lock:
            now = self._clock()
            arrival = self._arrivals.setdefault(study_uid, _Arrival(now))
            if interrupted:
                arrival.broken[_ANYBODY] = now

    def completed(
        self,
        expect: Callable[[StudyUID, float], Expectation] = lambda _uid, _since: NOTHING_EXPECTED,
    ) -> tuple[Completed, ...]:
        """Take out the studies that are complete now.

        Args:
            expect: what more is expected of a study that has been quiet since this moment of
                the clock; quick, and asked outside of any lock.
        """
        with self._lock:
            now = self._clock()
            quiet = [
                (study_uid, arrival.last_at)
                for study_uid, arrival in self._arrivals.items()
                if self._is_quiet(study_uid, arrival, now)
                and now - arrival.asked_at >= ASK_INTERVAL_S
            ]
        answers = [(study_uid, since, expect(study_uid, since)) for study_uid, since in quiet]
        with self._lock:
            for study_uid, since, expectation in answers:
                asked = self._arrivals.get(study_uid)
                if asked is not None and asked.last_at == since:
                    asked.expectation, asked.asked_at = expectation, now
            done = []
            for study_uid, arrival in list(self._arrivals.items()):
                if (
                    not self._is_quiet(study_uid, arrival, now)
                    or arrival.asked_at < arrival.last_at
                ):
                    continue
                judged = self._judge(arrival, now)
                if judged is not None:
                    done.append(Completed(study_uid, *judged))
                    self._leave(study_uid, arrival, now)
            return tuple(done)

    def is_receiving(self, study_uid: StudyUID) -> bool:
        """Is more of this study expected?"""
        with self._lock:
            return study_uid in self._arrivals

    def is_interrupted(self, study_uid: StudyUID) -> bool:
        """Did an association break off that nobody has taken up again?"""
        with self._lock:
            arrival = self._arrivals.get(study_uid)
            return arrival is not None and bool(arrival.broken)

    def waiting(self) -> int:
        """Number of studies that are being received."""
        with self._lock:
            return len(self._arrivals)

    def _make_good(self, arrival: _Arrival, sender: str, part: _Part) -> None:
        """A later association of the sender ended well; one that ran beside it proves nothing."""
        for broken in (sender, _ANYBODY):
            if part.first_at >= arrival.broken.get(broken, float("inf")):
                del arrival.broken[broken]

    def _is_quiet(self, study_uid: StudyUID, arrival: _Arrival, now: float) -> bool:
        if now - arrival.last_at < self._shortest_s():
            return False
        return not any(
            self._holds(study_uid, association_id, part, now)
            for association_id, part in arrival.parts.items()
        )

    def _holds(self, study_uid: StudyUID, association_id: str, part: _Part, now: float) -> bool:
        """Is this open association still at work on the study?"""
        association = self._associations[association_id]
        if association.latest == study_uid:
            return True
        usual_s = self.pace.quantile_s(association.calling_ae_title, Gap.INSTANCE, QUANTILE)
        wait_s = self._settings.quiet_time_s
        if self._settings.learns and usual_s is not None:
            wait_s = max(wait_s, min(GONE_ON * usual_s, self._settings.longest_s))
        return now - part.last_at < wait_s

    def _judge(self, arrival: _Arrival, now: float) -> tuple[Certainty, str] | None:
        """Certainty and reason of a study that is complete; None while more is expected."""
        expectation, quiet_s = arrival.expectation, now - arrival.last_at
        limit_s, waited = self._limit(arrival)
        if expectation.standing is Standing.WHOLE and (expectation.ends or quiet_s >= limit_s):
            return Certainty.CERTAIN, f"{expectation.told}; {_ended(arrival)}"
        patience_s = max(limit_s, self._settings.longest_s)
        if quiet_s < limit_s or (expectation.may_change and quiet_s < patience_s):
            return None
        told = "; ".join(part for part in (waited, expectation.told) if part)
        if arrival.broken or expectation.standing is Standing.LACKING:
            return Certainty.ASSUMED, told
        if expectation.standing is Standing.SERIES_WHOLE:
            return Certainty.LIKELY, told
        known = self._learnt_s(arrival) is not None and arrival.ended_associations > 0
        return (Certainty.LIKELY if known and not expectation.doubt else Certainty.ASSUMED), told

    def _limit(self, arrival: _Arrival) -> tuple[float, str]:
        """How long this study must be quiet, and how that is told."""
        settings = self._settings
        if arrival.broken:
            seconds = settings.interrupted_quiet_time_s
            return seconds, (
                f"an association broke off and was not taken up again for {seconds:g} s"
            )
        learnt_s = self._learnt_s(arrival)
        if learnt_s is None:
            seconds = settings.quiet_time_s
            if not arrival.ended_associations and not arrival.parts:
                return seconds, f"nothing arrived for {seconds:g} s"
            return seconds, f"{_ended(arrival)}, quiet for {seconds:g} s"
        samples = self.pace.samples(arrival.sender, Gap.ASSOCIATION)
        return learnt_s, (
            f"{_ended(arrival)}, quiet for {learnt_s:.3g} s as learnt from {samples} sendings of "
            f"{arrival.sender}"
        )

    def _learnt_s(self, arrival: _Arrival) -> float | None:
        if not self._settings.learns:
            return None
        pause_s = self.pace.quantile_s(arrival.sender, Gap.ASSOCIATION, QUANTILE)
        if pause_s is None:
            return None
        return min(max(MARGIN * pause_s, self._shortest_s()), self._settings.longest_s)

    def _shortest_s(self) -> float:
        return min(self._settings.shortest_s, self._settings.quiet_time_s)

    def _leave(self, study_uid: StudyUID, arrival: _Arrival, now: float) -> None:
        del self._arrivals[study_uid]
        if arrival.ended_associations and not arrival.broken:
            self.pace.note(arrival.sender, Gap.ASSOCIATION, 0.0)
        self._left = {uid: at for uid, at in self._left.items() if now - at < LEARNT_LATE_S}
        self._left[study_uid] = arrival.last_at


def _ended(arrival: _Arrival) -> str:
    if arrival.parts:
        return "the open association went on to other studies"
    count = arrival.ended_associations
    if not count:
        return "no association is open"
    return f"{count} association{'' if count == 1 else 's'} ended"
