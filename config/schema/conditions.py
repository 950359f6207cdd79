"""Conditions over the facts of a series: one key for each fact, and `any`, `all`, `not`.

The keys are made from `node.domain.facts.FACTS`, so a new fact is a new condition. Conditions
are data: a text is compared word by word with `*` and `?`, nothing is executed and nothing is a
regular expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    WithJsonSchema,
    create_model,
    model_validator,
)

from config.messages import close_to, listed, refusal
from config.schema.base import Section
from node.domain.fact import Fact, Kind
from node.domain.facts import FACTS

#: Alternatives in one list, and conditions in one `any` or `all`: more is a mistake.
MOST = 200
_LONGEST_TEXT = 128


class NumberRange(Section):
    """From `min` to `max`, both included; a plain number is exactly that number."""

    #: Shown by explain-config only as far as it is given.
    sparse: ClassVar[bool] = True

    min: float | None = Field(default=None, title="Smallest", description="Included.")
    max: float | None = Field(default=None, title="Largest", description="Included.")

    @model_validator(mode="before")
    @classmethod
    def _plain_number(cls, value: object) -> object:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return {"min": value, "max": value}
        if isinstance(value, str):
            raise _no_range(value)
        return value

    @model_validator(mode="after")
    def _in_order(self) -> NumberRange:
        if self.min is None and self.max is None:
            raise refusal("this range has no end", "write {min: 1}, {max: 5} or {min: 1, max: 5}")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise refusal(
                f"no number is at least {self.min:g} and at most {self.max:g}",
                f"write {{min: {self.max:g}, max: {self.min:g}}}",
            )
        return self


def _no_range(text: str) -> Exception:
    found = re.fullmatch(
        r"\s*(<=|<|>=|>|==|=)?\s*(-?[0-9]+(?:[.,][0-9]+)?)\s*([A-Za-z%]*)\s*", text
    )
    if found is None:
        return refusal("must be a number or a range", "write a number, {min: 1} or {max: 5}")
    sign, number, unit = found[1] or "", found[2].replace(",", "."), found[3]
    end = {"<": "max", ">": "min"}.get(sign[:1])
    wanted = f"{{{end}: {number}}}" if end else number
    left_out = f", without '{unit}': the key says the unit" if unit else ""
    return refusal("must be a number or a range", f"write {wanted}{left_out}")


class Connectives(Section):
    """What joins conditions; the facts are added below."""

    #: Shown by explain-config only as far as it is given.
    sparse: ClassVar[bool] = True

    def asked(self, fact: str) -> Any:  # noqa: ANN401 - a flag, a range, or texts
        """What a fact must be: bool, NumberRange or tuple of texts; None where not asked."""
        return getattr(self, fact)


def _aslist(value: object) -> object:
    return tuple(value) if isinstance(value, list | tuple) else (value,)


#: Words that people use for those that are known here.
_MEANT = {
    "thorax": "chest", "lung": "chest", "brain": "head", "skull": "head", "liver": "abdomen",
    "belly": "abdomen", "hip": "pelvis", "leg": "lower_limb", "knee": "lower_limb",
    "arm": "upper_limb", "hand": "upper_limb", "wholebody": "whole_body",
    "scout": "localizer", "topogram": "localizer", "surview": "localizer", "mpr": "reformat",
    "mip": "projection", "primary": "original", "secondary": "derived",
    "standard": "soft", "smooth": "soft", "sharp": "bone", "hard": "bone",
    "portal": "venous", "late": "delayed", "unenhanced": "native", "plain": "native",
    "transverse": "axial", "transversal": "axial", "female": "F", "male": "M",
    "pet": "PT", "mri": "MR", "mammography": "MG", "xray": "DX", "suv": "GML",
}  # fmt: skip


def _choices(fact: Fact) -> Callable[[str], str]:
    def check(value: str) -> str:
        if value in fact.choices:
            return value
        word = _MEANT.get(value.lower(), "")
        meant = word if word in fact.choices else close_to(value, fact.choices)
        remedy = f"did you mean '{meant}'?" if meant else _known(fact.choices)
        raise refusal(f"there is no such {fact.title}", remedy)

    return check


def _known(choices: tuple[str, ...]) -> str:
    some = choices if len(choices) <= 16 else (*choices[:16], "...")
    return f"write {listed(some)}"


def _pattern(value: str) -> str:
    if not re.search(r"[^\W_]", value):
        raise refusal("this text holds no letter or digit", "write the words to look for")
    if len(value) > _LONGEST_TEXT:
        raise refusal(f"a text of more than {_LONGEST_TEXT} characters", "write the few words")
    if re.search(r"\.\*|\\[a-zA-Z]|\(\?|\[[^]]*\]|\$$|^\^", value):
        raise refusal(
            "this looks like a regular expression, which is not read here",
            "write words, with * for any letters and ? for one letter",
        )
    return value


def _bounded(fact: Fact) -> Callable[[NumberRange], NumberRange]:
    unit = f" {fact.unit}" if fact.unit else ""

    def check(value: NumberRange) -> NumberRange:
        for end in ("min", "max"):
            number = getattr(value, end)
            if number is None or fact.low <= number <= fact.high:
                continue
            raise refusal(
                f"no {fact.title} is {number:g}{unit}",
                f"write a number from {fact.low:g} to {fact.high:g}{unit}",
            )
        if fact.kind is Kind.NUMBER and value.min is not None and value.min > fact.high:
            raise refusal(f"no {fact.title} is so large", f"write {fact.high:g} or less")
        return value

    return check


def _annotation(fact: Fact) -> Any:  # noqa: ANN401 - a type made at run time
    if fact.kind is Kind.FLAG:
        return bool | None
    if fact.kind is Kind.NUMBER:
        return Annotated[NumberRange, AfterValidator(_bounded(fact)), _json(_NUMBER_JSON)] | None
    check = _choices(fact) if fact.kind is Kind.CHOICE else _pattern
    one: dict[str, Any] = {"type": "string"}
    if fact.kind is Kind.CHOICE:
        one["enum"] = list(fact.choices)
    return (
        Annotated[
            tuple[Annotated[str, AfterValidator(check)], ...],
            BeforeValidator(_aslist),
            Field(min_length=1, max_length=MOST),
            _json({"anyOf": [one, {"type": "array", "items": one, "minItems": 1}]}),
        ]
        | None
    )


_END_JSON = {"type": "number"}
_NUMBER_JSON = {
    "anyOf": [
        {"type": "number"},
        {
            "type": "object",
            "properties": {"min": _END_JSON, "max": _END_JSON},
            "additionalProperties": False,
            "minProperties": 1,
        },
    ]
}


def _json(schema: dict[str, Any]) -> WithJsonSchema:
    return WithJsonSchema(schema)


def _field(fact: Fact) -> Any:  # noqa: ANN401 - as above
    unit = f", {fact.unit}" if fact.unit else ""
    return Field(
        default=None,
        title=fact.title[:1].upper() + fact.title[1:],
        description=f"{fact.meaning[:1].upper()}{fact.meaning[1:]}{unit}." if fact.meaning else "",
        examples=_example(fact),
    )


def _example(fact: Fact) -> list[Any]:
    if fact.kind is Kind.FLAG:
        return [True]
    if fact.kind is Kind.NUMBER:
        return ["{max: 5}"]
    return [fact.choices[0]] if fact.kind is Kind.CHOICE else ['"*words*"']


def _joined(title: str, description: str, alias: str) -> Any:  # noqa: ANN401 - as above
    return Field(default=None, title=title, description=description, alias=alias)


def _fact_name(value: str) -> str:
    if value not in FACTS:
        meant = close_to(value, FACTS)
        remedy = f"did you mean '{meant}'?" if meant else "the table of facts is in config/RULES.md"
        raise refusal("there is no such fact", remedy)
    return value


def _fields() -> dict[str, Any]:
    fields: dict[str, Any] = {
        name: (_annotation(fact), _field(fact)) for name, fact in FACTS.items()
    }
    several = "Annotated[tuple[Conditions, ...], Field(min_length=1, max_length=MOST)] | None"
    fields["any_of"] = (several, _joined("Any", "At least one of these holds.", "any"))
    fields["all_of"] = (several, _joined("All", "Each of these holds.", "all"))
    fields["none_of"] = ("Conditions | None", _joined("Not", "These do not hold together.", "not"))
    fields["stated"] = (
        Annotated[tuple[Annotated[str, AfterValidator(_fact_name)], ...], BeforeValidator(_aslist)],
        Field(default=(), title="Stated", description="Facts that must be known of the series."),
    )
    return fields


if TYPE_CHECKING:

    class Conditions(Connectives):
        """Conditions on one series; all that are given must hold.

        Every fact is a field too: None, or what it must be.
        """

        any_of: tuple[Conditions, ...] | None = None
        all_of: tuple[Conditions, ...] | None = None
        none_of: Conditions | None = None
        stated: tuple[str, ...] = ()

else:
    Conditions = create_model(
        "Conditions",
        __base__=Connectives,
        __module__=__name__,
        __doc__="Conditions on one series; all that are given must hold.",
        **_fields(),
    )
