"""Does a text hold these words? Without regular expressions, so that no pattern can hang."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from node.domain.letters import plain_letters


def matches(pattern: str, text: str) -> bool:
    """True when the words of the pattern stand next to each other in the text.

    Letters count without case and accents; everything else but `*` (any letters) and `?` (one
    letter) separates words. Takes time in proportion to pattern x text at the worst.
    """
    wanted, found = _pattern_words(pattern), _text_words(text)
    last = len(found) - len(wanted)
    return bool(wanted) and any(_all_fit(wanted, found[at:]) for at in range(last + 1))


def _all_fit(wanted: Sequence[str], found: Sequence[str]) -> bool:
    return all(_fits(pattern, word) for pattern, word in zip(wanted, found, strict=False))


def _fits(pattern: str, word: str) -> bool:
    """One word against one pattern; on a mismatch only the last star is extended."""
    if "*" not in pattern and "?" not in pattern:
        return pattern == word
    at = within = 0
    star, resume = -1, 0
    while within < len(word):
        if at < len(pattern) and pattern[at] == "*":
            star, resume = at, within
            at += 1
        elif at < len(pattern) and pattern[at] in ("?", word[within]):
            at, within = at + 1, within + 1
        elif star >= 0:
            resume += 1
            at, within = star + 1, resume
        else:
            return False
    return all(sign == "*" for sign in pattern[at:])


@lru_cache(maxsize=4096)
def _pattern_words(pattern: str) -> tuple[str, ...]:
    # A star alone between two words may stand for nothing: it joins neither.
    return tuple(word for word in _words(pattern, "*?") if word.strip("*"))


@lru_cache(maxsize=16384)
def _text_words(text: str) -> tuple[str, ...]:
    return _words(text, "")


def _words(text: str, kept: str) -> tuple[str, ...]:
    plain = plain_letters(text)
    return tuple("".join(c if c.isalnum() or c in kept else " " for c in plain).split())
