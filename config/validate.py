"""A document against a pydantic schema: every fault at once, each at its line and column."""

from __future__ import annotations

import json
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from config.document import (
    Document,
    MappingNode,
    ScalarNode,
    SequenceNode,
    Step,
    child,
    plain,
    shown,
)
from config.messages import Wording, Wrong, close_to, listed, lowered, worded
from config.parse import parse_document
from config.schema_walk import field_at, fields_of, models_at, sections_with
from node.domain.errors import ConfigError, ConfigFault

T = TypeVar("T", bound=BaseModel)


def read_document(path: Path, schema: type[T], option: str = "--config") -> T:
    """Read a YAML file into a pydantic model.

    Scalars are taken strictly (no number from a quoted text, no boolean from yes); a validator
    refuses a value with `messages.refusal(why, remedy)` or `ValueError("why - remedy")`. The
    folder of the file is in the validation context under "folder". `option` of the command line
    is named where the file itself is wrong.

    Raises:
        ConfigError: every fault in the file.
    """
    document = parse_document(path, option)
    model, faults = validated(document, schema)
    if model is None or faults:
        raise ConfigError(faults=faults)
    return model


def validated(document: Document, schema: type[T]) -> tuple[T | None, tuple[ConfigFault, ...]]:
    """The model (None where it cannot be built) and every fault, duplicate keys included."""
    try:
        # Through JSON, because pydantic's strict mode then still takes lists for tuples and
        # texts for paths, but no text for a number.
        model = schema.model_validate_json(
            json.dumps(plain(document.root)),
            strict=True,
            context={"folder": document.path.absolute().parent},
        )
    except ValidationError as error:
        details = [dict(detail) for detail in error.errors(include_url=False)]
        found = (
            _fault(document, schema, detail)
            for detail in details
            if not _follows_from_another(document, schema, detail)
        )
        return None, (*document.faults, *_first_of_each_place(found))
    return model, document.faults


def _follows_from_another(
    document: Document, schema: type[BaseModel], detail: dict[str, Any]
) -> bool:
    """True of what an operator would be told twice.

    pydantic counts entries without the faulty ones and then finds too few of them. A key that
    is misspelt is unknown, and its right spelling missing. What could not be read has a fault
    already.
    """
    missing = detail["type"] == "missing"
    if document.is_unread(_steps_in(document, tuple(detail["loc"]), missing=missing)):
        return True
    if missing:
        *steps, key = _steps_in(document, tuple(detail["loc"]), missing=True)
        return _is_misspelt(document, schema, tuple(steps), str(key))
    if detail["type"] != "too_short":
        return False
    node = document.node(_steps_in(document, tuple(detail["loc"]), missing=False))
    enough = int(detail["ctx"]["min_length"])
    count = len(node.items) if isinstance(node, SequenceNode) else 0
    count = len(node.entries) if isinstance(node, MappingNode) else count
    return count >= enough


def _is_misspelt(
    document: Document, schema: type[BaseModel], steps: tuple[Step, ...], key: str
) -> bool:
    known = [name for model in models_at(schema, steps) for name in fields_of(model)]
    node = document.node(steps)
    written = node.entries if isinstance(node, MappingNode) else {}
    return any(close_to(name, known) == key for name in written if name not in known)


def _first_of_each_place(faults: Iterable[ConfigFault]) -> tuple[ConfigFault, ...]:
    """Several members of a union may complain about one value; the first speaks."""
    by_place: dict[tuple[int, int, str], ConfigFault] = {}
    for fault in faults:
        by_place.setdefault((fault.line, fault.column, fault.key), fault)
    return tuple(by_place.values())


