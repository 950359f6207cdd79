"""Series in, completed studies out: when is nothing more expected of a study?

A study is complete when every association that sent any of it has ended and nothing of it
arrived for the quiet time. After an association that broke off its sender will usually try
again, so the longer interrupted quiet time applies. A late image reopens the study.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from node.domain.study import StudyUID


@dataclass(frozen=True, slots=True)
class CompletionSettings:
    """How long to wait, in seconds."""

    quiet_time_s: float
    interrupted_quiet_time_s: float


@dataclass(slots=True)
class _Arrival:
    """What is known of a study that is being received; times of a monotonic clock."""

    last_at: float
    associations: set[str] = field(default_factory=set)
    interrupted: bool = False
    ended_associations: int = 0


class Completion:
    """Watches arrivals; thread-safe, and a pure function of its events and the clock."""

    def __init__(
        self, settings: CompletionSettings, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._arrivals: dict[StudyUID, _Arrival] = {}

    def arrived(self, study_uid: StudyUID, association_id: str) -> None:
        """An instance of the study was acknowledged on this association."""
        with self._lock:
            arrival = self._arrivals.setdefault(study_uid, _Arrival(self._clock()))
            arrival.last_at = self._clock()
            arrival.associations.add(association_id)

    def association_ended(self, association_id: str, *, clean: bool) -> tuple[StudyUID, ...]:
        """An association was released (clean) or broke off; returns the studies it sent."""
        with self._lock:
            touched = []
            for study_uid, arrival in self._arrivals.items():
                if association_id in arrival.associations:
                    arrival.associations.discard(association_id)
                    arrival.ended_associations += 1
                    # An association that broke off long after its last instance had nothing
                    # more to send: many senders keep it open until it times out.
                    idle_s = self._clock() - arrival.last_at
                    arrival.interrupted = not clean and idle_s < self._settings.quiet_time_s
                    arrival.last_at = self._clock()
                    touched.append(study_uid)
            return tuple(touched)

    def resume(self, study_uid: StudyUID, *, interrupted: bool = True) -> None:
        """At start: a study was being received when the node stopped."""
        with self._lock:
            arrival = self._arrivals.setdefault(study_uid, _Arrival(self._clock()))
            arrival.interrupted = interrupted

    def completed(self) -> tuple[tuple[StudyUID, str], ...]:
        """Take out the studies that are complete now, each with the confidence in words."""
        with self._lock:
            now = self._clock()
            done = []
            for study_uid, arrival in list(self._arrivals.items()):
                quiet_s = self._quiet_time_s(arrival)
                if not arrival.associations and now - arrival.last_at >= quiet_s:
                    done.append((study_uid, _confidence(arrival, quiet_s)))
                    del self._arrivals[study_uid]
            return tuple(done)

    def is_receiving(self, study_uid: StudyUID) -> bool:
        """Is more of this study expected?"""
        with self._lock:
            return study_uid in self._arrivals

    def waiting(self) -> int:
        """Number of studies that are being received."""
        with self._lock:
            return len(self._arrivals)

    def _quiet_time_s(self, arrival: _Arrival) -> float:
        if arrival.interrupted:
            return self._settings.interrupted_quiet_time_s
        return self._settings.quiet_time_s


def _confidence(arrival: _Arrival, quiet_s: float) -> str:
    if arrival.interrupted:
        return f"the last association broke off and was not taken up again for {quiet_s:g} s"
    if not arrival.ended_associations:
        return f"nothing arrived for {quiet_s:g} s"
    plural = "" if arrival.ended_associations == 1 else "s"
    return f"{arrival.ended_associations} association{plural} ended, quiet for {quiet_s:g} s"
