"""One thread a channel: claims an alert, hands it over, writes down how that ended."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from node.domain.errors import NodeError
from node.ledger import Ledger
from node.ledger.alerts import AlertRow, AlertState
from node.metrics import Metrics
from node.pipeline.alerting.message import Message
from node.pipeline.alerting.wire import Channel, Outcome, Passing, RefusedForGood, Sent
from node.pipeline.loop import Loop

log = structlog.get_logger(__name__)

#: An attempt never takes longer than this many of its time-outs (connect, TLS, talk).
LEASE_FACTOR = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Pauses between attempts and the age at which an alert is of no use any more, in seconds."""

    first_s: float
    cap_s: float
    give_up_s: float
    timeout_s: float

    def pause_s(self, attempts: int) -> float:
        """Pause after this many attempts; doubles up to the cap."""
        return float(min(self.cap_s, self.first_s * 2.0 ** min(max(0, attempts - 1), 60)))


class Dispatcher:
    """Sends the alerts of one channel. At least once: a message keeps its key at each attempt.

    The attempt is counted before it is made. A kill between the receiver's answer and the row
    makes it come again with the same key; an alert that is lost would be worse.
    """

    def __init__(
        self,
        channel: Channel,
        pace: Pace,
        ledger: Ledger,
        compose: Callable[[AlertRow], Message],
        metrics: Metrics,
    ) -> None:
        self.channel = channel
        self._pace = pace
        self._ledger = ledger
        self._compose = compose
        self._metrics = metrics
        self.loop = Loop(f"alerts {channel.name}", self.step, interval_s=1.0)

    def step(self) -> bool:
        """Attempt one alert that is due; False when none is."""
        row = self._ledger.alerts.claim(self.channel.name, LEASE_FACTOR * self._pace.timeout_s)
        if row is None:
            return False
        if time.time() - row.created_at > self._pace.give_up_s:
            hours = self._pace.give_up_s / 3600
            cause = f"too old after {hours:g} h" + (f"; last: {row.cause}" if row.cause else "")
            self._settle(row, AlertState.GIVEN_UP, cause, "too old")
            return True
        match self._attempt(row):
            case Sent(answer, code):
                self._settle(row, AlertState.SENT, answer, code)
            case RefusedForGood(cause, code):
                self._settle(row, AlertState.REFUSED, cause, code)
            case Passing(cause, code):
                self._settle(row, AlertState.WAITING, cause, code)
        return True

    def _attempt(self, row: AlertRow) -> Outcome:
        try:
            return self.channel.send(self._compose(row))
        except NodeError as error:
            # For example a secret that cannot be read now: an engineer can mend it.
            return Passing(str(error), type(error).__name__)

    def _settle(self, row: AlertRow, state: AlertState, told: str, code: str) -> None:
        delay_s = self._pace.pause_s(row.attempts)
        self._ledger.alerts.settle(row, state, told=told, delay_s=delay_s)
        outcome = "retried" if state is AlertState.WAITING else state.value.replace(" ", "_")
        self._metrics.alerts.labels(self.channel.name, outcome).inc()
        # `told` may repeat what the other side wrote, and so name a patient: for the ledger only.
        log.log(
            20 if state is AlertState.SENT else 30,
            f"alert.{outcome}",
            alert=row.key,
            channel=self.channel.name,
            kind=row.kind.value,
            study_uid=row.study_uid,
            attempt=row.attempts,
            code=code,
        )
