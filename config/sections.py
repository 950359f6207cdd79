"""The top sections of a file as lines, so that a fault in one does not hide those in the others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from config.syntax import Place

_TOP_KEY = re.compile(r"([A-Za-z_][\w-]*)[ ]*:(\s|$)")
#: A file of more keys in the first column is no appliance file.
MAX_SECTIONS = 100


@dataclass(frozen=True, slots=True)
class Section:
    """Lines `first` to `last`, from 1; `key` is "" for what stands before the first key."""

    key: str
    first: int
    last: int

    def holds(self, place: Place) -> bool:
        """Does the place stand in it, or right behind it?"""
        return self.first <= place.line <= self.last + 1


def top_sections(text: str) -> tuple[Section, ...]:
    """Every section that begins with a key in the first column; () where there are too many."""
    lines = text.split("\n")
    starts = [(number, found[1]) for number, found in _keys(lines)]
    if not starts or len(starts) > MAX_SECTIONS:
        return ()
    ends = [number - 1 for number, _ in starts[1:]] + [len(lines)]
    sections = [Section(key, number, end) for (number, key), end in zip(starts, ends, strict=True)]
    before = starts[0][0] - 1
    return (Section("", 1, before), *sections) if before else tuple(sections)


def only(text: str, sections: Iterable[Section]) -> str:
    """The text with every other line emptied: what is left stands where it stood."""
    kept = {number for item in sections for number in range(item.first, item.last + 1)}
    lines = enumerate(text.split("\n"), 1)
    return "\n".join(line if number in kept else "" for number, line in lines)


def _keys(lines: Iterable[str]) -> Iterable[tuple[int, re.Match[str]]]:
    for number, line in enumerate(lines, 1):
        found = _TOP_KEY.match(line)
        if found:
            yield number, found
