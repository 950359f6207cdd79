"""A body is measured in the plane that it stands in, or named; never wrongly in silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from inference.engine import EngineOptions, open_network
from models.grid import Grid, canonical
from models.registry import load_manifest
from models.vertebral_fractures.frames import Own
from models.vertebral_fractures.measuring import BANDS, IS_CUT, Unmeasured, measure_bodies
from models.vertebral_fractures.outlines import NETWORK
from models.vertebral_fractures.spine import Place, Spine
from models.vertebral_fractures.standing import (
    TOO_BENT,
    Seen,
    bulges,
    is_too_bent,
    outlines,
    standing,
)
from node.domain.imaging import Network
from tests.models.vertebral_fractures.toy import Toy

PACKAGE = Path(__file__).resolve().parents[3] / "models" / "vertebral_fractures"
TOY = Toy(wrong={}, lean=0.0)
LEVEL = "L2"


@pytest.fixture(scope="module")
def network() -> Network:
    specs = {spec.name: spec for spec in load_manifest(PACKAGE).networks}
    return open_network(specs[NETWORK], EngineOptions())


@pytest.fixture(scope="module")
def grid() -> Grid:
    return canonical(TOY.volume())


def frame(*, lean: float = 0.0, tilt: float = 0.0, turn: float = 0.0) -> Own:
    """The frame of a body that stands upright, leant, tilted to a side and turned; degrees."""
    a, b, c = np.radians([lean, tilt, turn])
    up, back, left = np.array([0.0, 0, 1]), np.array([0.0, 1, 0]), np.array([1.0, 0, 0])
    back, left = np.cos(c) * back + np.sin(c) * left, np.cos(c) * left - np.sin(c) * back
    up, left = np.cos(b) * up - np.sin(b) * left, np.cos(b) * left + np.sin(b) * up
    own = Own(centre=TOY.middles[LEVEL], left=left, back=back, up=up, turned=True)
    return own.moved(0.0, 0.0, float(a))


def heights(seen: Seen) -> list[float]:
    outline = seen[2]
    depth = (outline.columns - outline.front) / (outline.back - outline.front)
    line = outline.upper - outline.lower
    return [float(line[(depth >= a) & (depth <= b)].mean()) for a, b in BANDS]


@pytest.mark.parametrize(
    "wrong",
    [
        {"lean": 15.0}, {"lean": -28.0}, {"lean": 38.0}, {"lean": -55.0},
        {"tilt": 12.0}, {"tilt": -25.0}, {"tilt": 42.0}, {"lean": 25.0, "tilt": 15.0},
    ],
)  # fmt: skip
def test_a_wrong_frame_is_put_right_or_the_body_is_named(
    wrong: dict[str, float], grid: Grid, network: Network
) -> None:
    found = standing(grid, {0: frame(**wrong)}, network)[0]
    if isinstance(found, str):
        assert max(abs(v) for v in wrong.values()) > 35.0, found
        return
    assert found[0].up[2] > np.cos(np.radians(8.0))
    assert heights(found) == pytest.approx(TOY.shapes[LEVEL].heights(), abs=1.8)


def test_a_body_seen_askew_bulges_and_an_upright_one_does_not(grid: Grid, network: Network) -> None:
    askew, upright = (
        outlines(grid, {0: frame(lean=lean)}, network)[0] for lean in (45.0, 0.0)
    )  # fmt: skip
    assert not isinstance(askew, str)
    assert not isinstance(upright, str)
    assert bulges(askew[2])
    assert not bulges(upright[2])


@pytest.mark.parametrize(
    ("tilt", "turn", "beyond"),
    [(34.0, 0.0, False), (36.0, 0.0, True), (0.0, 39.0, False), (0.0, 41.0, True), (0, -41, True)],
)
def test_the_limits_are_35_degrees_to_a_side_and_40_about_the_axis(
    tilt: float, turn: float, beyond: bool
) -> None:
    assert is_too_bent(frame(tilt=tilt, turn=turn)) is beyond


def test_a_body_turned_beyond_the_limit_has_no_outline_but_the_reason(
    grid: Grid, network: Network
) -> None:
    found = standing(grid, {0: frame(turn=44.0), 1: frame(turn=30.0)}, network)
    assert found[0] == TOO_BENT
    assert not isinstance(found[1], str)


def test_a_body_without_a_certain_frame_that_the_images_end_in_is_cut_not_missing(
    network: Network,
) -> None:
    middle = TOY.middles["L4"]
    low = Toy(wrong={}, lean=0.0, levels=("L4", "L3", "L2"), bottom=float(middle[2]) - 5.0)
    own = Own(
        centre=middle, left=np.array([1.0, 0, 0]), back=np.array([0.0, 0, -1]),
        up=np.array([0.0, 1, 0]), turned=True,
    )  # fmt: skip
    spine = Spine(places=(Place(number=0, level="L4", own=own),), anchors=(), doubts=(), rooms=())
    (one,) = measure_bodies(canonical(low.volume()), spine, network)
    assert isinstance(one, Unmeasured)
    assert one.reason == IS_CUT
