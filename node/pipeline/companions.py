"""The other series that an analysis needs beside the first: its CT, its prior, the other views."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from node.domain.facts import SeriesFacts, StudyFacts
from node.domain.verdict import Companion
from node.pipeline.conditions import Truth
from node.pipeline.rules import Role, preference

#: `same:` in the configuration -> the field of the facts.
_FIELDS = {
    "frame_of_reference": "frame_of_reference_uid",
    "laterality": "laterality",
    "view": "view",
    "orientation": "orientation",
}


@dataclass(frozen=True, slots=True)
class Missing:
    """A role that nothing plays: why, or which facts are not known."""

    reason: str
    untold: tuple[str, ...] = ()


def companions_of(
    roles: Sequence[Role],
    first: SeriesFacts,
    study: StudyFacts,
    priors: Sequence[StudyFacts],
) -> tuple[Companion, ...] | Missing:
    """The best stack for each role; no stack plays two of them."""
    taken = {str(first.stack_id)}
    found = []
    for role in roles:
        best = _best(role, first, priors if role.prior else (study,), taken)
        if isinstance(best, Missing):
            if role.optional:
                continue
            return best
        owner, stack = best
        taken.add(stack.stack_id)
        found.append(Companion(role.name, owner.study_uid, stack.stack_id, stack.digest))
    return tuple(found)


def _best(
    role: Role, first: SeriesFacts, studies: Iterable[StudyFacts], taken: set[str]
) -> tuple[StudyFacts, SeriesFacts] | Missing:
    """Of the first study that has one; prefers as the role says, then the longest."""
    untold: list[str] = []
    for study in studies:
        fit = []
        for stack in study.series:
            if stack.stack_id in taken or study.faults:
                continue
            answer = role.check(stack, study)
            missing = _unlike(role, first, stack)
            untold += [*answer.untold, *missing] if answer.truth is not Truth.NO else []
            if answer.truth is Truth.YES and not missing and _alike(role, first, stack):
                fit.append(stack)
        if fit:
            return study, min(fit, key=lambda stack: _order(role, stack))
    where = "no earlier study of the patient has" if role.prior else "the study has no"
    same = " with the same " + " and ".join(_words(role.same)) if role.same else ""
    article = " a series" if role.prior else " series"
    reason = f"{where}{article} for the role '{role.name}' ({role.asked}){same}"
    return Missing(reason, tuple(dict.fromkeys(untold)))


def _order(role: Role, stack: SeriesFacts) -> tuple[tuple[float, ...], float, str]:
    return preference(role.prefer, stack), -(stack.coverage_mm or 0.0), stack.stack_id


def _alike(role: Role, first: SeriesFacts, other: SeriesFacts) -> bool:
    values = [(getattr(first, _FIELDS[s]), getattr(other, _FIELDS[s])) for s in role.same]
    return all(mine and mine == its for mine, its in values)


def _unlike(role: Role, first: SeriesFacts, other: SeriesFacts) -> list[str]:
    names = [_FIELDS[same] for same in role.same]
    return [name for name in names if name in first.untold or name in other.untold]


def _words(names: Iterable[str]) -> list[str]:
    return [name.replace("_", " ") for name in names]
