"""Windows of a detector begin where a cell of its coarsest map begins."""

from __future__ import annotations

import pytest

from node.domain.errors import ImportRefused
from node.importing.monai import _fits, _for_detector, _on_raster


def test_windows_whose_steps_leave_the_raster_are_refused_with_a_size_that_fits() -> None:
    with pytest.raises(ImportRefused) as refused:
        _on_raster((192, 192, 80), (16, 16, 8), 0.25)
    (fault,) = refused.value.faults
    assert "in steps of [144, 144, 60]" in fault.why
    assert fault.remedy.endswith("for example patch: [192, 192, 96]")
    _on_raster((192, 192, 96), (16, 16, 8), 0.25)


def test_the_windows_of_the_published_lung_nodule_detector_lie_on_it() -> None:
    windows, raster = (512, 512, 192), (16, 16, 8)
    assert all(_fits(cell, 0.25, side) for side, cell in zip(windows, raster, strict=True))
    assert not _fits(8, 0.25, 80)
    _on_raster(windows, raster, 0.25)


@pytest.mark.parametrize("side", [64, 192, 512])
def test_a_generated_volume_is_padded_by_one_whole_cell_on_each_side(side: int) -> None:
    across, _, along = _for_detector((side, side, 96), (16, 16, 8))
    # A few voxels more or less, as spacings and tilts make them.
    for length in (across - 5, across, across + 5):
        padded = round(length) + -round(length) % 16
        assert side - padded == 2 * 16
    assert along > 96


def test_small_windows_are_all_shared_by_two() -> None:
    assert min(_for_detector((32, 32, 16), (16, 16, 8))) > 16
