"""Key images as PNG files, for looking at them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from node.domain.finding import Findings, KeyImage

_WIDTH = 700


def save_pictures(findings: Findings, folder: Path, name: str) -> None:
    """Each key image with its overlays, and the plain one beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, key in enumerate(findings.key_images):
        _picture(key).save(folder / f"{name}-{number}.png")


def _picture(key: KeyImage) -> Image.Image:
    centre, width = key.window
    grey = np.clip((key.pixels - centre + width / 2) / width, 0, 1) * 255
    plain = np.repeat(grey[..., None], 3, axis=2)
    coloured = plain.copy()
    for overlay in key.overlays:
        coloured[overlay.mask] = 0.45 * coloured[overlay.mask] + 0.55 * np.array(overlay.colour)
    both = np.concatenate([plain, coloured], axis=1).astype(np.uint8)
    height = round(_WIDTH * both.shape[0] * key.pixel_mm[0] / (plain.shape[1] * key.pixel_mm[1]))
    return Image.fromarray(both).resize((2 * _WIDTH, max(1, height)))
