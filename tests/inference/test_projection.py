"""Radiographs as a package without orientations reads them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import FileDataset

from inference.projection import load_images, load_projections
from inference.series import describe_study
from models.manifest import InputLimits
from node.domain.errors import PixelDataError, VolumeError
from node.domain.study import Series
from tests.dicom_factory import dx_instance, instances, uid, write

LIMITS: dict[str, Any] = {
    "modalities": ("DX",),
    "sop_class_uids": (),
    "min_planes": 1,
    "min_extent_mm": 0.0,
    "max_spacing_mm": 5.0,
    "max_tilt_degrees": 0.0,
    "max_gap_factor": 1.5,
    "pixel_spacing_mm": (0.01, 3.0),
}


def series_of(folder: Path, *images: FileDataset) -> Series:
    rows = instances(write(images, folder))
    study = describe_study(
        rows, generation=1, completed_at=datetime(2026, 1, 1, tzinfo=UTC), confidence="test"
    )
    return max(study.series, key=lambda one: len(one.instances))


def test_an_image_is_read_without_a_place_in_the_patient(tmp_path: Path) -> None:
    image = dx_instance()
    loaded = load_projections(series_of(tmp_path, image))
    np.testing.assert_array_equal(loaded.voxels[0], image.pixel_array)
    assert loaded.frame_of_reference_uid == ""
    assert loaded.planes[0].sop_instance_uid == image.SOPInstanceUID


def test_inverted_images_are_turned_round(tmp_path: Path) -> None:
    image = dx_instance(PhotometricInterpretation="MONOCHROME1")
    stored = image.pixel_array.astype(np.float32)
    loaded = load_projections(series_of(tmp_path, image))
    np.testing.assert_array_equal(loaded.voxels[0], stored.max() + stored.min() - stored)


def test_a_package_that_names_orientations_needs_a_stack(tmp_path: Path) -> None:
    series = series_of(tmp_path, dx_instance())
    assert load_images(series, InputLimits(orientations=(), **LIMITS)).voxels.shape == (1, 64, 64)
    with pytest.raises(VolumeError, match="position"):
        load_images(series, InputLimits(orientations=("axial",), **LIMITS))


def test_images_of_two_sizes_are_not_looked_at_together(tmp_path: Path) -> None:
    small = dx_instance(SOPInstanceUID=uid("small"), Rows=32, Columns=64)
    small.PixelData = small.PixelData[: 32 * 64 * 2]
    small.file_meta.MediaStorageSOPInstanceUID = small.SOPInstanceUID
    first = series_of(tmp_path / "first", dx_instance())
    second = series_of(tmp_path / "second", small)
    both = replace(
        first,
        instances=(*first.instances, *second.instances),
        planes=(*first.planes, *second.planes),
    )
    with pytest.raises(VolumeError, match="differ in size"):
        load_projections(both)


def test_an_image_without_pixels_is_a_failure_not_a_verdict(tmp_path: Path) -> None:
    image = dx_instance()
    del image.PixelData
    with pytest.raises(PixelDataError):
        load_projections(series_of(tmp_path, image))
