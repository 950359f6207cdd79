"""What a changed configuration would do: gains, losses, and what cannot be told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from node.domain.facts import SeriesFacts
from node.pipeline.plan import Change, Difference, compare, decide
from node.pipeline.routing import ModelRoute
from tests.node import words

UNTOLD = frozenset({"slice_spacing_mm"})


def routes(**route: Any) -> tuple[ModelRoute, ...]:
    return (
        ModelRoute(
            manifest=words.manifest(),
            rules=(words.rule(**route),),
            priority=50,
            report_not_eligible=False,
            configuration_digest="c",
        ),
    )


def differences(
    now: dict[str, Any] | None, new: dict[str, Any] | None, *members: SeriesFacts
) -> list[Difference]:
    before = () if now is None else routes(**now)
    after = () if new is None else routes(**new)
    return compare([words.study_facts(*members)], before, after).differences


SOFT = {"when": {"kernel_class": "soft"}}
LUNG = {"when": {"kernel_class": "lung"}}
THIN = {"when": {"slice_thickness_mm": {"max": 2}}}


@pytest.mark.parametrize(
    ("now", "new", "facts", "change"),
    [
        (SOFT, {}, {"kernel_class": "lung"}, Change.GAINS),
        ({}, SOFT, {"kernel_class": "lung"}, Change.LOSES),
        (None, {}, {}, Change.GAINS),
        ({}, None, {}, Change.LOSES),
        (SOFT, {}, {"kernel_class": "lung", "untold": UNTOLD}, Change.MAY_GAIN),
        ({}, SOFT, {"kernel_class": "lung", "untold": UNTOLD}, Change.MAY_LOSE),
        ({}, {"when": {"truncated": False}}, {"untold": frozenset({"truncated"})}, Change.MAY_LOSE),
        ({}, {"destinations": ["night"]}, {}, Change.DESTINATIONS),
        ({}, {"shadow": True}, {}, Change.DESTINATIONS),
        ({}, {"priority": 5}, {}, Change.PRIORITY),
    ],
)
def test_each_change_has_its_name(
    now: dict[str, Any] | None, new: dict[str, Any] | None, facts: dict[str, Any], change: Change
) -> None:
    (found,) = differences(now, new, words.facts(**facts))
    assert found.change is change


def test_a_change_says_what_was_and_what_would_be() -> None:
    (found,) = differences(
        {},
        SOFT,
        words.facts("1", kernel_class="lung", series_number=4, series_description="Thorax"),
        words.facts("2", modality="SR"),
    )
    assert found.now == "run on series 4 'Thorax' to pacs, by rule 'all'"
    assert found.then == (
        "not eligible: no routing rule applies: kernel class lung; the rule asks for kernel "
        "class soft"
    )


def test_what_the_headers_cannot_tell_is_named() -> None:
    (found,) = differences(LUNG, SOFT, words.facts(kernel_class="soft", untold=UNTOLD))
    assert found.change is Change.MAY_GAIN
    assert found.then.endswith("slice distance cannot be told from these headers")


def test_another_best_series_is_a_difference() -> None:
    thick = words.facts("1", slice_thickness_mm=5.0, series_number=1)
    thin = words.facts("2", slice_thickness_mm=1.0, series_number=2, coverage_mm=200.0)
    (found,) = differences({}, {"prefer": ["thinnest"]}, thick, thin)
    assert found.change is Change.SERIES
    assert found.now.startswith("run on series 1, series 2 to")
    assert found.then.startswith("run on series 2, series 1 to")


def test_the_same_configuration_makes_no_difference_and_is_counted() -> None:
    other = replace(words.study_facts(words.facts(modality="MR")))
    plan = compare([words.study_facts(), other], routes(), routes())
    assert plan.differences == []
    assert (plan.studies, plan.series) == (2, 2)
    assert sorted(plan.outcomes.values()) == [1, 1, 1, 1]


def test_studies_that_change_for_one_reason_are_counted_together() -> None:
    lung = [
        replace(words.study_facts(words.facts("1", kernel_class="lung", series_number=number)))
        for number in (3, 4)
    ]
    bone = words.study_facts(words.facts("1", kernel_class="bone"))
    plan = compare([*lung, bone], routes(), routes(**SOFT))
    (first, second) = plan.reasons()
    assert first[1:] == (
        Change.LOSES,
        "no routing rule applies: kernel class lung; the rule asks for kernel class soft",
        2,
    )
    assert second[-1] == 1


def test_several_reasons_against_name_the_series_that_each_is_about() -> None:
    series = (
        words.facts("1", kernel_class="lung", slice_thickness_mm=1.0, series_number=4),
        words.facts("2", kernel_class="lung", slice_thickness_mm=1.0, series_number=5),
        words.facts("3", slice_thickness_mm=5.0, series_number=6),
    )
    both = {"when": {"kernel_class": "soft", "slice_thickness_mm": {"max": 2}}}
    (loss,) = differences({}, both, *series)
    assert loss.then == (
        "not eligible: series 4 and 1 more: no routing rule applies: kernel class lung; the rule "
        "asks for kernel class soft; series 6: no routing rule applies: slice thickness 5 mm; the "
        "rule asks for slice thickness at most 2 mm"
    )
    (loss,) = differences({}, both, *series[:2])
    assert "series 4" not in loss.then


def test_a_model_that_no_route_names_is_not_told_as_switched_off() -> None:
    decision = decide(words.study_facts(words.facts()), None)
    assert decision.why == "the model is not in use, or no route names it"
