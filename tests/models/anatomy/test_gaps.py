"""A series with a gap: no vertebra is parted and no level stated, and the reason is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest

from models.anatomy.structures import Structure as S
from node.domain.finding import Status
from node.evaluation.filing import CtArray, file_series
from node.evaluation.product import Product, open_product
from tests.models.anatomy.looks import PACKAGE, Trunk, spine

SLICE_MM = 4.0


@pytest.fixture(scope="module")
def product() -> Product:
    return open_product(PACKAGE, golden=False)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Every second slice of a trunk with a spine."""
    hu, _ = Trunk(spine([S.L5, S.L4, S.L3, S.L2, S.L1], sacrum=True)).arrays()
    affine = np.diag([SLICE_MM, 2.0, 2.0, 1.0])[[2, 1, 0, 3]]
    voxels = hu[::2].astype(np.int16)
    return file_series(CtArray(name="gap", voxels=voxels, affine=affine), tmp_path)


@pytest.mark.slow
def test_an_even_series_is_looked_at(product: Product, files: list[Path]) -> None:
    look = product.look(files)
    assert not look.verdict
    assert look.findings.status in (Status.FINDINGS, Status.NO_FINDINGS)


def test_a_missing_slice_is_refused_with_its_place(product: Product, files: list[Path]) -> None:
    look = product.look([*files[:20], *files[21:]])
    assert look.findings.status is Status.NOT_ELIGIBLE
    assert "slice gap 8.0 mm after slice 20" in look.verdict
    assert "a slice is missing" in look.findings.reason
    assert not look.findings.segments


@pytest.mark.parametrize("off_mm", [1.0, 1.5])
def test_uneven_distances_are_refused(off_mm: float, product: Product, files: list[Path]) -> None:
    for path in files[25:]:
        image = pydicom.dcmread(path)
        x, y, z = (float(v) for v in image.ImagePositionPatient)
        image.ImagePositionPatient = [x, y, z + off_mm]
        image.save_as(path)
    look = product.look(files)
    assert look.findings.status is Status.NOT_ELIGIBLE
    assert look.findings.reason
    assert not look.findings.segments
