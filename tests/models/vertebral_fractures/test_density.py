"""Which body's attenuation is stated for the exam, and why those before it are not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from models.vertebral_fractures.density import chosen, passed_over


def spine(*bodies: tuple[str, int, float, float]) -> tuple[Any, Any, Any]:
    """(level, grade, mean HU, SD) of each body, from below."""
    return (
        [SimpleNamespace(place=SimpleNamespace(level=level)) for level, *_ in bodies],
        [SimpleNamespace(mean_hu=mean, deviation_hu=sd) for _, _, mean, sd in bodies],
        [SimpleNamespace(grade=grade) for _, grade, _, _ in bodies],
    )


def test_a_sound_l1_is_stated_and_nothing_is_passed_over() -> None:
    parts = spine(("L2", 0, 115.0, 26.0), ("L1", 0, 120.0, 26.0), ("T12", 0, 118.0, 26.0))
    assert chosen(*parts) == 1
    assert passed_over(*parts) == []


@pytest.mark.parametrize(
    ("l1", "reason"),
    [
        ((0, 123.0, 71.0), "its bone is uneven (SD 71)"),
        ((0, 480.0, 30.0), "its bone is too dense (480 HU)"),
        ((1, 120.0, 26.0), "it lost height"),
    ],
)
def test_what_is_passed_over_has_a_reason(l1: tuple[int, float, float], reason: str) -> None:
    parts = spine(("L3", 0, 105.0, 26.0), ("L2", 0, 115.0, 26.0), ("L1", *l1))
    assert chosen(*parts) == 1
    assert passed_over(*parts) == [(2, reason)]


def test_where_none_is_sound_each_is_named() -> None:
    parts = spine(("L2", 2, 115.0, 26.0), ("L1", 0, 123.0, 71.0))
    assert chosen(*parts) is None
    assert [index for index, _ in passed_over(*parts)] == [1, 0]
