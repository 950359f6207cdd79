"""How an image is cut into windows: the settings, the region that matters, the places."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from inference.window_canvas import Corner
from inference.window_places import Starts, starts
from inference.window_weights import SIGMA, Weights, window_weights
from models.manifest import Windows

Array = NDArray[np.float32]

#: What lies outside the image; numpy's word for each.
_PADDING: dict[str, Literal["constant", "edge", "reflect"]] = {
    "constant": "constant",
    "replicate": "edge",
    "reflect": "reflect",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Windowing:
    """How an image is cut and put together again.

    Attributes:
        patch: size of a window, one number for each spatial axis.
        overlap: fraction of a window that it shares with the next, at least; 0 <= overlap < 1.
        batch: windows a call.
        weights: None for "gaussian" where windows overlap and "constant" else.
        sigma: of the Gaussian, as a fraction of the patch.
        least_weight: smaller weights are raised to it; MONAI has 1e-3.
        padding: what is around an image that is smaller than the patch: "constant" (of
            `padding_value`, in the network's range), "replicate" or "reflect".
        starts: rule by which windows are placed.
        mirror_axes: spatial axes, counted from 0, along which each window is also run
            mirrored, in every combination; the mean of all is taken.
        accumulate: type of the sums. float16 is what nnU-Net does, to its last bit; float32
            is more exact.
    """

    patch: tuple[int, ...]
    overlap: float
    batch: int
    weights: Weights | None = None
    sigma: float = SIGMA
    least_weight: float = 0.0
    padding: Literal["constant", "replicate", "reflect"] = "constant"
    padding_value: float = 0.0
    starts: Starts = "even"
    mirror_axes: tuple[int, ...] = ()
    accumulate: Literal["float32", "float16"] = "float32"

    def __post_init__(self) -> None:
        if min(self.patch) < 1 or self.batch < 1 or not 0 <= self.overlap < 1:
            raise ValueError(f"no windows of {self.patch}, {self.overlap} apart, {self.batch} each")
        if len(set(self.mirror_axes)) != len(self.mirror_axes) or not all(
            0 <= axis < len(self.patch) for axis in self.mirror_axes
        ):
            raise ValueError(f"windows of {self.patch} have no axes {self.mirror_axes} to mirror")

    @classmethod
    def of(cls, patch: tuple[int, ...], windows: Windows) -> Windowing:
        """As a package's manifest says, whose words were checked when it was read."""
        settings: Any = {each.name: getattr(windows, each.name) for each in fields(windows)}
        return cls(patch=patch, **settings)

    @property
    def window_weights(self) -> NDArray[np.floating]:
        """(*patch), of the type of the sums."""
        kind = self.weights or ("gaussian" if self.overlap > 0 else "constant")
        dtype = np.float16 if self.accumulate == "float16" else np.float32
        return window_weights(kind, self.patch, self.sigma, self.least_weight, dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Where the result matters. A window that does not touch it is not run.

    Inside, the result is what it is without a region. Outside, it is the mean of those windows
    that were run, and `fill` where there was none.

    Attributes:
        mask: bool, True where it matters; (*spatial), in a stack (image, *spatial).
        fill: value of every class where no window was run. In labels it is always class 0.
    """

    mask: NDArray[np.bool_]
    fill: float = 0.0

    @classmethod
    def box(cls, shape: tuple[int, ...], box: tuple[slice, ...], *, fill: float = 0.0) -> Region:
        """A box in an image of this shape, one slice for each axis."""
        mask = np.zeros(shape, np.bool_)
        mask[box] = True
        return cls(mask=mask, fill=fill)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is run, in order.

    Attributes:
        field: (plane, channel, *rest), padded. A plane is one of the first spatial axis of an
            image, or a whole image of a stack.
        window: size of a window in (plane, *rest).
        single: a window is one image of a stack, not several planes of one image.
        inner: where the image lies in (plane, *rest).
    """

    field: Array
    window: tuple[int, ...]
    single: bool
    inner: tuple[slice, ...]
    corners: tuple[Corner, ...]
    fill: float

    @property
    def spatial(self) -> tuple[int, ...]:
        """(plane, *rest), padding included."""
        return (self.field.shape[0], *self.field.shape[2:])

    @classmethod
    def of_volume(cls, image: Array, windowing: Windowing, region: Region | None) -> Plan:
        """One image, (channel, *spatial). Raises ValueError when the settings do not fit it."""
        _check(image, windowing.patch, 1)
        padded, inner = _pad(image, windowing)
        axes = [
            starts(length, patch, windowing.overlap, windowing.starts)
            for length, patch in zip(padded.shape[1:], windowing.patch, strict=True)
        ]
        return cls(
            field=np.moveaxis(padded, 0, 1),
            window=windowing.patch,
            single=False,
            inner=inner,
            corners=_touching(axes, windowing.patch, inner, region),
            fill=region.fill if region else 0.0,
        )

    @classmethod
    def of_stack(cls, images: Array, windowing: Windowing, region: Region | None) -> Plan:
        """Images, (image, channel, *spatial). Raises ValueError as `of_volume`."""
        _check(images, windowing.patch, 2)
        padded, inner = _pad(images, windowing)
        axes = [
            starts(length, patch, windowing.overlap, windowing.starts)
            for length, patch in zip(padded.shape[2:], windowing.patch, strict=True)
        ]
        window, inner = (1, *windowing.patch), (slice(0, len(images)), *inner)
        return cls(
            field=padded,
            window=window,
            single=True,
            inner=inner,
            corners=_touching([range(len(images)), *axes], window, inner, region),
            fill=region.fill if region else 0.0,
        )

    @property
    def is_one_window(self) -> bool:
        """Each image fits into one window, so that weights would cancel."""
        first = 1 if self.single else 0
        return self.window[first:] == self.spatial[first:]

    def cut(self, corner: Corner) -> Array:
        """(channel, *patch), a view."""
        planes, *rest = (slice(at, at + size) for at, size in zip(corner, self.window, strict=True))
        if self.single:
            image: Array = self.field[corner[0]][(slice(None), *rest)]
            return image
        return np.moveaxis(self.field[(planes, slice(None), *rest)], 0, 1)


def _touching(
    axes: Sequence[Sequence[int]],
    window: tuple[int, ...],
    inner: tuple[slice, ...],
    region: Region | None,
) -> tuple[Corner, ...]:
    """Corners of the windows that hold a voxel of the region; all without one."""
    corners = tuple(itertools.product(*axes))
    if region is None:
        return corners
    shape = tuple(axis.stop - axis.start for axis in inner)
    if region.mask.shape != shape:
        raise ValueError(f"a region of {region.mask.shape} does not fit an image of {shape}")
    chosen = []
    for corner in corners:
        box = tuple(
            slice(max(at - axis.start, 0), max(at + size - axis.start, 0))
            for at, size, axis in zip(corner, window, inner, strict=True)
        )
        if region.mask[box].any():
            chosen.append(corner)
    if not chosen:
        raise ValueError("the region is empty, so there is nothing to run")
    return tuple(chosen)


def _check(images: Array, patch: tuple[int, ...], leading: int) -> None:
    if images.ndim != len(patch) + leading or 0 in images.shape:
        raise ValueError(f"images of shape {images.shape} do not fit windows of {patch}")


def _pad(images: Array, windowing: Windowing) -> tuple[Array, tuple[slice, ...]]:
    """Images at least as large as the patch, and where the original lies in their last axes."""
    margins, inner = [], []
    spatial = images.shape[-len(windowing.patch) :]
    for length, size in zip(spatial, windowing.patch, strict=True):
        missing = max(0, size - length)
        margins.append((missing // 2, missing - missing // 2))
        inner.append(slice(missing // 2, missing // 2 + length))
    if not any(after for _, after in margins):
        return images, tuple(inner)
    widths = [(0, 0)] * (images.ndim - len(margins)) + margins
    mode = _PADDING[windowing.padding]
    if mode == "constant":
        padded = np.pad(images, widths, mode, constant_values=windowing.padding_value)
    else:
        padded = np.pad(images, widths, mode)
    return padded, tuple(inner)
