"""The campaign with one very large object, with one that a test has time for."""

from __future__ import annotations

from pathlib import Path

from tests.soak.large import send_large


def test_large_object_arrives_whole_and_memory_stays_flat(tmp_path: Path) -> None:
    sent = send_large(tmp_path / "store", 300_000_000)
    assert sent.faults == []
    assert sent.peak_mb > 0
