"""A clean picture of (a part of) a chest before the scanner, and what lesions paint into it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.phantoms.chest_lattice import Axes
from models.phantoms.shapes import Box, Canvas, Field


@dataclass(frozen=True, slots=True)
class Painted:
    """Part of each voxel of a box that a lesion fills, 0 to 1."""

    box: Box
    share: Field


@dataclass(frozen=True, slots=True)
class ChestCanvas(Canvas):
    """A grid in the patient's own frame with labels and clean attenuation.

    Attributes (besides `z`, `y`, `x` mm and `labels` of `Canvas`; labels are `ChestTissue`):
        hu: (z, y, x) float32, without noise and blur.
        lesions: by name, what was painted with `blend`.
    """

    hu: Field = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))
    lesions: dict[str, list[Painted]] = field(default_factory=dict)

    @classmethod
    def blank(cls, axes: Axes) -> ChestCanvas:
        """Air on the grid of z, y, x axes."""
        shape = tuple(axis.size for axis in axes)
        return cls(*axes, np.zeros(shape, np.uint8), np.full(shape, -1000.0, np.float32))

    @property
    def axes(self) -> Axes:
        """z, y, x of the voxel centres, mm."""
        return self.z, self.y, self.x

    @property
    def voxel_mm(self) -> float:
        """Edge of a cube as large as a voxel."""
        return float(np.prod(self.steps) ** (1 / 3))

    def view(self, box: Box) -> ChestCanvas:
        """A part of this canvas that shares its memory."""
        return ChestCanvas(
            self.z[box[0]], self.y[box[1]], self.x[box[2]], self.labels[box], self.hu[box],
            self.lesions,
        )  # fmt: skip

    def blend(
        self, name: str, box: Box, share: Field, hu: Field | float, label: int | None = None
    ) -> None:
        """Replace a share of each voxel of `box` by matter of `hu`, and keep the share as truth.

        Args:
            name: of the lesion; painting twice under one name makes one lesion (the larger share).
            share: (box) 0 to 1. hu: (box) or one value.
            label: given to voxels of which more than half is filled; None keeps the label.

        An empty box (a lesion outside this canvas) does nothing.
        """
        if share.size == 0:
            return
        region = self.hu[box]
        region += share * (hu - region)
        if label is not None:
            self.labels[box][share > 0.5] = label
        self.lesions.setdefault(name, []).append(Painted(box, share.astype(np.float32)))


Lesion = Callable[[ChestCanvas], None]
"""Paints itself with `ChestCanvas.blend`; places are mm of the patient's frame, so that the same
lesion comes out the same on a whole chest and on a block."""


@dataclass(frozen=True, slots=True)
class LesionTruth:
    """One lesion on the recorded grid.

    Attributes:
        box: part of the grid. share: (box) float32, part of each recorded voxel that is lesion
            (mean over the thickness of the slice), before any blur.
    """

    box: Box
    share: Field

    def mask(self, shape: Sequence[int]) -> NDArray[np.bool_]:
        """(shape) True where at least half of the voxel is lesion."""
        out = np.zeros(tuple(shape), np.bool_)
        out[self.box] = self.share >= 0.5
        return out

    def volume_mm3(self, spacing_mm: Sequence[float]) -> float:
        """From the shares, so without loss at the edge."""
        return float(self.share.sum(dtype=np.float64) * np.prod(spacing_mm))


def gathered(canvas: ChestCanvas) -> dict[str, Painted]:
    """One entry per lesion on the canvas: the union of what was painted under its name."""
    out = {}
    for name, parts in canvas.lesions.items():
        low = [min(p.box[a].start for p in parts) for a in range(3)]
        high = [max(p.box[a].stop for p in parts) for a in range(3)]
        share = np.zeros([h - b for b, h in zip(low, high, strict=True)], np.float32)
        for part in parts:
            where = tuple(
                slice(axis.start - b, axis.stop - b) for axis, b in zip(part.box, low, strict=True)
            )
            np.maximum(share[where], part.share, out=share[where])
        box = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
        out[name] = Painted(box, share)
    return out
