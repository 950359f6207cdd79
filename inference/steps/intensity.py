"""Steps that change values and channels, and leave the grid as it is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from inference.steps.image import Image, Values, floats
from inference.steps.spatial import filled
from models.manifest_steps import (
    Cast,
    Clip,
    ClipPercentiles,
    CtNormalize,
    Neighbours,
    Normalize,
    RepeatChannels,
    ScaleRange,
    ScaleUnit,
    SelectChannels,
    Windows,
)
from node.domain.errors import ModelError

Floats = NDArray[np.float32]


def scale_range(image: Image, step: ScaleRange) -> Image:
    """MONAI's ScaleIntensityRange, in its order of operations."""
    low, high = step.source
    values = floats(image)
    values -= np.float32(low)
    values /= np.float32(high - low)
    if step.to is not None:
        bottom, top = step.to
        values *= np.float32(top - bottom)
        values += np.float32(bottom)
        if step.clip:
            np.clip(values, bottom, top, out=values)
    return image.with_values(values)


def scale_unit(image: Image, step: ScaleUnit) -> Image:
    """MONAI's ScaleIntensity: smallest and largest value to a range; a constant to its low end."""
    values = floats(image)
    for part in values if step.per_channel else (values,):
        _stretch(part, step.to)
    return image.with_values(values)


def _stretch(values: Floats, to: tuple[float, float]) -> None:
    """In place."""
    low, high = values.min(), values.max()
    bottom, top = to
    if low == high:
        values *= np.float32(bottom)
        return
    values -= low
    values /= high - low
    values *= np.float32(top - bottom)
    values += np.float32(bottom)


def normalize(image: Image, step: Normalize) -> Image:
    """Mean 0 and standard deviation 1, over all values or over a region, which alone changes."""
    values = floats(image)
    mask = filled((image.values != 0).any(axis=0)) if step.region == "filled" else None
    if not step.per_channel:
        _normalize(values, step, 0, mask if mask is None else np.broadcast_to(mask, values.shape))
    else:
        _check_count(step, len(values))
        for channel, part in enumerate(values):
            _normalize(part, step, channel, mask)
    return image.with_values(values)


def _check_count(step: Normalize, channels: int) -> None:
    for name, numbers in (("mean", step.mean), ("std", step.std)):
        if numbers is not None and len(numbers) not in (1, channels):
            raise ModelError(
                f"step normalize: {name} has {len(numbers)} numbers for {channels} channels; "
                "correct model.yaml"
            )


def _normalize(
    values: Floats, step: Normalize, channel: int, mask: NDArray[np.bool_] | None
) -> None:
    """In place."""
    chosen = values != 0 if step.region == "nonzero" else mask
    measured = values if chosen is None else values[chosen]
    if not measured.size:
        return
    mean = measured.mean() if step.mean is None else np.float32(_number(step.mean, channel))
    std = measured.std() if step.std is None else np.float32(_number(step.std, channel))
    if step.least_std is not None:
        std = max(std, np.float32(step.least_std))
    elif std == 0:
        std = np.float32(1.0)
    if chosen is None:
        values -= mean
        values /= std
    else:
        values[chosen] = (measured - mean) / std


def _number(numbers: tuple[float, ...], channel: int) -> float:
    return numbers[channel] if len(numbers) > 1 else numbers[0]


def ct_normalize(image: Image, step: CtNormalize) -> Image:
    """nnU-Net's CTNormalization, each channel by its own numbers."""
    values = floats(image)
    if len(step.mean) not in (1, len(values)):
        raise ModelError(
            f"step ct_normalize has numbers for {len(step.mean)} channels, the image has "
            f"{len(values)}; correct model.yaml"
        )
    for channel in range(len(values)):
        low, high = _number(step.lower, channel), _number(step.upper, channel)
        np.clip(values[channel], np.float32(low), np.float32(high), out=values[channel])
        values[channel] -= np.float32(_number(step.mean, channel))
        values[channel] /= np.float32(max(_number(step.std, channel), 1e-8))
    return image.with_values(values)


def clip(image: Image, step: Clip) -> Image:
    """Cut off below and above."""
    return image.with_values(np.clip(floats(image), step.low, step.high))


def clip_percentiles(image: Image, step: ClipPercentiles) -> Image:
    """Cut off at the image's own percentiles, linear between values."""
    values = floats(image)
    for part in values if step.per_channel else (values,):
        low, high = np.percentile(part, [step.lower, step.upper])
        np.clip(part, np.float32(low), np.float32(high), out=part)
    return image.with_values(values)


def cast(image: Image, step: Cast) -> Image:
    """Through another type and back to float32; integers are cut off towards 0."""
    kind = np.dtype(step.to)
    values: Values = image.values
    if kind.kind in "iu":
        limits = np.iinfo(kind)
        values = np.clip(values, limits.min, limits.max)
    return image.with_values(values.astype(kind).astype(np.float32))


def select_channels(image: Image, step: SelectChannels) -> Image:
    """Some channels, in the order stated."""
    if max(step.channels) >= len(image.values):
        raise ModelError(
            f"step select_channels asks for channel {max(step.channels)} of "
            f"{len(image.values)}, counted from 0; correct model.yaml"
        )
    return image.with_values(image.values[list(step.channels)])


def repeat_channels(image: Image, step: RepeatChannels) -> Image:
    """All channels, several times over."""
    return image.with_values(np.tile(image.values, (step.times, 1, 1, 1)))


def windows(image: Image, step: Windows) -> Image:
    """One channel for each window of the first channel."""
    bottom, top = step.to
    source = image.values[0].astype(np.float32)
    values = np.empty((len(step.windows), *image.shape), np.float32)
    for channel, (centre, width) in enumerate(step.windows):
        low = centre - width / 2
        np.clip(source, low, low + width, out=values[channel])
        values[channel] -= np.float32(low)
        values[channel] *= np.float32((top - bottom) / width)
        values[channel] += np.float32(bottom)
    return image.with_values(values)


def neighbours(image: Image, step: Neighbours) -> Image:
    """Slices at offsets along axis 0 as channels; several channels: all of an offset together."""
    index = np.arange(image.shape[0])
    shifted = [
        image.values[:, np.clip(index + offset, 0, image.shape[0] - 1)] for offset in step.offsets
    ]
    return image.with_values(np.concatenate(shifted))
