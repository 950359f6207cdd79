"""From the text of a file to its tree.

Reads YAML with the scalars of YAML 1.2 (only true and false are booleans, so `NO` and `ON`
stay AE titles; a leading zero is no octal number). Anchors, aliases,
merge keys and tags are refused, and what stands around them is read: an appliance file needs
none, and without them a small file cannot become a huge one.
"""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import yaml

from config.document import (
    MERGE,
    Document,
    Entry,
    MappingNode,
    Node,
    PlainScalar,
    ScalarNode,
    SequenceNode,
    shown,
)
from config.sections import Section, only, top_sections
from config.source import read_text, right_file
from config.syntax import Place, SyntaxFault, explain_yaml_error
from node.domain.errors import ConfigError, ConfigFault

MAX_DEPTH = 30
MAX_VALUES = 10_000
#: Anchors, aliases, tags and merge keys that are told one by one.
MAX_NOT_READ = 20


def parse_document(path: Path, option: str = "--config") -> Document:
    """Read a file into a tree; `option` of the command line names it in remedies.

    A top section that is not YAML costs its own keys only: the others are read, so that an
    operator is told every fault at once.

    Raises:
        ConfigError: the file cannot be read, or is not YAML with keys at the top.
    """
    try:
        text = read_text(path, option)
    except SyntaxFault as fault:
        raise ConfigError(faults=[_as_fault(path, fault)]) from None
    builder = _Builder(path, text, option)
    try:
        return builder.document()
    except SyntaxFault as fault:
        document = None if fault.whole_file else _by_sections(path, text, option)
        if document is None:
            raise ConfigError(faults=[*builder.faults, _as_fault(path, fault)]) from None
        return document


def _by_sections(path: Path, text: str, option: str) -> Document | None:
    """The sections that are YAML by themselves, with a fault for each of the others.

    None where the fault cannot be pinned to a section, or nothing is left.
    """
    sections = top_sections(text)
    broken: dict[Section, ConfigFault] = {}
    for section in sections:
        try:
            _Builder(path, only(text, (section,)), option).document()
        except SyntaxFault as fault:
            if section.holds(fault.place):
                broken[section] = _as_fault(path, fault)
    good = [section for section in sections if section not in broken]
    if not broken or not any(section.key for section in good):
        return None
    try:
        document = _Builder(path, only(text, good), option).document()
    except SyntaxFault:
        return None
    return replace(
        document,
        faults=(*document.faults, *broken.values()),
        unread=(*document.unread, *((section.key,) for section in broken if section.key)),
    )


def _as_fault(path: Path, fault: SyntaxFault) -> ConfigFault:
    return ConfigFault(
        file=str(path),
        line=fault.place.line,
        column=fault.place.column,
        key="",
        why=fault.why,
        got=fault.got,
        remedy=fault.remedy,
    )


