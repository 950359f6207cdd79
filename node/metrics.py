"""Prometheus metrics of the node, all named `vigie_*`; never a patient's identifier."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from node.domain.serving import ModelState
from node.ledger import Ledger

# The creation time of each series doubles the exposition and no alert needs it.
disable_created_metrics()  # type: ignore[no-untyped-call]

SHORT_S = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
PROOF_S = (0.1, 1, 10, 60, 300, 900, 3600, 14400, 86400)
LONG_S = (0.3, 1, 3, 10, 20, 30, 60, 120, 300, 600, 1800)


class Metrics:
    """One registry per node, so that tests can run several nodes in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        r = self.registry
        self.associations = Counter(
            "vigie_associations_total", "Associations by outcome", ["outcome"], registry=r
        )
        self.associations_open = Gauge(
            "vigie_associations_open", "Associations open now", registry=r
        )
        self.instances = Counter(
            "vigie_instances_total", "Instances received, by outcome", ["outcome"], registry=r
        )
        self.bytes = Counter(
            "vigie_received_bytes_total", "Bytes of acknowledged instances", registry=r
        )
        self.jobs = Counter(
            "vigie_jobs_total", "Jobs ended, by model and outcome", ["model", "outcome"], registry=r
        )
        self.verdicts = Counter(
            "vigie_verdicts_total",
            "Stacks of images judged; one that ran counts again when pixels or a fault end it",
            ["model", "verdict", "reason_code"],
            registry=r,
        )
        self.step_seconds = Histogram(
            "vigie_step_seconds",
            "Duration of each step of the pipeline",
            ["step", "model"],
            buckets=LONG_S,
            registry=r,
        )
        self.study_seconds = Histogram(
            "vigie_study_seconds",
            "From the last instance of a study to its last result accepted",
            buckets=LONG_S,
            registry=r,
        )
        self.deliveries = Counter(
            "vigie_deliveries_total",
            "Objects by destination and outcome",
            ["destination", "outcome"],
            registry=r,
        )
        self.delivery_failures = Counter(
            "vigie_destination_failures_total",
            "Associations that a destination did not accept",
            ["destination"],
            registry=r,
        )
        self.delivery_seconds = Histogram(
            "vigie_delivery_seconds",
            "Duration of sending one object to a destination",
            ["destination"],
            buckets=SHORT_S,
            registry=r,
        )
        self.proofs = Counter(
            "vigie_proofs_total",
            "Accepted objects by how their proof ended: proved, unproved or forgotten",
            ["destination", "how", "outcome"],
            registry=r,
        )
        self.proof_seconds = Histogram(
            "vigie_proof_seconds",
            "From acceptance to proof",
            ["destination", "how"],
            buckets=PROOF_S,
            registry=r,
        )
        self.set_aside = Counter(
            "vigie_objects_set_aside_total",
            "Objects that were tried in vain and wait for an engineer",
            ["destination"],
            registry=r,
        )
        self.volume_loads = Counter(
            "vigie_volume_loads_total",
            "Volumes that analyses got, by whether they read one or another model had read it",
            ["how"],
            registry=r,
        )
        self.anatomy_runs = Counter(
            "vigie_anatomy_runs_total",
            "Series whose anatomy was computed",
            registry=r,
        )
        self.anatomy_reused = Counter(
            "vigie_anatomy_reused_total",
            "Analyses that got an anatomy which another one had computed",
            registry=r,
        )
        self.decoded = Counter(
            "vigie_images_decoded_ahead_total",
            "Compressed images that came, by whether they were decoded ahead or left to analyses",
            ["outcome"],
            registry=r,
        )
        self.worker_restarts = Counter(
            "vigie_worker_failures_total", "Attempts that died or hung", ["model"], registry=r
        )
        self.model_ready = Gauge(
            "vigie_model_ready",
            "1 while a model is loaded and reproduces its golden case",
            ["model"],
            registry=r,
        )
        self._model_state = Gauge(
            "vigie_model_state",
            "1 for the state that a model is in",
            ["model", "state"],
            registry=r,
        )
        self._model_golden = Gauge(
            "vigie_model_golden_timestamp_seconds",
            "When a model reproduced its golden case last",
            ["model"],
            registry=r,
        )
        self._model_difference = Gauge(
            "vigie_model_golden_difference_ratio",
            "Largest difference from the golden case, as a part of what is allowed",
            ["model", "network", "provider"],
            registry=r,
        )
        self._model_speed = Gauge(
            "vigie_model_windows_per_second",
            "Windows that a network runs in a second, at its last golden case",
            ["model", "network", "provider"],
            registry=r,
        )
        self._engines = EngineCollector()
        r.register(self._engines)
        self.completions = Counter(
            "vigie_studies_completed_total",
            "Studies taken as complete, by how sure it was that nothing more would come",
            ["certainty"],
            registry=r,
        )
        self.discrepancies = Counter(
            "vigie_discrepancies_total",
            "Series that came again with other bytes, by what differs and what was decided",
            ["kind", "decision"],
            registry=r,
        )
        self.archive_questions = Counter(
            "vigie_archive_questions_total",
            "Questions to the PACS about a study, by whether it answered",
            ["outcome"],
            registry=r,
        )
        self.shadow_pairs = Counter(
            "vigie_shadow_pairs_total",
            "Studies on which a model and its shadow have ended, by what the two say",
            ["model", "shadow", "pair"],
            registry=r,
        )
        self.alerts = Counter(
            "vigie_alerts_total", "Alerts by outcome", ["channel", "outcome"], registry=r
        )
        self._destination_up = Gauge(
            "vigie_destination_up",
            "0 while the circuit to a destination is open",
            ["destination"],
            registry=r,
        )

    def watch_store(self, waiting: Callable[[], float], retired: Callable[[], float]) -> None:
        """Add the gauges of the store, asked at each scrape.

        Args:
            waiting: acknowledged instances that have no row in the ledger yet.
            retired: segments under which the disk failed since the start.
        """
        for name, meaning, ask in (
            ("vigie_index_backlog", "Acknowledged instances that wait for their rows", waiting),
            ("vigie_segments_retired", "Segments that the disk failed under", retired),
        ):
            Gauge(name, meaning, registry=self.registry).set_function(ask)

    def watch_memory(self, frames: Callable[[], float], volumes: Callable[[], float]) -> None:
        """Add the gauges of memory that processes share, asked at each scrape.

        Args:
            frames: bytes of images decoded ahead. volumes: bytes set aside for shared volumes.
        """
        gauge = Gauge(
            "vigie_shared_memory_bytes",
            "Memory that processes share",
            ["kind"],
            registry=self.registry,
        )
        gauge.labels("decoded images").set_function(frames)
        gauge.labels("volumes").set_function(volumes)

    def destination_state(self, name: str, *, up: bool) -> None:
        """Show whether a destination answers."""
        self._destination_up.labels(name).set(int(up))

    def model_state(self, name: str, state: ModelState) -> None:
        """Show the state of a model."""
        self.model_ready.labels(name).set(int(state.serves))
        for one in ModelState:
            self._model_state.labels(name, one.value).set(int(one is state))

    def model_proved(self, name: str, proof: Mapping[str, Any], at: float) -> None:
        """Show the last proof of a model, as `node.pipeline.proofs` writes it."""
        self._model_golden.labels(name).set(at)
        for gauge in (self._model_speed, self._model_difference):
            # It may run on another provider than before.
            gauge.remove_by_labels({"model": name})
        for one in proof["networks"]:
            labels = (name, one["network"], one["provider"])
            self._model_speed.labels(*labels).set(one["windows_per_s"])
            if one["difference"] is not None:
                self._model_difference.labels(*labels).set(one["difference"] / one["tolerance"])

    def watch_engines(self, name: str, folders: Sequence[Path]) -> None:
        """Show how far the engines of a model are built; none: it is over."""
        self._engines.watch(name, folders)

    def watch(self, ledger: Ledger, storage: Path) -> None:
        """Add the gauges that are read from the ledger and the disk at each scrape."""
        self.registry.register(_LedgerCollector(ledger, storage))

    def text(self) -> bytes:
        """The exposition format."""
        return generate_latest(self.registry)


