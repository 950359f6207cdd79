"""A phantom as a picture: sagittal, coronal and axial planes through its spine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from models.phantoms.trunk import Phantom

#: (centre, width), HU; pixels a mm.
_WINDOW, _PER_MM = (350.0, 1200.0), 1.5


def save_planes(phantom: Phantom, path: Path) -> None:
    """Planes through the middle of the bodies in view, and through L3, side by side."""
    volume = phantom.volume
    dz, dy, dx = volume.spacing_mm
    centres = np.array(list(phantom.truth.centroids_mm.values()))
    index = np.rint(
        (np.linalg.inv(volume.affine) @ np.append(np.median(centres, axis=0), 1.0))[:3]
    ).astype(int)
    hu = np.asarray(volume.voxels, np.float32)[::-1]
    level = len(hu) - 1 - (phantom.truth.l3_slice or int(index[0]))
    row, column = (slice(at - 1, at + 2) for at in index[1:])
    planes = [
        _drawn(hu[:, :, column].mean(axis=2), (dz, dy)),
        _drawn(hu[:, row].mean(axis=1), (dz, dx)),
        _drawn(hu[level], (dy, dx)),
    ]
    wide, high = sum(one.width for one in planes), max(one.height for one in planes)
    whole, at = Image.new("L", (wide, high)), 0
    for one in planes:
        whole.paste(one, (at, 0))
        at += one.width
    path.parent.mkdir(parents=True, exist_ok=True)
    whole.save(path)


def _drawn(plane: NDArray[np.float32], pixel_mm: tuple[float, float]) -> Image.Image:
    grey = np.clip((plane - _WINDOW[0]) / _WINDOW[1] + 0.5, 0, 1) * 255
    rows, columns = (
        max(1, round(n * mm * _PER_MM)) for n, mm in zip(plane.shape, pixel_mm, strict=True)
    )
    return Image.fromarray(grey.astype(np.uint8)).resize((columns, rows))
