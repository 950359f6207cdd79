"""Images decoded before, and volumes loaded by another, are what loading itself gives."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    PositronEmissionTomographyImageStorage,
    RLELossless,
)

import inference.volume
from inference.decoding import DecodeTask, decode_images
from inference.nameless_file import NamelessFile
from inference.reading import DecodedFrames
from inference.shared_volume import load_shared, room_for
from inference.volume import load_volume
from node.domain.errors import PixelDataError, VolumeError
from node.domain.study import Series
from tests.dicom_factory import ct_series, cylinder, enhanced_ct
from tests.inference.reading import series_of

PLENTY = 1 << 30


@contextmanager
def nameless_file() -> Iterator[NamelessFile]:
    descriptor = os.memfd_create("vigie-test")
    try:
        yield NamelessFile.of(descriptor)
    finally:
        os.close(descriptor)


def images_of(series: Series) -> tuple[tuple, ...]:
    return tuple((one.extent, one.transfer_syntax_uid) for one in series.instances)


def decoded(series: Series, file: NamelessFile, room: int = PLENTY) -> DecodedFrames:
    frames = decode_images(DecodeTask(file=file, room=room, images=images_of(series)))
    return DecodedFrames(file=file, offsets={frame.extent: frame.offset for frame in frames})


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless, RLELossless])
def test_decoded_images_are_not_decoded_again(
    tmp_path: Path, syntax: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = series_of(ct_series(slices=9, transfer_syntax=syntax), tmp_path)
    expected = load_volume(series)
    with nameless_file() as file:
        frames = decoded(series, file)
        assert len(frames.offsets) == 9

        def never(*_: object) -> None:
            raise AssertionError("decoded again")

        monkeypatch.setattr(inference.volume, "PixelFile", never)
        volume = load_volume(series, frames)
    np.testing.assert_array_equal(volume.voxels, expected.voxels)
    np.testing.assert_array_equal(volume.voxels, cylinder(9, 64, 64))
    np.testing.assert_array_equal(volume.affine, expected.affine)
    assert (volume.unit, volume.planes) == (expected.unit, expected.planes)


def test_what_was_not_decoded_ahead_is_decoded_when_it_is_loaded(tmp_path: Path) -> None:
    series = series_of(ct_series(slices=9, transfer_syntax=JPEG2000Lossless), tmp_path)
    with nameless_file() as file:
        frames = decoded(series, file, room=4 * 64 * 64 * 2 + 100)
        assert len(frames.offsets) == 4
        volume = load_volume(series, frames)
    np.testing.assert_array_equal(volume.voxels, cylinder(9, 64, 64))
    # The node let go of the frames, and the number of its descriptor names another file.
    taken = [os.open(tmp_path / "00000.dcm", os.O_RDONLY) for _ in range(8)]
    volume = load_volume(series, frames)
    for descriptor in taken:
        os.close(descriptor)
    np.testing.assert_array_equal(volume.voxels, cylinder(9, 64, 64))


def test_native_multi_frame_and_damaged_images_are_left_out(tmp_path: Path) -> None:
    native = series_of(ct_series(slices=3, transfer_syntax=ExplicitVRLittleEndian), tmp_path / "a")
    multi = series_of([enhanced_ct(3, transfer_syntax=RLELossless)], tmp_path / "b")
    broken = ct_series(slices=3, transfer_syntax=JPEG2000Lossless)
    broken[1].PixelData = broken[1].PixelData.replace(b"\xff\x4f\xff\x51", b"\0\0\0\0")
    damaged = series_of(broken, tmp_path / "c")
    with nameless_file() as file:
        assert not decoded(native, file).offsets
        assert not decoded(multi, file).offsets
        frames = decoded(damaged, file)
        assert len(frames.offsets) == 2
        with pytest.raises(PixelDataError, match="slice 2 of 3"):
            load_volume(damaged, frames)


def test_several_processes_may_append_at_the_same_time(tmp_path: Path) -> None:
    series = series_of(ct_series(slices=24, transfer_syntax=JPEGLSLossless), tmp_path)
    images = images_of(series)
    with nameless_file() as file, ThreadPoolExecutor(6) as pool:
        tasks = [
            DecodeTask(file=file, room=PLENTY, images=images[at : at + 4]) for at in range(0, 24, 4)
        ]
        frames = [frame for done in pool.map(decode_images, tasks) for frame in done]
        assert len({frame.offset for frame in frames}) == 24
        offsets = {frame.extent: frame.offset for frame in frames}
        volume = load_volume(series, DecodedFrames(file=file, offsets=offsets))
    np.testing.assert_array_equal(volume.voxels, cylinder(24, 64, 64))


def test_a_volume_is_loaded_once_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = ct_series(slices=9, changes={"PixelPaddingValue": 24, "RescaleIntercept": -1024})
    series = series_of(images, tmp_path)
    expected = load_volume(series)
    assert expected.padding is not None
    with nameless_file() as file:
        first = load_shared(series, None, file)
        monkeypatch.setattr("inference.shared_volume.load_volume", lambda *_: pytest.fail("again"))
        second = load_shared(series, None, file)
        assert (first.was_shared, second.was_shared) == (False, True)
        for loaded in (first.volume, second.volume):
            np.testing.assert_array_equal(loaded.voxels, expected.voxels)
            np.testing.assert_array_equal(loaded.padding, expected.padding)
            np.testing.assert_array_equal(loaded.affine, expected.affine)
            assert (loaded.unit, loaded.planes) == (expected.unit, expected.planes)
            assert loaded.voxels.flags.c_contiguous
        # A model that writes into its volume changes nobody else's.
        second.volume.voxels[...] = 7
        third = load_shared(series, None, file)
        np.testing.assert_array_equal(third.volume.voxels, expected.voxels)
        np.testing.assert_array_equal(first.volume.voxels, expected.voxels)


def test_a_volume_of_fractions_is_shared_as_well(tmp_path: Path) -> None:
    pet = {"SOPClassUID": PositronEmissionTomographyImageStorage, "Modality": "PT", "Units": "BQML"}
    images = ct_series(slices=5, slope=0.5, changes={**pet, "PixelPaddingValue": 24})
    series = series_of(images, tmp_path)
    expected = load_volume(series)
    assert expected.voxels.dtype == np.float32
    with nameless_file() as file:
        first, second = (load_shared(series, None, file) for _ in range(2))
        assert (first.was_shared, second.was_shared) == (False, True)
        assert os.stat(file.path).st_size <= 4096 + room_for(expected.voxels.size, fractions=True)
        second.volume.voxels[0] = 7
        for loaded in (first.volume, load_shared(series, None, file).volume):
            np.testing.assert_array_equal(loaded.voxels, expected.voxels)
            np.testing.assert_array_equal(loaded.padding, expected.padding)
            assert (loaded.voxels.dtype, loaded.unit) == (np.float32, expected.unit)


def test_a_ct_of_fractions_is_loaded_by_each(tmp_path: Path) -> None:
    series = series_of(ct_series(slices=5, slope=0.5), tmp_path)
    with nameless_file() as file:
        for _ in range(2):
            loaded = load_shared(series, None, file)
            assert not loaded.was_shared
            assert loaded.volume.voxels.dtype == np.float32


def test_a_series_that_is_refused_is_refused_to_each(tmp_path: Path) -> None:
    series = series_of(ct_series(slices=9, gap_at=4), tmp_path)
    with nameless_file() as file:
        for _ in range(2):
            with pytest.raises(VolumeError, match="slice is missing"):
                load_shared(series, None, file)


def test_others_wait_for_the_one_that_loads_and_share_what_it_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = series_of(ct_series(slices=9), tmp_path)
    loads = []

    def slow(*arguments: object) -> object:
        loads.append(threading.get_ident())
        time.sleep(0.3)
        return load_volume(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("inference.shared_volume.load_volume", slow)
    with nameless_file() as file, ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: load_shared(series, None, file), range(4)))
    assert len(loads) == 1
    assert sorted(one.was_shared for one in found) == [False, True, True, True]
    for one in found:
        np.testing.assert_array_equal(one.volume.voxels, cylinder(9, 64, 64))


def test_what_a_killed_process_left_half_done_is_loaded_again(tmp_path: Path) -> None:
    series = series_of(ct_series(slices=9), tmp_path)
    program = (
        "import fcntl, os, sys, time\n"
        "file = os.open(sys.argv[1], os.O_RDWR)\n"
        "fcntl.flock(file, fcntl.LOCK_EX)\n"
        "os.pwrite(file, b'half a volume' * 9000, 0)\n"
        "print('locked', flush=True)\n"
        "time.sleep(600)\n"
    )
    with nameless_file() as file:
        command = [sys.executable, "-c", program, str(file.path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as half_way:
            assert half_way.stdout is not None
            assert half_way.stdout.readline() == b"locked\n"
            half_way.send_signal(signal.SIGKILL)
        loaded = load_shared(series, None, file)
    assert not loaded.was_shared
    np.testing.assert_array_equal(loaded.volume.voxels, cylinder(9, 64, 64))
