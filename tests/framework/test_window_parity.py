"""Our sliding windows against those of MONAI and nnU-Net themselves, by their own settings."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from inference.windows import Windowing, run_labels, run_maps, run_stack, run_windows

torch = pytest.importorskip("torch", reason="compares with MONAI and nnU-Net; PyTorch is not here")

Array = NDArray[np.float32]
CASES = range(12)


class Position:
    """A network whose output depends on where in the window a voxel lies."""

    def __init__(self, patch: tuple[int, ...], rng: np.random.Generator) -> None:
        self._field = rng.normal(size=(3, *patch)).astype(np.float32)

    def __call__(self, inputs: Array) -> Array:
        return inputs[:, :1] * self._field + inputs[:, 1:]

    def in_torch(self, inputs: Any) -> Any:
        return torch.from_numpy(self(inputs.numpy()))


def drawn(case: int, axes: int) -> tuple[np.random.Generator, tuple[int, ...], Array]:
    rng = np.random.default_rng(case)
    patch = tuple(int(size) for size in rng.integers(4, 17, axes))
    spatial = tuple(int(size) for size in rng.integers(9, 40, 3))[-axes:]
    return rng, patch, rng.normal(size=(2, *spatial)).astype(np.float32)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("weights", ["constant", "gaussian"])
@pytest.mark.parametrize("padding", ["constant", "replicate", "reflect"])
def test_result_equals_monai(case: int, axes: int, weights: Any, padding: Any) -> None:
    inferers = pytest.importorskip("monai.inferers")
    rng, patch, image = drawn(case, axes)
    network = Position(patch, rng)
    overlap = float(rng.choice([0, 0.25, 0.5, 0.625, 0.8]))
    sigma = float(rng.choice([0.125, 0.3]))
    value = -1.5 if padding == "constant" else 0.0
    reference = inferers.sliding_window_inference(
        torch.from_numpy(image[np.newaxis]),
        patch,
        2,
        network.in_torch,
        overlap=overlap,
        mode=weights,
        sigma_scale=sigma,
        padding_mode=padding,
        cval=value,
    )[0].numpy()
    windowing = Windowing(
        patch=patch,
        overlap=overlap,
        batch=2,
        weights=weights,
        sigma=sigma,
        least_weight=1e-3,
        padding=padding,
        padding_value=value,
        starts="monai",
    )
    ours = run_windows(network, image, windowing)
    if weights == "constant":
        np.testing.assert_array_equal(ours, reference)
    np.testing.assert_allclose(ours, reference, atol=5e-6)
    # 3 random scores are never so near that rounding decides.
    np.testing.assert_array_equal(run_labels(network, image, windowing), reference.argmax(0))


@pytest.mark.parametrize("weights", ["constant", "gaussian"])
@pytest.mark.parametrize("case", CASES)
def test_maps_of_other_resolutions_equal_monai(case: int, weights: Any) -> None:
    inferers = pytest.importorskip("monai.inferers")
    rng, _, image = drawn(case, 3)
    patch, overlap = (16, 24, 8), float(rng.choice([0, 0.25, 0.5]))

    def infer(inputs: Array) -> list[Array]:
        return [np.ascontiguousarray(inputs[:, :, ::n, ::n, ::n]) for n in (2, 4, 8)]

    reference = inferers.sliding_window_inference(
        torch.from_numpy(image[np.newaxis]),
        patch,
        3,
        lambda inputs: [torch.from_numpy(output) for output in infer(inputs.numpy())],
        overlap=overlap,
        mode=weights,
    )
    windowing = Windowing(
        patch=patch, overlap=overlap, batch=3, weights=weights, least_weight=1e-3, starts="monai"
    )
    ours = run_maps(infer, image, windowing)
    assert len(ours) == len(reference) == 3
    for mine, theirs in zip(ours, reference, strict=True):
        np.testing.assert_allclose(mine, theirs[0].numpy(), atol=5e-6)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("mirrored", [False, True])
def test_logits_equal_nnunet_to_the_last_bit(case: int, axes: int, mirrored: bool) -> None:
    predicting = pytest.importorskip("nnunetv2.inference.predict_from_raw_data")
    rng, patch, image = drawn(case, 3)
    patch = patch[-axes:]
    network = Position(patch, rng)
    step = float(rng.choice([0.3, 0.5, 0.8, 1.0]))
    predictor = predicting.nnUNetPredictor(
        tile_step_size=step,
        use_gaussian=True,
        use_mirroring=mirrored,
        perform_everything_on_device=False,
        device=torch.device("cpu"),
        allow_tqdm=False,
    )

    class Wrapped(torch.nn.Module):  # type: ignore[misc]
        def forward(self, inputs: Any) -> Any:
            return network.in_torch(inputs)

    predictor.network = Wrapped()
    predictor.configuration_manager = types.SimpleNamespace(patch_size=list(patch))
    predictor.label_manager = types.SimpleNamespace(num_segmentation_heads=3)
    predictor.allowed_mirroring_axes = tuple(range(axes))
    reference = predictor.predict_sliding_window_return_logits(torch.from_numpy(image)).numpy()
    windowing = Windowing(
        patch=patch,
        overlap=1 - step,
        batch=3,
        weights="gaussian_nnunet",
        starts="nnunet",
        mirror_axes=tuple(range(axes)) if mirrored else (),
        accumulate="float16",
    )
    if axes == 3:
        ours = run_windows(network, image, windowing)
    else:
        planes = np.ascontiguousarray(np.moveaxis(image, 1, 0))
        ours = np.moveaxis(run_stack(network, planes, windowing), 0, 1)
    np.testing.assert_array_equal(ours.astype(np.float16), reference)
