"""A faint endplate is not seen where the network doubts it, and measured where it does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inference.engine import EngineOptions, open_network
from models.grid import canonical
from models.registry import load_manifest
from models.vertebral_fractures import measuring
from models.vertebral_fractures.frames import Own
from models.vertebral_fractures.measuring import Body, Looked, Unmeasured, measure_bodies
from models.vertebral_fractures.outlines import NETWORK
from models.vertebral_fractures.spine import Place, Spine
from models.vertebral_fractures.standing import Seen, standing
from tests.models.vertebral_fractures.toy import LEVELS, Toy

PACKAGE = Path(__file__).resolve().parents[3] / "models" / "vertebral_fractures"
TOY = Toy(wrong={}, lean=0.0)
UP, BACK, LEFT = np.array([0.0, 0, 1]), np.array([0.0, 1, 0]), np.array([1.0, 0, 0])
#: Which body is given a faint upper endplate.
FAINT = 3


def places() -> tuple[Place, ...]:
    return tuple(
        Place(
            number=number,
            level=level,
            own=Own(centre=TOY.middles[level], left=LEFT, back=BACK, up=UP, turned=True),
        )
        for number, level in enumerate(LEVELS)
    )


def measured(monkeypatch: pytest.MonkeyPatch, faint: float, doubt_mm: float) -> list[Looked]:
    """All bodies; of one the upper endplate is faint on a share of its length, and doubted."""

    def stood(*given: Any) -> dict[int, Seen | str]:
        found = standing(*given)
        one = found[FAINT]
        assert not isinstance(one, str)
        own, strip, outline = one
        falls, doubts = outline.falls.copy(), outline.doubts.copy()
        falls[0, : round(faint * falls.shape[1])] = 0.0
        doubts[0] = doubt_mm
        found[FAINT] = (own, strip, replace(outline, falls=falls, doubts=doubts))
        return found

    monkeypatch.setattr(measuring, "standing", stood)
    specs = {spec.name: spec for spec in load_manifest(PACKAGE).networks}
    network = open_network(specs[NETWORK], EngineOptions())
    spine = Spine(places=places(), anchors=(), doubts=(), rooms=())
    return measure_bodies(canonical(TOY.volume()), spine, network)


@pytest.mark.parametrize(
    ("faint", "doubt_mm", "is_measured"),
    [(0.6, 3.0, False), (0.6, 0.8, True), (0.2, 3.0, True)],
)
def test_an_endplate_is_not_seen_only_where_it_is_faint_and_doubtful(
    monkeypatch: pytest.MonkeyPatch, faint: float, doubt_mm: float, *, is_measured: bool
) -> None:
    one = measured(monkeypatch, faint, doubt_mm)[FAINT]
    if is_measured:
        assert isinstance(one, Body)
        # What the network doubts is in the spread of its heights.
        assert doubt_mm < one.spread_mm < doubt_mm + 1.0
    else:
        assert isinstance(one, Unmeasured)
        assert "an endplate is not seen on 6" in one.reason
