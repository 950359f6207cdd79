"""A compressed series that is decoded while it arrives: what is left to do at its end.

    python -m bench.decoding [--slices 600] [--per-second 40] [--processes 1]

Images are handed to the node's own decoding at the pace of a scanner. When the last has come,
the clock starts: waiting for what is still being decoded, then loading the volume. For
comparison the same volume is loaded without anything decoded ahead.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from pydicom.uid import JPEG2000Lossless

from bench.long_series import write_long_series
from bench.volume import rows_of
from inference.series import describe_study
from inference.volume import load_volume
from inference.worker import WorkerPool
from node.ledger import Ledger
from node.metrics import Metrics
from node.pipeline.decoding import Decoding, DecodingSettings

LIMIT_BYTES = 4 << 30


def main() -> None:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--slices", type=int, default=600)
    parser.add_argument("--per-second", type=float, default=40.0)
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vigie-bench-") as scratch:
        _measure(Path(scratch), options)


def _measure(scratch: Path, options: argparse.Namespace) -> None:
    paths = write_long_series(scratch, slices=options.slices, syntax=JPEG2000Lossless)
    rows = rows_of(paths)
    (scratch / "store").mkdir()
    ledger, pool = Ledger(scratch / "store"), WorkerPool(options.processes)
    settings = DecodingSettings(
        limit_bytes=LIMIT_BYTES, sop_classes=frozenset(row.sop_class_uid for row in rows)
    )
    decoding = Decoding(ledger, pool, settings, Metrics())
    pool.start()
    decoding.start(options.processes)
    ledger.instances.record(rows[0])
    try:
        began = time.perf_counter()
        for number, row in enumerate(rows):
            time.sleep(max(0.0, began + number / options.per_second - time.perf_counter()))
            decoding.offer(row)
        ended = time.perf_counter()
        decoding.finished(rows[0].study_uid, 600.0, lambda: False)
        waited = time.perf_counter()
        frames = decoding.frames(rows[0].study_uid)
        study = describe_study(
            rows, generation=1, completed_at=datetime.now(UTC), confidence="bench"
        )
        described = time.perf_counter()
        ahead = load_volume(study.series[0], frames)
        loaded = time.perf_counter()
        plain = load_volume(study.series[0])
        decoded = time.perf_counter()
    finally:
        decoding.stop()
        pool.stop()
        ledger.close()
    held = 0 if frames is None else len(frames.offsets)
    print(f"{len(rows)} JPEG 2000 images in {ended - began:.1f} s, {held} decoded ahead")
    print(f"  left when the last has come: decoding {waited - ended:.3f} s, loading "
          f"{loaded - described:.3f} s (target: under 0.5 s together)")  # fmt: skip
    print(f"  loading with nothing decoded ahead: {decoded - loaded:.3f} s")
    print(f"  same voxels: {'yes' if np.array_equal(ahead.voxels, plain.voxels) else 'NO'}")


if __name__ == "__main__":
    main()
