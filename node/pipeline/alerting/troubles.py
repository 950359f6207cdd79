"""The node's own troubles: each is told once while it lasts, and once more when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from node.ledger import Ledger
from node.ledger.alerts import AlertKind, AlertRow, AlertState
from node.ledger.troubles import TroubleRow
from node.pipeline.loop import Loop

INTERVAL_S = 5.0
#: A trouble that comes and goes is one trouble until it stayed away for so long.
OVER_AFTER_S = 300.0
EVENTS = {
    "disk_full": "new images are refused",
    "segment_retired": "the disk failed",
    "result_held_back": "results are held back",
    "destination_dead": "no result is taken",
    "model_out_of_service": "model out of service",
    "provider_failed": "a model runs on a slower provider",
    "alert_not_taken": "nobody was called",
}

#: (event, what it is about) -> what happened and what to do.
Present = Callable[[], Mapping[tuple[str, str], str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    """One rule of `alerts.events`."""

    name: str
    events: frozenset[str]
    channels: tuple[str, ...]


class TroubleAlerts:
    """Asks what is wrong every few seconds, and queues what somebody wants to know."""

    def __init__(
        self,
        ledger: Ledger,
        rules: Sequence[EventRule],
        present: Present,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._rules = rules
        self._present = present
        self._clock = clock
        # Since when a trouble of the ledger is not seen any more, by this process.
        self._absent: dict[tuple[str, str], float] = {}
        self.loop = Loop("troubles", self.step, interval_s=INTERVAL_S)
        #: Called when something was queued.
        self.on_queued: Callable[[], None] = lambda: None

    def step(self) -> None:
        """One look."""
        present = self._present()
        if not present and not self._ledger.troubles.every():
            return
        queued = False
        with self._ledger.transaction():
            for (event, about), detail in present.items():
                self._absent.pop((event, about), None)
                trouble = self._ledger.troubles.see(event, about)
                queued |= self._tell(trouble, detail)
            for trouble in self._ledger.troubles.every():
                if (trouble.event, trouble.about) not in present:
                    queued |= self._maybe_over(trouble)
        if queued:
            self.on_queued()

    def _tell(self, trouble: TroubleRow, detail: str) -> bool:
        channels = {
            channel: rule.name
            for rule in reversed(self._rules)
            if trouble.event in rule.events
            for channel in rule.channels
        }
        facts = _facts(trouble) | {"detail": detail}
        return any(
            [
                self._ledger.alerts.queue(
                    AlertRow(kind=AlertKind.EVENT, channel=channel, rule=rule, facts=facts)
                )
                for channel, rule in channels.items()
            ]
        )

    def _maybe_over(self, trouble: TroubleRow) -> bool:
        since = self._absent.setdefault((trouble.event, trouble.about), self._clock())
        if self._clock() - since < OVER_AFTER_S:
            return False
        del self._absent[(trouble.event, trouble.about)]
        self._ledger.troubles.end(trouble)
        queued = False
        for alert in self._ledger.alerts.of_event(_facts(trouble)):
            if alert.state is AlertState.WAITING:
                self._ledger.alerts.withhold(alert, "over before it was sent")
            if alert.attempts and alert.state in (AlertState.WAITING, AlertState.SENT):
                queued |= self._ledger.alerts.queue(
                    AlertRow(
                        kind=AlertKind.RECOVERY,
                        channel=alert.channel,
                        rule=alert.rule,
                        facts=_facts(trouble) | {"detail": "", "corrects": alert.key},
                    )
                )
        return queued


def _facts(trouble: TroubleRow) -> dict[str, str]:
    return {
        "name": trouble.event,
        "event": EVENTS.get(trouble.event, trouble.event),
        "about": trouble.about,
        "since": f"{trouble.since:.3f}",
    }
