"""Hours of a schedule, over midnight and over weekends."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from config.schema import Route, Schedule
from config.schema.needs import Need
from node.pipeline.rules import begin, hours, in_hours, rules_of, with_needs
from tests.node import words


def schedule(**given: object) -> Schedule:
    return Schedule.model_validate_json(json.dumps(given), strict=True)


NIGHT = schedule(**{"from": "20:00", "to": "07:00"})
WEEKEND = schedule(**{"days": ["fri", "sat"], "from": "18:00", "to": "06:00"})


def at(day: int, clock: str) -> datetime:
    """2026-01-02 is a Friday."""
    hour, minute = clock.split(":")
    return datetime(2026, 1, day, int(hour), int(minute), tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "moment", "inside"),
    [
        (NIGHT, at(2, "20:00"), True),
        (NIGHT, at(2, "19:59"), False),
        (NIGHT, at(2, "06:59"), True),
        (NIGHT, at(2, "07:00"), False),
        (WEEKEND, at(2, "05:00"), False),
        (WEEKEND, at(2, "18:00"), True),
        (WEEKEND, at(3, "05:59"), True),
        (WEEKEND, at(4, "05:59"), True),
        (WEEKEND, at(4, "18:00"), False),
        (schedule(days=["sunday"]), at(4, "23:59"), True),
        (schedule(days=["sunday"]), at(5, "00:00"), False),
    ],
)
def test_the_window_belongs_to_the_day_on_which_it_begins(
    window: Schedule, moment: datetime, inside: bool
) -> None:
    assert in_hours(window, moment) is inside


@pytest.mark.parametrize(
    ("window", "moment", "expected"),
    [
        (NIGHT, at(2, "09:30"), at(2, "20:00")),
        (NIGHT, at(2, "21:00"), at(2, "21:00")),
        (WEEKEND, at(4, "12:00"), at(9, "18:00")),
    ],
)
def test_an_analysis_that_waits_begins_with_the_hours(
    window: Schedule, moment: datetime, expected: datetime
) -> None:
    assert begin(window, moment) == expected


def test_hours_are_told_in_words() -> None:
    assert hours(WEEKEND) == "from 18:00 to 06:00 on Friday, Saturday"
    assert hours(schedule(days=["sun"])) == "the whole day on Sunday"


def test_hours_are_those_of_the_time_zone_of_the_node() -> None:
    rule = words.rule(schedule={"from": "09:00", "to": "10:00"})
    study = words.study_facts()
    assert rule.holds(study.series[0], study).truth.value == "yes"
    elsewhere = replace(rule, zone=ZoneInfo("America/New_York"))
    assert elsewhere.holds(study.series[0], study).truth.value == "no"


def need(**conditions: object) -> Need:
    return Need.model_validate_json(json.dumps({"series": conditions}), strict=True)


def route(**given: object) -> Route:
    text = json.dumps({"models": ["pet"], "destinations": ["pacs"], **given})
    return Route.model_validate_json(text, strict=True)


def test_a_package_states_what_it_needs_and_a_route_may_state_it_otherwise() -> None:
    plain, own = rules_of(
        {"a": route(), "b": route(needs={"ct": {"series": {"slices": {"min": 50}}}})}, None
    )
    package = {"ct": need(modality="CT"), "prior": need(modality="PT")}

    told = [(role.name, role.asked) for role in with_needs(plain, package).roles]
    assert [name for name, _ in told] == ["ct", "prior"]
    assert "CT" in told[0][1]
    overridden = with_needs(own, package).roles
    assert [role.name for role in overridden] == ["ct", "prior"]
    assert "50" in overridden[0].asked


def test_two_routes_of_one_package_ask_for_the_same() -> None:
    first, second = rules_of({"a": route(), "b": route()}, None)
    package = {"ct": need(modality="CT")}

    assert with_needs(first, package).roles == with_needs(second, package).roles
