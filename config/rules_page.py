"""The tables of `config/RULES.md`, made from the code; a test keeps the page current.

`python -m config.rules_page` writes them between the marks of the page.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from config.schema.preferences import MEANINGS
from node.domain.fact import Fact, Kind
from node.domain.facts import FACTS

PAGE = Path(__file__).with_name("RULES.md")
#: Longer lists of values stand in the JSON Schema, which editors show.
_MOST_CHOICES = 12


def page_with_tables(text: str) -> str:
    """The page with its tables as they are now."""
    for name, table in (("facts", fact_table()), ("prefer", prefer_table())):
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        before, _, rest = text.partition(begin)
        _, _, after = rest.partition(end)
        text = f"{before}{begin}\n{table}\n{end}{after}"
    return text


def fact_table() -> str:
    """One row a fact."""
    rows = ["| fact | what it is | how it is asked | read from |", "|---|---|---|---|"]
    rows += [
        f"| `{name}` | {_meaning(fact)} | {_asked(name, fact)} | {_origin(fact)} |"
        for name, fact in FACTS.items()
    ]
    return "\n".join(rows)


def prefer_table() -> str:
    """One row a word of `prefer`."""
    rows = ["| word | comes first |", "|---|---|"]
    rows += [f"| `{word}` | {meaning} |" for word, meaning in MEANINGS.items()]
    return "\n".join(rows)


def _meaning(fact: Fact) -> str:
    title = fact.title[:1].upper() + fact.title[1:]
    return f"{title}: {fact.meaning}" if fact.meaning else title


def _asked(name: str, fact: Fact) -> str:
    if fact.kind is Kind.FLAG:
        return "`true` or `false`"
    if fact.kind is Kind.NUMBER:
        return f"number{f' in {fact.unit}' if fact.unit else ''}, {fact.low:g} to {fact.high:g}"
    if fact.kind is Kind.TEXT:
        return "words, `*`, `?`"
    if len(fact.choices) > _MOST_CHOICES:
        return f"`{fact.choices[0]}`, `{fact.choices[1]}` ... ({len(fact.choices)} values)"
    return ", ".join(f"`{value}`" for value in fact.choices)


def _origin(fact: Fact) -> str:
    return ", ".join(_attributes(fact)) or "pixels"


def _attributes(fact: Fact) -> Iterator[str]:
    yield from fact.attributes
    if fact.pixels:
        yield "pixels"


if __name__ == "__main__":
    PAGE.write_text(page_with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
