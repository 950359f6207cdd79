"""The composition root: builds every part from the configuration and wires them together.

The only place where rooms meet. Read `Node.start` from top to bottom to see in which order an
appliance comes to life: nothing is received before disk, ledger and outbox agree.
"""

from __future__ import annotations

import fcntl
import os
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import structlog

from config.schema import Appliance
from inference.worker import WorkerPool
from models.manifest import ModelManifest
from models.registry import load_registry
from node.domain.errors import LedgerError, NodeError
from node.ledger import Ledger
from node.metrics import Metrics
from node.packages import MODELS_FOLDER
from node.pipeline.analysis import open_models
from node.pipeline.completion import Completion, CompletionSettings
from node.pipeline.conductor import Conductor
from node.pipeline.delivery import Courier, wake_all
from node.pipeline.reconciliation import reconcile
from node.pipeline.retention import Retention
from node.pipeline.routing import ModelRoute
from node.pipeline.scheduler import Scheduler, SchedulerSettings
from node.settings import (
    couriers_of,
    receiver_settings,
    result_context,
    routes_of,
    watermark,
    web_settings,
    worker_setup,
)
from node.watching import Arrivals
from node.web import Probes, Web
from scp.receiver import Receiver
from scp.storage import InstanceStore

log = structlog.get_logger(__name__)

RESULTS = "results"
LOCK = "node.lock"


class Node:
    """One running appliance."""

    def __init__(self, appliance: Appliance, *, models_folder: Path = MODELS_FOLDER) -> None:
        """Read the packages and open the store; no port opens and no process starts.

        Raises:
            ModelError: an enabled package is not what its manifest promises.
            LedgerError: another node uses this storage folder, or the ledger is unusable.
        """
        self.appliance = appliance
        self.metrics = Metrics()
        self._unready: dict[str, str] = {"node": "starting"}
        root = appliance.storage.path
        root.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(root)
        self.ledger = Ledger(root)
        self.metrics.watch(self.ledger, root)
        registry = load_registry(models_folder)
        enabled = [name for name, model in appliance.models.items() if model.enabled]
        manifests = {name: registry.get(name) for name in enabled}
        self.routes: tuple[ModelRoute, ...] = routes_of(appliance, manifests)
        self._build(manifests, models_folder)

    def _build(self, manifests: Mapping[str, ModelManifest], models_folder: Path) -> None:
        appliance, root = self.appliance, self.appliance.storage.path
        self.completion = Completion(
            CompletionSettings(
                quiet_time_s=appliance.completion.quiet_time_s,
                interrupted_quiet_time_s=appliance.completion.interrupted_quiet_time_s,
            )
        )
        self.store = InstanceStore(root, self.ledger.instances, watermark(appliance))
        self.workers = WorkerPool(
            appliance.workers.count,
            initializer=open_models,
            argument=worker_setup(appliance, tuple(manifests), models_folder),
        )
        self.readers = WorkerPool(1)
        self.scheduler = Scheduler(
            self.ledger,
            self.workers,
            {route.manifest.identity.name: route for route in self.routes},
            SchedulerSettings(
                owner=f"{os.getpid()}-{uuid.uuid4().hex[:8]}",
                results_folder=root / RESULTS,
                context=lambda model: result_context(appliance, manifests[model]),
            ),
            self.metrics,
        )
        self.conductor = Conductor(
            self.ledger, self.completion, self.readers, self.routes, self.metrics
        )
        self.couriers: tuple[Courier, ...] = couriers_of(appliance, self.ledger, self.metrics)
        self.retention = Retention(
            self.ledger, root / RESULTS, days=appliance.storage.retention_days
        )
        self.receiver = Receiver(
            receiver_settings(appliance),
            self.store,
            Arrivals(self.ledger, self.completion, self.metrics),
        )
        self.web = Web(
            web_settings(appliance),
            Probes(metrics=self.metrics.text, faults=self.faults, unready=self.unready),
        )
        self.scheduler.on_results = lambda: wake_all(self.couriers)
        self.conductor.on_jobs = self.scheduler.wake

    def start(self) -> None:
        """Bring the parts to life; returns when studies are being received."""
        reconcile(self.ledger, self.store, self.completion, self.appliance.storage.path / RESULTS)
        self.web.start()
        for courier in self.couriers:
            courier.start()
        self.readers.start()
        self.conductor.start()
        self.retention.start()
        self.receiver.start()
        # Receiving does not wait for the models: what arrives meanwhile is kept.
        threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()
        log.info(
            "node.receiving",
            ae_titles=list(self.appliance.called_ae_titles),
            port=self.receiver.port,
            http_port=self.web.port,
        )

    def _warm_up(self) -> None:
        self._unready = {"models": "loading"}
        try:
            self.workers.start()
        except NodeError as error:
            self._unready = {"models": str(error)}
            for route in self.routes:
                self.metrics.model_ready.labels(route.manifest.identity.name).set(0)
            log.error("models.unusable", cause=str(error))
            return
        for route in self.routes:
            self.metrics.model_ready.labels(route.manifest.identity.name).set(1)
        self.scheduler.start(self.appliance.workers.count)
        self._unready = {}
        log.info("node.ready")

    def wait(self, stop: threading.Event) -> None:
        """Block until asked to stop."""
        stop.wait()
        log.info("node.stopping")

    def stop(self, grace_s: float = 10.0) -> None:
        """Refuse new associations, let running ones end, then end the parts in order."""
        self._unready = {"node": "stopping"}
        self.receiver.stop(grace_s)
        self.conductor.stop()
        self.scheduler.stop(0.0)
        self.workers.stop()
        self.readers.stop()
        self.scheduler.stop()
        for courier in self.couriers:
            courier.stop()
        self.retention.stop()
        self.web.stop()
        self.ledger.close(checkpoint=True)
        self._lock.close()
        log.info("node.stopped")

    def unready(self) -> Mapping[str, str]:
        """What keeps the node from being ready, by part."""
        return self._unready | dict(self.faults())

    def faults(self) -> Mapping[str, str]:
        """What keeps the node from being healthy, by part."""
        faults = {}
        reason = self.store.refusal()
        if reason:
            faults["storage"] = reason
        return faults


def _lock(root: Path) -> IO[str]:
    """Two nodes on one storage folder would run every job twice."""
    stream = (root / LOCK).open("a+")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        stream.close()
        raise LedgerError(
            f"another Vigie runs on {root} - stop it, or give this one another storage.path"
        ) from error
    return stream
