"""Pixels in, a volume in HU on its true grid out, or the reason why not."""

from __future__ import annotations

import itertools
import math
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

import inference.attributes
import inference.volume
from inference.volume import load_volume
from node.domain.errors import PixelDataError, VolumeError
from node.domain.imaging import Volume
from tests.dicom_factory import (
    Ct,
    ct_series,
    cylinder,
    enhanced_ct,
    instances,
    padded_series,
    slice_directions,
    uid,
    write,
)
from tests.inference.reading import describe, files_under, series_of


def volume_under(folder: Path) -> Volume:
    """The one image series below a folder."""
    series = [s for s in describe(instances(files_under(folder))).series if s.planes]
    assert len(series) == 1
    return load_volume(series[0])


def test_a_sound_series_becomes_hu_on_its_own_grid(tmp_path: Path) -> None:
    volume = load_volume(series_of(ct_series(slices=12, rows=48, columns=64), tmp_path))
    assert volume.voxels.dtype == np.int16
    assert volume.unit == "HU"
    np.testing.assert_array_equal(volume.voxels, cylinder(12, 48, 64))
    np.testing.assert_allclose(volume.affine @ [0, 0, 0, 1], [-25.6, -25.6, -50.0, 1])
    np.testing.assert_allclose(volume.affine @ [11, 0, 0, 1], [-25.6, -25.6, -22.5, 1])
    np.testing.assert_allclose(volume.affine @ [0, 2, 5, 1], [-21.6, -24.0, -50.0, 1])
    assert volume.spacing_mm == pytest.approx((2.5, 0.8, 0.8))
    assert volume.padding is None


def test_slices_numbered_from_the_head_come_out_from_the_feet(tmp_path: Path) -> None:
    volume = load_volume(series_of(ct_series(slices=8, reversed=True), tmp_path))
    np.testing.assert_array_equal(volume.voxels, cylinder(8, 64, 64))
    assert [plane.instance_number for plane in volume.planes] == list(range(8, 0, -1))


@pytest.mark.parametrize(
    "transfer_syntax",
    [
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGLSLossless,
        JPEG2000Lossless,
    ],
)
@pytest.mark.parametrize("signed", [False, True])
def test_every_lossless_transfer_syntax_gives_the_same_hu(
    tmp_path: Path, transfer_syntax: str, signed: bool
) -> None:
    options = {"signed": True, "intercept": 0.0, "stored_bits": 16} if signed else {}
    images = ct_series(slices=3, transfer_syntax=transfer_syntax, **options)
    volume = load_volume(series_of(images, tmp_path))
    np.testing.assert_array_equal(volume.voxels, cylinder(3, 64, 64))


@pytest.mark.parametrize("transfer_syntax", [ExplicitVRLittleEndian, RLELossless])
def test_an_enhanced_ct_loads_like_single_slices(tmp_path: Path, transfer_syntax: str) -> None:
    image = enhanced_ct(12, transfer_syntax=transfer_syntax)
    volume = load_volume(series_of([image], tmp_path))
    np.testing.assert_array_equal(volume.voxels, cylinder(12, 64, 64))
    assert volume.spacing_mm == pytest.approx((2.5, 0.8, 0.8))


def test_a_tilted_gantry_gives_the_sheared_grid_that_the_positions_say(tmp_path: Path) -> None:
    volume = load_volume(series_of(ct_series(slices=10, tilt=14), tmp_path))
    steps = volume.affine[:3, :3]
    assert steps[:, 0] == pytest.approx([0, 0, 2.5 / math.cos(math.radians(14))], abs=1e-6)
    assert steps[:, 1] @ steps[:, 0] > 0.1
    for index, plane in enumerate(volume.planes):
        np.testing.assert_allclose(
            (volume.affine @ [index, 0, 0, 1])[:3], plane.position_mm, atol=1e-6
        )


def test_a_missing_slice_is_refused_by_name(tmp_path: Path) -> None:
    series = series_of(ct_series(slices=20, gap_at=13), tmp_path)
    with pytest.raises(VolumeError, match=r"slice gap 5\.0 mm after slice 13 of 19 \(others 2\.5"):
        load_volume(series)