def _fault(document: Document, schema: type[BaseModel], detail: dict[str, Any]) -> ConfigFault:
    kind = str(detail["type"])
    context = detail.get("ctx", {})
    loc = tuple(detail["loc"])
    steps = _steps_in(document, loc, missing=kind == "missing")
    if kind == "missing":
        return _missing(document, schema, steps)
    if kind == "union_tag_not_found":
        return _missing(document, schema, (*steps, _discriminator(context)))
    if kind == "extra_forbidden":
        return _unknown(document, schema, steps)
    if kind == "union_tag_invalid":
        steps = (*steps, _discriminator(context))
    in_list = False
    if kind == "vigie" and context.get("at"):
        # A rule over several entries says itself what stands there.
        in_list = any(part.isdigit() for part in str(context["at"]).split("."))
        steps = _below(document, steps, str(context["at"]))
    key = str(steps[-1]) if steps else ""
    node = document.node(steps)
    field = field_at(schema, steps)
    wording = worded(Wrong(kind, context, str(detail["msg"]), key, node, field))
    if "must be a section" in wording.why and field is None and _is_key_of_entry(schema, steps):
        wording = Wording(wording.why, f"indent '{key}:' further, so that it belongs to an entry")
    if loc[-1:] == ("[key]",):
        return document.fault_at(
            document.key_place(steps), steps, wording.why, wording.remedy, got=f"'{key}'"
        )
    of_a_rule = isinstance(node, MappingNode) and kind in ("vigie", "value_error")
    got = "" if of_a_rule or in_list else shown(node, key)
    return document.fault(steps, wording.why, wording.remedy, got=got)


def _below(document: Document, steps: tuple[Step, ...], at: str) -> tuple[Step, ...]:
    """The path of `networks.0.patch` below a section; entries of lists are numbers."""
    for part in at.split("."):
        listed = part.isdigit() and isinstance(document.node(steps), SequenceNode)
        steps = (*steps, int(part) if listed else part)
    return steps


def _is_key_of_entry(schema: type[BaseModel], steps: tuple[Step, ...]) -> bool:
    """True of a name in a map of sections that is really a key of one of those sections."""
    return any(str(steps[-1]) in fields_of(model) for model in models_at(schema, steps))


def _discriminator(context: dict[str, Any]) -> str:
    return str(context["discriminator"]).strip("'")


def _example(field: FieldInfo | None) -> object:
    """Something that may stand behind a key."""
    if field is not None and field.examples:
        return field.examples[0]
    words = typing.get_args(field.annotation) if field is not None else ()
    return words[0] if words and isinstance(words[0], str) else "..."


def _steps_in(document: Document, loc: tuple[Step, ...], *, missing: bool) -> tuple[Step, ...]:
    """The path in the file; pydantic also names members of unions, which are no keys."""
    steps: list[Step] = []
    node: Any = document.root
    for number, step in enumerate(loc):
        below = child(node, step)
        if below is not None:
            steps.append(step)
            node = below
        elif missing and number == len(loc) - 1:
            steps.append(step)
    return tuple(steps)


def _missing(document: Document, schema: type[BaseModel], steps: tuple[Step, ...]) -> ConfigFault:
    key = str(steps[-1])
    if isinstance(steps[-1], int):
        return document.fault(
            steps[:-1],
            f"needs an entry number {steps[-1] + 1}",
            "add the missing entry to the list",
            got=shown(document.node(steps[:-1])),
        )
    field = field_at(schema, steps)
    title = lowered(field.title or "") if field is not None else ""
    meaning = f" ({title})" if title not in ("", key) else ""
    where = f"to '{'.'.join(map(str, steps[:-1]))}'" if len(steps) > 1 else "to the file"
    place = document.key_place(steps[:-1])
    return document.fault_at(
        place,
        steps,
        f"this key is required and missing{meaning}",
        f"add a line {where}: '{key}: {_example(field)}'",
    )


def _unknown(document: Document, schema: type[BaseModel], steps: tuple[Step, ...]) -> ConfigFault:
    key = str(steps[-1])
    known: list[str] = []
    for model in models_at(schema, steps[:-1]):
        known.extend(name for name in fields_of(model) if name not in known)
    node = document.node(steps)
    got = shown(node, key) if isinstance(node, ScalarNode) else ""
    return document.fault_at(
        document.key_place(steps), steps, "unknown key", _instead(schema, key, known), got=got
    )


def _instead(schema: type[BaseModel], key: str, known: list[str]) -> str:
    if key in known:
        return "remove it; it belongs to an entry of another 'type'"
    section, _, inner = key.partition(".")
    if inner and section in known:
        return f"write '{inner}:' below '{section}:', indented by two spaces"
    meant = close_to(key, known)
    if meant is not None:
        return f"did you mean '{meant}'?"
    elsewhere = [section for section in sections_with(schema, key) if section != "*"]
    if elsewhere:
        named = listed(
            f"'{section.replace('*', 'NAME')}'" if section else "the first column"
            for section in elsewhere
        )
        return f"move it to {named}"
    return f"remove it; the keys known here are {listed(known, 'and')}" if known else "remove it"
