"""A foreign JSON document read key by key; everything that is not understood is collected.

A reader of another framework's files must never guess. Each question asked here either gets an
answer of the right type or leaves one sentence that names the file, the key and what was
expected, so that a person sees all of them at once.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from node.domain.errors import ImportFault, ImportRefused

#: Largest JSON document that is read: plans of many configurations are below 1 MB.
MAX_BYTES = 32 * 1024 * 1024


#: What to do about a key that is not understood.
_REMEDY = "nothing is guessed: export the network to ONNX and import that file with a short form"
_AGAIN = "copy it again, whole, from where the model was published"


def read_json(path: Path) -> Mapping[str, Any]:
    """A JSON object from a file.

    Raises:
        ImportRefused: the file is missing, larger than `MAX_BYTES`, or holds no JSON object.
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ImportRefused.once(
                str(path), f"it has {size} bytes, at most {MAX_BYTES} are read", _AGAIN
            )
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ImportRefused.once(
            str(path),
            f"it cannot be read ({error.strerror})",
            "name the folder that holds it, and see that it may be read",
        ) from None
    except (ValueError, RecursionError) as error:
        raise ImportRefused.once(str(path), f"it holds no JSON ({error})", _AGAIN) from None
    if not isinstance(value, dict):
        raise ImportRefused.once(str(path), "it holds no JSON object", _AGAIN)
    return value


@dataclass(slots=True)
class Doubts:
    """What of one file was not understood, in the order it was met."""

    file: str
    faults: list[ImportFault] = field(default_factory=list)

    def add(self, key: str, why: str, remedy: str = _REMEDY) -> None:
        """Note one key that is not understood, why, and what to do."""
        self.faults.append(ImportFault(where=f"{self.file}: {key}", why=why, remedy=remedy))

    def settle(self, *others: Doubts) -> None:
        """Raises:
        ImportRefused: something was not understood, here or in the other files.
        """
        faults = [*self.faults, *(fault for other in others for fault in other.faults)]
        if faults:
            raise ImportRefused(faults=faults)


@dataclass(frozen=True, slots=True)
class Node:
    """One JSON object of the document, with its place for the messages.

    Where a value is missing or of another type, a doubt is noted and a harmless value of the
    right type is returned, so that reading goes on and every fault is named in one run.
    """

    values: Mapping[str, Any]
    place: str
    doubts: Doubts

    def key(self, name: str) -> str:
        """The dotted place of a key of this object."""
        return f"{self.place}.{name}" if self.place else name

    def has(self, name: str) -> bool:
        """Whether the key is there and not null."""
        return self.values.get(name) is not None

    def node(self, name: str) -> Node:
        """An object inside this one."""
        value = self.values.get(name)
        if not isinstance(value, dict):
            self._wrong(name, "an object")
            value = {}
        return Node(value, self.key(name), self.doubts)

    def text(self, name: str) -> str:
        """A string."""
        value = self.values.get(name)
        if not isinstance(value, str):
            self._wrong(name, "a text")
            return ""
        return value

    def word(self, name: str, known: Collection[str]) -> str:
        """One of the known words; another one is a doubt and comes back as it is."""
        value = self.text(name)
        if self.has(name) and value not in known:
            self.doubts.add(
                self.key(name), f"{value!r} is not understood (known: {', '.join(sorted(known))})"
            )
        return value

    def number(self, name: str) -> float:
        """A finite number."""
        value = self.values.get(name)
        if not is_number(value):
            self._wrong(name, "a number")
            return 1.0
        return float(value)  # type: ignore[arg-type]  # is_number said so

    def integer(self, name: str) -> int:
        """A whole number."""
        value = self.values.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            self._wrong(name, "a whole number")
            return 1
        return value

    def numbers(self, name: str) -> tuple[float, ...]:
        """A list of finite numbers."""
        value = self.values.get(name)
        if not isinstance(value, list) or not all(map(is_number, value)):
            self._wrong(name, "a list of numbers")
            return ()
        return tuple(map(float, value))

    def integers(self, name: str) -> tuple[int, ...]:
        """A list of whole numbers."""
        value = self.values.get(name)
        if not isinstance(value, list) or not all(
            isinstance(item, int) and not isinstance(item, bool) for item in value
        ):
            self._wrong(name, "a list of whole numbers")
            return ()
        return tuple(value)

    def flag(self, name: str, default: bool | None) -> bool | None:
        """True, False, or the default where the key is null or missing."""
        value = self.values.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            self._wrong(name, "true, false or null")
            return default
        return value

    def only(self, known: Collection[str]) -> None:
        """Note each key of this object that is not among the known ones."""
        for name in sorted(set(self.values) - set(known)):
            self.doubts.add(self.key(name), "this key is not understood")

    def _wrong(self, name: str, expected: str) -> None:
        if name not in self.values:
            self.doubts.add(self.key(name), f"is missing; {expected} is expected")
        else:
            self.doubts.add(
                self.key(name), f"{shown(self.values[name])} stands where {expected} is expected"
            )


def is_number(value: object) -> bool:
    """Whether a JSON value is a finite number (true and false are none)."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def shown(value: object) -> str:
    """A JSON value for a message, cut to 60 characters."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
