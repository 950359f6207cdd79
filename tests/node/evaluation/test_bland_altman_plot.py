"""A plot of agreement: dots, bias, limits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from node.evaluation.bland_altman_plot import _INK, draw_bland_altman


def test_every_pair_is_a_dot_and_too_few_are_refused(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    true = rng.uniform(15, 30, 40)
    path = tmp_path / "plot.png"
    draw_bland_altman(path, "Heights", list(true), list(true + rng.normal(0.5, 1.0, 40)))
    pixels = np.asarray(Image.open(path).convert("RGB")).astype(int)
    blue = (pixels[..., 2] > 150) & (pixels[..., 0] < 60)
    assert blue.sum() > 40 * 20
    ink = (np.abs(pixels - np.array(_INK)) < 8).all(axis=2)
    rows = np.flatnonzero(ink.sum(axis=1) > pixels.shape[1] // 2)
    lines = np.split(rows, np.flatnonzero(np.diff(rows) > 3) + 1)
    assert len(lines) == 5, "bias, both limits, and the frame above and below"
    with pytest.raises(ValueError, match="three pairs"):
        draw_bland_altman(path, "Heights", [1.0], [1.0])
