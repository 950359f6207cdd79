"""A lesion is shown where it is, the patient's right at the left, whatever order it came in."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest

from models.three_planes import FIELD_MM, Lesion, pictures_of
from node.domain.extent import Extent
from node.domain.imaging import Volume
from node.domain.study import InstanceUID, Plane, SeriesUID, StudyUID

#: A block of (z, y, x) mm: 120 tall, 160 deep, 200 wide, its first voxel at this place, LPS.
ORIGIN = np.array([-100.0, -80.0, -60.0])
SIZE_MM = np.array([200.0, 160.0, 120.0])
#: The lesion, right, anterior and low; and a bright rod at the patient's left of it.
LESION = np.array([-40.0, -30.0, -20.0])


def volume_of(order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Volume:
    """The same patient with array axes along these patient axes, some of them backwards."""
    spacing = np.array([1.0, 2.0, 2.5])
    shape = [int(SIZE_MM[axis] / spacing[i]) for i, axis in enumerate(order)]
    affine = np.eye(4)
    affine[:3, :3] = 0.0
    start = ORIGIN.copy()
    for i, axis in enumerate(order):
        sign = -1.0 if flips[i] else 1.0
        affine[axis, i] = sign * spacing[i]
        if flips[i]:
            start[axis] += spacing[i] * (shape[i] - 1)
    affine[:3, 3] = start
    index = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), -1)
    x, y, z = np.moveaxis(index @ affine[:3, :3].T + affine[:3, 3], -1, 0)
    hu = np.full(shape, -800.0, np.float32)
    hu[(np.abs(x - LESION[0] - 15) < 4) & (np.abs(y - LESION[1]) < 4)] = 500.0  # left of it
    hu[(np.abs(y - LESION[1] - 15) < 4) & (np.abs(x - LESION[0]) < 4)] = 600.0  # behind it
    hu[(np.abs(z - LESION[2] - 15) < 4) & (np.abs(x - LESION[0]) < 4)] = 700.0  # above it
    planes = tuple(
        Plane(
            sop_instance_uid=InstanceUID(f"1.{number}"),
            frame_number=None,
            position_mm=(0.0, 0.0, 0.0),
            extent=Extent(path=Path("/nowhere")),
            instance_number=number,
        )
        for number in range(shape[0])
    )
    return Volume(
        study_uid=StudyUID("1"),
        series_uid=SeriesUID("2"),
        frame_of_reference_uid="3",
        voxels=hu,
        affine=affine,
        unit="HU",
        planes=planes,
    )


def lesion_of(volume: Volume, radius: float = 6.0) -> Lesion:
    index = np.stack(np.meshgrid(*map(np.arange, volume.voxels.shape), indexing="ij"), -1)
    points = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    mask = np.linalg.norm(points - LESION, axis=-1) <= radius
    first = np.argwhere(mask).min(axis=0)
    last = np.argwhere(mask).max(axis=0) + 1
    box = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    return Lesion(
        mask=mask[box],
        offset=(int(first[0]), int(first[1]), int(first[2])),
        tracking_uid="2.25.1",
    )


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True), (True, True, True)])
def test_right_is_left_and_up_is_up_for_every_order_of_the_axes(
    order: tuple[int, int, int], flips: tuple[bool, bool, bool]
) -> None:
    volume = volume_of(order, flips)
    _, axial, sagittal, coronal = pictures_of(volume, lesion_of(volume))
    assert axial.edges == ("R", "L", "A", "P")
    assert sagittal.edges == ("A", "P", "H", "F")
    assert coronal.edges == ("R", "L", "H", "F")
    for picture in (axial, sagittal, coronal):
        rows, columns = np.nonzero(picture.overlays[0].mask)
        middle = (np.array(picture.pixels.shape) - 1) / 2
        assert abs(rows.mean() - middle[0]) <= 1
        assert abs(columns.mean() - middle[1]) <= 1

    def beside(picture: object, hu: float) -> tuple[float, float]:
        rows, columns = np.nonzero(np.isclose(picture.pixels, hu))  # type: ignore[attr-defined]
        down, across = picture.pixel_mm  # type: ignore[attr-defined]
        middle = (np.array(picture.pixels.shape) - 1) / 2  # type: ignore[attr-defined]
        return (rows.mean() - middle[0]) * down, (columns.mean() - middle[1]) * across

    # The rod at the patient's left is at the right of the screen, the one behind is below.
    assert beside(axial, 500.0)[1] == pytest.approx(15, abs=3)
    assert beside(axial, 600.0)[0] == pytest.approx(15, abs=3)
    # What is above the lesion is above it on the screen, what is behind it at the right.
    assert beside(sagittal, 700.0)[0] == pytest.approx(-15, abs=3)
    assert beside(sagittal, 600.0)[1] == pytest.approx(15, abs=3)
    assert beside(coronal, 700.0)[0] == pytest.approx(-15, abs=3)
    assert beside(coronal, 500.0)[1] == pytest.approx(15, abs=3)


def test_the_field_has_its_size_on_every_axis() -> None:
    volume = volume_of((2, 1, 0), (False, False, False))
    for picture in pictures_of(volume, lesion_of(volume))[1:]:
        for length, step in zip(picture.pixels.shape, picture.pixel_mm, strict=True):
            assert length * step == pytest.approx(FIELD_MM, abs=2 * step)


def test_a_large_lesion_gets_a_larger_field() -> None:
    volume = volume_of((2, 1, 0), (False, False, False))
    picture = pictures_of(volume, lesion_of(volume, 30.0))[1]
    assert picture.overlays[0].mask.any(axis=0).mean() < 0.7


def test_beyond_the_scan_the_picture_is_black() -> None:
    volume = volume_of((2, 1, 0), (False, False, False))
    box = np.ones((2, 2, 2), np.bool_)
    corner = Lesion(mask=box, offset=(0, 0, 0), tracking_uid="2.25.1")
    axial = pictures_of(volume, corner)[1]
    assert np.isnan(axial.pixels[0, 0])
    assert np.isfinite(axial.pixels[-1, -1])


def test_the_key_slice_is_the_one_with_the_largest_area_and_names_its_image() -> None:
    volume = volume_of((2, 1, 0), (False, False, False))
    lesion = lesion_of(volume)
    key = pictures_of(volume, lesion)[0]
    index = lesion.key_slice
    z = (volume.affine @ np.array([index, 0, 0, 1]))[2]
    assert z == pytest.approx(LESION[2], abs=volume.spacing_mm[0])
    assert key.plane is volume.planes[index]
    assert key.caption == f"Image {index}, z {z:.1f} mm"
    assert key.overlays[0].mask.sum() == lesion.mask[index - lesion.offset[0]].sum()
    assert all(picture.plane is None for picture in pictures_of(volume, lesion)[1:])