class EngineCollector(Collector):
    """How far engines are built, seen on the disk when Prometheus asks.

    TensorRT tells nothing while it builds one engine: a network is waiting, or built.
    """

    def __init__(self) -> None:
        self._building: dict[str, tuple[float, tuple[Path, ...]]] = {}

    def watch(self, name: str, folders: Sequence[Path]) -> None:
        """Begin to show the engines of a model, or end it."""
        if folders:
            self._building[name] = (time.monotonic(), tuple(folders))
        else:
            self._building.pop(name, None)

    def describe(self) -> Iterable[Metric]:
        """Nothing ahead of time: names are fixed in `collect`."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Engines by state and the time that it has taken so far."""
        engines = GaugeMetricFamily(
            "vigie_engines", "Engines that are built now", labels=["model", "state"]
        )
        seconds = GaugeMetricFamily(
            "vigie_engine_build_seconds", "Duration of the build under way", labels=["model"]
        )
        for name, (since, folders) in list(self._building.items()):
            built = sum(folder.is_dir() for folder in folders)
            engines.add_metric([name, "built"], built)
            engines.add_metric([name, "waiting"], len(folders) - built)
            seconds.add_metric([name], time.monotonic() - since)
        yield engines
        yield seconds


class _LedgerCollector(Collector):
    """Gauges computed when Prometheus asks, so that they cannot drift from the ledger."""

    def __init__(self, ledger: Ledger, storage: Path) -> None:
        self._ledger = ledger
        self._storage = storage

    def describe(self) -> Iterable[Metric]:
        """Nothing ahead of time: names are fixed in `collect`."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Studies, jobs and deliveries by state, and the disk."""
        studies = GaugeMetricFamily("vigie_studies", "Studies by state", labels=["state"])
        for study_state, number in self._ledger.studies.totals_by_state().items():
            studies.add_metric([study_state.value], number)
        yield studies
        jobs = GaugeMetricFamily(
            "vigie_jobs", "Jobs in the ledger by model and state", labels=["model", "state"]
        )
        for (model, job_state), number in self._ledger.jobs.totals().items():
            jobs.add_metric([model, job_state.value], number)
        yield jobs
        queue = GaugeMetricFamily(
            "vigie_delivery_queue",
            "Objects by destination and state",
            labels=["destination", "state"],
        )
        for (name, state), number in self._ledger.outbox.totals().items():
            queue.add_metric([name, state.value], number)
        yield queue
        alerts = GaugeMetricFamily(
            "vigie_alerts_waiting", "Alerts that wait to be sent", labels=["channel"]
        )
        for channel, number in self._ledger.alerts.waiting().items():
            alerts.add_metric([channel], number)
        yield alerts
        yield from self._feedback()
        usage = shutil.disk_usage(self._storage)
        disk = GaugeMetricFamily("vigie_disk_bytes", "Disk of the store", labels=["kind"])
        disk.add_metric(["free"], usage.free)
        disk.add_metric(["total"], usage.total)
        yield disk

    def _feedback(self) -> Iterable[Metric]:
        """What readers answered and sent; counted in the ledger, so that a restart loses none."""
        answers = CounterMetricFamily(
            "vigie_feedback",
            "Answers of readers about findings; a reader who changes his mind counts again",
            labels=["model", "version", "answer", "source"],
        )
        for (model, version, answer, source), number in self._ledger.feedback.totals().items():
            answers.add_metric([model, version, answer.value, source.value], number)
        yield answers
        findings = GaugeMetricFamily(
            "vigie_findings",
            "Findings in the reports of all results, replaced ones included",
            labels=["model", "version"],
        )
        for (model, version), number in self._ledger.findings.totals().items():
            findings.add_metric([model, version], number)
        yield findings
        documents = GaugeMetricFamily(
            "vigie_reader_documents", "Structured reports received, by state", labels=["state"]
        )
        for state, number in self._ledger.documents.totals().items():
            documents.add_metric([state.value], number)
        yield documents
