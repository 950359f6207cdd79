"""Bodies whose heights do not go with their depths are no sound spine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from models.vertebral_fractures.frames import Own, Strip
from models.vertebral_fractures.measuring import Body
from models.vertebral_fractures.outlines import Outline
from models.vertebral_fractures.plausibility import LEAST_BODIES, refuse_spine
from models.vertebral_fractures.spine import Place


@pytest.mark.parametrize(
    ("height", "depth", "told"),
    [(18.0, 36.0, "compressed"), (27.0, 36.0, ""), (36.0, 27.0, "1.33")],
)
def test_bodies_that_are_all_too_flat_or_too_tall_are_no_sound_spine(
    height: float, depth: float, told: str
) -> None:
    outline = cast(Outline, SimpleNamespace(front=0.0, back=depth))
    body = Body(
        place=Place(number=0, level="", own=cast(Own, None)),
        own=cast(Own, None),
        strip=cast(Strip, None),
        outline=outline,
        heights_mm=(height, height - 2.0, height - 1.0),
        spread_mm=0.5,
        points_mm=np.zeros((3, 2, 3)),
    )
    refusal = refuse_spine([body] * LEAST_BODIES)
    assert (refusal is not None) == bool(told)
    assert refusal is None or (told in refusal.reason and "headers are wrong" in refusal.reason)
