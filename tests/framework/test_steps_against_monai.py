"""The steps before and behind a network, and their ways back, equal MONAI's transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from inference.steps.chain import postprocess, preprocess
from inference.steps.image import Image
from models import manifest_steps as steps

torch = pytest.importorskip("torch", reason="PyTorch is not installed: run `make import-test`")
pytest.importorskip("monai", reason="MONAI is not installed: run `make import-test`")

# What MONAI says of its own future is no fault of ours.
pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")

#: Relative to the largest value; MONAI computes in float64, torch's interpolate in float32.
CLOSE = 1e-6
VALUES = np.random.default_rng(0).normal(size=(2, 31, 40, 17)).astype(np.float32) * 100


def affine(
    degrees: float = 0.0, flip: tuple[int, int, int] = (1, 1, 1), shear: float = 0.0
) -> NDArray[np.float64]:
    """Of a volume turned about z, as NIfTI has it."""
    angle = np.deg2rad(degrees)
    turned = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    sheared = turned @ np.array([[1, 0, 0], [0, 1, shear], [0, 0, 1]])
    whole = np.eye(4)
    whole[:3, :3] = sheared @ np.diag(np.array((1.3, 1.1, 3.0)) * flip)
    whole[:3, 3] = (-100.3, 50.2, 7.7)
    return whole


PLACES = {
    "axis-aligned": affine(),
    "LPS": affine(flip=(-1, -1, 1)),
    "oblique": affine(8.6, (-1, -1, 1)),
    "turned": affine(33, (1, -1, -1)),
    "tilted": affine(flip=(-1, -1, 1), shear=0.05),
}


def compared(
    ours: Sequence[Any],
    theirs: Sequence[Any],
    place: NDArray[np.float64],
    values: NDArray[np.float32] = VALUES,
) -> tuple[Image, Any]:
    """Both ways forth; fails where they differ."""
    from monai.data import MetaTensor
    from monai.transforms import Compose

    image = preprocess(Image(values=values.copy(), affine=place), tuple(ours))
    tensor = MetaTensor(torch.as_tensor(values.copy()), affine=torch.as_tensor(place))
    other = Compose(list(theirs))(tensor)
    assert image.values.shape == tuple(other.shape)
    np.testing.assert_allclose(
        image.values, other.numpy(), rtol=0, atol=CLOSE * float(np.abs(values).max()) * 3
    )
    np.testing.assert_allclose(image.affine, other.affine.numpy(), rtol=0, atol=1e-9)
    return image, other


def undone(image: Image, other: Any, theirs: Sequence[Any]) -> None:
    """Both ways back, of random numbers."""
    from monai.data import MetaTensor
    from monai.transforms import Compose

    numbers = np.random.default_rng(5).normal(size=image.values.shape).astype(np.float32)
    back = postprocess(image.with_values(numbers.copy()), (steps.Invert(),), {})
    tensor = MetaTensor(
        torch.as_tensor(numbers),
        affine=other.affine,
        applied_operations=other.applied_operations,
    )
    expected = Compose(list(theirs)).inverse(tensor)
    np.testing.assert_allclose(back.values, expected.numpy(), rtol=0, atol=3e-5)
    assert not back.trace


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("axes", ["RAS", "LPS", "SPL"])
def test_orientation_forth_and_back(place: str, axes: str) -> None:
    from monai.transforms import Orientation

    theirs = [Orientation(axcodes=axes)]
    undone(*compared([steps.Orient(axes=axes)], theirs, PLACES[place]), theirs)


@pytest.mark.parametrize("place", PLACES)
def test_orientation_and_spacing_forth_and_back(place: str) -> None:
    from monai.transforms import Orientation, Spacing

    ours = [steps.Orient(axes="RAS"), steps.Spacing(spacing_mm=(1.5, 1.5, 2.0))]
    theirs = [Orientation(axcodes="RAS"), Spacing((1.5, 1.5, 2.0), mode="bilinear")]
    undone(*compared(ours, theirs, PLACES[place]), theirs)


@pytest.mark.parametrize("place", PLACES)
def test_spacing_nearest_and_spacing_that_keeps_an_axis(place: str) -> None:
    from monai.transforms import Spacing

    nearest = steps.Spacing(spacing_mm=(0.9, 1.5, 2.0), interpolation="nearest")
    compared([nearest], [Spacing((0.9, 1.5, 2.0), mode="nearest")], PLACES[place])
    kept = steps.Spacing(spacing_mm=(None, 1.5, 3.0005))
    compared([kept], [Spacing((-1, 1.5, 3.0005), mode="bilinear")], PLACES[place])


@pytest.mark.parametrize("size", [(20, 50, 17), (64, 64, 64), (7, 9, 5)])
@pytest.mark.parametrize(
    ("mode", "interpolation"), [("trilinear", "linear"), ("nearest", "nearest"), ("area", "area")]
)
def test_resize(size: tuple[int, int, int], mode: str, interpolation: Any) -> None:
    from monai.transforms import Resize

    ours = [steps.Resize(size=size, interpolation=interpolation)]
    theirs = [Resize(size, mode=mode)]
    image, other = compared(ours, theirs, affine())
    if interpolation == "linear":
        undone(image, other, theirs)


def test_intensities() -> None:
    from monai import transforms as t

    sparse = np.where(np.abs(VALUES) < 50, np.float32(0), VALUES)
    for ours, theirs, values in (
        (
            steps.ScaleRange(source=(-57, 164), to=(0, 1), clip=True),
            t.ScaleIntensityRange(-57, 164, 0, 1, clip=True),
            VALUES,
        ),
        (
            steps.ScaleRange(source=(-57, 164), to=None),
            t.ScaleIntensityRange(-57, 164),
            VALUES,
        ),
        (steps.ScaleUnit(), t.ScaleIntensity(), VALUES),
        (
            steps.ScaleUnit(to=(-1, 1), per_channel=True),
            t.ScaleIntensity(-1, 1, channel_wise=True),
            VALUES,
        ),
        (steps.Normalize(per_channel=False), t.NormalizeIntensity(), VALUES),
        (
            steps.Normalize(region="nonzero"),
            t.NormalizeIntensity(nonzero=True, channel_wise=True),
            sparse,
        ),
        (
            steps.Normalize(mean=(1.0, 2.0), std=(3.0, 4.0)),
            t.NormalizeIntensity([1, 2], [3, 4], channel_wise=True),
            VALUES,
        ),
        (
            steps.ClipPercentiles(lower=1, upper=99),
            t.ClipIntensityPercentiles(1, 99),
            VALUES,
        ),
    ):
        compared([ours], [theirs], affine(), values)


def test_cuts_and_pads_forth_and_back() -> None:
    from monai import transforms as t

    inside = np.zeros_like(VALUES)
    inside[:, 10:14, 2:30, 5:8] = VALUES[:, 10:14, 2:30, 5:8]
    for ours, theirs in (
        (steps.CropForeground(), t.CropForeground()),
        (steps.CropForeground(margin=4), t.CropForeground(margin=4)),
        (
            steps.CropForeground(margin=4, allow_smaller=True),
            t.CropForeground(margin=4, allow_smaller=True),
        ),
        (steps.CropForeground(divisible_by=16), t.CropForeground(k_divisible=16)),
        (steps.CropCentre(size=(10, 41, 6)), t.CenterSpatialCrop((10, 41, 6))),
        (steps.Pad(size=(50, 41, None)), t.SpatialPad((50, 41, -1))),
        (steps.Pad(divisible_by=(16, 16, 16)), t.DivisiblePad(16)),
        (
            steps.Pad(divisible_by=(16, 16, 16), where="end", mode="edge"),
            t.DivisiblePad(16, method="end", mode="edge"),
        ),
    ):
        undone(*compared([ours], [theirs], affine(), inside), [theirs])


def test_a_whole_chain_forth_and_back() -> None:
    from monai import transforms as t

    smooth = np.maximum(ndimage.gaussian_filter(np.abs(VALUES), (0, 2, 2, 1)) - 60, 0)
    ours = [
        steps.Orient(axes="RAS"),
        steps.Spacing(spacing_mm=(1.5, 1.5, 2.0)),
        steps.CropForeground(above=0.5, margin=2),
        steps.Pad(size=(64, 64, 64)),
    ]
    theirs = [
        t.Orientation(axcodes="RAS"),
        t.Spacing((1.5, 1.5, 2.0), mode="bilinear"),
        t.CropForeground(select_fn=lambda values: values > 0.5, margin=2),
        t.SpatialPad((64, 64, 64)),
    ]
    undone(*compared(ours, theirs, PLACES["oblique"], smooth.astype(np.float32)), theirs)


def test_labels() -> None:
    from monai import transforms as t

    rng = np.random.default_rng(8)
    blobs = ndimage.gaussian_filter(rng.normal(size=(40, 40, 30)), 2)
    labels = np.digitize(blobs, [0.03, 0.06]).astype(np.uint8)[np.newaxis]
    image = Image(values=labels, affine=np.eye(4))
    for ours, theirs in (
        (steps.LargestComponent(), t.KeepLargestConnectedComponent(is_onehot=False)),
        (
            steps.LargestComponent(connectivity=6, keep=3),
            t.KeepLargestConnectedComponent(is_onehot=False, connectivity=1, num_components=3),
        ),
        (
            steps.LargestComponent(labels=(1, 2), independent=False),
            t.KeepLargestConnectedComponent([1, 2], is_onehot=False, independent=False),
        ),
    ):
        mine = postprocess(image, (ours,), {}).values
        np.testing.assert_array_equal(mine, theirs(torch.as_tensor(labels.copy())).numpy())
