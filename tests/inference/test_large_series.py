"""A series of 2,000 slices: what a process takes is the volume and little beside it."""

from __future__ import annotations

import copy
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor

import numpy as np
import pytest
from pydicom.uid import RLELossless

from inference.nameless_file import NamelessFile
from inference.shared_volume import load_shared
from inference.volume import load_volume
from inference.worker_process import MEGABYTE, PeakMemory
from node.domain.study import Series
from tests.dicom_factory import ct_series, instances, uid
from tests.inference.reading import describe

SLICES, SIDE = 2000, 512
VOLUME_MB = SLICES * SIDE * SIDE * 2 // MEGABYTE
#: Decoder threads with a slice each, the headers, and what a fresh process grows by.
BESIDE_MB = 150
#: Values of the slices, HU; each slice is one of these.
VALUES = (-1000, 40, 300)


@pytest.fixture(scope="module")
def long_series(tmp_path_factory: pytest.TempPathFactory) -> Series:
    """2,000 slices of 512 x 512, 0.7 mm apart, RLE Lossless: small files of large images."""
    folder = tmp_path_factory.mktemp("long")
    hu = np.broadcast_to(np.array(VALUES, np.int16)[:, None, None], (len(VALUES), SIDE, SIDE))
    patterns = ct_series(slices=3, rows=SIDE, columns=SIDE, hu=hu, transfer_syntax=RLELossless)
    paths = []
    for number in range(SLICES):
        image = copy.copy(patterns[number % len(VALUES)])
        image.file_meta = copy.copy(image.file_meta)
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = uid("long", number)
        image.InstanceNumber = number + 1
        image.ImagePositionPatient = [-179.5, -179.5, f"{0.7 * number:.1f}"]
        paths.append(folder / f"{number:05d}.dcm")
        image.save_as(paths[-1], enforce_file_format=True)
    (series,) = describe(instances(paths)).series
    assert len(series.planes) == SLICES
    return series


def load_alone(series: Series) -> tuple[float, list[int]]:
    """In the other process: MB that loading took at its highest, and a voxel of each pattern."""
    with PeakMemory() as memory:
        volume = load_volume(series)
    return memory.peak_bytes / MEGABYTE, [int(volume.voxels[i, 100, 200]) for i in range(3)]


def load_for_all(task: tuple[Series, NamelessFile]) -> tuple[float, bool]:
    """In the other process: MB of it, and whether it was there already."""
    with PeakMemory() as memory:
        loaded = load_shared(task[0], None, task[1])
    assert loaded.volume.voxels.shape == (SLICES, SIDE, SIDE)
    return memory.peak_bytes / MEGABYTE, loaded.was_shared


@pytest.fixture
def other_process() -> Iterator[Executor]:
    """A fresh process, so that only what is loaded counts."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.mark.timeout(900)
def test_two_thousand_slices_take_the_memory_of_their_volume(
    long_series: Series, other_process: Executor
) -> None:
    taken_mb, voxels = other_process.submit(load_alone, long_series).result()
    assert voxels == list(VALUES)
    assert VOLUME_MB <= taken_mb <= VOLUME_MB + BESIDE_MB


@pytest.mark.timeout(900)
def test_shared_they_take_it_once(long_series: Series, other_process: Executor) -> None:
    descriptor = os.memfd_create("vigie-test")
    try:
        task = (long_series, NamelessFile.of(descriptor))
        first_mb, first_shared = other_process.submit(load_for_all, task).result()
        second_mb, second_shared = other_process.submit(load_for_all, task).result()
        stored = os.fstat(descriptor).st_blocks * 512 / MEGABYTE
    finally:
        os.close(descriptor)
    assert (first_shared, second_shared) == (False, True)
    assert first_mb <= VOLUME_MB + BESIDE_MB
    # Mapped, and not looked at yet.
    assert second_mb <= BESIDE_MB
    assert stored <= VOLUME_MB + 1
