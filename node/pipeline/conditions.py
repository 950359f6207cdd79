"""Conditions of `appliance.yaml` against the facts of a series: yes, no, or not to be told.

A fact that the images do not state meets no condition, and `not` turns that round. Only a fact
that the source cannot tell (a table of headers has no pixels) leaves the answer open.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from config.schema import Conditions, NumberRange
from config.schema.routes import When
from node.domain.fact import Fact, Kind
from node.domain.facts import FACTS, SeriesFacts, StudyFacts
from node.pipeline.words import matches

#: Numbers from headers are decimal texts: 1.5000001 is 1.5.
TOLERANCE = 1e-6


class Truth(Enum):
    """Whether conditions hold."""

    YES = "yes"
    NO = "no"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether they hold; if not, why, in words; if open, which facts are missing."""

    truth: Truth
    reason: str = ""
    untold: tuple[str, ...] = ()


YES = Answer(Truth.YES)
_ASKS = "; the rule asks for "
Check = Callable[[SeriesFacts, StudyFacts], Answer]


def compiled(conditions: Conditions) -> Check:
    """Conditions as a function, made once for each configuration."""
    checks = [_fact_check(name, conditions.asked(name)) for name in _given(conditions)]
    checks += [_stated(name) for name in conditions.stated]
    if conditions.all_of:
        checks += [compiled(each) for each in conditions.all_of]
    if conditions.any_of:
        checks.append(_any([compiled(each) for each in conditions.any_of]))
    if conditions.none_of is not None:
        checks.append(_none(compiled(conditions.none_of), conditions.none_of))
    if isinstance(conditions, When):
        checks = [*_of_study(conditions), *checks]
    return _every(checks)


def shown(conditions: Conditions) -> str:
    """Conditions in words, for the reasons of others: "kernel class soft and contrast"."""
    parts = [_wanted(FACTS[name], conditions.asked(name)) for name in _given(conditions)]
    parts += [f"{FACTS[name].title} stated" for name in conditions.stated]
    parts += [shown(each) for each in conditions.all_of or ()]
    if conditions.any_of:
        parts.append("(" + " or ".join(shown(each) for each in conditions.any_of) + ")")
    if conditions.none_of is not None:
        parts.append(f"not ({shown(conditions.none_of)})")
    return " and ".join(parts) or "anything"


def _given(conditions: Conditions) -> list[str]:
    return [name for name in FACTS if conditions.asked(name) is not None]


def _every(checks: Sequence[Check]) -> Check:
    def check(facts: SeriesFacts, study: StudyFacts) -> Answer:
        untold: tuple[str, ...] = ()
        for one in checks:
            answer = one(facts, study)
            if answer.truth is Truth.NO:
                return answer
            untold += answer.untold
        return Answer(Truth.OPEN, untold=_once(untold)) if untold else YES

    return check


def _any(checks: Sequence[Check]) -> Check:
    def check(facts: SeriesFacts, study: StudyFacts) -> Answer:
        answers = [one(facts, study) for one in checks]
        if any(answer.truth is Truth.YES for answer in answers):
            return YES
        untold = _once(name for answer in answers for name in answer.untold)
        if untold:
            return Answer(Truth.OPEN, untold=untold)
        return Answer(Truth.NO, _either([answer.reason for answer in answers]))

    return check


def _either(reasons: Sequence[str]) -> str:
    """ "kernel B70; the rule asks for A or B", where each reason is of this form."""
    parts = [reason.partition(_ASKS) for reason in reasons]
    if not all(asked for _, _, asked in parts):
        return " and ".join(_once(reasons))
    found = " and ".join(_once(one for one, _, _ in parts))
    return f"{found}{_ASKS}{' or '.join(_once(asked for _, _, asked in parts))}"


def _none(check_: Check, conditions: Conditions) -> Check:
    refused = shown(conditions)

    def check(facts: SeriesFacts, study: StudyFacts) -> Answer:
        answer = check_(facts, study)
        if answer.truth is Truth.OPEN:
            return answer
        if answer.truth is Truth.NO:
            return YES
        return Answer(Truth.NO, f"the rule leaves out {refused}")

    return check


def _stated(name: str) -> Check:
    title = FACTS[name].title

    def check(facts: SeriesFacts, study: StudyFacts) -> Answer:
        if name in facts.untold:
            return Answer(Truth.OPEN, untold=(name,))
        known = getattr(facts, name) is not None
        return YES if known else Answer(Truth.NO, f"the {title} is not stated")

    return check


