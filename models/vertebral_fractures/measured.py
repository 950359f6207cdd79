"""Everything known about the spine of one series, before it is put into words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.grid import Grid
from models.vertebral_fractures.density import Contrast, Density, chosen, passed_over
from models.vertebral_fractures.genant import Grading
from models.vertebral_fractures.measuring import Body, Unmeasured
from models.vertebral_fractures.spine import Spine
from models.vertebral_fractures.verdicts import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Everything known about one series.

    Attributes:
        bodies: measured, from below, with a verdict and a density each.
        gradings: of them, in order; () where too few were measured to hold heights against.
        labels: (slice, row, column) canonical: 1 + index in `bodies`, or 0.
    """

    grid: Grid
    spine: Spine
    bodies: tuple[Body, ...]
    unmeasured: tuple[Unmeasured, ...]
    gradings: tuple[Grading, ...]
    verdicts: tuple[Verdict, ...]
    densities: tuple[Density, ...]
    contrast: Contrast
    labels: NDArray[np.uint8]
    seconds: dict[str, float]

    @property
    def is_graded(self) -> bool:
        """Were enough bodies measured to hold their heights against one another?"""
        return bool(self.gradings)

    @property
    def names(self) -> list[str]:
        """Of the measured bodies: level, or place from below."""
        return [self.name_of(body.place.number) for body in self.bodies]

    def name_of(self, number: int) -> str:
        """Of a body that was found, by its number from below."""
        return self.spine.names[number]

    def bone(self) -> int | None:
        """Index of the body whose attenuation is stated for the exam."""
        return chosen(self.bodies, self.densities, self.gradings) if self.is_graded else None

    def passed_over(self) -> list[tuple[str, str]]:
        """Names of the bodies that come before that one, and why they do not count."""
        if not self.is_graded:
            return []
        found = passed_over(self.bodies, self.densities, self.gradings)
        return [(self.names[index], reason) for index, reason in found]
