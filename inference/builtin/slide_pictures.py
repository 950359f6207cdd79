"""Key images of a slide: an overview with what was found, and single tiles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from inference.builtin.pictures import Named, overlays_of
from inference.builtin.slide_tiles import TilePlan, raw_tile
from inference.builtin.tissue import overview
from node.domain.finding import KeyImage, Overlay
from node.domain.slide import Level, Slide

#: Longest side of an overview, pixels.
_SIDE = 1024
#: Grey values of a picture: from black to glass.
_WINDOW = (128.0, 256.0)


def overview_picture(
    slide: Slide,
    plan: TilePlan,
    marked: Sequence[tuple[NDArray[np.bool_], tuple[int, int, int], str]],
    caption: str,
) -> KeyImage:
    """The whole slide in grey.

    Args:
        marked: (row, column) of the grid of tiles, colour and name.
    """
    base = slide.levels[0]
    mpp_um = max(base.rows, base.columns) * base.mpp_um / _SIDE
    image, level = overview(slide, mpp_um)
    named: list[Named] = [
        (on_overview(mask, plan, level), colour, name) for mask, colour, name in marked
    ]
    return KeyImage(
        pixels=_grey(image),
        window=_WINDOW,
        pixel_mm=(level.mpp_um / 1000.0, level.mpp_um / 1000.0),
        plane=slide.plane,
        caption=caption,
        overlays=overlays_of(named),
    )


def on_overview(mask: NDArray[np.bool_], plan: TilePlan, level: Level) -> NDArray[np.bool_]:
    """A mask over the grid of tiles on the pixels of a level; each tile stands for one step."""
    factor = level.mpp_um / plan.mpp_um
    index = [
        np.minimum(((np.arange(count) + 0.5) * factor / step).astype(np.int64), size - 1)
        for count, step, size in zip((level.rows, level.columns), plan.step, plan.grid, strict=True)
    ]
    return np.asarray(mask[np.ix_(*index)], np.bool_)


def tile_picture(
    slide: Slide, plan: TilePlan, number: int, caption: str, overlays: tuple[Overlay, ...] = ()
) -> KeyImage:
    """One tile of the plan in grey, as the network's resolution shows it."""
    return KeyImage(
        pixels=_grey(raw_tile(slide, plan, plan.places[number])),
        window=_WINDOW,
        pixel_mm=(plan.mpp_um / 1000.0, plan.mpp_um / 1000.0),
        plane=slide.plane,
        caption=caption,
        overlays=overlays,
    )


def _grey(image: NDArray[np.uint8] | NDArray[np.float32]) -> NDArray[np.float32]:
    """Luminance of (row, column, 3), ITU-R BT.601."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.asarray(image.astype(np.float32) @ weights, np.float32)
