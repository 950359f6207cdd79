"""What the simulated scanner writes reads back as the phantom, in every encoding."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from models.phantoms.scanner import ScannerOptions, write_ct_series
from models.phantoms.trunk import Phantom, TrunkOptions, simulate_trunk

KINDS = {
    "plain": ScannerOptions(),
    "implicit": ScannerOptions(transfer_syntax=ImplicitVRLittleEndian, padding_hu=-3024),
    "jpeg 2000": ScannerOptions(transfer_syntax=JPEG2000Lossless, padding_hu=-2000),
    "tilted": ScannerOptions(tilt_degrees=8.0, descending=True),
    "feet first, with a scout": ScannerOptions(feet_first=True, localizer=True),
    "enhanced": ScannerOptions(enhanced=True, padding_hu=-2000),
}


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    options = TrunkOptions(matrix=64, slice_mm=5.0, reach_mm=(-15.0, 20.0), working_mm=(3.0, 3.0))
    return simulate_trunk(1_000_012, options)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="needs dciodvfy (dicom3tools)")
@pytest.mark.parametrize("kind", KINDS)
def test_files_pass_dciodvfy(phantom: Phantom, tmp_path: Path, kind: str) -> None:
    paths = write_ct_series(phantom, tmp_path, KINDS[kind])
    for path in {paths[0], paths[-1]}:
        done = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        errors = [line for line in (done.stdout + done.stderr).splitlines() if "Error" in line]
        assert errors == []


@pytest.mark.parametrize(
    "syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        JPEG2000Lossless,
        JPEGLSLossless,
        RLELossless,
    ],
)
def test_hounsfield_units_survive_each_transfer_syntax(
    phantom: Phantom, tmp_path: Path, syntax: str
) -> None:
    paths = write_ct_series(phantom, tmp_path, ScannerOptions(transfer_syntax=syntax))
    for path, expected in zip(paths, phantom.volume.voxels, strict=True):
        ds = pydicom.dcmread(path)
        assert ds.file_meta.TransferSyntaxUID == syntax
        hu = ds.pixel_array * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
        assert np.array_equal(hu, expected)


def test_positions_and_orientation_put_the_voxels_where_the_affine_says(
    phantom: Phantom, tmp_path: Path
) -> None:
    for options in (ScannerOptions(), ScannerOptions(feet_first=True)):
        ds = pydicom.dcmread(write_ct_series(phantom, tmp_path, options)[3])
        row, column = (np.array(ds.ImageOrientationPatient[k : k + 3], float) for k in (0, 3))
        r, c = 20, 11
        dy, dx = (float(v) for v in ds.PixelSpacing)
        place = np.array(ds.ImagePositionPatient, float) + row * c * dx + column * r * dy
        at = np.linalg.inv(phantom.volume.affine) @ np.array([*place, 1.0])
        k, i, j = (round(float(v)) for v in at[:3])
        assert np.allclose(at[:3], (k, i, j), atol=1e-2)
        stored = int(ds.pixel_array[r, c]) + int(ds.RescaleIntercept)
        assert stored == int(phantom.volume.voxels[k, i, j])


def test_padding_is_stored_below_air_and_declared(phantom: Phantom, tmp_path: Path) -> None:
    options = ScannerOptions(padding_hu=-3024)
    ds = pydicom.dcmread(write_ct_series(phantom, tmp_path, options)[0])
    assert ds.PixelPaddingValue == -2000
    assert ds.pixel_array[0, 0] == -2000


def test_missing_slice_and_order_of_numbers(phantom: Phantom, tmp_path: Path) -> None:
    options = ScannerOptions(missing=(2,), descending=True)
    paths = write_ct_series(phantom, tmp_path, options)
    heights = [float(pydicom.dcmread(p).ImagePositionPatient[2]) for p in paths]
    assert len(paths) == len(phantom.labels) - 1
    assert np.all(np.diff(heights) < 0)
    assert max(-np.diff(heights)) == pytest.approx(10.0)


def test_tilted_planes_lean_as_the_orientation_says(phantom: Phantom, tmp_path: Path) -> None:
    first, second = (
        pydicom.dcmread(p)
        for p in write_ct_series(phantom, tmp_path, ScannerOptions(tilt_degrees=10.0))[:2]
    )
    iop = np.array(first.ImageOrientationPatient, float)
    normal = np.cross(iop[:3], iop[3:])
    step = np.array(second.ImagePositionPatient, float) - np.array(
        first.ImagePositionPatient, float
    )
    angle = np.degrees(np.arccos(abs(normal @ step) / np.linalg.norm(step)))
    assert angle == pytest.approx(10.0, abs=0.01)
    assert float(first.GantryDetectorTilt) == 10.0


def test_scout_is_a_series_of_its_own(phantom: Phantom, tmp_path: Path) -> None:
    paths = write_ct_series(phantom, tmp_path, ScannerOptions(localizer=True))
    scout, axial = pydicom.dcmread(paths[-1]), pydicom.dcmread(paths[0])
    assert "LOCALIZER" in scout.ImageType
    assert scout.SeriesInstanceUID != axial.SeriesInstanceUID
    assert scout.StudyInstanceUID == axial.StudyInstanceUID


def test_writing_twice_gives_the_same_bytes(phantom: Phantom, tmp_path: Path) -> None:
    one = write_ct_series(phantom, tmp_path / "one")
    two = write_ct_series(phantom, tmp_path / "two")
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]
