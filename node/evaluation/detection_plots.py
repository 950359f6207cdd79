"""Pictures of a detection for its card: FROC curve, reliability plot, gallery of failures (PNG).

From the command that measures a package, once its studies have gone through the product:

    curve = froc(readings)                       # node.evaluation.froc, one `Reading` a study
    draw_operated_froc(out / "froc.png", "Lung nodules", [("simulated", curve)], (0.4, 0.92))
    draw_reliability(out / "reliability.png", "Lung nodules", marks)   # [(certainty, is_true)]
    panels = [failure_panel("missed: 7 mm", voxels, centre, (mask, None)), ...]
    draw_gallery(out / "failures.png", "Lung nodules: missed and false", panels)
    keep_in_card(package, out, ("froc.png", "reliability.png", "failures.png"))  # --write-card

Certainties are 0 to 1. `marks` are all marks of the analysed studies, also those below the
operating threshold. A gallery shows simulated studies only: a card is published.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from node.evaluation.curves import COLOURS, draw_froc
from node.evaluation.froc import Froc
from node.evaluation.statistics import Share

Mask = NDArray[np.bool_]
#: Bounds of the certainty that a point of the reliability plot sums up.
BOUNDS: Final = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
SIZE: Final = 900
_LEFT, _TOP, _RIGHT, _BOTTOM = 110, 90, SIZE - 40, SIZE - 110
_INK, _GRID, _PAPER = (30, 30, 30), (218, 218, 218), (255, 255, 255)
_DOT: Final = COLOURS[4]
#: Edge of a panel as drawn, and height of its words.
_PANEL, _WORDS = 220, 44
TRUTH_COLOUR, MARK_COLOUR = COLOURS[3], COLOURS[5]
#: Half the edge of a panel, voxels of the image.
_HALF: Final = 40


def draw_operated_froc(
    path: Path, title: str, curves: Sequence[tuple[str, Froc]], operating: tuple[float, float]
) -> None:
    """Free-response curves, with the point that the shipped threshold stands at.

    Args:
        curves: name and curve of at most seven kinds of data.
        operating: false positives a study and sensitivity at the shipped threshold.
    """
    draw_froc(
        path,
        title,
        [(name, one.false_positives, one.sensitivity) for name, one in curves],
        operating=operating,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin:
    """Marks of like certainty. `said`: their mean certainty. `true`: how many are right."""

    said: float
    true: Share


def reliability_bins(
    marks: Sequence[tuple[float, bool]], bounds: Sequence[float] = BOUNDS
) -> tuple[Bin, ...]:
    """Marks by their certainty; a range without marks has no bin. The last range is closed."""
    found = []
    for low, high in pairwise(bounds):
        last = high == bounds[-1]
        own = [(c, t) for c, t in marks if low <= c < high or (last and c == high)]
        if own:
            said = float(np.mean([c for c, _ in own]))
            found.append(Bin(said=said, true=Share(hits=sum(t for _, t in own), of=len(own))))
    return tuple(found)


def draw_reliability(
    path: Path, title: str, marks: Sequence[tuple[float, bool]], bounds: Sequence[float] = BOUNDS
) -> None:
    """What share of the marks is true, over how sure the model was of them.

    A dot on the diagonal keeps its word; the bars are Wilson's 95 % intervals, the numbers beside
    them say of how many marks.

    Raises:
        ValueError: no marks.
    """
    bins = reliability_bins(marks, bounds)
    if not bins:
        raise ValueError("a reliability plot needs at least one mark")
    image = Image.new("RGB", (SIZE, SIZE), _PAPER)
    draw = ImageDraw.Draw(image)
    large, small = ImageFont.load_default(30), ImageFont.load_default(22)
    draw.text((_LEFT, 26), title, fill=_INK, font=large)
    for fifth in range(6):
        value = fifth / 5
        x, y = _x(value), _y(value)
        draw.line([(_LEFT, y), (_RIGHT, y)], fill=_GRID)
        draw.line([(x, _TOP), (x, _BOTTOM)], fill=_GRID)
        draw.text((_LEFT - 12, y), f"{value:g}", fill=_INK, font=small, anchor="rm")
        draw.text((x, _BOTTOM + 22), f"{value:g}", fill=_INK, font=small, anchor="mm")
    draw.line([(_LEFT, _BOTTOM), (_RIGHT, _TOP)], fill=_GRID, width=3)
    draw.rectangle((_LEFT, _TOP, _RIGHT, _BOTTOM), outline=_INK, width=2)
    draw.text((_LEFT, _TOP - 18), "share that is true", fill=_INK, font=small, anchor="lm")
    below = f"certainty that the model gave ({len(marks)} marks)"
    draw.text(((_LEFT + _RIGHT) / 2, SIZE - 44), below, fill=_INK, font=small, anchor="mm")
    for one in bins:
        estimate = one.true.estimate
        assert estimate is not None
        assert estimate.low is not None
        assert estimate.high is not None
        x, y = _x(one.said), _y(estimate.value)
        draw.line([(x, _y(estimate.low)), (x, _y(estimate.high))], fill=_DOT, width=4)
        draw.ellipse((x - 9, y - 9, x + 9, y + 9), fill=_DOT)
        right = x < SIZE - 160
        draw.text(
            (x + 16 if right else x - 16, y),
            f"{one.true.hits}/{one.true.of}",
            fill=_INK,
            font=small,
            anchor="lm" if right else "rm",
        )
    image.save(path, optimize=True)


def _x(value: float) -> float:
    return _LEFT + value * (_RIGHT - _LEFT)


def _y(value: float) -> float:
    return _BOTTOM - value * (_BOTTOM - _TOP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One failure. `picture`: (row, column, 3) uint8, square."""

    words: str
    picture: NDArray[np.uint8]


