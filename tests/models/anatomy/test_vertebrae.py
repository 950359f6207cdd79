"""Vertebrae are parted by discs and named by anchors; without an anchor nobody is named."""

from __future__ import annotations

import numpy as np
import pytest

from models.anatomy.structures import Structure as S
from models.anatomy.vertebrae import find_spine
from tests.models.anatomy.scene import BODY, DISC, spine

LUMBAR = [S.L5, S.L4, S.L3, S.L2, S.L1, S.T12, S.T11]


def names(levels: list[S], **options: object) -> tuple[list[str], bool]:
    found = find_spine(*spine(levels, **options))  # type: ignore[arg-type]
    return [found.level(k) for k in range(len(found.bodies))], found.is_certain


def test_bodies_on_the_sacrum_are_counted_from_it() -> None:
    assert names(LUMBAR) == (["L5", "L4", "L3", "L2", "L1", "T12", "T11"], True)


def test_each_body_is_one_piece_between_two_discs() -> None:
    found = find_spine(*spine(LUMBAR))
    for index, body in enumerate(found.bodies):
        first = 30 + index * (BODY + DISC)
        assert abs(body.slices[0] - first) <= 1
        assert abs(body.slices[1] - (first + BODY - 1)) <= 1


def test_a_single_wrong_guess_of_the_network_changes_no_name() -> None:
    wrong = [S.L5, S.L4, S.L4, S.L2, S.L1, S.T12, S.T11]
    assert names(wrong)[0] == ["L5", "L4", "L3", "L2", "L1", "T12", "T11"]


def test_lowest_ribs_anchor_where_there_is_no_sacrum() -> None:
    told, certain = names(LUMBAR[2:], sacrum=False, ribs_at=(3, 4))
    assert told == ["L3", "L2", "L1", "T12", "T11"]
    assert certain


def test_without_sacrum_and_ribs_nothing_is_certain() -> None:
    found = find_spine(*spine(LUMBAR[:4], sacrum=False))
    assert not found.is_certain
    assert found.anchors == ()


def test_a_count_that_contradicts_the_sacrum_is_a_doubt() -> None:
    found = find_spine(*spine(LUMBAR[1:]))
    assert not found.is_certain
    assert any("L5" in doubt for doubt in found.doubts)


def test_ribs_at_another_vertebra_than_t12_are_a_doubt() -> None:
    found = find_spine(*spine(LUMBAR[2:], sacrum=False, ribs_at=(2, 3, 4)))
    assert not found.is_certain
    assert any("lowest ribs" in doubt for doubt in found.doubts)


def test_ribs_that_contradict_a_count_from_the_sacrum_are_a_doubt() -> None:
    assert find_spine(*spine(LUMBAR, ribs_at=(5, 6))).anchors == ("sacrum", "lowest ribs")
    found = find_spine(*spine(LUMBAR, ribs_at=(4, 5, 6)))
    assert not found.is_certain
    assert any("lowest ribs" in doubt for doubt in found.doubts)


def test_a_low_piece_of_sacrum_is_no_vertebra() -> None:
    grid, sight = spine(LUMBAR, first=40)
    sight.labels[22:26, 32:48, 38:58] = S.L5
    sight.labels[26:36, 32:48, 38:58] = S.DISC
    sight.labels[4:22, 32:48, 38:58] = S.SACRUM
    found = find_spine(grid, sight)
    assert found.level(0) == "L5"
    assert found.bodies[0].slices[0] >= 38


def test_lung_beside_what_looks_like_l5_is_a_doubt() -> None:
    grid, sight = spine(LUMBAR[:4])
    sight.labels[:, :, :20] = S.LUNG
    found = find_spine(grid, sight)
    assert not found.is_certain
    assert any("lung" in doubt for doubt in found.doubts)


def test_two_vertebrae_are_too_few_to_be_named() -> None:
    assert not find_spine(*spine(LUMBAR[:2])).is_certain


def test_nothing_is_found_of_nothing() -> None:
    grid, sight = spine([], sacrum=False)
    assert find_spine(grid, sight).bodies == ()
    assert np.all(sight.labels == S.BODY)


@pytest.mark.parametrize(("levels", "ribbed", "count"), [
    ([S.L5, S.L5, S.L4, S.L3, S.L2, S.L1, S.T12, S.T11], (6, 7), "6"),
    ([S.L5, S.L4, S.L3, S.L2, S.T12, S.T11, S.T10], (4, 5, 6), "4"),
])  # fmt: skip
def test_six_or_four_vertebrae_between_sacrum_and_ribs_are_told_and_not_named(
    levels: list[S], ribbed: tuple[int, ...], count: str
) -> None:
    found = find_spine(*spine(levels, ribs_at=ribbed))
    assert not found.is_certain
    assert any(
        doubt.startswith(f"{count} vertebrae lie between the sacrum and the lowest ribs")
        and "transitional vertebra" in doubt
        for doubt in found.doubts
    )


def unclear(levels: list[S], at: int, **options: object) -> tuple[list[str], bool]:
    """Names where the disc below a body looks like its marrow, to the network too."""
    grid, sight = spine(levels, **options)  # type: ignore[arg-type]
    first = 30 + at * (BODY + DISC) - DISC
    grid.hu[first : first + DISC] = np.where(grid.hu[first : first + DISC] > 60.0, 200.0, 40.0)
    there = sight.labels[first : first + DISC] == S.DISC
    sight.labels[first : first + DISC][there] = levels[at]
    found = find_spine(grid, sight)
    return [found.level(k) for k in range(len(found.bodies))], found.is_certain


def test_beyond_a_disc_that_is_not_clear_no_level_is_stated() -> None:
    told, certain = unclear(LUMBAR, 4)
    assert told == ["L5", "L4", "L3", "L2", "", "", ""]
    assert certain


def test_between_two_anchors_that_agree_a_disc_may_be_unclear() -> None:
    told, certain = unclear(LUMBAR, 4, ribs_at=(5, 6))
    assert told == ["L5", "L4", "L3", "L2", "L1", "T12", "T11"]
    assert certain


def test_two_bodies_made_of_one_are_seen_where_the_rest_says_one_lower_each() -> None:
    # The network calls each body above the lowest one lower than the count does.
    shifted = [S.L5, S.L5, S.L4, S.L3, S.L2, S.L1, S.T12, S.T11]
    found = find_spine(*spine(shifted, ribs_at=(5, 6, 7)))
    assert not found.is_certain
    assert any("two ways to count" in doubt for doubt in found.doubts)


def test_the_tip_of_a_rib_beside_the_next_body_is_no_rib_of_it() -> None:
    grid, sight = spine(LUMBAR, ribs_at=(5, 6))
    low = 30 + 4 * (BODY + DISC)
    sight.labels[low + 10 : low + 13, 42:46, 62:66] = S.RIB
    found = find_spine(grid, sight)
    assert found.anchors == ("sacrum", "lowest ribs")
    assert found.is_certain
