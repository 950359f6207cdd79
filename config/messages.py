"""pydantic's verdicts in words: why a value cannot be used, and what to write instead."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from config.document import MappingNode, Node, ScalarNode, SequenceNode

#: Units by the ending of a key, for "a number of seconds".
UNITS = {
    "_s": "seconds",
    "_mm": "millimetres",
    "_gb": "gigabytes",
    "_mb": "megabytes",
    "_bytes": "bytes",
    "_hours": "hours",
    "_days": "days",
    "_percent": "per cent",
    "_degrees": "degrees",
    "_years": "years",
}


@dataclass(frozen=True, slots=True)
class Wording:
    """Why, and what to do."""

    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Wrong:
    """What pydantic refused: the kind of error, its numbers, and what stands in the file."""

    kind: str
    context: Mapping[str, Any]
    message: str
    key: str
    node: Node | None
    field: FieldInfo | None

    @property
    def text(self) -> str:
        """What was written, of a single value."""
        return self.node.text if isinstance(self.node, ScalarNode) else ""


def refusal(why: str, remedy: str, *, at: str = "") -> PydanticCustomError:
    """For validators of a schema: a fault with its remedy.

    Args:
        at: key below the validated section that the fault is about; "" for the value itself.
    """
    return PydanticCustomError(
        "vigie", "{why} - {remedy}", {"why": why, "remedy": remedy, "at": at}
    )


def close_to(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant."""
    by_lowered = {entry.lower(): entry for entry in known}
    cutoff = 0.6 if len(word) > 3 else 0.75  # gpu is not a slip of the pen for cpu
    matches = difflib.get_close_matches(word.lower(), by_lowered, n=1, cutoff=cutoff)
    return by_lowered[matches[0]] if matches else None


def listed(words: Iterable[str], last: str = "or") -> str:
    """`a, b or c`."""
    words = list(words)
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def worded(wrong: Wrong) -> Wording:
    """Why and remedy for one error of pydantic."""
    if isinstance(wrong.node, ScalarNode) and wrong.node.value is None and wrong.kind != "vigie":
        return _without_value(wrong)
    wording = _WORDINGS.get(wrong.kind)
    if wording is not None:
        return wording(wrong)
    why, _, remedy = wrong.message.removeprefix("Value error, ").partition(" - ")
    return Wording(lowered(why), remedy or f"write {_wanted(wrong)}")


def example_of(field: FieldInfo | None, key: str) -> str:
    """`, for example port: 11112`, or nothing."""
    if field is None or not field.examples:
        return ""
    return f", for example {key}: {_yaml(field.examples[0])}"


def lowered(sentence: str) -> str:
    return sentence[:1].lower() + sentence[1:] if sentence[1:2].islower() else sentence


def _yaml(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    return str(value)


def _wanted(wrong: Wrong) -> str:
    """`a number of seconds, for example quiet_time_s: 20`."""
    unit = next((name for end, name in UNITS.items() if wrong.key.endswith(end)), "")
    thing = f"a number of {unit}" if unit else "another value"
    return thing + example_of(wrong.field, wrong.key)


def _without_value(wrong: Wrong) -> Wording:
    if _WORDINGS.get(wrong.kind) is _section:
        return Wording(
            "this section is empty", "write its keys below it, indented by two spaces, or delete it"
        )
    remedy = f"write a value after the colon{example_of(wrong.field, wrong.key)}"
    field = wrong.field
    if field is not None and not field.is_required():
        default = field.get_default(call_default_factory=False)
        if isinstance(default, str | int | float) and default != "":
            remedy = f"{remedy}; or delete the line, then {_yaml(default)} is used"
        else:
            remedy = f"{remedy}; or delete the line"
    return Wording("this key has no value", remedy)


def _range(wrong: Wrong) -> str:
    low = high = None
    for mark in wrong.field.metadata if wrong.field else ():
        low = getattr(mark, "ge", None) if low is None else low
        high = getattr(mark, "le", None) if high is None else high
    unit = next((f" {name}" for end, name in UNITS.items() if wrong.key.endswith(end)), "")
    if low is not None and low == high:
        return f"write {low}"
    if low is not None and high is not None:
        return f"choose a value from {low} to {high}{unit}"
    return f"choose another number{' of' + unit if unit else ''}"


def _bound(words: str, name: str) -> Callable[[Wrong], Wording]:
    def wording(wrong: Wrong) -> Wording:
        limit = float(wrong.context[name])
        shown = f"{limit:.0f}" if limit.is_integer() else f"{limit:g}"
        return Wording(f"must be {words} {shown}", _range(wrong))

    return wording


def _integer(wrong: Wrong) -> Wording:
    why = "must be a whole number"
    value = wrong.node.value if isinstance(wrong.node, ScalarNode) else None
    if isinstance(value, float):
        if re.fullmatch(r"[-+]?[0-9]+", wrong.text):
            return Wording("this number is too large", _range(wrong))
        if value.is_integer() and abs(value) < 1e15:
            return Wording(why, f"write {int(value)}")
        return Wording(why, f"{_range(wrong)}, without a fraction")
    if re.fullmatch(r"[-+]?[0-9]{1,15}", wrong.text):
        without = "the leading zero" if wrong.text.lstrip("+-").startswith("0") else "quotes"
        return Wording(why, f"write it without {without}: {int(wrong.text)}")
    return _number(wrong, why)


def _float(wrong: Wrong) -> Wording:
    return _number(wrong, "must be a number")


def _number(wrong: Wrong, why: str) -> Wording:
    text = wrong.text
    if re.fullmatch(r"[0-9]+,[0-9]+", text):
        return Wording(why, f"write a decimal point: {text.replace(',', '.')}")
    with_unit = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z%]+)", text)
    unit = next((name for end, name in UNITS.items() if wrong.key.endswith(end)), "")
    if with_unit and unit:
        return Wording(why, f"write the number of {unit} alone, without '{with_unit[2]}'")
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return Wording(why, f"write it without quotes: {text}")
    return Wording(why, f"write {_wanted(wrong).replace('another value', 'digits only')}")


