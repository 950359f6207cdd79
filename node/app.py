"""The composition root: the core with its doors, wired together and brought to life in order.

Read `Node.start` from top to bottom: nothing is received before disk, ledger and outbox agree.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import structlog

from config.schema import Appliance
from node.alerting import Alerting
from node.api import Api
from node.core import Core
from node.domain.errors import NodeError
from node.packages import MODELS_FOLDER
from node.pipeline.clock_jumps import ClockWatch
from node.pipeline.delivery import Courier, wake_all
from node.pipeline.feedback import Feedback
from node.pipeline.loop import Loop
from node.pipeline.reconciliation import reconcile
from node.pipeline.retention import Retention, RetentionRule
from node.pipeline.shadow import ShadowAgreement
from node.pipeline.wording import in_short
from node.reader_settings import api_settings, assessment_words
from node.settings import (
    couriers_of,
    receiver_settings,
    web_settings,
)
from node.watching import Arrivals
from node.web import Probes, Web
from scp.receiver import Receiver

log = structlog.get_logger(__name__)


class Node:
    """One running appliance."""

    def __init__(self, appliance: Appliance, *, models_folder: Path = MODELS_FOLDER) -> None:
        """Build every part; no port opens and no process starts. Raises as `Core` does."""
        self.appliance = appliance
        self.core = Core(appliance, models_folder=models_folder)
        core = self.core
        self.ledger = core.ledger
        self._unready: dict[str, str] = {"node": "starting"}
        self.couriers: tuple[Courier, ...] = couriers_of(
            appliance, core.ledger, core.metrics, core.write_fallback
        )
        self.clock_watch = ClockWatch(core.ledger)
        for courier in self.couriers:
            courier.may_leave = core.scheduler.identity.may_leave
        self.retention = Retention(
            core.ledger,
            core.store,
            core.results_folder,
            RetentionRule(
                days=appliance.storage.retention_days,
                unproved_is_enough=appliance.storage.delete_when == "accepted",
            ),
        )
        self.retention.is_clock_in_doubt = self.clock_watch.is_in_doubt
        self.segments = Loop("segments", core.store.pool.prepare, interval_s=5.0)
        arrivals = Arrivals(core.ledger, core.completion, core.metrics)
        arrivals.on_new = core.decoding.offer
        core.indexer.events = arrivals
        self.receiver = Receiver(receiver_settings(appliance), core.store, arrivals)
        self.receiver.on_commitment = lambda report: any(
            courier.hear(report) for courier in self.couriers
        )
        self.receiver.notices = core.ledger.announcements
        self.feedback = Feedback(core.ledger, core.readers, words=assessment_words(appliance))
        self.web = Web(
            web_settings(appliance),
            Probes(
                metrics=core.metrics.text,
                faults=self.faults,
                unready=self.unready,
                models=self._models,
            ),
            Api(core.ledger, api_settings(appliance)).answer,
        )
        self.alerting = Alerting(core, core.roster.out)
        self.shadow = ShadowAgreement(core.ledger, core.routes, core.metrics)
        core.scheduler.on_ended = self.shadow.ended
        core.scheduler.on_results = self._wake

    def start(self) -> None:
        """Bring the parts to life; returns when studies are being received.

        Models warm up meanwhile: what arrives before they are ready is kept, not refused.
        """
        core = self.core
        reconcile(core.ledger, core.store, core.completion, core.results_folder)
        core.ledger.outbox.withhold_unknown(tuple(self.appliance.destinations))
        self.web.start()
        for courier in self.couriers:
            courier.loop.start()
        self.clock_watch.loop.start()
        self.retention.loop.start()
        for archive in core.archives.values():
            archive.loop.start()
        self.segments.start()
        self.alerting.start()
        self.shadow.loop.start()
        self.receiver.start()
        threading.Thread(target=self._begin, name="begin", daemon=True).start()
        log.info(
            "node.receiving",
            ae_titles=list(self.appliance.called_ae_titles),
            port=self.receiver.port,
            http_port=self.web.port,
        )

    def wait(self, stop: threading.Event) -> None:
        """Block until asked to stop."""
        stop.wait()
        log.info("node.stopping")

    def stop(self, grace_s: float = 10.0) -> None:
        """Refuse new associations, let running ones end, then end the parts in order."""
        self._unready = {"node": "stopping"}
        self.receiver.stop(grace_s)
        for courier in self.couriers:
            courier.loop.stop()
        self.retention.loop.stop()
        self.clock_watch.loop.stop()
        self.segments.stop()
        self.feedback.loop.stop()
        self.alerting.stop()
        self.shadow.loop.stop()
        self.core.stop()
        self.web.stop()
        log.info("node.stopped")

    def unready(self) -> Mapping[str, str]:
        """What keeps the node from being ready, by part."""
        models = self.core.roster.unready()
        told = {"models": models} if models else {}
        return self._unready | told | dict(self.faults())

    def faults(self) -> Mapping[str, str]:
        """What keeps the node from being healthy, by part."""
        refusal = self.core.store.refusal()
        faults = {"storage": refusal} if refusal else {}
        retired = self.core.store.pool.retired()
        if retired:
            faults["disk"] = (
                f"the disk failed {retired} times while images were written to it (they were "
                "refused, not lost); check it (dmesg, smartctl), then start Vigie again"
            )
        core = self.core
        loops = [core.conductor.loop, *core.scheduler.loops, *core.roster.loops]
        loops.append(self.retention.loop)
        loops += [self.segments, self.clock_watch.loop, self.feedback.loop, self.shadow.loop]
        loops += [courier.loop for courier in self.couriers]
        loops += [*self.alerting.loops, *self.core.decoding.loops]
        loops += [archive.loop for archive in self.core.archives.values()]
        return faults | {loop.name: loop.fault for loop in loops if loop.fault}

    def _wake(self) -> None:
        wake_all(self.couriers)
        self.feedback.wake()
        self.alerting.wake()

    def _models(self) -> Mapping[str, str]:
        """State of each model in words."""
        return {
            name: f"{state.value}: {in_short(cause)}" if cause else state.value
            for name, (state, cause) in self.core.roster.states().items()
        }

    def _begin(self) -> None:
        """Judge and analyse; each model joins when it is warm."""
        try:
            self.core.start_workers()
        except NodeError as error:
            self.feedback.loop.start()
            self._unready = {"workers": str(error)}
            log.error("workers.unusable", cause=str(error))
            return
        self.core.conductor.loop.start()
        self.feedback.loop.start()
        self.core.scheduler.start(self.appliance.workers.count)
        self.core.roster.start()
        self._unready = {}
