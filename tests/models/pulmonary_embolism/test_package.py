"""The package as it is shipped: sealed, golden, and silent or refusing on real images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from models.pulmonary_embolism import vocabulary as say
from node.domain.finding import Findings, Status
from node.evaluation.filing import CtArray, file_series
from node.evaluation.nifti import read_nifti
from node.evaluation.product import Product, open_product

PACKAGE = Path(__file__).parents[3] / "models" / "pulmonary_embolism"
DATA = Path(__file__).parents[4] / "shared" / "data"
LIDC = DATA / "chest_ct_lidc" / "upper"
HEART = DATA / "abdomen_ct_totalseg" / "pulmonary_report" / "models" / "ct_cropped.nii.gz"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def product() -> Product:
    """Loading proves the golden case."""
    return open_product(PACKAGE)


def answer(findings: Findings) -> object:
    return next(e.value for e in findings.exam_evaluations if e.name == say.EMBOLISM)


@pytest.mark.shared
@pytest.mark.skipif(not LIDC.is_dir(), reason="needs ../shared/data/chest_ct_lidc")
@pytest.mark.parametrize("change", ["as it is", "abdomen", "padding", "lossy", "reversed"])
def test_a_real_chest_without_contrast_is_refused_with_the_number_whatever_its_header_says(
    change: str, product: Product, tmp_path: Path
) -> None:
    paths = sorted(LIDC.glob("*.dcm"))
    if change != "as it is":
        paths = [_changed(path, change, tmp_path, len(paths)) for path in paths]
    look = product.look(paths)
    assert look.findings.status is Status.NOT_ELIGIBLE
    assert "contrast medium" in look.findings.reason
    measured = int(look.findings.reason.split(" HU")[0].split()[-1])
    assert measured == pytest.approx(64, abs=4)


def _changed(path: Path, change: str, folder: Path, count: int) -> Path:
    image = pydicom.dcmread(path)
    if change == "abdomen":
        image.BodyPartExamined = "ABDOMEN"
    elif change == "padding":
        stored = image.pixel_array.astype(np.int32)
        value = round((-3024 - float(image.RescaleIntercept)) / float(image.RescaleSlope))
        row, column = np.ogrid[: stored.shape[0], : stored.shape[1]]
        outside = (row - 255.5) ** 2 + (column - 255.5) ** 2 > 256**2
        stored[outside] = value
        image.PixelRepresentation = 1
        image.PixelData = stored.astype("<i2").tobytes()
        image.add_new(0x00280120, "SS", value)
        image["PixelData"].VR = "OW"
        for keyword in ("SmallestImagePixelValue", "LargestImagePixelValue"):
            if keyword in image:
                delattr(image, keyword)
    elif change == "lossy":
        image.compress(pydicom.uid.JPEG2000, j2k_cr=[12], generate_instance_uid=False)
        image.LossyImageCompression = "01"
    elif change == "reversed":
        image.InstanceNumber = count + 1 - int(image.InstanceNumber)
    target = folder / path.name
    image.save_as(target)
    return target


@pytest.mark.shared
@pytest.mark.skipif(not HEART.is_file(), reason="needs ../shared/data/abdomen_ct_totalseg")
def test_nobody_is_called_for_a_real_contrast_scan_without_embolism(
    product: Product, tmp_path: Path
) -> None:
    voxels, affine = read_nifti(HEART)
    look = product.look(file_series(CtArray(name="heart", voxels=voxels, affine=affine), tmp_path))
    # Nothing is marked; its field of view cuts the lungs, so that this is no negative answer.
    assert not look.findings.findings
    assert look.findings.status is Status.PARTIAL
    assert "the field of view cuts the lungs" in look.findings.reason
    assert answer(look.findings) == say.INDETERMINATE
    blood = next(m.value for m in look.findings.exam_measurements if m.name == say.BLOOD)
    # The reference mask of the pulmonary artery that comes with the scan has a median of 549 HU.
    assert blood == pytest.approx(549, abs=30)
