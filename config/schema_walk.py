"""Finding the field of a pydantic schema that a path in the file speaks of."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Step = str | int


@dataclass(frozen=True, slots=True)
class _Inside:
    """A model, below so many lists or maps."""

    containers: int
    model: type[BaseModel]


def field_at(schema: type[BaseModel], steps: tuple[Step, ...]) -> FieldInfo | None:
    """The field that the last step names, or None where it is an entry of a list or map."""
    places = [_Inside(0, schema)]
    field: FieldInfo | None = None
    for step in steps:
        field = None
        following: list[_Inside] = []
        for place in places:
            if place.containers:
                following.append(_Inside(place.containers - 1, place.model))
            elif (named := fields_of(place.model).get(str(step))) is not None:
                field = field or named
                following.extend(_models(named.annotation, 0))
        places = following
    return field


def models_at(schema: type[BaseModel], steps: tuple[Step, ...]) -> tuple[type[BaseModel], ...]:
    """The models whose keys may stand directly below a path."""
    places = [_Inside(0, schema)]
    for step in steps:
        following: list[_Inside] = []
        for place in places:
            if place.containers:
                following.append(_Inside(place.containers - 1, place.model))
            elif (named := fields_of(place.model).get(str(step))) is not None:
                following.extend(_models(named.annotation, 0))
        places = following
    return tuple(place.model for place in places if not place.containers)


def fields_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """The fields of a model by the key they have in the file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def sections_with(schema: type[BaseModel], key: str) -> tuple[str, ...]:
    """Dotted paths of the sections that know a key; entries of lists and maps appear as `*`."""
    return tuple(sorted(set(_sections_with(schema, key, ()))))


def _sections_with(schema: type[BaseModel], key: str, steps: tuple[str, ...]) -> Iterator[str]:
    fields = fields_of(schema)
    # A word such as `any` or `from` belongs where it stands; it is no name to move.
    if key in fields and fields[key].alias is None:
        yield ".".join(steps)
    # A condition may stand in a condition: its keys are the same at every depth.
    if len(steps) > 6 or getattr(schema, "sparse", False):
        return
    for name, field in fields.items():
        for place in _models(field.annotation, 0):
            inner = (*steps, name, *("*",) * place.containers)
            yield from _sections_with(place.model, key, inner)


def _models(annotation: object, containers: int) -> Iterator[_Inside]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield _Inside(containers, annotation)
        return
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        for argument in arguments:
            yield from _models(argument, containers)
    elif origin is typing.Annotated:
        yield from _models(arguments[0], containers)
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield from _models(arguments[1], containers + 1)
    elif isinstance(origin, type) and issubclass(origin, Sequence):
        yield from _models(arguments[0], containers + 1)
