"""What an ONNX file contains, read without running it: operators, domains, weights elsewhere.

Only the wire format of Protocol Buffers is read (protobuf.dev/programming-guides/encoding), with
the field numbers of onnx.proto3 (ONNX IR, Apache-2.0); weights are stepped over, not copied. A
runtime would follow a path that the file names, so what it may not do is refused before.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import PurePosixPath, PureWindowsPath

from node.domain.errors import ModelError

#: Operator sets that ONNX Runtime brings; "" and "ai.onnx" are one.
KNOWN_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml", "com.microsoft"})

_MODEL_GRAPH, _MODEL_OPSET, _MODEL_FUNCTIONS = 7, 8, 25
_OPSET_DOMAIN = 1
_FUNCTION_NODE, _FUNCTION_DOMAIN = 7, 10
_GRAPH_NODE, _GRAPH_INITIALIZER, _GRAPH_SPARSE = 1, 5, 15
_NODE_OPERATOR, _NODE_ATTRIBUTE, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS = 5, 6, 10
_ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE, _ATTRIBUTE_SPARSES = 11, 22, 23
_SPARSE_VALUES, _SPARSE_INDICES = 1, 2
_TENSOR_NAME, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 8, 13, 14
_EXTERNAL = 1
_ENTRY_KEY, _ENTRY_VALUE = 1, 2

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
#: Graphs inside graphs (If, Loop, Scan); a file that nests deeper is made to exhaust the stack.
_DEEPEST = 32


def inspect_graph(model: bytes, name: str) -> None:
    """Refuse a network that needs operators or files which this node does not give it.

    Args:
        model: content of the file. name: of the network, for the messages.

    Raises:
        ModelError: it is no ONNX file, uses an operator set that is not known here, or keeps
            weights in another file, where no digest covers them.
    """
    try:
        _Inspection(name).model(memoryview(model))
    except (IndexError, UnicodeDecodeError, RecursionError) as error:
        raise ModelError(
            f"network {name} is no ONNX file, or is cut off; install the package again"
        ) from error


class _Inspection:
    def __init__(self, name: str) -> None:
        self._name = name
        self._own: Collection[str] = ()

    def model(self, data: memoryview) -> None:
        fields = list(_fields(data))
        functions = [value for number, value in fields if number == _MODEL_FUNCTIONS]
        # A function that the file defines itself is made of known operators in the end.
        self._own = {_text(function, _FUNCTION_DOMAIN) for function in functions}
        graphs = [value for number, value in fields if number == _MODEL_GRAPH]
        if not graphs or not any(number == _MODEL_OPSET for number, _ in fields):
            raise IndexError
        for function in functions:
            for number, value in _fields(function):
                if number == _FUNCTION_NODE:
                    self._node(value, 1)
        for graph in graphs:
            self._graph(graph, 0)

    def _graph(self, data: memoryview, depth: int) -> None:
        if depth > _DEEPEST:
            raise RecursionError
        for number, value in _fields(data):
            if number == _GRAPH_NODE:
                self._node(value, depth + 1)
            elif number == _GRAPH_INITIALIZER:
                self._tensor(value)
            elif number == _GRAPH_SPARSE:
                self._sparse(value)

    def _node(self, data: memoryview, depth: int) -> None:
        domain, operator = _text(data, _NODE_DOMAIN), _text(data, _NODE_OPERATOR)
        if domain not in KNOWN_DOMAINS and domain not in self._own:
            raise ModelError(
                f"network {self._name} uses the operator '{operator}' of the set '{domain}', which "
                "this node does not have; export it with standard ONNX operators only"
            )
        for number, attribute in _fields(data):
            if number == _NODE_ATTRIBUTE:
                self._attribute(attribute, depth)

    def _attribute(self, data: memoryview, depth: int) -> None:
        for number, value in _fields(data):
            if number in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS):
                self._tensor(value)
            elif number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS):
                self._graph(value, depth)
            elif number in (_ATTRIBUTE_SPARSE, _ATTRIBUTE_SPARSES):
                self._sparse(value)

    def _sparse(self, data: memoryview) -> None:
        for number, value in _fields(data):
            if number in (_SPARSE_VALUES, _SPARSE_INDICES):
                self._tensor(value)

    def _tensor(self, data: memoryview) -> None:
        entries = {}
        is_elsewhere = False
        for number, value in _fields(data):
            if number == _TENSOR_EXTERNAL:
                entries[_text(value, _ENTRY_KEY)] = _text(value, _ENTRY_VALUE)
                is_elsewhere = True
            elif number == _TENSOR_LOCATION:
                is_elsewhere |= _number(value) == _EXTERNAL
        if not is_elsewhere:
            return
        tensor, location = _text(data, _TENSOR_NAME), entries.get("location", "")
        where = "outside of the package" if _leaves(location) else "in another file"
        raise ModelError(
            f"network {self._name} keeps the weights '{tensor}' {where} ('{location}'), which no "
            "digest covers; export it with all weights inside the ONNX file"
        )


def _leaves(location: str) -> bool:
    """Does a path lead out of the folder of the file?"""
    posix, windows = PurePosixPath(location), PureWindowsPath(location)
    absolute = posix.is_absolute() or bool(windows.drive or windows.root)
    return absolute or ".." in posix.parts or ".." in windows.parts


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """(field number, content) of a message; numbers come as their bytes. IndexError: cut off."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == _VARINT:
            _, end = _varint(data, at)
        elif kind == _FIXED64:
            end = at + 8
        elif kind == _FIXED32:
            end = at + 4
        elif kind == _BYTES:
            length, at = _varint(data, at)
            end = at + length
        else:
            raise IndexError
        if end > len(data):
            raise IndexError
        yield key >> 3, data[at:end]
        at = end


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise IndexError


def _number(data: memoryview) -> int:
    return _varint(data, 0)[0]


def _text(data: memoryview, field: int) -> str:
    """The last of a text field, as Protocol Buffers have it; "" when it is not there."""
    found = ""
    for number, value in _fields(data):
        if number == field:
            found = str(value, "utf-8")
    return found
