"""Findings and measurements by the names that people type: in a truth table, in `--positive`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from node.domain.acute import AcuteFinding
from node.domain.finding import CodedConcept, Measurement
from node.domain.reported import Code, Report, is_present, named_findings, numbers

#: Units that people write in another way than UCUM.
_UNITS: Final = {"hu": "hnsf'u", "cm3": "ml", "cc": "ml", "percent": "%"}
_RULE: Final = re.compile(r"\s*(?P<name>.+?)\s*(?P<sign><=|>=|<|>)\s*(?P<value>-?\d+([.,]\d+)?)\s*")

_CODE: Final = re.compile(
    r"\(?\s*(?P<value>[\w.-]{1,64})[\s,]+(?P<scheme>[A-Z0-9][A-Z0-9_]*)\s*\)?"
)
_PREFIXED: Final = re.compile(r"(?P<scheme>[A-Z0-9][A-Z0-9_]*):(?P<value>[\w.-]{1,64})")


def plain(name: str) -> str:
    """A name without case and signs."""
    return re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()


def named_numbers(report: Report, name: str) -> tuple[Measurement, ...]:
    """The measurements of a name, or with a name that ends so ("lesion 2: Diameter")."""
    wanted = plain(name)
    found: Mapping[str, Measurement] = numbers(report)
    same = tuple(one for title, one in found.items() if plain(title) == wanted)
    return same or tuple(
        one for title, one in found.items() if plain(title.rpartition(": ")[2]) == wanted
    )


def is_unit(unit: CodedConcept, written: str) -> bool:
    """Is this the unit that is written, as a UCUM code, by its meaning or as people write it?"""
    return _unit(written) in (_unit(unit.value), _unit(unit.meaning))


def _unit(text: str) -> str:
    short = text.strip().strip("[]").lower().replace("²", "2").replace("³", "3")
    return _UNITS.get(short, short)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a result counts as positive, such as "Certainty of Finding >= 82".

    Attributes:
        upwards: higher values are more positive.
    """

    name: str
    sign: str
    value: float

    @classmethod
    def parsed(cls, text: str) -> Rule:
        """Raises ValueError with what to write instead."""
        matched = _RULE.fullmatch(text)
        if matched is None:
            raise ValueError(
                "write NAME, one of < <= > >=, and a number: 'Skeletal muscle index at L3 < 38.5'"
            )
        value = float(matched["value"].replace(",", "."))
        return cls(name=matched["name"], sign=matched["sign"], value=value)

    @property
    def upwards(self) -> bool:
        """Are higher values more positive?"""
        return self.sign.startswith(">")

    def __str__(self) -> str:
        return f"{self.name} {self.sign} {self.value:g}"

    def call(self, report: Report, code: Code | None) -> tuple[bool | None, float | None]:
        """(positive, score): higher scores are more positive; None where there is no such number.

        Where a whole result holds no such finding, and higher is more positive, it is negative.

        Args:
            code: only measurements of this finding, and of the whole exam; None: all.
        """
        if code is not None:
            report = replace(report, findings=tuple(named_findings(report, code)))
        values = [one.value for one in named_numbers(report, self.name)]
        if values:
            score = max(values) if self.upwards else -min(values)
            limit = self.value if self.upwards else -self.value
            return (score >= limit if "=" in self.sign else score > limit), score
        if self.upwards and report.is_whole and not is_present(report, code):
            return False, -math.inf
        return None, None


def finding_code(text: str, acute: Mapping[str, Iterable[AcuteFinding]]) -> Code | None:
    """The code of "59282003 SCT", "SCT:59282003", "59282003" or the name of an acute finding."""
    for found in acute.values():
        for one in found:
            if text.lower() in (one.name.lower(), one.title.lower()):
                return one.code
    matched = _PREFIXED.fullmatch(text) or _CODE.fullmatch(text)
    if matched is not None:
        return matched["value"], matched["scheme"]
    return (text, "") if text.isdigit() else None
