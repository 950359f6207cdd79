"""Routing rules, made ready: when they hold, in which hours, and which series is the better one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from config.schema import Route, Schedule
from config.schema.needs import Need
from config.schema.preferences import Preference
from config.schema.schedule import DAYS
from node.domain.facts import SeriesFacts, StudyFacts
from node.pipeline.conditions import Answer, Check, Truth, compiled, shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What may play a role beside the first series; equal where the same is asked for.

    Attributes:
        asked: the conditions in words; `check` is made from them.
    """

    name: str
    check: Check = field(compare=False)
    asked: str
    same: tuple[str, ...]
    prior: bool
    prefer: tuple[Preference, ...]
    optional: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One route of the configuration, ready to be asked.

    Attributes:
        place: position in the file; of two rules that send a study to one model, the first
            decides where results go and which series is best.
        zone: time zone of the schedule; None: that of this computer.
        exclusive: no other rule counts for a stack that this one takes.
    """

    name: str
    place: int
    models: tuple[str, ...]
    destinations: tuple[str, ...]
    check: Check
    prefer: tuple[Preference, ...] = ()
    roles: tuple[Role, ...] = ()
    schedule: Schedule | None = None
    zone: tzinfo | None = None
    priority: int | None = None
    shadow: bool = False
    exclusive: bool = False

    def holds(self, facts: SeriesFacts, study: StudyFacts) -> Answer:
        """Does the rule send this stack to its models?"""
        answer = self.check(facts, study)
        if answer.truth is Truth.NO or self.schedule is None or self.schedule.outside == "wait":
            return answer
        if study.at is None:
            return Answer(Truth.OPEN, untold=(*answer.untold, "time"))
        if in_hours(self.schedule, self._local(study.at)):
            return answer
        return Answer(
            Truth.NO, f"the rule applies {hours(self.schedule)}, not {self._told(study.at)}"
        )

    def not_before(self, at: datetime) -> datetime:
        """When an analysis that this rule asks for may begin."""
        if self.schedule is None:
            return at
        return begin(self.schedule, self._local(at))

    def _local(self, at: datetime) -> datetime:
        return at.astimezone(self.zone)

    def _told(self, at: datetime) -> str:
        local = self._local(at)
        return f"on {DAYS[local.weekday()].capitalize()} at {local:%H:%M}"


def rules_of(routes: Mapping[str, Route], time_zone: str | None) -> tuple[Rule, ...]:
    """Every route, in the order of the file."""
    zone = ZoneInfo(time_zone) if time_zone else None
    return tuple(
        Rule(
            name=name,
            place=place,
            models=route.models,
            destinations=route.destinations,
            check=compiled(route.when),
            prefer=route.prefer,
            roles=roles_of(route.needs),
            schedule=route.schedule,
            zone=zone,
            priority=route.priority,
            shadow=route.shadow,
            exclusive=route.exclusive,
        )
        for place, (name, route) in enumerate(routes.items())
    )


def with_needs(rule: Rule, needs: Mapping[str, Need]) -> Rule:
    """The rule with the roles that the package needs; one that the rule states itself stays."""
    stated = {role.name for role in rule.roles}
    added = roles_of({name: need for name, need in needs.items() if name not in stated})
    return replace(rule, roles=(*rule.roles, *added)) if added else rule


def roles_of(needs: Mapping[str, Need]) -> tuple[Role, ...]:
    """Every role, ready to be asked."""
    return tuple(_role(role, need) for role, need in needs.items())


def _role(name: str, need: Need) -> Role:
    return Role(
        name=name,
        check=compiled(need.series),
        asked=shown(need.series),
        same=need.same,
        prior=need.study == "prior",
        prefer=need.prefer,
        optional=need.optional,
    )


def in_hours(schedule: Schedule, local: datetime) -> bool:
    """Does the window that began today or yesterday hold this moment?"""
    start, length = schedule.minutes()
    minute = local.hour * 60 + local.minute
    for back in (0, 1):
        since = minute + back * 1440 - start
        if DAYS[(local.weekday() - back) % 7] in schedule.days and 0 <= since < length:
            return True
    return False


def begin(schedule: Schedule, local: datetime) -> datetime:
    """This moment if it lies in the hours, else the next begin of them."""
    if in_hours(schedule, local):
        return local
    start, _ = schedule.minutes()
    for ahead in range(9):
        day = local + timedelta(days=ahead)
        first = day.replace(hour=start // 60, minute=start % 60, second=0, microsecond=0)
        if first > local and DAYS[first.weekday()] in schedule.days:
            return first
    raise AssertionError("a schedule names a day of the week")


def hours(schedule: Schedule) -> str:
    """A schedule in words."""
    days = (
        "" if schedule.days == DAYS else " on " + ", ".join(d.capitalize() for d in schedule.days)
    )
    _, length = schedule.minutes()
    clock = "the whole day" if length == 1440 else f"from {schedule.start} to {schedule.end}"
    return f"{clock}{days}"


def preference(prefer: Sequence[Preference], facts: SeriesFacts) -> tuple[float, ...]:
    """Lower is better, word by word; what is not known comes last."""
    return tuple(_PREFERENCES[word](facts) for word in prefer)


_LAST = float("inf")


def _least(value: float | None) -> float:
    return _LAST if value is None else float(value)


def _most(value: float | None) -> float:
    return _LAST if value is None else -float(value)


def _if(holds: bool) -> float:
    return 0.0 if holds else 1.0


_PREFERENCES: Mapping[Preference, Callable[[SeriesFacts], float]] = {
    "thinnest": lambda f: _least(f.slice_thickness_mm or f.slice_spacing_mm),
    "thickest": lambda f: _most(f.slice_thickness_mm or f.slice_spacing_mm),
    "soft_kernel": lambda f: _if(f.kernel_class == "soft"),
    "lung_kernel": lambda f: _if(f.kernel_class == "lung"),
    "bone_kernel": lambda f: _if(f.kernel_class == "bone"),
    "most_slices": lambda f: _most(f.slices),
    "longest": lambda f: _most(f.coverage_mm),
    "finest_pixels": lambda f: _least(f.pixel_spacing_mm),
    "contrast": lambda f: _if(f.contrast is True),
    "no_contrast": lambda f: _if(f.contrast is False),
    "native": lambda f: _if(f.phase == "native"),
    "arterial": lambda f: _if(f.phase == "arterial"),
    "venous": lambda f: _if(f.phase == "venous"),
    "delayed": lambda f: _if(f.phase == "delayed"),
    "original": lambda f: _if(f.image_kind == "original"),
    "not_truncated": lambda f: _if(f.truncated is not True),
    "lowest_number": lambda f: _least(f.series_number),
    "highest_number": lambda f: _most(f.series_number),
}
