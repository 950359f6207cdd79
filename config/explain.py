"""What is in force now, and where each value comes from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeGuard

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from config.crosscheck import Installed
from config.document import Document, Step
from config.installed import InstalledModel
from config.load import Loaded, load
from config.schema import Appliance
from config.schema.destinations import DicomDestination
from config.schema_walk import field_at
from config.secret import SecretFile

DEFAULT = "default"
NOT_SET = "(not set)"


@dataclass(frozen=True, slots=True)
class Setting:
    """One value in force.

    Attributes:
        key: dotted path. value: as YAML would say it; of a secret only its place.
        origin: `appliance.yaml:12`, `default`, or the key that it was taken from.
        meaning: the description of the key.
    """

    key: str
    value: str
    origin: str
    meaning: str


def explain_config(path: Path, installed_models: Installed | None = None) -> str:
    """A table of every key, its value and its origin; below it what was read by an old name.

    Raises:
        ConfigError: the file has faults; then nothing is in force.
    """
    loaded = load(path, installed_models)
    settings = settings_of(loaded, installed_models)
    rows = [("KEY", "VALUE", "FROM")]
    rows += [(setting.key, _on_one_line(setting.value), setting.origin) for setting in settings]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = [f"{key:<{widths[0]}}  {value:<{widths[1]}}  {origin}" for key, value, origin in rows]
    return "\n".join([*lines, *map(str, loaded.notes)])


def explain_rows(path: Path, installed_models: Installed | None = None) -> list[dict[str, str]]:
    """The same as rows with the keys `key`, `value`, `origin` and `meaning`, for machines."""
    loaded = load(path, installed_models)
    return [asdict(setting) for setting in settings_of(loaded, installed_models)]


def settings_of(loaded: Loaded, installed_models: Installed | None = None) -> tuple[Setting, ...]:
    """Every value in force, in the order of the schema."""
    derived = _derived(loaded) | _of_packages(loaded.appliance, installed_models)
    return tuple(
        derived.get(setting.key, setting)
        for setting in _settings(loaded.document, loaded.appliance, ())
    )


def _settings(document: Document, value: object, steps: tuple[Step, ...]) -> Iterator[Setting]:
    if isinstance(value, BaseModel):
        sparse = getattr(type(value), "sparse", False)
        for name, own in type(value).model_fields.items():
            if not sparse or name in value.model_fields_set:
                key = own.alias or name
                yield from _settings(document, getattr(value, name), (*steps, key))
    elif _holds_sections(value):
        for number, below in enumerate(value):
            yield from _settings(document, below, (*steps, number))
    elif isinstance(value, Mapping) and value:
        for name, below in value.items():
            yield from _settings(document, below, (*steps, name))
    else:
        field = field_at(Appliance, steps)
        yield Setting(
            key=".".join(map(str, steps)),
            value=_unset(field) if value is None else _shown(value),
            origin=_origin(document, steps),
            meaning=(field.description or "") if field else "",
        )


def _holds_sections(value: object) -> TypeGuard[tuple[BaseModel, ...]]:
    return isinstance(value, tuple) and bool(value) and isinstance(value[0], BaseModel)


def _origin(document: Document, steps: tuple[Step, ...]) -> str:
    if document.node(steps) is None:
        return DEFAULT
    return f"{document.path.name}:{document.key_place(steps).line}"


def _derived(loaded: Loaded) -> dict[str, Setting]:
    """Values that are left out and then follow another key."""
    appliance = loaded.appliance
    keys = [] if appliance.receiver.ae_titles else ["receiver.ae_titles"]
    keys += [
        f"destinations.{name}.calling_ae_title"
        for name, destination in appliance.destinations.items()
        if isinstance(destination, DicomDestination) and destination.calling_ae_title is None
    ]
    title = appliance.node.ae_title
    return {
        key: Setting(
            key=key,
            value=f"[{title}]" if key.startswith("receiver") else title,
            origin="node.ae_title",
            meaning="Left out, so it follows node.ae_title.",
        )
        for key in keys
    }


def _of_packages(appliance: Appliance, installed: Installed | None) -> dict[str, Setting]:
    """Values that are left out and then follow what the model package says."""
    settings = {}
    for name, model in appliance.models.items():
        package = installed.get(name) if isinstance(installed, Mapping) else None
        if model.report_not_eligible is None and isinstance(package, InstalledModel):
            key = f"models.{name}.report_not_eligible"
            field = field_at(Appliance, ("models", name, "report_not_eligible"))
            settings[key] = Setting(
                key=key,
                value=_shown(package.triage),
                origin=f"models/{name}/model.yaml (triage)",
                meaning=(field.description or "") if field else "",
            )
        if model.key_objects is None and isinstance(package, InstalledModel):
            key = f"models.{name}.key_objects"
            field = field_at(Appliance, ("models", name, "key_objects"))
            settings[key] = Setting(
                key=key,
                value=_shown(package.key_objects),
                origin=f"models/{name}/model.yaml",
                meaning=(field.description or "") if field else "",
            )
    return settings


def _unset(field: FieldInfo | None) -> str:
    """What happens instead, as the description of the key says after `left out:`."""
    instead = re.search(r"[Ll]eft out: ([^.(]+)", (field.description or "") if field else "")
    return f"({instead[1].strip()})" if instead else NOT_SET


def _on_one_line(value: str) -> str:
    """The first line of a text of several."""
    first, *more = value.split("\n")
    return f"{first} ..." if more else first


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, SecretFile):
        return f"{value} (what is in it is not shown)"
    if isinstance(value, tuple):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, Mapping):
        return "{}"
    return str(value) if str(value) else '""'
