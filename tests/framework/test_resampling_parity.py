"""Our resampling against MONAI's and nnU-Net's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference.resampling import resample, resize, resize_separately

torch = pytest.importorskip("torch", reason="compares with MONAI and nnU-Net; PyTorch is not here")


@pytest.mark.parametrize("case", range(10))
@pytest.mark.parametrize("is_oblique", [False, True])
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
@pytest.mark.parametrize("padding", ["border", "zeros"])
def test_an_affine_map_equals_monai(case: int, is_oblique: bool, mode: str, padding: str) -> None:
    monai = pytest.importorskip("monai.transforms")
    data = pytest.importorskip("monai.data")
    rng = np.random.default_rng(case)
    image = (rng.normal(size=(17, 23, 12)) * 1000).astype(np.int16)
    shape = (13, 30, 19)
    matrix = np.diag([*rng.uniform(0.4, 1.7, 3), 1.0])
    if is_oblique:
        matrix[:3, :3] = np.linalg.qr(rng.normal(size=(3, 3)))[0] @ matrix[:3, :3]
    matrix[:3, 3] = rng.uniform(-1, 3, 3)
    moved = monai.SpatialResample(mode=mode, padding_mode=padding)(
        data.MetaTensor(torch.from_numpy(image[np.newaxis]), affine=torch.eye(4)),
        dst_affine=torch.from_numpy(matrix),
        spatial_size=shape,
    )
    expected = np.asarray(moved[0])
    outside: Any = "nearest" if padding == "border" else 0.0
    result = resample(image, matrix, shape, "linear" if mode == "bilinear" else "nearest", outside)
    np.testing.assert_allclose(result, expected, atol=2e-3)


@pytest.mark.parametrize("case", range(10))
@pytest.mark.parametrize("order", [1, 3])
def test_a_resized_volume_equals_nnunet(case: int, order: Any) -> None:
    resampling = pytest.importorskip("nnunetv2.preprocessing.resampling.default_resampling")
    rng = np.random.default_rng(case)
    image = rng.normal(size=tuple(rng.integers(4, 30, 3))).astype(np.float32)
    shape: Any = tuple(int(size) for size in rng.integers(4, 40, 3))
    expected = resampling.resample_data_or_seg(image[np.newaxis], shape, order=order)[0]
    np.testing.assert_allclose(resize(image, shape, order), expected, atol=5e-6)
    for axis in range(3):
        for order_z in (0, 1):
            expected = resampling.resample_data_or_seg(
                image[np.newaxis], shape, False, axis, order, True, order_z
            )[0]
            result = resize_separately(image, shape, axis, order, order_z)  # type: ignore[arg-type]
            np.testing.assert_allclose(result, expected, atol=5e-6)