def _fact_check(name: str, wanted: object) -> Check:
    fact = FACTS[name]
    holds = _holds(fact, wanted)
    asked = _wanted(fact, wanted)

    def check(facts: SeriesFacts, study: StudyFacts) -> Answer:
        if name in facts.untold:
            return Answer(Truth.OPEN, untold=(name,))
        found = getattr(facts, name)
        if found is not None and holds(found):
            return YES
        return Answer(Truth.NO, f"{_found(fact, found)}{_ASKS}{asked}")

    return check


def _holds(fact: Fact, wanted: object) -> Callable[[object], bool]:
    if isinstance(wanted, NumberRange):
        low = float("-inf") if wanted.min is None else wanted.min
        high = float("inf") if wanted.max is None else wanted.max
        low, high = low - TOLERANCE * abs(low), high + TOLERANCE * abs(high)
        return lambda found: isinstance(found, int | float) and low <= found <= high
    if isinstance(wanted, bool):
        return lambda found: found is wanted
    assert isinstance(wanted, tuple)
    if fact.kind is Kind.CHOICE:
        return lambda found: not set(_values(found)).isdisjoint(wanted)
    return lambda found: any(matches(one, text) for text in _values(found) for one in wanted)


def _values(found: object) -> tuple[str, ...]:
    return found if isinstance(found, tuple) else (str(found),)


def _found(fact: Fact, found: object) -> str:
    if found is None:
        return f"{fact.title} not stated"
    if isinstance(found, bool):
        return fact.title if found else f"no {fact.title}"
    if isinstance(found, float | int):
        return f"{fact.title} {_number(found, fact)}"
    listed = " and ".join(value.replace("_", " ") for value in _values(found))
    return f"{fact.title} {_quoted(fact, listed)}"


def _wanted(fact: Fact, wanted: object) -> str:
    if isinstance(wanted, bool):
        return fact.title if wanted else f"no {fact.title}"
    if isinstance(wanted, NumberRange):
        return f"{fact.title} {_range(wanted, fact)}"
    assert isinstance(wanted, tuple)
    listed = " or ".join(_quoted(fact, value.replace("_", " ")) for value in wanted)
    return f"{fact.title} {listed}"


def _quoted(fact: Fact, value: str) -> str:
    return f"'{value[:60]}'" if fact.kind is Kind.TEXT else value


def _range(wanted: NumberRange, fact: Fact) -> str:
    if wanted.min is None or wanted.max is None:
        word, end = ("at most", wanted.max) if wanted.min is None else ("at least", wanted.min)
        return f"{word} {_number(end or 0.0, fact)}"
    if wanted.min == wanted.max:
        return f"of {_number(wanted.min, fact)}"
    return f"from {wanted.min:g} to {_number(wanted.max, fact)}"


def _number(value: float, fact: Fact) -> str:
    unit = f" {fact.unit}" if fact.unit else ""
    return f"{value:.4g}{unit}" if isinstance(value, float) else f"{value}{unit}"


def _of_study(when: When) -> list[Check]:
    checks: list[Check] = []
    if when.modalities:
        asked = ", ".join(when.modalities)
        checks.append(
            _some("modality", set(when.modalities), f"the study has no series of modality {asked}")
        )
    if when.calling_ae_titles:
        asked = ", ".join(when.calling_ae_titles)
        checks.append(
            _some("sender", set(when.calling_ae_titles), f"the study was not sent by {asked}")
        )
    if when.study_has is not None:
        checks.append(_has(compiled(when.study_has), shown(when.study_has)))
    return checks


def _some(name: str, wanted: set[str], reason: str) -> Check:
    def check(_facts: SeriesFacts, study: StudyFacts) -> Answer:
        found = [getattr(series, name) for series in study.series]
        if any(value is not None and wanted.intersection(_values(value)) for value in found):
            return YES
        if any(name in series.untold for series in study.series):
            return Answer(Truth.OPEN, untold=(name,))
        return Answer(Truth.NO, reason)

    return check


def _has(check_: Check, asked: str) -> Check:
    def check(_facts: SeriesFacts, study: StudyFacts) -> Answer:
        answers = [check_(series, study) for series in study.series]
        if any(answer.truth is Truth.YES for answer in answers):
            return YES
        untold = _once(name for answer in answers for name in answer.untold)
        if untold:
            return Answer(Truth.OPEN, untold=untold)
        return Answer(Truth.NO, f"no series of the study is {asked}")

    return check


def _once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))
