"""Volumes against SimpleITK, on every series of the development images that we load."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from inference.volume import load_volume
from node.domain.errors import VolumeError
from node.domain.imaging import Volume
from node.domain.study import Series
from tests.dicom_factory import instances
from tests.inference.reading import describe, files_under

SimpleITK = pytest.importorskip("SimpleITK", reason="compares with SimpleITK; it is not here")

#: mm.
CLOSE_MM = 1e-4
#: Padding and what scanners write below air is air in ours (`inference.rescale`).
AIR_HU = -1024
#: What SimpleITK's series reader does not read as one volume in the true unit.
FOLDERS = (
    "chest_ct_lidc",
    "abdomen_ct_crlm_1004",
    "abdomen_ct_totalseg",
    "pet_sts_001",
    "petct_sarcoma",
    "routing",
    "odd_dicom",
)


def loaded(series: Series) -> Volume | str:
    try:
        return load_volume(series)
    except VolumeError as error:
        return str(error)


def read_by_simpleitk(volume: Volume) -> tuple[np.ndarray, np.ndarray] | str:
    """(slice, row, column) values and their affine, in the order of our planes."""
    paths = [str(plane.extent.path) for plane in volume.planes]
    if volume.planes[0].frame_number is not None:
        return "a multi-frame image"
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(paths)
    try:
        image = reader.Execute()
    except RuntimeError as error:
        return f"SimpleITK cannot read it ({str(error).splitlines()[-1][:80]})"
    if image.GetNumberOfComponentsPerPixel() != 1:
        return "SimpleITK reads it as colour"
    direction = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    affine = np.eye(4)
    affine[:3, :3] = direction[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    # Never a view: the image goes before it does.
    return SimpleITK.GetArrayFromImage(image), affine


def is_sheared(volume: Volume) -> bool:
    steps = volume.affine[:3, :3]
    normal = np.cross(steps[:, 2], steps[:, 1])
    cosine = abs(normal @ steps[:, 0]) / np.linalg.norm(normal) / np.linalg.norm(steps[:, 0])
    return bool(cosine < 1 - 1e-9)


@pytest.mark.shared
@pytest.mark.timeout(900)
def test_every_series_has_the_values_and_the_grid_of_simpleitk(
    shared_images: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    outcome: Counter[str] = Counter()
    skipped: list[str] = []
    faults: list[str] = []
    for name in FOLDERS:
        files = [path for path in files_under(shared_images / name) if path.suffix != ".png"]
        for series in describe(instances_in(files)).series:
            ours = loaded(series)
            told = (
                f"{name}: {series.modality} {series.series_uid[-12:]}, {len(series.planes)} images"
            )
            if isinstance(ours, str):
                outcome["refused by us"] += 1
                skipped.append(f"{told}: {ours[:100]}")
                continue
            theirs = read_by_simpleitk(ours)
            if isinstance(theirs, str):
                outcome["not compared"] += 1
                skipped.append(f"{told}: {theirs}")
                continue
            outcome["compared"] += 1
            faults += [f"{told}: {fault}" for fault in differences(ours, *theirs)]
    with capsys.disabled():
        sys.stdout.write(f"\n{dict(outcome)}\n")
        sys.stdout.writelines(f"  skipped: {line}\n" for line in skipped)
    assert not faults, "\n".join(faults)
    assert outcome["compared"] >= 12


def instances_in(files: list[Path]) -> list:  # type: ignore[type-arg]
    found = []
    for path in files:
        try:
            found += instances([path])
        except Exception:
            continue
    return found


def differences(ours: Volume, values: np.ndarray, affine: np.ndarray) -> list[str]:
    faults = []
    theirs = values.astype(np.float64)
    mine = ours.voxels.astype(np.float64)
    if theirs.shape != mine.shape:
        return [f"shape {mine.shape}, SimpleITK {theirs.shape}"]
    kept = np.ones(mine.shape, np.bool_) if ours.padding is None else ~ours.padding
    off = np.abs(mine - theirs)[kept].max()
    # SimpleITK rounds a rescale of a fraction to float32 or whole numbers, as we do to float32.
    if off > 1e-6 * max(1.0, float(np.abs(theirs).max())):
        faults.append(f"values differ by {off}")
    if len(ours.planes) > 1 and not is_sheared(ours):
        corners = [(0, 0, 0, 1), (*(size - 1 for size in mine.shape), 1)]
        for corner in corners:
            apart = np.abs(ours.affine @ corner - affine @ corner).max()
            if apart > CLOSE_MM:
                faults.append(f"corner {corner[:3]} lies {apart:.6f} mm off")
    return faults
