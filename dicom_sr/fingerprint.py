"""Digest of findings: the part of a UID that changes whenever the result does."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator

import numpy as np

from node.domain.finding import Findings
from node.domain.label_map import LabelMask
from node.domain.study import Plane

#: How long it took is no part of the result.
UNHASHED = frozenset({"seconds"})


def findings_digest(findings: Findings) -> str:
    """SHA-256, hex, over everything the findings say; file paths and durations left out."""
    state = hashlib.sha256()
    for piece in _pieces(findings):
        state.update(len(piece).to_bytes(8, "big"))
        state.update(piece)
    return state.hexdigest()


def _pieces(value: object) -> Iterator[bytes]:
    match value:
        case Plane():
            yield f"plane {value.sop_instance_uid} {value.frame_number}".encode()
        case LabelMask():
            yield f"label {value.value} of {value.map.digest}".encode()
        case np.ndarray():
            yield f"array {value.dtype} {value.shape}".encode()
            yield np.ascontiguousarray(value).tobytes()
        case str() | bool() | None:
            yield f"{type(value).__name__} {value}".encode()
        case int() | float() | np.integer() | np.floating():
            yield f"number {float(value).hex()}".encode()
        case tuple() | list():
            yield f"sequence {len(value)}".encode()
            for item in value:
                yield from _pieces(item)
        case _:
            yield from _fields(value)


def _fields(value: object) -> Iterator[bytes]:
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        raise TypeError(f"findings hold a {type(value).__name__}, which has no digest")
    yield type(value).__name__.encode()
    for field in dataclasses.fields(value):
        if field.name not in UNHASHED:
            yield field.name.encode()
            yield from _pieces(getattr(value, field.name))
