"""The small part of `$` expressions that is understood; it is read, never evaluated by Python.

Literals, `@references`, arithmetic, comparisons, `a if b else c`, indexing, a list
comprehension over one list, a few functions on numbers and lists, dotted names, and calls of
dotted names, which become `Component`. Whatever else stands there becomes `Unknown` by name.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from models.importers.monai_values import Component, Named, Unknown, Value

_REFERENCE = re.compile(r"@((?:#|::)*\w+(?:(?:#|::)\w+)*)")
_PLACEHOLDER = "reference_{}_"
#: Bounds for what arithmetic may build.
_LONGEST_EXPRESSION = 2_000
_LONGEST_LIST = 10_000
_LARGEST_NUMBER = 10**15
_DEEPEST = 40
_MOST_WORK = 100_000

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda item, items: item in items,
    ast.NotIn: lambda item, items: item not in items,
}
_UNARY: Mapping[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
    ast.Not: operator.not_,
}
#: Methods of a detector that set it up; the call becomes a `Component` of that name.
_SETTERS = ("set_target_keys", "set_box_selector_parameters", "set_sliding_window_inferer")
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "len": len,
    "int": int,
    "float": float,
    "bool": bool,
    "list": list,
    "tuple": list,
    "min": min,
    "max": max,
    "sum": sum,
    "abs": abs,
    "round": round,
    "sorted": sorted,
    "range": lambda *bounds: list(_bounded(range(*bounds))),
}


@dataclass(frozen=True, slots=True)
class Formula:
    """A lambda of one argument. Only two forms of it are understood; none is ever called."""

    argument: str
    body: ast.expr
    where: str

    def threshold(self) -> float | None:
        """c of `x > c`; None for any other form."""
        body = self.body
        if (
            isinstance(body, ast.Compare)
            and self._is_argument(body.left)
            and len(body.ops) == 1
            and isinstance(body.ops[0], ast.Gt)
        ):
            value = _literal(body.comparators[0])
            return None if value is None else float(value)
        return None

    def channels(self, count: int) -> tuple[int, ...] | None:
        """Which of `count` channels `x[...]` keeps; None for any other form."""
        body = self.body
        if not isinstance(body, ast.Subscript) or not self._is_argument(body.value):
            return None
        index = body.slice
        if isinstance(index, ast.Tuple) and all(map(_is_everything, index.elts[1:])):
            index = index.elts[0]
        if isinstance(index, ast.List):
            return _whole([_literal(item) for item in index.elts], count)
        if isinstance(index, ast.Slice):
            bounds = [
                None if bound is None else _literal(bound)
                for bound in (index.lower, index.upper, index.step)
            ]
            return _whole(list(range(count))[slice(*bounds)], count)
        return None

    def _is_argument(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Name) and node.id == self.argument


def _literal(node: ast.expr) -> Any:  # noqa: ANN401 - a number, or None
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _is_everything(node: ast.expr) -> bool:
    if isinstance(node, ast.Slice):
        return node.lower is None and node.upper is None and node.step is None
    return isinstance(node, ast.Constant) and node.value is ...


def _whole(channels: list[Any], count: int) -> tuple[int, ...] | None:
    if not channels or not all(isinstance(channel, int) for channel in channels):
        return None
    positive = tuple(channel + count if channel < 0 else channel for channel in channels)
    return positive if all(0 <= channel < count for channel in positive) else None


class NotUnderstood(Exception):
    """Why an expression is not; becomes an `Unknown`."""


def _bounded(numbers: range) -> range:
    if len(numbers) > _LONGEST_LIST:
        raise NotUnderstood(f"a list of {len(numbers)} numbers")
    return numbers


def read_expression(text: str, where: str, resolve: Callable[[str], Value]) -> Value:
    """The value of `text`, which stands behind a `$`.

    Args:
        where: key path, for messages. resolve: value of a reference by its id.
    """
    shown = text if len(text) <= 120 else text[:117] + "..."
    try:
        return _Reader(text, where, resolve).read()
    except NotUnderstood as error:
        return Unknown(where, f"`${shown}` is code: {error}")
    except (ValueError, TypeError, ArithmeticError, LookupError) as error:
        return Unknown(where, f"`${shown}` has no value ({error})")


class _Reader:
    """Walks one expression."""

    def __init__(self, text: str, where: str, resolve: Callable[[str], Value]) -> None:
        self._where = where
        self._resolve = resolve
        self._references: list[str] = []
        self._names: dict[str, Value] = {}
        self._work = _MOST_WORK
        if len(text) > _LONGEST_EXPRESSION:
            raise NotUnderstood(f"{len(text)} characters")
        self._text = _REFERENCE.sub(self._place, text)

    def _place(self, match: re.Match[str]) -> str:
        self._references.append(match[1])
        return _PLACEHOLDER.format(len(self._references) - 1)

    def read(self) -> Value:
        try:
            tree = ast.parse(self._text.strip(), mode="eval")
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise NotUnderstood("no single expression") from None
        return self._value(tree.body, 0)

    def _value(self, node: ast.expr, depth: int) -> Value:
        self._work -= 1
        if depth > _DEEPEST or self._work < 0:
            raise NotUnderstood("nested too deep or too long")
        method = getattr(self, f"_{type(node).__name__.lower()}", None)
        if method is None:
            raise NotUnderstood(f"{type(node).__name__} is not in the vocabulary")
        value = method(node, depth + 1)
        if isinstance(value, int | float) and abs(value) > _LARGEST_NUMBER:
            raise NotUnderstood("a number beyond all bounds")
        if isinstance(value, list | str):
            self._work -= len(value)
            if len(value) > _LONGEST_LIST:
                raise NotUnderstood(f"a value of {len(value)} items")
        return value

    def _known(self, node: ast.expr, depth: int) -> Any:  # noqa: ANN401 - a plain value
        value = self._value(node, depth)
        if isinstance(value, Unknown):
            raise NotUnderstood(f"it needs {value.where}, where {value.why}")
        return value

    def _constant(self, node: ast.Constant, _depth: int) -> Value:
        if isinstance(node.value, int | float | str | bool | None):
            return node.value
        raise NotUnderstood(f"a {type(node.value).__name__}")

    def _name(self, node: ast.Name, _depth: int) -> Value:
        if node.id in self._names:
            return self._names[node.id]
        match = re.fullmatch(r"reference_(\d+)_", node.id)
        if match and int(match[1]) < len(self._references):
            return self._resolve(self._references[int(match[1])])
        return Named(node.id)

    def _attribute(self, node: ast.Attribute, depth: int) -> Value:
        base = self._value(node.value, depth)
        if isinstance(base, Named):
            return Named(f"{base.name}.{node.attr}")
        raise NotUnderstood(f"the attribute '{node.attr}' of a value")

    def _list(self, node: ast.List, depth: int) -> Value:
        return [self._value(item, depth) for item in node.elts]

    def _tuple(self, node: ast.Tuple, depth: int) -> Value:
        return [self._value(item, depth) for item in node.elts]

    def _dict(self, node: ast.Dict, depth: int) -> Value:
        if None in node.keys:
            raise NotUnderstood("an unpacked dict")
        keys = [self._known(key, depth) for key in node.keys if key is not None]
        return dict(zip(keys, (self._value(item, depth) for item in node.values), strict=True))

    def _unaryop(self, node: ast.UnaryOp, depth: int) -> Value:
        if type(node.op) not in _UNARY:
            raise NotUnderstood(f"the operator {type(node.op).__name__}")
        return _UNARY[type(node.op)](self._known(node.operand, depth))

    def _binop(self, node: ast.BinOp, depth: int) -> Value:
        if type(node.op) not in _BINARY:
            raise NotUnderstood(f"the operator {type(node.op).__name__}")
        left, right = self._known(node.left, depth), self._known(node.right, depth)
        if isinstance(node.op, ast.Pow) and not (_small(left) and _small(right)):
            raise NotUnderstood("a power of large numbers")
        if isinstance(node.op, ast.Mod) and isinstance(left, str):
            raise NotUnderstood("a formatted text")
        if isinstance(node.op, ast.Mult) and not (_number(left) and _number(right)):
            count = left if isinstance(left, int) else right
            other = right if isinstance(left, int) else left
            if not isinstance(count, int) or count * len(other) > _LONGEST_LIST:
                raise NotUnderstood("a list repeated beyond all bounds")
        result = _BINARY[type(node.op)](left, right)
        if isinstance(result, complex):
            raise NotUnderstood("a complex number")
        return result

    def _boolop(self, node: ast.BoolOp, depth: int) -> Value:
        value: Any = None
        for item in node.values:
            value = self._known(item, depth)
            if bool(value) is isinstance(node.op, ast.Or):
                return value
        return value

    def _compare(self, node: ast.Compare, depth: int) -> Value:
        if len(node.ops) != 1:
            raise NotUnderstood("a chain of comparisons")
        left, right = self._known(node.left, depth), self._known(node.comparators[0], depth)
        return _COMPARE[type(node.ops[0])](left, right)

    def _ifexp(self, node: ast.IfExp, depth: int) -> Value:
        chosen = node.body if self._known(node.test, depth) else node.orelse
        return self._value(chosen, depth)

    def _subscript(self, node: ast.Subscript, depth: int) -> Value:
        items = self._known(node.value, depth)
        if not isinstance(items, list | str | dict):
            raise NotUnderstood("an index into something that is no list")
        if isinstance(node.slice, ast.Slice):
            bounds = (node.slice.lower, node.slice.upper, node.slice.step)
            numbers = (None if bound is None else self._known(bound, depth) for bound in bounds)
            if isinstance(items, dict):
                raise NotUnderstood("a slice of a mapping")
            return items[slice(*numbers)]
        return items[self._known(node.slice, depth)]

    def _listcomp(self, node: ast.ListComp, depth: int) -> Value:
        loop = node.generators[0]
        if len(node.generators) != 1 or loop.ifs or not isinstance(loop.target, ast.Name):
            raise NotUnderstood("a list comprehension with more than one loop over one name")
        items = self._known(loop.iter, depth)
        if not isinstance(items, list) or len(items) > _LONGEST_LIST:
            raise NotUnderstood("a loop over something that is no short list")
        name, values = loop.target.id, []
        outer = self._names
        for item in items:
            self._names = {**outer, name: item}
            values.append(self._value(node.elt, depth))
        self._names = outer
        return values

    def _lambda(self, node: ast.Lambda, _depth: int) -> Value:
        arguments = node.args
        if len(arguments.args) != 1 or ast.dump(arguments).count("arg=") != 1:
            raise NotUnderstood("a lambda of more than one argument")
        return Formula(arguments.args[0].arg, node.body, self._where)

    def _call(self, node: ast.Call, depth: int) -> Value:
        if isinstance(node.func, ast.Attribute):
            base = self._value(node.func.value, depth)
            if isinstance(base, Component) and node.func.attr in _SETTERS:
                return self._component(node.func.attr, node, depth)
            if not isinstance(base, Named):
                return _moved(base, node.func.attr)
        called = self._value(node.func, depth)
        if not isinstance(called, Named):
            raise NotUnderstood("a call of a value")
        if called.name in _FUNCTIONS:
            if node.keywords:
                raise NotUnderstood(f"{called.name} with keywords")
            return _FUNCTIONS[called.name](*(self._known(item, depth) for item in node.args))
        return self._component(called.name, node, depth)

    def _component(self, name: str, node: ast.Call, depth: int) -> Component:
        if any(keyword.arg is None for keyword in node.keywords):
            raise NotUnderstood("a call with unpacked keywords")
        return Component(
            name,
            self._where,
            {str(word.arg): self._value(word.value, depth) for word in node.keywords},
            tuple(self._value(item, depth) for item in node.args),
        )


def _moved(base: Value, method: str) -> Value:
    """`network.to(device)`, `.eval()`: the same network."""
    if isinstance(base, Component) and method in ("to", "eval", "cpu", "cuda", "float"):
        return base
    raise NotUnderstood(f"a call of the method '{method}'")


def _number(value: object) -> bool:
    return isinstance(value, int | float)


def _small(value: object) -> bool:
    return isinstance(value, int | float) and abs(value) <= 4096
