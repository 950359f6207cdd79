"""Key images: a source image with what was found on it, and a coronal overview."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference.steps.image import image_of
from inference.steps.moves import Reoriented
from inference.steps.spatial import orient
from models.manifest import ModelManifest
from models.manifest_steps import Orient
from node.domain.finding import KeyImage, Overlay
from node.domain.imaging import Volume
from node.domain.label_map import Labels

Mask = NDArray[np.bool_]
Colour = tuple[int, int, int]
#: A mask on a picture, its colour and its name.
Named = tuple[Mask, Colour, str]
#: LPS: letters of the negative and the positive direction of each axis.
_LETTERS = ("RL", "AP", "FH")
#: More names than this do not fit below a picture.
MOST_NAMES = 12
_NO_EDGES = ("", "", "", "")


def window_of(manifest: ModelManifest, values: NDArray[np.float32]) -> tuple[float, float]:
    """(centre, width): as the package says, its network's range, or that of the picture."""
    if manifest.results is not None and manifest.results.window is not None:
        return manifest.results.window
    low, high = manifest.networks[0].value_range
    if high - low <= 1.0:
        low, high = (float(edge) for edge in np.percentile(values, [1.0, 99.0]))
    return (low + high) / 2, max(high - low, 1e-3)


def source_picture(  # noqa: PLR0913 - a picture is one thing
    volume: Volume,
    index: int,
    manifest: ModelManifest,
    caption: str,
    named: Sequence[Named] = (),
    *,
    filled: bool = True,
) -> KeyImage:
    """Source image `index` of the volume as it is stored, with masks (row, column) on it."""
    pixels = np.asarray(volume.voxels[index], np.float32)
    spacing = volume.spacing_mm
    placed = bool(volume.frame_of_reference_uid)
    return KeyImage(
        pixels=pixels,
        window=window_of(manifest, pixels),
        pixel_mm=(spacing[1], spacing[2]),
        plane=volume.planes[index],
        caption=caption,
        overlays=overlays_of(named, filled=filled),
        edges=edges(volume.affine[:3, 2], volume.affine[:3, 1]) if placed else _NO_EDGES,
    )


def coronal_picture(
    volume: Volume, numbers: Labels, manifest: ModelManifest, colours: Sequence[tuple[Colour, str]]
) -> KeyImage | None:
    """The coronal plane that shows most of what was found; None for a thin stack.

    Args:
        numbers: (slice, row, column) numbers of the segments, from 1.
        colours: colour and name of each segment, in the order of its number.
    """
    image = orient(image_of(volume), Orient(axes="PIL"))
    if min(image.shape) < 8:
        return None
    turned = image.trace[-1]
    assert isinstance(turned, Reoriented)
    shown = turned.apply(numbers[np.newaxis])[0]
    index = int(np.argmax((shown > 0).sum(axis=(1, 2))))
    masks = [
        (shown[index] == number, colour, name)
        for number, (colour, name) in enumerate(colours, start=1)
    ]
    pixels = np.ascontiguousarray(image.values[0, index], np.float32)
    spacing = image.grid.spacing_mm
    return KeyImage(
        pixels=pixels,
        window=window_of(manifest, pixels),
        pixel_mm=(spacing[1], spacing[2]),
        caption="Coronal overview, computed from the images",
        overlays=overlays_of([item for item in masks if item[0].any()]),
        edges=("R", "L", "H", "F"),
    )


def overlays_of(named: Sequence[Named], *, filled: bool = True) -> tuple[Overlay, ...]:
    """The largest keep their names, and a name that comes again is written once."""
    ordered = sorted(named, key=lambda item: -int(item[0].sum()))
    overlays = []
    told: set[str] = set()
    for mask, colour, name in ordered:
        label = name if len(told) < MOST_NAMES and name not in told else ""
        told.add(name)
        overlays.append(Overlay(mask=mask, colour=colour, label=label, filled=filled))
    return tuple(overlays)


def edges(right: NDArray[np.float64], down: NDArray[np.float64]) -> tuple[str, str, str, str]:
    """Letters at (left, right, top, bottom) of a picture whose columns and rows run so in LPS."""
    return _letter(-right), _letter(right), _letter(-down), _letter(down)


def _letter(direction: NDArray[np.float64]) -> str:
    axis = int(np.argmax(np.abs(direction)))
    return _LETTERS[axis][int(direction[axis] > 0)]
