"""When L3 may be named, and from what: rules on recognised bodies, without any image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.body_composition.levels import Body, LevelMap
from models.body_composition.naming import MidL3, anchors_in_view, locate_l3
from models.grid import Axis, canonical
from models.refusal import Refusal
from tests.models.body_composition.toy import NAMES, THRESHOLDS, Toy

GRID = canonical(Toy(pixel_mm=10.0).volume())
ANCHORED = {"sacrum": 60.0, "hip_bones": 200.0, "ribs": 50.0, "lungs": 300.0}


def body(name: str, z: float, ml: float = 40.0, *, cut: bool = False) -> Body:
    """A body whose centre lies z mm above the middle of L3 of the drawing."""
    index = (z + 160.0) / 5.0
    return Body(
        name=name,
        ml=ml,
        centre=(index, 10.0, 10.0),
        centre_mm=(0.0, 40.0, z),
        lowest=index - 2.7,
        highest=index + 2.7,
        cut=cut,
    )


def seen(*names: str, ml: dict[str, float] | None = None, **changed: Body) -> LevelMap:
    bodies = {name: body(name, (NAMES.index(name) - 2) * 34.0) for name in names if name in NAMES}
    if "sacrum" in names:
        bodies["sacrum"] = body("sacrum", -110.0, 60.0)
    bodies.update(changed)
    return LevelMap(
        labels=np.zeros((1, 1, 1), np.uint8),
        axes=(Axis(start=0, step=1.0, count=1),) * 3,
        bodies=bodies,
        ml=ml or ANCHORED,
        kidney_hu=None,
    )


def found(levels: LevelMap) -> MidL3:
    result = locate_l3(levels, GRID, THRESHOLDS)
    assert isinstance(result, MidL3), result
    return result


def refused(levels: LevelMap) -> str:
    result = locate_l3(levels, GRID, THRESHOLDS)
    assert isinstance(result, Refusal)
    return result.reason


def test_from_the_sacrum_upwards() -> None:
    l3 = found(seen("sacrum", "L5", "L4", "L3", "L2", ml={**ANCHORED, "lungs": 0.0}))
    assert l3.anchors == ("sacrum and hip bones",)
    assert l3.height_mm == pytest.approx(0.0)


def test_from_the_ribs_downwards() -> None:
    l3 = found(seen("L3", "L2", "L1", "T12", "T11", ml={**ANCHORED, "hip_bones": 0.0}))
    assert l3.anchors == ("lowest ribs and lungs",)


def test_both_anchors_are_named_when_both_are_seen() -> None:
    assert len(anchors_in_view(seen("sacrum", *NAMES))) == 2


@pytest.mark.parametrize("gone", ["L5", "L4"])
def test_a_gap_between_sacrum_and_l3_breaks_the_count(gone: str) -> None:
    names = [name for name in ("sacrum", "L5", "L4", "L3", "L2") if name != gone]
    reason = refused(seen(*names, ml={**ANCHORED, "lungs": 0.0}))
    assert "cannot be named with certainty" in reason


def test_scraps_of_sacrum_or_lung_are_no_anchor() -> None:
    ml = {"sacrum": 5.0, "hip_bones": 5.0, "ribs": 50.0, "lungs": 10.0}
    assert "never guessed" in refused(seen("sacrum", *NAMES, ml=ml))


def test_no_vertebra_at_all() -> None:
    assert "no lumbar vertebra" in refused(seen())


def test_neighbours_too_close_are_not_two_vertebrae() -> None:
    levels = seen("sacrum", *NAMES, L2=body("L2", 10.0))
    assert "10 mm apart" in refused(levels)


def test_a_skipped_vertebra_is_noticed_by_the_distance() -> None:
    levels = seen("sacrum", *NAMES, L2=body("L2", 60.0), L1=body("L1", 90.0))
    assert "60 mm apart" in refused(levels)


def test_a_name_out_of_order_is_refused() -> None:
    levels = seen("sacrum", *NAMES, L1=body("L1", 20.0))
    assert "impossible order" in refused(levels)


def test_a_weak_l3_is_interpolated_between_its_neighbours_and_says_so() -> None:
    levels = seen("sacrum", *NAMES, L3=body("L3", 9.0, ml=6.0))
    l3 = found(levels)
    assert l3.height_mm == pytest.approx(0.0)
    assert "between the middles of L2 and L4" in l3.how


def test_a_missing_l3_between_two_whole_neighbours_is_interpolated() -> None:
    names = [name for name in ("sacrum", *NAMES) if name != "L3"]
    l3 = found(seen(*names))
    assert l3.height_mm == pytest.approx(0.0)
    assert l3.body is None


def test_a_cut_l3_is_refused_even_with_its_neighbours() -> None:
    cut = replace(body("L3", 0.0), cut=True)
    assert "only partly within" in refused(seen("sacrum", "L5", "L4", L3=cut))


def test_l3_above_the_series_names_the_highest_and_below_the_lowest_vertebra() -> None:
    assert "the highest vertebra seen is L5" in refused(seen("sacrum", "L5"))
    assert "the lowest vertebra seen is T12" in refused(seen("T12", "T11"))


def test_bodies_on_the_discs_are_never_guessed_at() -> None:
    levels = replace(seen("sacrum", *NAMES), unsure=True)
    assert "half-way between the bodies and the discs" in refused(levels)