def test_an_image_that_is_there_twice_is_used_once(tmp_path: Path) -> None:
    images = ct_series(slices=6)
    again = ct_series(slices=6)[3]
    again.SOPInstanceUID = uid("again")
    volume = load_volume(series_of([*images, again], tmp_path))
    np.testing.assert_array_equal(volume.voxels, cylinder(6, 64, 64))
    assert len(volume.planes) == 6


def test_two_different_images_at_one_position_are_refused(tmp_path: Path) -> None:
    images = ct_series(slices=6)
    other = ct_series(slices=6, hu=cylinder(6, 64, 64) + 1)[3]
    other.SOPInstanceUID = uid("other")
    series = series_of([*images, other], tmp_path)
    with pytest.raises(VolumeError, match=r"slice 4 of 6 shares its position"):
        load_volume(series)


def test_a_slice_from_another_reconstruction_between_the_others_is_refused(tmp_path: Path) -> None:
    images = ct_series(slices=6)
    (between,) = ct_series(slices=1, origin=(-25.6, -25.6, -44.0))
    between.SOPInstanceUID = uid("between")
    series = series_of([*images, between], tmp_path)
    with pytest.raises(VolumeError, match=r"slices 3 and 4 lie only 1\.0 mm apart"):
        load_volume(series)


