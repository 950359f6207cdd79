"""Slices that hold no picture, or the picture of another one, are refused by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference.volume import load_volume
from node.domain.errors import VolumeError
from tests.dicom_factory import ct_series, cylinder, padded_series
from tests.inference.reading import series_of


def test_slices_whose_pixels_were_lost_between_others_are_refused(tmp_path: Path) -> None:
    hu = cylinder(8, 64, 64)
    hu[3:5] = -1024
    with pytest.raises(VolumeError, match=r"2 of 8 slices hold no picture .* slice 4"):
        load_volume(series_of(ct_series(slices=8, hu=hu), tmp_path))


def test_slices_that_were_lost_at_the_end_are_refused_and_padding_is_not(tmp_path: Path) -> None:
    hu = np.random.default_rng(1).integers(-1000, 400, (8, 64, 64)).astype(np.int16)
    hu[6:] = -1024
    with pytest.raises(VolumeError, match=r"2 of 8 slices hold no picture .* slice 7"):
        load_volume(series_of(ct_series(slices=8, hu=hu), tmp_path / "lost"))
    hu[6:] = -2024
    assert load_volume(series_of(padded_series(hu), tmp_path / "padded")).voxels.shape[0] == 8


def test_one_picture_at_several_places_is_refused(tmp_path: Path) -> None:
    hu = np.random.default_rng(1).integers(-1000, 400, (8, 64, 64)).astype(np.int16)
    hu[5:] = hu[4]
    with pytest.raises(VolumeError, match=r"3 of 8 slices show the same picture .* slice 6"):
        load_volume(series_of(ct_series(slices=8, hu=hu), tmp_path))


def test_a_drawn_phantom_without_noise_may_be_alike_from_slice_to_slice(tmp_path: Path) -> None:
    hu = np.repeat(cylinder(1, 64, 64), 4, axis=0)
    assert load_volume(series_of(ct_series(slices=4, hu=hu), tmp_path)).voxels.shape[0] == 4
