"""Bland-Altman plots as pictures (PNG)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from node.evaluation.statistics import bland_altman

_WIDTH: Final = 1200
_HEIGHT: Final = 800
_LEFT, _TOP, _RIGHT, _BOTTOM = 130, 90, _WIDTH - 40, _HEIGHT - 110
_INK, _GRID, _PAPER, _DOT = (30, 30, 30), (218, 218, 218), (255, 255, 255), (0, 114, 178)
_LINES: Final = 5


def draw_bland_altman(
    path: Path, title: str, first: Sequence[float], second: Sequence[float]
) -> None:
    """Differences, second minus first, over the means, with bias and limits of agreement.

    Raises:
        ValueError: fewer than three pairs, which have no limits.
    """
    agreed = bland_altman(first, second)
    if agreed is None or agreed.lower is None or agreed.upper is None or len(first) < 3:
        raise ValueError("a Bland-Altman plot needs at least three pairs")
    a, b = np.asarray(first, np.float64), np.asarray(second, np.float64)
    means, differences = (a + b) / 2, b - a
    across = (float(means.min()), float(means.max()) + 1e-6)
    reach = 1.15 * max(
        float(np.abs(differences).max()), abs(agreed.lower.value), abs(agreed.upper.value), 1e-6
    )
    image = Image.new("RGB", (_WIDTH, _HEIGHT), _PAPER)
    draw = ImageDraw.Draw(image)
    large, small = ImageFont.load_default(32), ImageFont.load_default(24)
    draw.text((_LEFT, 28), title, fill=_INK, font=large)

    def x(value: float) -> float:
        return _LEFT + (value - across[0]) / (across[1] - across[0]) * (_RIGHT - _LEFT)

    def y(value: float) -> float:
        return (_TOP + _BOTTOM) / 2 - value / reach * (_BOTTOM - _TOP) / 2

    for value in np.linspace(-reach, reach, _LINES):
        draw.line([(_LEFT, y(value)), (_RIGHT, y(value))], fill=_GRID)
        draw.text((_LEFT - 14, y(value)), f"{value:+.1f}", fill=_INK, font=small, anchor="rm")
    for value in np.linspace(*across, _LINES):
        draw.text((x(value), _BOTTOM + 24), f"{value:.1f}", fill=_INK, font=small, anchor="mm")
    draw.rectangle((_LEFT, _TOP, _RIGHT, _BOTTOM), outline=_INK, width=2)
    for mean, difference in zip(means, differences, strict=True):
        at = (x(float(mean)), y(float(difference)))
        draw.ellipse((at[0] - 4, at[1] - 4, at[0] + 4, at[1] + 4), fill=_DOT)
    for estimate, name in (
        (agreed.bias, "bias"), (agreed.lower, "lower limit"), (agreed.upper, "upper limit"),
    ):  # fmt: skip
        line = y(estimate.value)
        draw.line([(_LEFT, line), (_RIGHT, line)], fill=_INK, width=3)
        words = f"{name} {estimate.value:+.2f}"
        draw.text((_RIGHT - 8, line - 4), words, fill=_INK, font=small, anchor="rs")
    below = f"mean of both (n = {len(first)}); the lines are the bias and the 95 % limits"
    draw.text(((_LEFT + _RIGHT) / 2, _HEIGHT - 36), below, fill=_INK, font=small, anchor="mm")
    image.save(path)
