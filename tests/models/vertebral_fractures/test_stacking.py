"""More than a disc between two bodies: an endplate was put through one of them."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from models.vertebral_fractures.measuring import Body, Unmeasured
from models.vertebral_fractures.spine import Place
from models.vertebral_fractures.stacking import fits, gap_mm, stacked

NOTHING = cast(Any, SimpleNamespace())
HEIGHT, DISC = 26.0, 9.0


def spine(count: int = 6) -> list[Body]:
    """Upright, from below."""
    found = []
    for number in range(count):
        low = number * (HEIGHT + DISC)
        points = np.zeros((3, 2, 3))
        points[:, :, 1] = np.array([-10.0, 0.0, 10.0])[:, None]
        points[:, 0, 2], points[:, 1, 2] = low + HEIGHT, low
        found.append(
            Body(
                place=Place(number=number, level="", own=NOTHING),
                own=NOTHING,
                strip=NOTHING,
                outline=NOTHING,
                heights_mm=(HEIGHT, HEIGHT, HEIGHT),
                spread_mm=0.6,
                points_mm=points,
            )
        )
    return found


def lowered(body: Body, by: tuple[float, float, float], *, end: int) -> Body:
    """One endplate put further inside: 0 the upper, 1 the lower one."""
    points = body.points_mm.copy()
    points[:, end, 2] += np.array(by) * (1 if end else -1)
    heights = tuple(h - b for h, b in zip(body.heights_mm, by, strict=True))
    return replace(body, points_mm=points, heights_mm=cast(Any, heights))


def test_a_sound_spine_and_one_with_true_fractures_stay() -> None:
    bodies = spine()
    assert gap_mm(bodies[0], bodies[1]) == DISC
    assert stacked(bodies) == bodies
    # A biconcave fracture sinks in its middle, a wedge in front, a crush everywhere.
    for by in ((2.0, 11.0, 1.0), (12.0, 6.0, 0.0), (6.0, 7.0, 6.0)):
        bodies[3] = lowered(spine()[3], by, end=0)
        assert stacked(bodies) == bodies


def test_an_endplate_through_the_middle_of_a_body_is_named_and_the_neighbour_stays() -> None:
    for end in (0, 1):
        bodies = spine()
        bodies[3] = lowered(bodies[3], (10.0, 16.0, 19.0), end=end)
        found = stacked(bodies)
        wrong = found[3]
        assert isinstance(wrong, Unmeasured)
        assert "24 mm lie between" in wrong.reason
        assert all(found[k] is bodies[k] for k in (0, 1, 2, 4, 5))


def test_too_few_distances_tell_nothing() -> None:
    bodies = spine(3)
    bodies[2] = lowered(bodies[2], (10.0, 16.0, 19.0), end=1)
    assert stacked(bodies) == bodies


def test_another_look_is_held_against_the_neighbours() -> None:
    bodies = spine()
    assert fits(bodies[3], bodies)
    assert fits(lowered(bodies[3], (2.0, 8.0, 1.0), end=0), bodies)
    assert not fits(lowered(bodies[3], (10.0, 16.0, 19.0), end=0), bodies)
    assert not fits(lowered(bodies[5], (10.0, 16.0, 19.0), end=1), bodies)
