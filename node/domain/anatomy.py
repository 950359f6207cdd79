"""What the shared anatomy network sees in one series: organs, bones, vertebrae by name.

Computed once for a series and handed to every package that asks for it (`uses: [anatomy]`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Name of the package that sees anatomy for all others.
ANATOMY = "anatomy"


#: Levels from below, as far up as one is named.
LEVELS = (*[f"L{n}" for n in range(5, 0, -1)], *[f"T{n}" for n in range(12, 0, -1)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Vertebra:
    """One vertebral body.

    Attributes:
        level: e.g. "L3"; "" where no anchor in view fixes it. A level is never guessed.
        value: its label in `Anatomy.labels`.
        centre_mm: (3,) LPS mm, its centroid.
    """

    level: str
    value: int
    centre_mm: tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """Labels of one series on a grid of their own.

    Attributes:
        labels: (slice, row, column) uint8: to the head, to posterior, to the left.
        affine: (4, 4) float64, label index to LPS mm.
        names: label value -> name ("liver", "kidney_left", "vertebra_L3").
        vertebrae: from below.
        anchors: what the levels rest on, in words; () where nothing fixes them.
        doubts: what speaks against the levels, in words.
        cut: names of the structures that reach the edge of what was imaged (first or last slice,
            field of view): they go on beyond it.
        model_digest: of the package that made it.
    """

    labels: NDArray[np.uint8]
    affine: NDArray[np.float64]
    names: Mapping[int, str]
    vertebrae: tuple[Vertebra, ...]
    anchors: tuple[str, ...]
    doubts: tuple[str, ...]
    model_digest: str
    cut: tuple[str, ...] = ()

    @property
    def voxel_ml(self) -> float:
        """Volume of one label voxel, ml."""
        return float(abs(np.linalg.det(self.affine[:3, :3])) / 1000.0)

    def mask(self, *names: str) -> NDArray[np.bool_]:
        """(slice, row, column) True where one of the structures is."""
        values = [value for value, name in self.names.items() if name in names]
        return np.isin(self.labels, values)


#: Gives the anatomy of the series; the first call computes it. Raises ModelError where it cannot.
SeeAnatomy = Callable[[], Anatomy]
