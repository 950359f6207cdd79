"""YAML syntax errors in words that a person without YAML can act on."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in a file; line and column count from 1."""

    line: int
    column: int


class SyntaxFault(Exception):
    """The text is not YAML that Vigie reads; nothing behind this place was looked at.

    Never leaves `config`: `parse.parse_document` turns it into a `ConfigError`.

    Attributes:
        whole_file: the other sections of the file cannot be judged without this place.
    """

    def __init__(
        self, place: Place, why: str, remedy: str, got: str = "", *, whole_file: bool = False
    ) -> None:
        super().__init__(why)
        self.whole_file = whole_file
        self.place = place
        self.why = why
        self.remedy = remedy
        self.got = got


@dataclass(frozen=True, slots=True)
class _Saying:
    """What PyYAML says (a part of it), and what we say instead."""

    problem: str
    why: str
    remedy: str
    at_start: bool = False


_INDENT = (
    "keys of one section start in the same column: line this one up with the key above it, "
    "or indent it by two more spaces to put it inside that key"
)

#: First match wins; `at_start` points at where the broken thing began, not where it was noticed.
_SAYINGS = (
    _Saying(
        "could not find expected ':'",
        "neither 'key: value' nor '- item'",
        "write a colon and a space between key and value",
        at_start=True,
    ),
    _Saying(
        "found unexpected end of stream",
        "the quote opened here is never closed",
        "add the closing quote",
        at_start=True,
    ),
    _Saying(
        "found unknown escape character",
        "a backslash inside double quotes starts a special character",
        "use single quotes, or write every backslash twice",
    ),
    _Saying(
        "escape sequence of",
        "an unfinished \\x, \\u or \\U",
        "write the value in single quotes, where a backslash is only a backslash",
    ),
    _Saying(
        "expected ',' or ']'",
        "the list opened here is not closed, or a comma is missing",
        "write it as [one, two] with a comma between entries and ] at the end",
        at_start=True,
    ),
    _Saying(
        "expected ',' or '}'",
        "the { opened here is not closed, or a comma is missing",
        "write it as {key: value, key: value}, or put the value in quotes if it is a text",
        at_start=True,
    ),
    _Saying(
        "sequence entries are not allowed here",
        "a list entry where none can stand",
        "start the list on a new line below its key, or write it as [one, two]",
    ),
    _Saying("found undefined alias", "a value that starts with *", 'put it in quotes: "*..."'),
    _Saying("expected alphabetic or numeric", "a special sign", "put the value in quotes"),
    _Saying("found duplicate anchor", "an anchor (&) is used twice", "write the value out"),
    _Saying("but found '<block mapping start>'", "this line is indented wrongly", _INDENT),
    _Saying("but found '?'", "a list and keys are mixed, or the indentation is wrong", _INDENT),
    _Saying(
        "but found '-'",
        "a list entry among keys, or one that is indented wrongly",
        "write it below a key of its own, or line the dash up with the dashes of its list",
    ),
    _Saying("but found '<block sequence start>'", "a list entry is indented wrongly", _INDENT),
    _Saying(
        "but found '<scalar>'",
        "text behind the end of a value, or a line that is indented wrongly",
        "put the whole value in one pair of quotes, or indent the line as the lines above it",
    ),
    _Saying("but found ']'", "a ] without its [", "remove it, or put the value in quotes"),
    _Saying("but found '}'", "a } without its {", "remove it, or put the value in quotes"),
    _Saying(
        "expected '<document start>'",
        "the file goes on after its end, or begins with a list or text",
        "start every setting with 'key:' in the first column",
    ),
)


