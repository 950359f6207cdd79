"""The pipeline without its doors: ledger, store, workers, and what moves studies along.

`node/app.py` adds receiver, deliveries and HTTP; `node/folder.py` runs it over a folder.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO

import structlog

from config.schema import Appliance
from inference.gpus import environments
from inference.worker import WorkerPool
from models.manifest import ModelManifest
from models.registry import read_manifest
from node.device_sharing import shares_device
from node.domain.errors import ConfigError, LedgerError, NodeError
from node.ledger import Ledger
from node.metrics import Metrics
from node.packages import MODELS_FOLDER
from node.pipeline.archive import Archive
from node.pipeline.completion import Completion
from node.pipeline.conductor import Conductor
from node.pipeline.decoding import Decoding
from node.pipeline.expectation import Expecting
from node.pipeline.fallback import FallbackTask, write_fallback
from node.pipeline.holding import Holder
from node.pipeline.identity import HeldIdentity
from node.pipeline.memory import MemoryGate
from node.pipeline.pace import Pace
from node.pipeline.resident import DeviceSetup, begin, begin_device
from node.pipeline.roster import OUT_OF_SERVICE, Roster
from node.pipeline.routing import ModelRoute
from node.pipeline.rules import rules_of
from node.pipeline.scheduler import Scheduler, SchedulerSettings
from node.pipeline.volumes import Volumes
from node.pipeline.writing import WrittenObject
from node.settings import (
    GIGABYTE,
    MEGABYTE,
    archive_settings,
    call_limit_s,
    completion_settings,
    decoders_of,
    decoding_settings,
    holding_settings,
    job_limits,
    model_setups,
    noting_destinations,
    result_context,
    roster_settings,
    routes_of,
    segment_settings,
    unwanted_kinds,
    watermark,
)
from node.trying import trial
from scp.indexing import Indexer
from scp.storage import InstanceStore

log = structlog.get_logger(__name__)

RESULTS = "results"
LOCK = "node.lock"
#: An older result would come as a surprise; `rerun` makes it.
CATCH_UP_S = 3 * 86400.0
#: Limits of writing one object in another form.
FALLBACK_TIME_S = 120.0
FALLBACK_MEMORY_MB = 1024


class Core:
    """Everything between an acknowledged instance and a result object in the outbox."""

    def __init__(self, appliance: Appliance, *, models_folder: Path = MODELS_FOLDER) -> None:
        """Read the packages and open the store; no process starts.

        A package that cannot be used is told by the roster, and the others go on.

        Raises:
            ConfigError: the storage folder cannot be made or written to.
            LedgerError: another node uses this storage folder, or the ledger is unusable.
        """
        self.appliance = appliance
        self.root = appliance.storage.path
        self.results_folder = self.root / RESULTS
        enabled = tuple(name for name, model in appliance.models.items() if model.enabled)
        self._manifests, unread = _manifests(models_folder, enabled)
        self.routes: tuple[ModelRoute, ...] = routes_of(appliance, self._manifests)
        self._lock = _lock(_made(self.root))
        self.ledger = Ledger(self.root)
        self.metrics = Metrics()
        self.metrics.watch(self.ledger, self.root)
        self.indexer = Indexer(self.ledger.instances)
        with usable(self.root):
            self.store = InstanceStore(
                self.root,
                self.indexer,
                watermark(appliance),
                segments=segment_settings(appliance),
                quarantine_bytes=int(appliance.storage.quarantine_gb * GIGABYTE),
            )
        self.metrics.watch_store(self.indexer.waiting, self.store.pool.retired)
        self.completion = Completion(
            completion_settings(appliance), pace=Pace(self.ledger.paces.load())
        )
        self.archives = self._archives()
        gpus = appliance.workers.gpus or ()
        self.workers = WorkerPool(
            appliance.workers.count, initializer=begin, environments=environments(gpus)
        )
        self.readers = WorkerPool(1)
        self._address = _socket() if shares_device(appliance) else None
        self.device = self._device()
        self.roster = self._roster(unread)
        manifests = {route.manifest.identity.name: route.manifest for route in self.routes}
        self.scheduler = Scheduler(
            self.ledger,
            self.workers,
            {route.manifest.identity.name: route for route in self.routes},
            SchedulerSettings(
                owner=f"{os.getpid()}-{uuid.uuid4().hex[:8]}",
                results_folder=self.results_folder,
                context=lambda model: result_context(appliance, manifests[model]),
                noting=noting_destinations(appliance),
                unwanted=unwanted_kinds(appliance),
                limits=lambda manifest: job_limits(appliance, manifest),
            ),
            self.metrics,
        )
        self.decoders = WorkerPool(decoders_of(appliance))
        self.decoding = Decoding(
            self.ledger, self.decoders, decoding_settings(appliance, self.routes), self.metrics
        )
        self.scheduler.models = self.roster
        self.scheduler.memory = MemoryGate(self.ledger, reserve_mb=appliance.workers.reserve_mb)
        self.volumes = Volumes(
            self.ledger,
            self.decoding,
            self.scheduler.memory,
            self.metrics,
            limit_bytes=appliance.workers.shared_memory_mb * MEGABYTE,
        )
        self.scheduler.supply = self.volumes
        self.decoding.on_idle = self.volumes.sweep
        self.metrics.watch_memory(lambda: self.decoding.held_bytes, lambda: self.volumes.held_bytes)
        self.roster.is_idle = lambda: self.scheduler.is_idle
        self.roster.on_change = self.scheduler.wake
        self.roster.on_return = self._catch_up
        self.conductor = Conductor(
            self.ledger, self.completion, self.readers, self.routes, self.metrics
        )
        self.conductor.on_jobs = self.scheduler.wake
        rules = rules_of(appliance.routes, appliance.node.time_zone)
        self.conductor.unread = {
            name: (cause, tuple(rule for rule in rules if name in rule.models))
            for name, cause in unread.items()
        }
        self._watch_identity()
        counting = self.archives.get(appliance.completion.ask or "")
        if counting is not None:
            self.conductor.expect = Expecting(self.ledger, counting.study)

    def _device(self) -> WorkerPool | None:
        """A process for each GPU that holds the networks for all workers, where that is wanted."""
        if self._address is None:
            return None
        limit_s = call_limit_s(self.appliance, self.routes)
        setup = DeviceSetup(address=self._address, limit_s=limit_s)
        gpus = self.appliance.workers.gpus or ()
        return WorkerPool(
            len(gpus) or 1,
            initializer=begin_device,
            argument=setup,
            environments=environments(gpus),
        )

    def _roster(self, unread: Mapping[str, str]) -> Roster:
        """The models that a route names, each for itself."""
        holding = self.device or self.workers
        settings = holding_settings(self.appliance)
        holder = Holder(holding, partial(trial, settings.gpus), settings)
        roster = Roster(
            holder,
            model_setups(self.appliance, self.routes, self._manifests),
            roster_settings(self.appliance, self._address),
            self.ledger.service,
            self.metrics,
        )
        holding.on_lost = roster.lost
        holding.on_again = roster.held_again
        self.ledger.service.keep_only((*roster.states(), *unread))
        for name, cause in unread.items():
            roster.refuse(name, cause)
        return roster

    def _catch_up(self, model: str) -> None:
        """A model serves: what failed while it was out of service is analysed after all."""
        since = time.time() - CATCH_UP_S
        number = self.ledger.jobs.begin_again(model, OUT_OF_SERVICE, since)
        if number:
            log.info("jobs.begun_again", model=model, jobs=number)
            self.scheduler.wake()

    def _watch_identity(self) -> None:
        """Let the PACS say whose study it is, where one is asked."""
        name = self.appliance.results.identity_from or ""
        archive = self.archives.get(name)
        held = HeldIdentity(self.ledger, archive, destination=name)
        self.scheduler.identity = self.conductor.identity = held
        self.conductor.corrections.noting = noting_destinations(self.appliance)
        if archive is not None:
            self.conductor.corrections.ask = archive.ask_now

    def _archives(self) -> dict[str, Archive]:
        """Every PACS that is asked about studies, by the name of its destination."""
        appliance = self.appliance
        names = {appliance.completion.ask, appliance.results.identity_from} - {None}
        archives = {}
        for name in names:
            assert name is not None
            archive = Archive(archive_settings(appliance, name))
            archive.on_answer = lambda answered: self.metrics.archive_questions.labels(
                "answered" if answered else "not answered"
            ).inc()
            archives[name] = archive
        return archives

    def start_workers(self) -> None:
        """Start the processes, without any model yet; raises WorkerError."""
        self.readers.start()
        if self.device is not None:
            self.device.start()
        self.workers.start()
        # Its processes start with the first compressed image.
        self.decoding.start(self.decoders.size)

    def write_fallback(self, task: FallbackTask) -> tuple[WrittenObject, ...]:
        """Write an object in another form, in a process of its own; raises NodeError."""
        written: tuple[WrittenObject, ...] = self.readers.run(
            write_fallback, task, time_limit_s=FALLBACK_TIME_S, memory_mb=FALLBACK_MEMORY_MB
        )
        return written

    def stop(self) -> None:
        """End the threads and processes; what was running is taken up at the next start."""
        self.conductor.loop.stop()
        for archive in self.archives.values():
            archive.loop.stop()
        self.scheduler.stop(0.0)
        self.roster.stop(0.0)
        self.decoders.stop()
        self.decoding.stop()
        self.volumes.stop()
        self.workers.stop()
        if self.device is not None:
            self.device.stop()
        if self._address is not None:
            shutil.rmtree(self._address.parent, ignore_errors=True)
        self.readers.stop()
        self.scheduler.stop()
        self.roster.stop()
        self.indexer.stop()
        self.store.close()
        self.ledger.close(checkpoint=True)
        self._lock.close()


def _manifests(
    folder: Path, names: Iterable[str]
) -> tuple[dict[str, ModelManifest], dict[str, str]]:
    """What can be read of these packages, and why the others cannot."""
    found: dict[str, ModelManifest] = {}
    unread: dict[str, str] = {}
    for name in names:
        try:
            manifest = read_manifest(folder / name)
        except (NodeError, OSError) as error:
            unread[name] = f"its model.yaml cannot be used: {error}"
            continue
        if manifest.identity.name == name:
            found[name] = manifest
        else:
            unread[name] = (
                f"its model.yaml calls it '{manifest.identity.name}', its folder '{name}'; give "
                "both the same name"
            )
    return found, unread


def _socket() -> Path:
    """Where the process that holds the networks is reached; such paths have to be short."""
    return Path(tempfile.mkdtemp(prefix="vigie-")) / "device"


@contextmanager
def usable(root: Path) -> Iterator[None]:
    """What the disk does not allow inside becomes a fault of `storage.path`, with its remedy."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"storage.path: {error.filename or root} cannot be used ({error.strerror or error}) - "
            "give the folder to the account that runs Vigie (chown -R), on a disk that is mounted "
            "for writing, or name another folder"
        ) from error


def _made(root: Path) -> Path:
    with usable(root):
        root.mkdir(parents=True, exist_ok=True)
    return root


def _lock(root: Path) -> IO[str]:
    """Two nodes on one storage folder would run every job twice."""
    with usable(root):
        stream = (root / LOCK).open("a+")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        stream.close()
        raise LedgerError(
            f"another Vigie runs on {root} - stop it, or give this one another storage.path"
        ) from error
    return stream