def test_slices_of_slowly_growing_distance_are_no_grid(tmp_path: Path) -> None:
    images = ct_series(slices=20)
    for index, image in enumerate(images):
        image.ImagePositionPatient = [-25.6, -25.6, 2.5 * index + 0.02 * index**2]
    with pytest.raises(VolumeError, match="no regular grid"):
        load_volume(series_of(images, tmp_path))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"RescaleSlope": None}, "no rescale slope"),
        ({"RescaleSlope": "0"}, "slope of 0"),
        ({"RescaleType": "OD"}, "in OD, not in HU"),
        ({"PixelSpacing": None}, "no pixel spacing"),
        ({"ImageOrientationPatient": None}, "no position and orientation"),
        ({"SamplesPerPixel": 3}, "colour"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "colour"),
    ],
)
def test_images_that_are_no_hu_on_a_grid_are_not_eligible(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    series = series_of(ct_series(slices=3, changes=changes), tmp_path)
    with pytest.raises(VolumeError, match=words) as caught:
        load_volume(series)
    assert not isinstance(caught.value, PixelDataError)
    assert caught.value.series_uid == series.series_uid


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"PixelData": None}, "hold no pixel data"),
        ({"PixelData": b"\0" * 100}, "slice 1 of 3 is cut off: 100 of 8192 bytes"),
        ({"Rows": 60_000, "Columns": 60_000}, "larger than is loaded"),
        ({"Rows": 8000, "Columns": 8000}, "is cut off"),
        ({"BitsAllocated": 24}, "24 bits allocated"),
        ({"BitsStored": 20}, "20 bits stored"),
    ],
)
def test_headers_that_promise_other_pixels_fail(
    tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    series = series_of(ct_series(slices=3, changes=changes), tmp_path)
    with pytest.raises(VolumeError, match=words):
        load_volume(series)


def test_the_failing_image_is_named_by_its_uid(tmp_path: Path) -> None:
    images = ct_series(slices=5)
    images[2].PixelData = images[2].PixelData[:1000]
    series = series_of(images, tmp_path)
    with pytest.raises(PixelDataError, match="slice 3 of 5 is cut off") as caught:
        load_volume(series)
    assert caught.value.instance_uid == images[2].SOPInstanceUID


@pytest.mark.parametrize("transfer_syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_a_compressed_image_of_another_size_than_its_header_is_not_decoded(
    tmp_path: Path, transfer_syntax: str
) -> None:
    images = ct_series(slices=2, transfer_syntax=transfer_syntax)
    for image in images:
        image.Rows = image.Columns = 4096
    with pytest.raises(PixelDataError):
        load_volume(series_of(images, tmp_path))


@pytest.mark.parametrize("transfer_syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
def test_damaged_compressed_pixels_fail_and_never_load(
    tmp_path: Path, transfer_syntax: str
) -> None:
    paths = write(ct_series(slices=2, transfer_syntax=transfer_syntax), tmp_path)
    (series,) = describe(instances(paths)).series
    content = paths[0].read_bytes()
    paths[0].write_bytes(content[: -len(content) // 8])
    with pytest.raises(PixelDataError, match="slice 1 of 2"):
        load_volume(series)


def test_a_file_that_vanished_after_description_fails(tmp_path: Path) -> None:
    series = series_of(ct_series(slices=3), tmp_path)
    series.planes[1].extent.path.unlink()
    with pytest.raises(PixelDataError, match="slice 2 of 3 cannot be read"):
        load_volume(series)


def test_unreadable_images_leave_no_volume(tmp_path: Path) -> None:
    rows = instances(write(ct_series(slices=5), tmp_path))
    rows[4].extent.path.write_bytes(b"nothing")
    (series,) = describe(rows).series
    with pytest.raises(VolumeError, match="1 of 5 images cannot be read"):
        load_volume(series)


def test_a_series_larger_than_memory_is_refused_before_loading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference.volume, "MAX_VOXELS", 10_000)
    with pytest.raises(VolumeError, match="larger than is loaded"):
        load_volume(series_of(ct_series(slices=3), tmp_path))


def test_slope_of_a_fraction_gives_float_for_the_whole_volume(tmp_path: Path) -> None:
    images = ct_series(slices=4)
    images[2].RescaleSlope = "0.5"
    images[2].RescaleIntercept = "-1024"
    volume = load_volume(series_of(images, tmp_path))
    assert volume.voxels.dtype == np.float32
    np.testing.assert_array_equal(volume.voxels[[0, 1, 3]], cylinder(4, 64, 64)[[0, 1, 3]])
    assert volume.voxels[2].max() == pytest.approx((300 + 1024) / 2 - 1024)


def test_scanner_padding_becomes_air_and_is_marked(tmp_path: Path) -> None:
    hu = cylinder(3, 64, 64)
    hu[:, :5, :] = -2024
    volume = load_volume(series_of(padded_series(hu), tmp_path))
    assert volume.padding is not None
    assert volume.padding[:, :5].all()
    assert not volume.padding[:, 5:].any()
    assert (volume.voxels[:, :5] == -1024).all()


@settings(max_examples=25, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-math.pi, math.pi)] * 3),
    tilt=st.floats(-25, 25),
    spacing=st.floats(0.5, 8.0),
    slices=st.integers(2, 7),
    seed=st.integers(0, 10_000),
)
def test_the_affine_maps_indices_to_positions_in_any_orientation_and_order(
    angles: tuple[float, float, float], tilt: float, spacing: float, slices: int, seed: int
) -> None:
    a, b, c = angles
    turn = (
        np.array([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]])
        @ np.array([[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]])
        @ np.array([[math.cos(c), -math.sin(c), 0], [math.sin(c), math.cos(c), 0], [0, 0, 1]])
    )
    options = {
        "slices": slices,
        "rows": 9,
        "columns": 7,
        "spacing_mm": spacing,
        "tilt": tilt,
        "cosines": (*turn[:, 0], *turn[:, 1]),
        "pixel_mm": (0.7, 0.9),
    }
    images = ct_series(**options)
    random.Random(seed).shuffle(images)
    with tempfile.TemporaryDirectory() as folder:
        volume = load_volume(series_of(images, Path(folder)))
    row, column, step = slice_directions(Ct(**options))
    expected = cylinder(slices, 9, 7)
    origin = np.array(Ct().origin)
    for i, r, k in itertools.product(range(slices), (0, 8), (0, 6)):
        place = (volume.affine @ [i, r, k, 1])[:3]
        made = np.linalg.solve(np.column_stack([step, column * 0.7, row * 0.9]), place - origin)
        index = np.rint(made).astype(int)
        # 16 characters of a decimal string carry an orientation to about 1e-12.
        np.testing.assert_allclose(made, index, atol=1e-5)
        assert volume.voxels[i, r, k] == expected[tuple(index)]