def _boolean(wrong: Wrong) -> Wording:
    lowered = wrong.text.lower()
    if lowered in {"yes", "on", "1", "y", "true"}:
        return Wording("must be true or false", "write true")
    if lowered in {"no", "off", "0", "n", "false"}:
        return Wording("must be true or false", "write false")
    return Wording("must be true or false", "write true or false, without quotes")


def _string(wrong: Wrong) -> Wording:
    if isinstance(wrong.node, ScalarNode):
        return Wording("must be text", f'put it in quotes: "{wrong.text}"')
    return Wording(
        "must be a single text", f"write one value on this line{example_of(wrong.field, wrong.key)}"
    )


def _list(wrong: Wrong) -> Wording:
    if isinstance(wrong.node, ScalarNode):
        return Wording("must be a list", f"put it in square brackets: [{wrong.text}]")
    if isinstance(wrong.node, MappingNode):
        return Wording(
            "must be a list", "put it in square brackets, [{...}], or write '- ' before each entry"
        )
    return Wording("must be a list", "write entries as '- ...' lines or [one, two]")


_MAPS = ("dict_type", "mapping_type")


def _section(wrong: Wrong) -> Wording:
    why = "must be a section with keys of its own"
    if re.match(r"[A-Za-z_]\w*:\S", wrong.text):
        return Wording(why, "put a space after the colon")
    if isinstance(wrong.node, SequenceNode) and wrong.kind in _MAPS:
        return Wording(
            "must be a section of named entries",
            "write each entry below it as 'NAME:' with its keys, instead of a list",
        )
    if isinstance(wrong.node, SequenceNode):
        return Wording(why, "write {key: value}, or 'key: value' lines, without dashes or brackets")
    return Wording(why, "write its keys below it, one per line, indented by two spaces")


def _choice(wrong: Wrong) -> Wording:
    allowed = re.findall(r"'([^']*)'", str(wrong.context.get("expected", "")))
    allowed = allowed or [str(wrong.context.get("expected", ""))]
    return _one_of(wrong.text, allowed)


def _one_of(text: str, allowed: list[str]) -> Wording:
    meant = close_to(text, allowed)
    why = "this word is not known here"
    if meant is None:
        return Wording(why, f"write {listed(allowed)}")
    others = f" Known here: {', '.join(allowed)}" if len(allowed) > 1 else ""
    return Wording(why, f"did you mean '{meant}'?{others}")


def _tag(wrong: Wrong) -> Wording:
    allowed = re.findall(r"'([^']*)'", str(wrong.context.get("expected_tags", "")))
    return _one_of(str(wrong.context.get("tag", "")), allowed)


def _too_long(wrong: Wrong) -> Wording:
    limit = wrong.context["max_length"]
    length = f", not {len(wrong.text)}" if wrong.text else ""
    return Wording(f"must have at most {limit} characters{length}", "shorten it")


def _too_short(wrong: Wrong) -> Wording:
    return Wording("must not be empty", f"write some text{example_of(wrong.field, wrong.key)}")


def _too_few(wrong: Wrong) -> Wording:
    count = wrong.context.get("min_length", 1)
    entries = "entry" if count == 1 else "entries"
    return Wording(
        f"needs at least {count} {entries}", f"add one{example_of(wrong.field, wrong.key)}"
    )


def _too_many(wrong: Wrong) -> Wording:
    count = wrong.context.get("max_length")
    return Wording(f"may have at most {count} entries", "remove the ones that are not needed")


def _pattern(wrong: Wrong) -> Wording:
    why = f"must be written like {wrong.context.get('pattern')}"
    return Wording(why, f"write {_wanted(wrong)}")


def _custom(wrong: Wrong) -> Wording:
    return Wording(str(wrong.context["why"]), str(wrong.context["remedy"]))


_WORDINGS: dict[str, Callable[[Wrong], Wording]] = {
    "vigie": _custom,
    "int_type": _integer,
    "int_from_float": _integer,
    "int_parsing_size": _integer,
    "float_type": _float,
    "finite_number": _float,
    "bool_type": _boolean,
    "string_type": _string,
    "path_type": _string,
    "tuple_type": _list,
    "list_type": _list,
    "model_type": _section,
    "model_attributes_type": _section,
    "dataclass_type": _section,
    "dict_type": _section,
    "mapping_type": _section,
    "greater_than": _bound("more than", "gt"),
    "greater_than_equal": _bound("at least", "ge"),
    "less_than": _bound("less than", "lt"),
    "less_than_equal": _bound("at most", "le"),
    "literal_error": _choice,
    "enum": _choice,
    "union_tag_invalid": _tag,
    "string_too_long": _too_long,
    "string_too_short": _too_short,
    "string_pattern_mismatch": _pattern,
    "too_short": _too_few,
    "too_long": _too_many,
}
