"""From the last image to the result objects, against the bare time of the networks.

    python -m bench.overhead [--folder FOLDER] [--rounds 3]

What an analysis does in a worker: headers, pixels, the model with its networks, writing and
checking the objects. The time inside the runtime's own calls is the bare network time. Waiting
for a study to be complete is not counted, nor are the queue and the way to the PACS.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.volume import rows_of
from dicom_sr.context import ResultContext
from dicom_sr.validation import validate
from dicom_sr.write import write_results
from inference.series import describe_study
from inference.volume import load_volume
from node.demo.simulated import simulate
from node.domain.analysis import AnalysisRequest
from node.evaluation.product import Product, open_product
from node.packages import MODELS_FOLDER
from node.pipeline.writing import write_folder

MODEL = "body_composition"
TARGET = 0.25


class _Timed:
    """A session of a network that adds up the time inside it."""

    def __init__(self, session: Any) -> None:  # noqa: ANN401 - any backend's
        self._session = session
        self.seconds = 0.0

    def run(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        started = time.perf_counter()
        try:
            return self._session.run(*arguments, **named)
        finally:
            self.seconds += time.perf_counter() - started

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return getattr(self._session, name)


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="one CT series; default: a simulated study")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    product = open_product(MODELS_FOLDER / MODEL, golden=False)
    sessions = []
    for network in product.networks.values():
        timed = _Timed(network._session)  # type: ignore[attr-defined]
        network._session = timed  # type: ignore[attr-defined]
        sessions.append(timed)
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as scratch:
        folder = options.folder or simulate(0, Path(scratch)).folder
        paths = sorted(path for path in folder.rglob("*") if path.is_file())
        rounds: list[Mapping[str, float]] = []
        for number in range(options.rounds + 1):
            before = sum(session.seconds for session in sessions)
            steps = _analysed(product, paths, Path(scratch) / f"objects-{number}")
            network_s = sum(session.seconds for session in sessions) - before
            if number:  # The first one warms up.
                rounds.append({**steps, "networks alone": network_s})
    middle = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    total = statistics.median(
        sum(seconds for name, seconds in one.items() if name != "networks alone") for one in rounds
    )
    print(f"{len(paths)} images, {MODEL}, {options.rounds} rounds")
    for name, seconds in middle.items():
        print(f"  {name:16} {seconds:7.3f} s")
    bare = middle["networks alone"]
    print(f"  all together     {total:7.3f} s, {total / bare - 1:.0%} above the networks alone "
          f"(target: at most {TARGET:.0%})")  # fmt: skip


def _analysed(product: Product, paths: list[Path], folder: Path) -> dict[str, float]:
    """Seconds of each step."""
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
    volume = load_volume(series)
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
    context = ResultContext(
        software_version="bench", serial_number="0", station_name="bench", configuration_digest="0"
    ).at(now)
    objects = write_results(findings, study, series, context)
    validate(objects, study)
    write_folder(objects, folder)
    step("objects")
    return steps


if __name__ == "__main__":
    main()
