"""ROC and free-response curves as pictures (PNG)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Curve = tuple[str, NDArray[np.float64], NDArray[np.float64]]
SIZE: Final = 1200
_LEFT, _TOP, _RIGHT, _BOTTOM = 130, 120, SIZE - 50, SIZE - 130
_INK, _GRID, _PAPER = (30, 30, 30), (218, 218, 218), (255, 255, 255)
#: Told apart by people who do not see red and green alike (Okabe and Ito 2008).
COLOURS: Final = (
    (0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115),
    (0, 114, 178), (213, 94, 0), (204, 121, 167),
)  # fmt: skip
_LOWEST_RATE: Final = 1 / 16
_HIGHEST_RATE: Final = 16.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The horizontal axis. `place`: from a value to 0..1."""

    title: str
    ticks: tuple[tuple[float, str], ...]
    place: Callable[[float], float]


def _logarithmic(rate: float) -> float:
    low, high = math.log2(_LOWEST_RATE), math.log2(_HIGHEST_RATE)
    return (math.log2(min(max(rate, _LOWEST_RATE), _HIGHEST_RATE)) - low) / (high - low)


ROC_AXIS: Final = Axis(
    title="1 - specificity",
    ticks=tuple((value / 5, f"{value / 5:g}") for value in range(6)),
    place=lambda value: value,
)
FROC_AXIS: Final = Axis(
    title="false positives a study",
    ticks=tuple(
        (2.0**power, f"1/{2**-power}" if power < 0 else f"{2**power}") for power in range(-3, 4)
    ),
    place=_logarithmic,
)


def draw_roc(path: Path, title: str, curves: Sequence[Curve]) -> None:
    """ROC curves of at most seven groups, (name, 1 - specificity, sensitivity)."""
    _draw(path, title, curves, ROC_AXIS)


def draw_froc(
    path: Path,
    title: str,
    curves: Sequence[Curve],
    *,
    operating: tuple[float, float] | None = None,
) -> None:
    """Free-response curves of at most seven groups, (name, false positives, sensitivity).

    Args:
        operating: the point at which the shipped threshold stands; a ring is drawn there.
    """
    _draw(path, title, curves, FROC_AXIS, operating=operating)


def _draw(
    path: Path,
    title: str,
    curves: Sequence[Curve],
    axis: Axis,
    *,
    operating: tuple[float, float] | None = None,
) -> None:
    steps = axis is FROC_AXIS
    image = Image.new("RGB", (SIZE, SIZE), _PAPER)
    draw = ImageDraw.Draw(image)
    large, small = ImageFont.load_default(34), ImageFont.load_default(26)
    draw.text((_LEFT, 26), title, fill=_INK, font=large)
    for value, word in axis.ticks:
        x = _x(axis, value)
        draw.line([(x, _TOP), (x, _BOTTOM)], fill=_GRID)
        draw.text((x, _BOTTOM + 26), word, fill=_INK, font=small, anchor="mm")
    for fifth in range(6):
        y = _y(fifth / 5)
        draw.line([(_LEFT, y), (_RIGHT, y)], fill=_GRID)
        draw.text((_LEFT - 16, y), f"{fifth / 5:g}", fill=_INK, font=small, anchor="rm")
    draw.rectangle((_LEFT, _TOP, _RIGHT, _BOTTOM), outline=_INK, width=2)
    draw.text(((_LEFT + _RIGHT) / 2, SIZE - 46), axis.title, fill=_INK, font=small, anchor="mm")
    draw.text((_LEFT, _TOP - 26), "sensitivity", fill=_INK, font=small, anchor="lm")
    if not steps:
        draw.line([(_LEFT, _BOTTOM), (_RIGHT, _TOP)], fill=_GRID, width=2)
    for number, (name, across, up) in enumerate(curves[: len(COLOURS)]):
        colour = COLOURS[number]
        draw.line(_path(axis, across, up, steps=steps), fill=colour, width=5, joint="curve")
        line = _BOTTOM - 40 - 40 * (len(curves[: len(COLOURS)]) - 1 - number)
        draw.line([(_RIGHT - 520, line), (_RIGHT - 470, line)], fill=colour, width=5)
        draw.text((_RIGHT - 456, line), name[:36], fill=_INK, font=small, anchor="lm")
    if operating is not None:
        x, y = _x(axis, operating[0]), _y(operating[1])
        draw.ellipse((x - 14, y - 14, x + 14, y + 14), outline=_INK, width=4)
    image.save(path, optimize=True)


def _path(
    axis: Axis, across: NDArray[np.float64], up: NDArray[np.float64], *, steps: bool
) -> list[tuple[float, float]]:
    points: list[tuple[float, float]] = []
    for x, y in zip(across, up, strict=True):
        if steps and points:
            points.append((_x(axis, float(x)), points[-1][1]))
        points.append((_x(axis, float(x)), _y(float(y))))
    return points


def _x(axis: Axis, value: float) -> float:
    return _LEFT + axis.place(value) * (_RIGHT - _LEFT)


def _y(value: float) -> float:
    return _BOTTOM - value * (_BOTTOM - _TOP)
