"""A told nodule is drawn anew: mirrored patches, mirrored back, and their mean."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from models.lung_nodules.contour import MIRRORED, redrawn, with_veil
from models.lung_nodules.refining import PATCH
from tests.models.lung_nodules.test_edge import TISSUE, ball, filled, looked

Images = Mapping[str, NDArray[np.float32]]


class Dense:
    """Draws what is denser than -420 HU, in the first half of each axis of what it is shown."""

    def run(self, image: Images) -> Images:
        shown = image["image"]
        assert shown.shape == (len(MIRRORED), 1, PATCH, PATCH, PATCH)
        half = slice(0, PATCH // 2)
        drawn = np.zeros(shown.shape, np.bool_)
        drawn[:, :, half, half, half] = True
        dense = shown > (1000.0 - 420.0) / 1400.0
        return {"mask": np.where(dense, np.where(drawn, 9.0, 2.0), -9.0).astype(np.float32)}


class Nothing:
    """Draws nothing."""

    def run(self, image: Images) -> Images:
        return {"mask": np.full(image["image"].shape, -9.0, np.float32)}


def test_the_mean_of_all_mirrored_patches_favours_no_side() -> None:
    grid, look = filled((ball(6.0), TISSUE)), looked(6.0)
    drawn = redrawn(grid, look, Dense())  # type: ignore[arg-type]
    inside = drawn.share[drawn.share > 0.5]
    # One patch in eight shows each voxel in the part that is surely drawn.
    expected = (7.0 / (1.0 + np.exp(-2.0)) + 1.0 / (1.0 + np.exp(-9.0))) / 8.0
    assert inside == pytest.approx(np.full(inside.size, expected), abs=1e-3)
    assert (drawn.share > 0.5).sum() * 0.7**3 == pytest.approx(4 / 3 * np.pi * 6.0**3, rel=0.1)
    assert (drawn.logit, drawn.candidate, drawn.step_mm) == (
        look.logit, look.candidate, look.step_mm,
    )  # fmt: skip


class Ball:
    """Draws a ball of so many voxels' radius in the middle."""

    def __init__(self, radius: float) -> None:
        line = np.arange(PATCH) - (PATCH - 1) / 2
        away = np.sqrt(line[:, None, None] ** 2 + line[:, None] ** 2 + line**2)
        self._mask = np.where(away < radius, 9.0, -9.0).astype(np.float32)
        self.calls = 0

    def run(self, image: Images) -> Images:
        self.calls += 1
        return {"mask": np.broadcast_to(self._mask, image["image"].shape)}


@pytest.mark.parametrize(("voxels", "weight"), [(8.0, 0.0), (8.5, 0.5), (11.0, 1.0)])
def test_its_drawing_counts_where_it_is_clearly_the_larger_one(
    voxels: float, weight: float
) -> None:
    # The rules of the edge have nothing to add: it is solid all through.
    grid, look = filled((ball(9.0), TISSUE)), looked(5.6)
    best = with_veil(grid, look, look, Ball(voxels))  # type: ignore[arg-type]
    assert (best is look) == (weight == 0.0)
    anew = 4 / 3 * np.pi * (voxels * 0.7) ** 3
    between = weight * anew + (1 - weight) * look.volume_mm3
    assert best.volume_mm3 == pytest.approx(between, rel=0.06)


def test_a_wide_look_is_not_drawn_anew() -> None:
    grid, look, network = filled((ball(9.0), TISSUE)), looked(9.0, 1.4), Ball(20.0)
    assert with_veil(grid, look, look, network) is look  # type: ignore[arg-type]
    assert network.calls == 0


def test_where_nothing_is_drawn_the_look_stays() -> None:
    grid, look = filled((ball(6.0), TISSUE)), looked(6.0)
    assert redrawn(grid, look, Nothing()) is look  # type: ignore[arg-type]
