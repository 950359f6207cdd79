"""Several looks at one body: what most of them see counts, and their doubt with it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from models.vertebral_fractures.again import STARTS, agreed
from models.vertebral_fractures.measuring import Body, Unmeasured
from models.vertebral_fractures.spine import Place

NOTHING = cast(Any, SimpleNamespace())
PLACE = Place(number=4, level="L1", own=NOTHING)
SOUND, ASTRAY = (24.0, 24.5, 27.0), (18.9, 9.2, 11.4)


def body(heights: tuple[float, float, float], spread_mm: float = 0.8) -> Body:
    return Body(
        place=PLACE,
        own=NOTHING,
        strip=NOTHING,
        outline=NOTHING,
        heights_mm=heights,
        spread_mm=spread_mm,
        points_mm=np.zeros((3, 2, 3)),
    )


def test_an_outline_that_went_astray_once_is_outvoted_and_leaves_hardly_a_doubt() -> None:
    near = [tuple(h + d for h in SOUND) for d in (-0.3, 0.0, 0.1, 0.2)]
    found = agreed(PLACE, [body(ASTRAY), *(body(cast(Any, one)) for one in near)])
    assert isinstance(found, Body)
    assert found.heights_mm == pytest.approx(SOUND, abs=0.15)
    assert found.spread_mm < 1.2


def test_looks_that_lie_far_apart_are_a_doubt_of_the_heights() -> None:
    looks = [(20.0 + d, 20.0, 27.0) for d in (-6.0, -3.0, 0.0, 3.0, 6.0)]
    found = agreed(PLACE, [body(one) for one in looks])
    assert isinstance(found, Body)
    assert found.heights_mm[0] == 20.0
    assert found.spread_mm > 4.0


def test_a_body_that_few_looks_see_is_not_measured_and_says_how_few() -> None:
    found = agreed(PLACE, [body(SOUND)] * 3)
    assert isinstance(found, Unmeasured)
    assert f"3 of {len(STARTS) + 1} looks" in found.reason
    assert isinstance(agreed(PLACE, [body(SOUND)] * 4), Body)