def failure_panel(
    words: str,
    voxels: NDArray[np.integer],
    at: tuple[int, int, int],
    masks: tuple[Mask | None, Mask | None],
    window: tuple[float, float] = (40.0, 400.0),
) -> Panel:
    """The axial surroundings of a voxel, outlined by what is true and by what was marked.

    Args:
        words: one or two short lines.
        voxels: (slice, row, column) HU. at: the middle, the same order.
        masks: truth and mark on the same grid; drawn in `TRUTH_COLOUR` and `MARK_COLOUR`.
        window: centre and width, HU.
    """
    plane = _view(np.asarray(voxels[at[0]], np.float32), at[1:], -1024.0)
    centre, width = window
    grey = (np.clip((plane - centre + width / 2) / width, 0, 1) * 255).astype(np.uint8)
    large = np.asarray(Image.fromarray(grey).resize((_PANEL, _PANEL)))
    picture = np.repeat(large[..., None], 3, axis=2)
    for mask, colour in zip(masks, (TRUTH_COLOUR, MARK_COLOUR), strict=True):
        if mask is None:
            continue
        inside = _view(np.asarray(mask[at[0]], np.uint8), at[1:], 0) > 0
        shown = np.asarray(Image.fromarray(inside).resize((_PANEL, _PANEL)), np.bool_)
        picture[ndimage.binary_dilation(shown, iterations=2) & ~shown] = colour
    return Panel(words=words, picture=picture)


def _view(plane: NDArray[Any], at: Sequence[int], beyond: float) -> NDArray[Any]:
    wide = np.pad(plane, _HALF, constant_values=beyond)
    row, column = at
    return wide[row : row + 2 * _HALF, column : column + 2 * _HALF]


def draw_gallery(path: Path, title: str, panels: Sequence[Panel], columns: int = 4) -> None:
    """Failures side by side; green is the truth, orange the mark.

    Raises:
        ValueError: no panels.
    """
    if not panels:
        raise ValueError("a gallery needs at least one panel")
    rows = -(-len(panels) // columns)
    gap, head = 8, 84
    size = (
        columns * (_PANEL + gap) + gap,
        head + rows * (_PANEL + _WORDS + gap) + gap,
    )
    image = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(image)
    large, small = ImageFont.load_default(26), ImageFont.load_default(16)
    draw.text((gap, 12), title, fill=_INK, font=large)
    for across, (word, colour) in enumerate((("truth", TRUTH_COLOUR), ("mark", MARK_COLOUR))):
        draw.text((gap + 90 * across, 50), word, fill=colour, font=ImageFont.load_default(20))
    for number, panel in enumerate(panels):
        x = gap + (number % columns) * (_PANEL + gap)
        y = head + (number // columns) * (_PANEL + _WORDS + gap)
        image.paste(Image.fromarray(panel.picture), (x, y))
        draw.text((x, y + _PANEL + 4), panel.words, fill=_INK, font=small)
    image.quantize(128).save(path, optimize=True)


def keep_in_card(package: Path, out: Path, names: Sequence[str]) -> None:
    """Copy the pictures beside the card, which shows them as `![...](name)`."""
    for name in names:
        if (out / name).is_file():
            (package / name).write_bytes((out / name).read_bytes())
