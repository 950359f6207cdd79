"""Compressed images are decoded ahead: bounded, never in the way, and let go in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import ExplicitVRLittleEndian, JPEGLSLossless

from inference.decoding import DecodeTask, decode_images
from inference.volume import load_volume
from node.domain.errors import WorkerError
from node.domain.study import Instance, InstanceUID
from node.ledger import Ledger
from node.ledger.states import StudyState
from node.metrics import Metrics
from node.pipeline.decoding import BATCH, Decoding, DecodingSettings
from tests.dicom_factory import ct_series, cylinder, instances, write
from tests.inference.reading import describe

FRAME_BYTES = 64 * 64 * 2
CT = "1.2.840.10008.5.1.4.1.1.2"


class Decoders:
    """Decodes in this process; dies where it is told to."""

    def __init__(self) -> None:
        self.tasks: list[DecodeTask] = []
        self.dies = False
        self.meanwhile: Callable[[], None] = lambda: None

    def run(self, function: Any, argument: Any, *, time_limit_s: float, memory_mb: int) -> Any:
        self.tasks.append(argument)
        assert function is decode_images
        if self.dies:
            raise WorkerError("the worker running decode_images was killed by SIGSEGV")
        frames = function(argument)
        self.meanwhile()
        return frames


class Bench:
    """A ledger, a line of images, and steps taken by hand."""

    def __init__(self, ledger: Ledger, limit_bytes: int) -> None:
        self.ledger, self.decoders, self.metrics = ledger, Decoders(), Metrics()
        settings = DecodingSettings(limit_bytes=limit_bytes, sop_classes=frozenset({CT}))
        self.decoding = Decoding(ledger, self.decoders, settings, self.metrics)
        self.decoding.start(0)
        # Threads would take the steps; here the test does.
        self.decoding.loops = (_Silent(),)  # type: ignore[assignment]

    def offer(self, rows: tuple[Instance, ...]) -> None:
        for row in rows:
            self.ledger.instances.record(row)
            self.decoding.offer(row)

    def run(self) -> int:
        steps = 0
        while self.decoding.step():
            steps += 1
        return steps

    def count(self, outcome: str) -> float:
        labels = {"outcome": outcome}
        name = "vigie_images_decoded_ahead_total"
        return self.metrics.registry.get_sample_value(name, labels) or 0.0


class _Silent:
    def wake(self) -> None: ...

    def stop(self, _timeout_s: float) -> None: ...


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    (tmp_path / "store").mkdir()
    opened = Ledger(tmp_path / "store")
    yield opened
    opened.close()


def rows_of(folder: Path, number: int, syntax: str = JPEGLSLossless) -> tuple[Instance, ...]:
    return tuple(instances(write(ct_series(slices=number, transfer_syntax=syntax), folder)))


def test_a_study_is_decoded_before_it_is_complete(tmp_path: Path, ledger: Ledger) -> None:
    bench, rows = Bench(ledger, 1 << 30), rows_of(tmp_path / "a", 20)
    bench.offer(rows)
    study = rows[0].study_uid
    assert not bench.decoding.finished(study, 0.0, lambda: False)
    assert bench.run() == -(-20 // BATCH)
    assert bench.decoding.finished(study, 0.0, lambda: False)
    frames = bench.decoding.frames(study)
    assert frames is not None
    assert set(frames.offsets) == {row.extent for row in rows}
    assert bench.decoding.held_bytes == 20 * FRAME_BYTES
    assert bench.count("decoded") == 20
    volume = load_volume(describe(rows).series[0], frames)
    np.testing.assert_array_equal(volume.voxels, cylinder(20, 64, 64))


def test_an_analysis_has_decoded_in_several_processes_what_nobody_offered(
    tmp_path: Path, ledger: Ledger
) -> None:
    """As after a new start of the node, or when a study is analysed again."""
    bench, rows = Bench(ledger, 1 << 30), rows_of(tmp_path / "a", 20)
    for row in rows:
        ledger.instances.record(row)
    bench.decoding.ask(rows)
    bench.run()
    frames = bench.decoding.frames(rows[0].study_uid)
    assert frames is not None
    assert set(frames.offsets) == {row.extent for row in rows}
    # More than one call: several processes share them.
    assert len(bench.decoders.tasks) == -(-20 // BATCH)
    bench.decoding.ask(rows)
    assert bench.run() == 0, "what was decoded is not decoded again"


def test_a_frame_is_of_the_image_that_lies_there_now(tmp_path: Path, ledger: Ledger) -> None:
    bench, rows = Bench(ledger, 1 << 30), rows_of(tmp_path / "a", 5)
    study, place = rows[0].study_uid, rows[3].extent
    bench.offer(rows)
    bench.run()
    decoded = bench.decoding.frames(study)
    assert decoded is not None
    # The segment was used again: another image, of the same length, at the same place.
    other = replace(rows[3], sop_instance_uid=InstanceUID("1.2.3"), digest="another")
    bench.offer((other,))
    before = bench.decoding.frames(study)
    assert before is not None
    assert place not in before.offsets
    bench.run()
    after = bench.decoding.frames(study)
    assert after is not None
    assert after.offsets[place] != decoded.offsets[place]

    # And one that was being decoded when its place was taken.
    bench.offer((replace(other, digest="a third"),))
    bench.decoders.meanwhile = lambda: bench.decoding.offer(replace(other, digest="a fourth"))
    bench.decoding.step()
    late = bench.decoding.frames(study)
    assert late is not None
    assert place not in late.offsets


def test_frames_are_let_go_when_nothing_more_is_analysed(tmp_path: Path, ledger: Ledger) -> None:
    bench, rows = Bench(ledger, 1 << 30), rows_of(tmp_path / "a", 5)
    study = rows[0].study_uid
    bench.offer(rows)
    bench.run()
    ledger.studies.complete(study, "quiet")
    known = ledger.studies.get(study)
    assert known is not None
    bench.run()
    assert ledger.studies.set_state(study, StudyState.ANALYSING, generation=known.generation)
    bench.run()
    frames = bench.decoding.frames(study)
    assert frames is not None
    assert ledger.studies.set_state(study, StudyState.DELIVERING, generation=known.generation)
    bench.run()
    assert bench.decoding.frames(study) is None
    assert bench.decoding.held_bytes == 0
    with pytest.raises(OSError, match=r"."):
        frames.file.open(0)


def test_memory_is_bounded_and_the_rest_is_left_to_the_analysis(
    tmp_path: Path, ledger: Ledger
) -> None:
    bench, rows = Bench(ledger, 11 * FRAME_BYTES + 7), rows_of(tmp_path / "a", 30)
    bench.offer(rows)
    bench.run()
    frames = bench.decoding.frames(rows[0].study_uid)
    assert frames is not None
    assert bench.decoding.held_bytes == len(frames.offsets) * FRAME_BYTES == 11 * FRAME_BYTES
    assert (bench.count("decoded"), bench.count("left")) == (11, 19)
    volume = load_volume(describe(rows).series[0], frames)
    np.testing.assert_array_equal(volume.voxels, cylinder(30, 64, 64))


def test_only_compressed_images_that_a_model_takes_are_decoded(
    tmp_path: Path, ledger: Ledger
) -> None:
    bench = Bench(ledger, 1 << 30)
    bench.offer(rows_of(tmp_path / "a", 4, ExplicitVRLittleEndian))
    assert bench.run() == 0
    off = Bench(ledger, 0)
    off.decoding.loops = ()
    off.offer(rows_of(tmp_path / "b", 4))
    assert off.run() == 0
    other = Bench(ledger, 1 << 30)
    settings = DecodingSettings(limit_bytes=1 << 30, sop_classes=frozenset({"1.2.3"}))
    other.decoding = Decoding(ledger, other.decoders, settings, other.metrics)
    other.decoding.loops = (_Silent(),)  # type: ignore[assignment]
    other.offer(rows_of(tmp_path / "c", 4))
    assert other.run() == 0


def test_a_decoder_that_dies_holds_nothing_up(tmp_path: Path, ledger: Ledger) -> None:
    bench, rows = Bench(ledger, 1 << 30), rows_of(tmp_path / "a", 2 * BATCH)
    bench.offer(rows)
    bench.decoders.dies = True
    assert bench.decoding.step()
    bench.decoders.dies = False
    bench.run()
    assert bench.decoding.finished(rows[0].study_uid, 0.0, lambda: False)
    frames = bench.decoding.frames(rows[0].study_uid)
    assert frames is not None
    assert len(frames.offsets) == BATCH
    volume = load_volume(describe(rows).series[0], frames)
    np.testing.assert_array_equal(volume.voxels, cylinder(2 * BATCH, 64, 64))


def test_waiting_for_images_ends_when_the_node_stops(tmp_path: Path, ledger: Ledger) -> None:
    bench, rows = Bench(ledger, 1 << 30), rows_of(tmp_path / "a", 3)
    bench.offer(rows)
    assert not bench.decoding.finished(rows[0].study_uid, 60.0, lambda: True)
    bench.decoding.stop()
    assert bench.decoding.finished(rows[0].study_uid, 0.0, lambda: False)
    assert bench.run() == 0
