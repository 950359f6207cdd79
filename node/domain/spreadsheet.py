"""Texts of others in a table that people open with a spreadsheet."""

from __future__ import annotations

from typing import Final

#: A spreadsheet would take a text that begins so for a formula.
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def cell(text: str) -> str:
    """The text, with an apostrophe in front where it would be calculated."""
    return f"'{text}" if text.startswith(FORMULA) else text
