"""How much of a nodule's border is seen, and the wider look where it is not."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from models.lung_nodules.refining import PATCH, joined_share, with_surroundings
from tests.models.lung_nodules.test_edge import TISSUE, ball, cover, filled, looked, places


class Drawing:
    """A refiner that draws a cube of so many voxels in the middle, or nothing."""

    def __init__(self, half: int) -> None:
        self.calls = 0
        self._half = half

    def run(self, image: Mapping[str, NDArray[np.float32]]) -> Mapping[str, NDArray[np.float32]]:
        self.calls += 1
        count = len(image["image"])
        mask = np.full((count, 1, PATCH, PATCH, PATCH), -9.0, np.float32)
        middle = slice(PATCH // 2 - self._half, PATCH // 2 + self._half)
        mask[:, :, middle, middle, middle] = 9.0
        return {"mask": mask, "score": np.full((count, 1), -4.0, np.float32)}


def test_a_nodule_within_lung_is_seen_all_round() -> None:
    assert joined_share(filled((ball(6.0), TISSUE)), looked(6.0)) < 0.02


def test_of_a_nodule_half_within_the_wall_half_of_the_border_is_not_seen() -> None:
    _, _, x = places()
    grid = filled((ball(6.0), TISSUE), (cover(-x), TISSUE))
    assert joined_share(grid, looked(6.0)) == pytest.approx(0.5, abs=0.06)


def test_the_wider_look_draws_the_mask_and_the_nearer_one_says_whether_it_is_a_nodule() -> None:
    grid, look = filled((ball(7.0), TISSUE)), looked(7.0)
    wide = with_surroundings(grid, look, Drawing(6))  # type: ignore[arg-type]
    assert wide.step_mm == pytest.approx(1.4)
    assert wide.volume_mm3 == pytest.approx((12 * 1.4) ** 3, rel=0.01)
    assert wide.logit == look.logit


@pytest.mark.parametrize(
    ("radius", "step_mm", "half", "calls"), [(4.0, 0.7, 6, 0), (7.0, 1.4, 6, 0), (7.0, 0.7, 0, 1)]
)
def test_a_small_one_a_wide_look_and_one_that_is_lost_stay_as_they_are(
    radius: float, step_mm: float, half: int, calls: int
) -> None:
    grid, look, network = filled((ball(radius), TISSUE)), looked(radius, step_mm), Drawing(half)
    assert with_surroundings(grid, look, network) is look  # type: ignore[arg-type]
    assert network.calls == calls