class _Builder:
    """Turns PyYAML's events into the tree; never builds a Python object from a tag."""

    def __init__(self, path: Path, text: str, option: str) -> None:
        self._path = path
        self._option = option
        self._text = text
        self._loader = yaml.SafeLoader("")
        self.faults: list[ConfigFault] = []
        self._unread: list[tuple[str, ...]] = []
        self._keys: list[str] = []
        self._values = 0

    def document(self) -> Document:
        try:
            self._loader = yaml.SafeLoader(self._text)
            root = self._root()
        except yaml.YAMLError as error:
            raise explain_yaml_error(error, self._text) from None
        except (ValueError, OverflowError):
            # PyYAML turns \U escapes and %YAML numbers into Python values without a check.
            place = Place(self._loader.line + 1, self._loader.column + 1)
            raise SyntaxFault(
                place,
                "a number or \\U escape that is out of range",
                "write the value in single quotes, where a backslash is only a backslash",
            ) from None
        return Document(
            path=self._path, root=root, faults=tuple(self.faults), unread=tuple(self._unread)
        )

    def _next(self) -> yaml.Event:
        event = self._loader.get_event()  # type: ignore[no-untyped-call]  # the stubs lack it
        assert isinstance(event, yaml.Event)
        return event

    def _root(self) -> MappingNode:
        self._next()  # stream start
        if self._loader.check_event(yaml.StreamEndEvent):
            raise SyntaxFault(
                Place(1, 1),
                "the file holds no settings",
                "start from the appliance.yaml that came with Vigie"
                if self._option == "--config"
                else right_file(self._option),
            )
        self._next()  # document start
        node = self._node(0)
        self._next()  # document end
        if not self._loader.check_event(yaml.StreamEndEvent):
            raise SyntaxFault(
                _place(self._next()),
                "a second document begins here",
                "remove the line '---' and keep one document in the file",
                whole_file=True,
            )
        if not isinstance(node, MappingNode):
            raise _not_a_mapping(node)
        return node

    def _node(self, depth: int) -> Node:
        event = self._next()
        place = _place(event)
        if isinstance(event, yaml.AliasEvent):
            self._not_read(
                place,
                "a value that starts with * is a YAML alias, which is not read here",
                'put it in quotes ("*...") if the star belongs to it, else write the value out',
            )
            self._guard(place, depth)
            return self._placeholder(place, f"*{event.anchor}")
        assert isinstance(event, yaml.NodeEvent)
        if event.anchor is not None:
            self._not_read(
                place,
                "a value that starts with & is a YAML anchor, which is not read here",
                'put it in quotes ("&...") if the sign belongs to it, else remove it',
            )
            lone = isinstance(event, yaml.ScalarEvent) and event.value == ""
            if lone:
                return self._placeholder(place, f"&{event.anchor}")
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._not_read(
                place,
                "a value that starts with ! is a YAML tag, which is not read here",
                'put it in quotes ("!...") if the sign belongs to it, else remove it',
            )
            self._unread.append(tuple(self._keys))
        self._guard(place, depth)
        if isinstance(event, yaml.ScalarEvent):
            return _scalar(event, place)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(place, depth)
        return self._mapping(place, depth)

    def _placeholder(self, place: Place, text: str) -> ScalarNode:
        """Stands for what is not read: no other fault is found in it."""
        self._unread.append(tuple(self._keys))
        return ScalarNode(place, text, text)

    def _not_read(self, place: Place, why: str, remedy: str) -> None:
        """A fault behind which the file can be read on, unless there are very many."""
        fault = SyntaxFault(place, why, remedy, whole_file=True)
        if len(self.faults) >= MAX_NOT_READ:
            raise fault
        self.faults.append(replace(_as_fault(self._path, fault), key=".".join(self._keys)))

    def _merge(self, key_node: Node, depth: int) -> None:
        known = len(self.faults), len(self._unread)
        self._node(depth + 1)
        del self.faults[known[0] :], self._unread[known[1] :]
        self._unread.append((*self._keys, MERGE))
        self._not_read(
            key_node.place,
            "<< is YAML's merge key, which is not read here",
            "delete the line and write the keys that it stands for",
        )

    def _guard(self, place: Place, depth: int) -> None:
        self._values += 1
        if depth > MAX_DEPTH:
            raise SyntaxFault(
                place,
                f"nested more than {MAX_DEPTH} deep",
                "check the indentation and brackets",
                whole_file=True,
            )
        if self._values > MAX_VALUES:
            raise SyntaxFault(
                place,
                f"the file holds more than {MAX_VALUES:,} keys and values",
                right_file(self._option),
                whole_file=True,
            )

    def _sequence(self, place: Place, depth: int) -> SequenceNode:
        sequence = SequenceNode(place)
        while not self._loader.check_event(yaml.SequenceEndEvent):
            self._keys.append(str(len(sequence.items)))
            sequence.items.append(self._node(depth + 1))
            self._keys.pop()
        self._next()
        return sequence

    def _mapping(self, place: Place, depth: int) -> MappingNode:
        mapping = MappingNode(place)
        while not self._loader.check_event(yaml.MappingEndEvent):
            key_node = self._node(depth + 1)
            key = _key(key_node)
            if key == MERGE:
                self._merge(key_node, depth)
                continue
            self._keys.append(key)
            node = self._node(depth + 1)
            if key in mapping.entries:
                self._duplicate(key, Entry(key_node.place, node), mapping.entries[key])
            else:
                mapping.entries[key] = Entry(key_node.place, node)
            self._keys.pop()
        self._next()
        return mapping

    def _duplicate(self, key: str, second: Entry, first: Entry) -> None:
        remedy = f"keep one of the two '{key}' and delete the other"
        if isinstance(first.node, MappingNode) and isinstance(second.node, MappingNode):
            remedy = f"move its keys below the first '{key}:' and delete this line"
        self.faults.append(
            ConfigFault(
                file=str(self._path),
                line=second.place.line,
                column=second.place.column,
                key=".".join(self._keys),
                why=f"this key stands here for the second time; the first is on line "
                f"{first.place.line}, column {first.place.column}",
                got="",
                remedy=remedy,
            )
        )


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    assert mark is not None
    return Place(mark.line + 1, mark.column + 1)


def _not_a_mapping(node: Node) -> SyntaxFault:
    text = node.text if isinstance(node, ScalarNode) else ""
    if _MISSING_SPACE.match(text):
        return SyntaxFault(
            node.place,
            "there is no space after the colon",
            "write 'key: value' with a space",
            shown(node),
        )
    return SyntaxFault(
        node.place,
        "the file does not consist of 'key: value' settings",
        "start from the appliance.yaml that came with Vigie",
        shown(node),
    )


def _key(node: Node) -> str:
    if not isinstance(node, ScalarNode):
        raise SyntaxFault(
            node.place,
            "brackets where a key is expected",
            "write a plain key; if this is a template such as {{ name }}, fill it in",
        )
    if not node.text:
        raise SyntaxFault(
            node.place, "there is no key before the colon", "write the key, or delete the line"
        )
    return node.text


_MISSING_SPACE = re.compile(r"[A-Za-z_]\w*:\S")
_TYPOGRAPHIC_QUOTES = tuple("\u201c\u201d\u201e\u2018\u2019\u201a\u00ab\u00bb")
_INVISIBLE = tuple("\u00a0\u2003\u2009\u200b\u202f\u3000\ufeff")
_INTEGER = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


def _scalar(event: yaml.ScalarEvent, place: Place) -> ScalarNode:
    text = event.value
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise SyntaxFault(
            place, "an escape that is half a character (\\ud800 to \\udfff)", "write the letter"
        )
    if not event.implicit[0]:  # quoted, or a block of text
        return ScalarNode(place, text, text)
    if text[:1] in _TYPOGRAPHIC_QUOTES:
        raise SyntaxFault(
            place,
            f"a typographic quote ({text[:1]}), as word processors write it",
            'type straight quotes (") with a plain text editor',
        )
    if text[:1] in _INVISIBLE or text[-1:] in _INVISIBLE:
        raise SyntaxFault(
            place,
            "an invisible special space, as it comes with text copied from a web page",
            "delete the spaces of this line and type them again",
        )
    return ScalarNode(place, _resolved(text), text)


def _resolved(text: str) -> PlainScalar:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and not _LEADING_ZERO.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text