def explain_yaml_error(error: yaml.YAMLError, text: str) -> SyntaxFault:
    """The fault behind an error of PyYAML's reader, scanner or parser."""
    if isinstance(error, yaml.reader.ReaderError):
        return _unreadable_character(error, text)
    if not isinstance(error, yaml.MarkedYAMLError):
        return SyntaxFault(Place(1, 1), f"not YAML ({error})", "restore the last good file")
    mark = error.problem_mark or error.context_mark
    place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
    tab = _tab_before(text, place)
    if tab is not None:
        return SyntaxFault(
            tab, "a tab stands in the indentation", "replace the tab with spaces, two per level"
        )
    problem = str(error.problem)
    if "mapping values are not allowed here" in problem:
        return _colon(text, place)
    if "but found ':'" in problem:
        return _nothing_before_colon(text, place)
    for saying in _SAYINGS:
        if saying.problem in problem:
            start = error.context_mark if saying.at_start else None
            if start is not None:
                place = Place(start.line + 1, start.column + 1)
            return SyntaxFault(place, saying.why, saying.remedy, _line(text, place))
    if "cannot start any token" in problem:
        return SyntaxFault(
            place,
            f"a value cannot begin with {_character(text, place)}",
            "put the value in quotes",
            _line(text, place),
        )
    return SyntaxFault(
        place,
        f"not valid YAML: {problem}",
        "write 'key: value', with text that holds special signs in quotes",
        _line(text, place),
    )


def _colon(text: str, place: Place) -> SyntaxFault:
    """A colon where none can stand: what stands before it says what happened."""
    lines = text.splitlines()
    line = lines[place.line - 1]
    if re.search(r":\s", line[: place.column - 1]):
        return SyntaxFault(
            place,
            "a second colon in one line",
            "put the whole value in quotes, or start a new line for the second key",
            _line(text, place),
        )
    above = max((n for n in range(1, place.line) if _says_something(lines[n - 1])), default=1)
    if ":" not in lines[above - 1].partition("#")[0]:
        start = Place(above, _indentation(lines[above - 1]) + 1)
        return SyntaxFault(
            start,
            "neither 'key: value' nor '- item'",
            "write a colon and a space between key and value",
            _line(text, start),
        )
    return SyntaxFault(
        Place(place.line, _indentation(line) + 1),
        f"this line is indented further than line {above}, which has a value already",
        "let it begin in the same column as the other keys of its section",
        _line(text, place),
    )


def _nothing_before_colon(text: str, place: Place) -> SyntaxFault:
    behind = text.splitlines()[place.line - 1][place.column :]
    if behind[:1].strip():
        return SyntaxFault(
            place, "a value cannot begin with :", "put the value in quotes", _line(text, place)
        )
    return SyntaxFault(
        place,
        "there is no key before the colon",
        "write the key, or delete the line",
        _line(text, place),
    )


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip())


def place_of_index(text: str, index: int) -> Place:
    """Line and column of a character index."""
    before = text[:index]
    return Place(before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1)


def _unreadable_character(error: yaml.reader.ReaderError, text: str) -> SyntaxFault:
    place = place_of_index(text, error.position)
    code = error.character if isinstance(error.character, int) else ord(error.character)
    return SyntaxFault(
        place,
        f"an invisible control character (code {code:#04x}) stands here",
        "delete the character and type the line again",
    )


def _tab_before(text: str, place: Place) -> Place | None:
    """The first tab in the indentation of the faulty line or of the one before it."""
    lines = text.splitlines()
    for number in (place.line, place.line - 1):
        if 1 <= number <= len(lines):
            line = lines[number - 1]
            indentation = line[: len(line) - len(line.lstrip())]
            if "\t" in indentation:
                return Place(number, indentation.index("\t") + 1)
    return None


def _character(text: str, place: Place) -> str:
    lines = text.splitlines()
    if place.line <= len(lines) and place.column <= len(lines[place.line - 1]):
        character = lines[place.line - 1][place.column - 1]
        return "a tab" if character == "\t" else character
    return "this sign"


def _line(text: str, place: Place) -> str:
    lines = text.splitlines()
    if not 1 <= place.line <= len(lines):
        return ""
    line = lines[place.line - 1].strip()
    if may_be_secret(line):
        return ""
    return f"'{line[:57]}...'" if len(line) > 60 else f"'{line}'" if line else ""


def may_be_secret(text: str) -> bool:
    """True where a line or key speaks of a password; such text is never repeated."""
    lowered = text.lower()
    return any(word in lowered for word in ("password", "passwd", "secret", "token", "apikey"))
