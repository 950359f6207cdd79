"""Cropping, normalisation and resampling forth and back equal nnU-Net's own functions."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from inference.steps.chain import postprocess, preprocess
from inference.steps.image import Image
from models import manifest_steps as steps

pytest.importorskip("torch", reason="PyTorch is not installed: run `make import-test`")
pytest.importorskip("nnunetv2", reason="nnU-Net is not installed: run `make import-test`")

CASES = [
    ((2.5, 0.8, 0.8), (3.0, 1.5, 1.5), (30, 64, 50)),
    ((5.0, 0.8, 0.8), (3.0, 1.2, 1.2), (20, 64, 50)),
    ((1.0, 1.0, 1.0), (4.0, 1.0, 1.0), (40, 30, 30)),
    ((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), (20, 20, 20)),
    ((3.0, 3.0, 0.9), (1.5, 1.5, 1.5), (20, 20, 60)),
    ((6.0, 0.8, 0.8), (6.0, 0.5, 0.5), (12, 40, 40)),
]


class _Anything(types.ModuleType):
    """Stands for blosc2, which nnU-Net names in annotations and uses in training only."""

    def __getattr__(self, name: str) -> object:
        return types.SimpleNamespace(NDArray=object)


@pytest.fixture(autouse=True)
def no_blosc(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "blosc2", _Anything("blosc2"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("now", "wanted", "shape"), CASES)
def test_a_case_forth_and_back(
    now: tuple[float, float, float],
    wanted: tuple[float, float, float],
    shape: tuple[int, int, int],
) -> None:
    from nnunetv2.preprocessing.cropping.cropping import crop_to_nonzero
    from nnunetv2.preprocessing.normalization.default_normalization_schemes import (
        CTNormalization,
        ZScoreNormalization,
    )
    from nnunetv2.preprocessing.resampling.default_resampling import (
        resample_data_or_seg_to_shape,
        resample_data_or_seg_to_spacing,
    )

    rng = np.random.default_rng(1)
    whole = np.zeros((1, *shape), np.float32)
    inner = whole[:, 2:-2, 3:-3, 4:-4]
    inner[...] = rng.normal(size=inner.shape) * 100 + 40
    data, outside, box = crop_to_nonzero(whole.copy())
    properties = {"mean": 30.0, "std": 50.0, "percentile_00_5": -100.0, "percentile_99_5": 200.0}
    normal = CTNormalization(intensityproperties=properties).run(data[0].copy())[np.newaxis]
    settings = {"is_seg": False, "order_z": 0, "force_separate_z": None}
    expected = resample_data_or_seg_to_spacing(normal, now, wanted, order=3, **settings)

    image = preprocess(
        Image(values=whole.copy(), affine=np.diag([*now, 1.0])),
        (
            steps.CropNonzero(),
            steps.CtNormalize(lower=(-100.0,), upper=(200.0,), mean=(30.0,), std=(50.0,)),
            steps.Spacing(spacing_mm=wanted, interpolation="cubic", grid="nnunet"),
        ),
    )
    assert image.values.shape == expected.shape
    np.testing.assert_allclose(image.values, expected, rtol=0, atol=5e-6)

    masked = ZScoreNormalization(use_mask_for_norm=True, intensityproperties={})
    z_score = preprocess(
        Image(values=whole.copy(), affine=np.diag([*now, 1.0])),
        (steps.CropNonzero(), steps.Normalize(region="filled", least_std=1e-8)),
    )
    np.testing.assert_array_equal(z_score.values[0], masked.run(data[0].copy(), outside[0]))

    logits = rng.normal(size=(3, *expected.shape[1:])).astype(np.float32)
    back = resample_data_or_seg_to_shape(logits, data.shape[1:], wanted, now, order=1, **settings)
    labels = np.zeros(shape, np.uint8)
    labels[tuple(slice(low, high) for low, high in box)] = back.argmax(0)
    ours = postprocess(
        image.with_values(logits),
        (
            steps.Invert(interpolation="linear", only=("spacing",)),
            steps.Argmax(),
            steps.Invert(interpolation="nearest"),
        ),
        {},
    )
    assert np.mean(ours.values[0] == labels) > 0.9999
