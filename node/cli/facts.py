"""The facts of a study by the names that rules call them by: `explain --facts`."""

from __future__ import annotations

from collections.abc import Iterator

from node.domain.facts import FACTS, SeriesFacts, StudyFacts


def told_facts(facts: StudyFacts | None) -> Iterator[str]:
    """For each stack its label, a line for each known fact as a rule would ask for it, the rest."""
    if facts is None:
        yield (
            "no facts are kept: the study is not complete yet, could not be read, or its images "
            "were deleted (`rerun STUDY` reads them again while they are here)"
        )
        return
    for stack in facts.series:
        yield f"{stack.label} ({stack.stack_id}):"
        for name in FACTS:
            value = getattr(stack, name)
            if value is not None:
                yield f"  {name}: {_written(value)}"
        unknown = [name for name in FACTS if getattr(stack, name) is None]
        yield f"  not stated: {', '.join(unknown)}"


def plain_facts(stack: SeriesFacts) -> dict[str, object]:
    """The known facts of one stack by name."""
    return {name: value for name in FACTS if (value := getattr(stack, name)) is not None}


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_quoted, value))}]"
    return _quoted(value)


def _quoted(value: object) -> str:
    """As YAML reads it back: text that is no plain word stands in quotes."""
    if not isinstance(value, str) or (value.isidentifier() and value.isascii()):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
