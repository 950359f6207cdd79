"""The pictures show what lies in them."""

from __future__ import annotations

import numpy as np

from models.body_composition.levels import Body, LevelMap
from models.body_composition.naming import MidL3
from models.body_composition.pictures import level_picture
from models.grid import Axis, Grid


def body(name: str, middle: float) -> Body:
    return Body(
        name=name,
        ml=30.0,
        centre=(middle, 10.0, 10.0),
        centre_mm=(0.0, 0.0, middle),
        lowest=middle - 10.0,
        highest=middle + 10.0,
        cut=False,
    )


def along(count: int) -> Axis:
    return Axis(start=0.0, step=1.0, count=count)


def test_a_level_whose_middle_lies_beyond_the_images_is_not_marked() -> None:
    shape = (60, 20, 20)
    grid = Grid(
        hu=np.zeros(shape, np.float32),
        spacing_mm=(1.0, 1.0, 1.0),
        affine=np.eye(4),
        order=(0, 1, 2),
        flipped=(False, False, False),
    )
    bodies = {
        name: body(name, at)
        for name, at in (("L4", -3.0), ("L3", 25.0), ("L2", 58.0), ("L1", 66.0))
    }
    levels = LevelMap(
        labels=np.zeros(shape, np.uint8),
        axes=(along(60), along(20), along(20)),
        bodies=bodies,
        ml={},
        kidney_hu=None,
    )
    l3 = MidL3(index=25, height_mm=25.0, body=bodies["L3"], anchors=("sacrum",), how="seen")
    assert [label for _, _, label in level_picture(grid, levels, l3).marks] == ["L3", "L2"]
