"""How much each voxel of a window counts: a network is least sure at the edge of what it sees."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Array = NDArray[np.float32]

#: "gaussian": MONAI's, centred between the middle voxels of an even axis. "gaussian_nnunet":
#: nnU-Net's, centred on voxel n // 2, largest 10, cut off at 4 sigma.
Weights = Literal["constant", "gaussian", "gaussian_nnunet"]

#: Standard deviation as a fraction of the patch; MONAI and nnU-Net use the same.
SIGMA = 0.125
#: `value_scaling_factor` of nnU-Net: uses more of the range of float16.
_NNUNET_LARGEST = 10.0


def gaussian(patch: tuple[int, ...], sigma: float = SIGMA, least: float = 0.0) -> Array:
    """(*patch) float32, the product of one Gaussian an axis, in the middle 1 where sizes are odd.

    The corner of a 3-D patch weighs 4e-11, which float32 holds; a floor, as where weights are
    float16, would make a window's worst voxels count as much as another's better ones.

    Args:
        sigma: standard deviation as a fraction of each side.
        least: smaller weights are raised to it; MONAI has 1e-3.
    """
    weights = np.ones((), np.float32)
    for size in patch:
        distance = np.arange(size, dtype=np.float32) - np.float32((size - 1) / 2)
        axis = np.exp(distance**2 / np.float32(-2 * (sigma * size) ** 2))
        weights = weights[..., np.newaxis] * axis
    # A narrow Gaussian in a large patch is 0 at the corner of float32.
    smallest = weights[weights > 0].min()
    scaled: Array = np.maximum(weights, max(least, float(smallest))).astype(np.float32)
    return scaled


def gaussian_nnunet(
    patch: tuple[int, ...], sigma: float = SIGMA, least: float = 0.0
) -> NDArray[np.float64]:
    """(*patch) float64, largest 10; what is cut off is 0 and for the caller to raise."""
    weights = np.ones((), np.float64)
    for size in patch:
        impulse = np.zeros(size)
        impulse[size // 2] = 1.0
        axis = ndimage.gaussian_filter1d(impulse, sigma * size, mode="constant")
        weights = weights[..., np.newaxis] * axis
    scaled: NDArray[np.float64] = np.maximum(weights / (weights.max() / _NNUNET_LARGEST), least)
    return scaled


def window_weights(
    kind: Weights,
    patch: tuple[int, ...],
    sigma: float,
    least: float,
    dtype: type[np.float32] | type[np.float16],
) -> NDArray[np.floating]:
    """(*patch) of the type that is summed in; nowhere 0."""
    if kind == "constant":
        return np.ones(patch, dtype)
    if kind == "gaussian":
        weights: NDArray[Any] = gaussian(patch, sigma, least).astype(dtype)
    else:
        weights = gaussian_nnunet(patch, sigma, least).astype(dtype)
    # 0 would divide by 0 where a voxel lies in one window only.
    is_zero = weights == 0
    if is_zero.any():
        weights[is_zero] = weights[~is_zero].min()
    return weights


def scaled_weights(weights: NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.floating]:
    """Weights for an output of another resolution: of the nearest voxel, as MONAI takes them."""
    for axis, (size, wanted) in enumerate(zip(weights.shape, shape, strict=True)):
        if size != wanted:
            # Centres onto centres; torch calls it "nearest-exact".
            nearest = ((np.arange(wanted) + 0.5) * (size / wanted)).astype(np.intp)
            weights = weights.take(np.minimum(nearest, size - 1), axis=axis)
    return weights
