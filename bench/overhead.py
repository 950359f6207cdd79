"""From the last image to the result objects, against the bare time of the networks.

    python -m bench.overhead [--model NAME] [--folder FOLDER] [--rounds 3] [--provider cpu]

What an analysis does in a worker: headers, pixels, the model with its networks, writing and
checking the objects. Then, in the same round and with nothing else, exactly the calls that the
networks had, on the inputs that they had: the bare network time. The time inside these calls
during the analysis stands beside it. At last the same job is handed to a real worker process, so
that the way there and back is seen. Waiting for a study to be complete is not counted, nor are
the queue and the way to the PACS.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.ratios import as_in_a_worker
from bench.volume import rows_of
from dicom_sr.context import ResultContext
from dicom_sr.validation import validate
from dicom_sr.write import write_results
from inference.engine import EngineOptions
from inference.projection import load_images
from inference.series import describe_study
from inference.worker import WorkerPool
from inference.worker_process import set_aside_from_collection
from models.signature import Trust
from node.demo.simulated import simulate
from node.domain.analysis import AnalysisRequest
from node.domain.finding import Findings
from node.evaluation.product import Product, open_product
from node.packages import MODELS_FOLDER
from node.pipeline.analysis import AnalysisResult, AnalysisTask, analyse
from node.pipeline.others import StudyInput
from node.pipeline.resident import ModelSetup, begin, open_model
from node.pipeline.writing import write_folder

MODEL = "body_composition"
TARGET = 0.25
#: What a worker says it did, in `AnalysisResult.seconds`.
WORK = ("describe", "load", "open", "analyse", "write")
CONTEXT = ResultContext(
    software_version="bench", serial_number="0", station_name="bench", configuration_digest="0"
)


class _Recorder:
    """A session of a network that adds up the time inside it, and can be asked the same again."""

    def __init__(self, session: Any) -> None:  # noqa: ANN401 - any backend's
        self._session = session
        self.seconds = 0.0
        self.calls: list[tuple[dict[str, Any], Any]] = []
        self.keeps = False

    def run(self, feeds: Mapping[str, Any], wanted: Any) -> Any:  # noqa: ANN401
        if self.keeps:
            # The caller may write over its buffers.
            self.calls.append(({name: array.copy() for name, array in feeds.items()}, wanted))
        started = time.perf_counter()
        try:
            return self._session.run(feeds, wanted)
        finally:
            self.seconds += time.perf_counter() - started

    def repeat(self) -> float:
        """Seconds of the same calls without anything else."""
        started = time.perf_counter()
        for feeds, wanted in self.calls:
            self._session.run(feeds, wanted)
        return time.perf_counter() - started

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._session, name)


def main() -> None:
    """Read the command line, measure, print."""
    as_in_a_worker("bench.overhead")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=MODEL, help="an installed package")
    parser.add_argument("--folder", type=Path, help="one series; default: a simulated abdomen CT")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--provider", default="cpu", help="that runs the networks; an appliance takes openvino"
    )
    options = parser.parse_args()
    package = MODELS_FOLDER / options.model
    product = open_product(package, golden=False, providers=(options.provider,))
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as scratch:
        folder = options.folder or simulate(0, Path(scratch)).folder
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        rounds, findings = _here(product, paths, Path(scratch) / "objects", options.rounds)
        engine = EngineOptions(providers=(options.provider,))
        away = _in_worker(product, engine, paths, Path(scratch) / "worker", options.rounds)
    print(f"{len(paths)} images, {options.model}, {options.provider}, {options.rounds} rounds, "
          f"{len(os.sched_getaffinity(0))} cores")  # fmt: skip
    print(f"  ended: {findings.status.value} {findings.reason}".rstrip())
    _tell(rounds, away)


def _tell(rounds: Sequence[Mapping[str, float]], away: Sequence[Mapping[str, float]]) -> None:
    bare = _middle(rounds, "bare networks")
    total = _middle(rounds, "all together")
    for name in rounds[0]:
        seconds = _middle(rounds, name)
        share = f"{seconds / total:7.0%} of all" if name != "bare networks" else ""
        print(f"  {name:24} {seconds:7.3f} s {share}")
    for name in away[0]:
        print(f"  {name:24} {_middle(away, name):7.3f} s")
    if not bare:
        print("  no network was asked: there is nothing to compare with")
        return
    # Of each round, since a machine that others use is never the same twice.
    above = statistics.median(one["all together"] / one["bare networks"] - 1 for one in rounds)
    print(f"  {above:.0%} above the bare networks (target: at most {TARGET:.0%})")


def _middle(rounds: Sequence[Mapping[str, float]], name: str) -> float:
    return statistics.median(one[name] for one in rounds)


def _here(
    product: Product, paths: list[Path], folder: Path, count: int
) -> tuple[list[Mapping[str, float]], Findings]:
    """Rounds of the analysis and of its network calls alone, in this process."""
    # As a worker does once it holds a model.
    set_aside_from_collection()
    sessions = []
    for network in product.networks.values():
        recorder = _Recorder(network._session)  # type: ignore[attr-defined]
        network._session = recorder  # type: ignore[attr-defined]
        sessions.append(recorder)
    rounds: list[Mapping[str, float]] = []
    for number in range(count + 1):
        for session in sessions:
            # The first round warms up; every one asks the same.
            session.seconds, session.keeps = 0.0, number == 0
        steps, findings = _analysed(product, paths, folder.with_name(f"objects-{number}"))
        inside = sum(session.seconds for session in sessions)
        bare = sum(session.repeat() for session in sessions)
        if number:
            parts = {**steps, "model": steps["model"] - inside, "networks in the run": inside}
            rounds.append({**parts, "all together": sum(parts.values()), "bare networks": bare})
    return rounds, findings


def _analysed(
    product: Product, paths: list[Path], folder: Path
) -> tuple[dict[str, float], Findings]:
    """Seconds of each step, the networks within "model"; and what was found."""
    rows = rows_of(paths)
    now = datetime.now(UTC)
    steps: dict[str, float] = {}
    last = time.perf_counter()

    def step(name: str) -> None:
        nonlocal last
        steps[name], last = time.perf_counter() - last, time.perf_counter()

    study = describe_study(rows, generation=1, completed_at=now, confidence="bench")
    series = max(study.series, key=lambda one: len(one.planes))
    step("headers")
    volume = load_images(series, product.manifest.inputs)
    step("pixels")
    findings = product.analyse(
        AnalysisRequest(
            volume=volume,
            series=series,
            patient=study.patient,
            model=product.manifest.identity,
            networks=product.networks,
            thresholds=product.manifest.thresholds,
        )
    )
    step("model")
    objects = write_results(findings, study, series, CONTEXT.at(now))
    step("objects written")
    files = validate(objects, study)
    step("objects checked")
    write_folder(objects, folder, files)
    step("objects on disk")
    return steps, findings


def _in_worker(
    product: Product, engine: EngineOptions, paths: list[Path], folder: Path, count: int
) -> list[Mapping[str, float]]:
    """Rounds of the job in a worker process, as the scheduler hands it over."""
    manifest = product.manifest
    trust = Trust(unsigned=frozenset({manifest.identity.name}))
    setup = ModelSetup(manifest=manifest, trust=trust, engine=engine)
    now = datetime.now(UTC)
    study = StudyInput(
        study_uid=(rows := rows_of(paths))[0].study_uid,
        instances=tuple(rows),
        generation=1,
        completed_at=now,
        confidence="bench",
    )
    series = max(study.describe().series, key=lambda one: len(one.planes))
    limits: dict[str, Any] = {
        "time_limit_s": manifest.job_time_limit_s * 10,
        "memory_mb": manifest.job_memory_mb,
    }
    rounds: list[Mapping[str, float]] = []
    pool = WorkerPool(1, initializer=begin)
    try:
        pool.keep(setup.name, open_model, setup, **limits)
        for number in range(count + 1):
            task = AnalysisTask(
                study=study,
                setup=setup,
                candidates=(series.stack_id,),
                context=CONTEXT.at(now),
                folder=folder.with_name(f"worker-{number}"),
                report_not_eligible=True,
            )
            started = time.perf_counter()
            result: AnalysisResult = pool.run(analyse, task, **limits)
            whole = time.perf_counter() - started
            if number:
                work = sum(result.seconds.get(name, 0.0) for name in WORK)
                rounds.append({"in a worker process": whole, "of it hand-over": whole - work})
    finally:
        pool.stop()
    return rounds


if __name__ == "__main__":
    main()