@pytest.mark.shared
def test_portal_venous_ct_has_its_padding_set_to_air(shared_images: Path) -> None:
    volume = volume_under(shared_images / "abdomen_ct_crlm_1004")
    assert volume.voxels.shape == (41, 512, 512)
    assert (int(volume.voxels.min()), int(volume.voxels.max())) == (-1024, 1377)
    assert volume.padding is not None
    # Outside the circle of reconstruction: 1 - pi/4 of the square.
    assert volume.padding.mean() == pytest.approx(1 - math.pi / 4, abs=0.01)
    assert (volume.voxels[volume.padding] == -1024).all()
    assert np.all(np.diff([plane.position_mm[2] for plane in volume.planes]) > 0)


@pytest.mark.shared
def test_blocks_of_one_chest_ct_lie_in_one_space(shared_images: Path) -> None:
    lower = volume_under(shared_images / "chest_ct_lidc" / "lower")
    upper = volume_under(shared_images / "chest_ct_lidc" / "upper")
    assert lower.voxels.shape == (135, 512, 512)
    assert upper.voxels.shape == (90, 512, 512)
    assert lower.spacing_mm == pytest.approx((1.0, 0.78125, 0.78125))
    assert lower.affine[2, 3] + 134 < upper.affine[2, 3]
    assert lower.voxels.dtype == np.int16


@pytest.mark.shared
def test_pet_is_loaded_in_its_own_unit(shared_images: Path) -> None:
    study = describe(instances(files_under(shared_images / "pet_sts_001")))
    (series,) = [s for s in study.series if s.modality == "PT"]
    volume = load_volume(series)
    assert volume.unit == "BQML"
    assert volume.voxels.dtype == np.float32
    assert volume.padding is None
    places = volume.affine[:3, 3] + np.arange(267)[:, None] * volume.affine[:3, 0]
    assert np.abs(places - [plane.position_mm for plane in volume.planes]).max() < 0.05


@pytest.mark.shared
def test_jpeg_2000_series_decodes_to_what_another_library_decodes(shared_images: Path) -> None:
    volume = volume_under(shared_images / "abdomen_ct_totalseg" / "example_ct_dicom")
    gdcm = pytest.importorskip("gdcm")
    for index in (0, 10, 19):
        reader = gdcm.ImageReader()
        reader.SetFileName(str(volume.planes[index].extent.path))
        assert reader.Read()
        content = reader.GetImage().GetBuffer().encode("utf-8", "surrogateescape")
        stored = np.frombuffer(content, "<u2").reshape(512, 512)
        np.testing.assert_array_equal(volume.voxels[index], stored.astype(int) - 1024)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("syntaxes", "tolerance"),
    [
        (("1.2", "1.2.1", "1.2.2", "1.2.1.99", "1.2.4.57", "1.2.4.70", "1.2.4.80", "1.2.4.90"), 0),
        (("1.2.4.91", "1.2.4.81"), 12),
        # Stored again in 12 bits at 2 HU before it was compressed.
        (("1.2.4.51", "1.2.4.53", "1.2.4.55"), 40),
    ],
)
def test_one_image_in_every_transfer_syntax_has_the_same_hu(
    shared_images: Path, syntaxes: tuple[str, ...], tolerance: int
) -> None:
    files = (shared_images / "odd_dicom" / "cornerstone3d").glob("CTImage.dcm_*.dcm")
    by_syntax = {}
    for path in files:
        syntax = str(pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID)
        by_syntax[syntax.removeprefix("1.2.840.10008.")] = path
    (series,) = describe(instances([by_syntax["1.2.1"]])).series
    reference = load_volume(series).voxels.astype(float)
    for syntax in syntaxes:
        (series,) = describe(instances([by_syntax[syntax]])).series
        difference = np.abs(load_volume(series).voxels - reference)
        assert difference.max() <= tolerance, syntax


@pytest.mark.shared
def test_every_odd_file_loads_or_says_why_not(shared_images: Path) -> None:
    loaded = refused = 0
    with inference.attributes.quiet_pydicom():
        paths = [p for p in sorted((shared_images / "odd_dicom").rglob("*")) if p.is_file()]
        rows = [instances([path]) for path in paths]
    for row in rows:
        (series,) = describe(row).series
        try:
            volume = load_volume(series)
        except VolumeError:
            refused += 1
        else:
            assert np.isfinite(volume.voxels).all()
            loaded += 1
    assert loaded > 50
    assert loaded + refused == len(rows)
