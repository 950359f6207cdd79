"""Models of one study that look at the same series get one volume."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import JPEGLSLossless

from inference.shared_volume import load_shared
from inference.worker import WorkerPool
from node.domain.study import StackID
from node.domain.verdict import Job, ModelName
from node.ledger import Ledger
from node.ledger.jobs import JobRow
from node.metrics import Metrics
from node.pipeline.decoding import Decoding, DecodingSettings
from node.pipeline.volumes import Volumes
from tests.dicom_factory import ct_series, instances, write
from tests.inference.reading import describe

VOXELS = 6 * 64 * 64
CT = "1.2.840.10008.5.1.4.1.1.2"


class Sizes:
    def voxels_of(self, _study_uid: str, _candidates: Any) -> int:
        return VOXELS


class _Study:
    """As much of a task as says which images it is of."""

    def __init__(self, rows: Any) -> None:
        self.instances = rows


class Setting:
    def __init__(
        self, ledger: Ledger, folder: Path, limit_bytes: int = 1 << 30, **series: Any
    ) -> None:
        self.ledger, self.metrics = ledger, Metrics()
        self.rows = tuple(instances(write(ct_series(slices=6, **series), folder)))
        for row in self.rows:
            ledger.instances.record(row)
        self.series = describe(self.rows).series[0]
        settings = DecodingSettings(limit_bytes=0, sop_classes=frozenset())
        decoding = Decoding(ledger, None, settings, self.metrics)  # type: ignore[arg-type]
        self.volumes = Volumes(ledger, decoding, Sizes(), self.metrics, limit_bytes)

    def job(self, key: str) -> JobRow:
        self.ledger.jobs.add(
            Job(
                key=key,
                study_uid=self.rows[0].study_uid,
                candidates=(self.series.stack_id,),
                model=ModelName(key),
                generation=1,
                priority=50,
            ),
            destinations=[],
        )
        row = self.ledger.jobs.get(key)
        assert row is not None
        return row

    def given(self, job: JobRow, rows: Any = None) -> dict[StackID, Any]:
        task: Any = _Task(_Study(rows or self.rows))
        return dict(self.volumes.provide(job, task, lambda: False).shared)


@dataclass
class _Task:
    study: _Study
    shared: Any = None
    decoded: Any = None
    anatomy: Any = None
    anatomies: Any = None


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    (tmp_path / "store").mkdir()
    opened = Ledger(tmp_path / "store")
    yield opened
    opened.close()


def test_two_models_of_a_study_get_the_same_memory(tmp_path: Path, ledger: Ledger) -> None:
    setting = Setting(ledger, tmp_path)
    one, two = setting.job("a"), setting.job("b")
    first, second = setting.given(one), setting.given(two)
    assert first == second
    assert set(first) == {setting.series.stack_id}
    file = first[setting.series.stack_id]
    assert not load_shared(setting.series, None, file).was_shared
    assert load_shared(setting.series, None, file).was_shared
    assert setting.volumes.held_bytes == 3 * VOXELS


def test_images_that_were_not_decoded_ahead_are_decoded_by_the_decoders_before_the_job(
    tmp_path: Path, ledger: Ledger
) -> None:
    setting = Setting(ledger, tmp_path, transfer_syntax=JPEGLSLossless)
    other = instances(
        write(
            ct_series(slices=2, series_uid="2.25.7", transfer_syntax=JPEGLSLossless), tmp_path / "b"
        )
    )
    pool = WorkerPool(2)
    settings = DecodingSettings(limit_bytes=1 << 30, sop_classes=frozenset({CT}))
    decoding = Decoding(ledger, pool, settings, setting.metrics)
    decoding.start(pool.size)
    try:
        volumes = Volumes(ledger, decoding, Sizes(), setting.metrics, 1 << 30)
        task: Any = _Task(_Study([*setting.rows, *other]))
        given = volumes.provide(setting.job("a"), task, lambda: False)
        assert given.decoded is not None
        # Of the series that it looks at, and no other.
        assert set(given.decoded.offsets) == {row.extent for row in setting.rows}
    finally:
        pool.stop()
        decoding.stop()


def test_a_model_alone_needs_no_shared_memory(tmp_path: Path, ledger: Ledger) -> None:
    setting = Setting(ledger, tmp_path)
    assert setting.given(setting.job("a")) == {}
    assert setting.volumes.held_bytes == 0


def test_what_does_not_fit_is_loaded_by_each(tmp_path: Path, ledger: Ledger) -> None:
    setting = Setting(ledger, tmp_path, limit_bytes=3 * VOXELS - 1)
    one, _ = setting.job("a"), setting.job("b")
    assert setting.given(one) == {}


@pytest.mark.parametrize(("bytes_each", "is_shared"), [(3, False), (5, True)])
def test_images_other_than_ct_need_room_for_fractions(
    tmp_path: Path, ledger: Ledger, bytes_each: int, is_shared: bool
) -> None:
    pet = {"SOPClassUID": "1.2.840.10008.5.1.4.1.1.128", "Modality": "PT"}
    setting = Setting(ledger, tmp_path, limit_bytes=bytes_each * VOXELS, changes=pet)
    one, _ = setting.job("a"), setting.job("b")
    assert bool(setting.given(one)) is is_shared


def test_other_images_of_the_same_series_are_another_volume(tmp_path: Path, ledger: Ledger) -> None:
    setting = Setting(ledger, tmp_path)
    one, two = setting.job("a"), setting.job("b")
    assert setting.given(one) != setting.given(two, setting.rows[:-1])


def test_memory_is_let_go_with_the_last_job(tmp_path: Path, ledger: Ledger) -> None:
    setting = Setting(ledger, tmp_path)
    one, _ = setting.job("a"), setting.job("b")
    file = setting.given(one)[setting.series.stack_id]
    setting.volumes.sweep()
    assert setting.volumes.held_bytes > 0
    ledger.jobs.supersede_others(setting.rows[0].study_uid, frozenset())
    setting.volumes.sweep()
    assert setting.volumes.held_bytes == 0
    with pytest.raises(OSError, match=r"."):
        file.open(0)
