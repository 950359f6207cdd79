"""Headers that lie, as files through the product's path: right, or refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset
from pydicom.uid import JPEG2000

from node.domain.finding import Status
from node.evaluation.filing import CtArray, file_series
from node.evaluation.product import Look, Product, open_product
from tests.models.thorax.chest import Chest, lesion

PACKAGE = Path(__file__).resolve().parents[3] / "models" / "lung_nodules"
Change = Callable[[FileDataset], None]


@pytest.fixture(scope="module")
def product() -> Product:
    return open_product(PACKAGE)


def files(folder: Path, change: Change, slice_mm: float = 1.6) -> list[Path]:
    volume = Chest(
        bottom=-30.0 if slice_mm < 3 else -60.0,
        top=50.0 if slice_mm < 3 else 80.0,
        slice_mm=slice_mm,
        pixel_mm=1.2,
        paint=(lesion((10.0, 10.0, -80.0), 6.0),),
    ).volume()
    voxels = np.asarray(volume.voxels, np.int16)
    paths = file_series(CtArray(name=folder.name, voxels=voxels, affine=volume.affine), folder)
    for path in paths:
        data_set = pydicom.dcmread(path)
        change(data_set)
        data_set.save_as(path)
    return paths


def look(product: Product, paths: list[Path]) -> Look:
    return product.look(paths)


def as_it_is(data_set: FileDataset) -> None:
    """Nothing."""


def abdomen_feet_first(data_set: FileDataset) -> None:
    data_set.BodyPartExamined = "ABDOMEN"
    data_set.PatientPosition = "FFS"
    data_set.InstanceNumber = 1000 - data_set.InstanceNumber


def padded(data_set: FileDataset) -> None:
    pixels = data_set.pixel_array.astype(np.int16).copy()
    rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
    middle = ((pixels.shape[0] - 1) / 2, (pixels.shape[1] - 1) / 2)
    far = np.hypot(rows - middle[0], columns - middle[1]) > max(middle)
    pixels[far] = -3024
    data_set.add_new(0x00280120, "SS", -3024)
    data_set.PixelData = pixels.tobytes()


def lossy(data_set: FileDataset) -> None:
    data_set.compress(JPEG2000, j2k_cr=[8], generate_instance_uid=False)
    data_set.LossyImageCompression = "01"


@pytest.mark.parametrize("change", [abdomen_feet_first, padded, lossy])
def test_what_the_pixels_show_counts(product: Product, tmp_path: Path, change: Change) -> None:
    found = look(product, files(tmp_path / "series", change))
    assert found.verdict == ""
    assert found.findings.status is Status.FINDINGS, found.findings.reason
    (nodule,) = found.findings.findings
    assert nodule.laterality is not None
    assert nodule.laterality.meaning == "Right"
    assert nodule.measurements[0].value == pytest.approx(12.0, abs=1.5)


def test_thick_slices_are_refused_with_their_distance(product: Product, tmp_path: Path) -> None:
    found = look(product, files(tmp_path / "series", as_it_is, slice_mm=5.0))
    assert "5.0" in found.verdict
    assert "3.0" in found.verdict


def test_a_reformat_is_refused(product: Product, tmp_path: Path) -> None:
    def reformat(data_set: FileDataset) -> None:
        data_set.ImageType = ["DERIVED", "SECONDARY", "AXIAL", "MPR"]

    found = look(product, files(tmp_path / "series", reformat))
    assert "MPR" in found.verdict


def test_too_few_slices_are_refused(product: Product, tmp_path: Path) -> None:
    paths = files(tmp_path / "series", as_it_is)[:12]
    found = look(product, paths)
    assert found.verdict


def test_a_child_is_refused(product: Product, tmp_path: Path) -> None:
    def young(data_set: FileDataset) -> None:
        data_set.PatientAge = "009Y"

    found = look(product, files(tmp_path / "series", young))
    assert "18" in found.verdict
