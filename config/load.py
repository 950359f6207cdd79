"""The entrance of this package: read `appliance.yaml`, and any other checked YAML file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from config.crosscheck import Installed, contradictions
from config.document import Document, MappingNode
from config.draft import Draft
from config.migrations import migrate
from config.parse import parse_document
from config.schema import Appliance
from config.validate import read_document, validated
from node.domain.errors import ConfigError, ConfigFault

__all__ = ["Loaded", "load", "load_appliance", "read_document"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A configuration without faults.

    Attributes:
        appliance: the values, paths made absolute.
        document: where each of them stands in the file.
        notes: what was read under an older name, one line each, for the operator.
    """

    appliance: Appliance
    document: Document
    notes: tuple[ConfigFault, ...]


def load_appliance(path: Path, installed_models: Installed) -> Appliance:
    """Read `appliance.yaml`.

    Args:
        installed_models: names of the model packages on this computer, or a mapping of them to
            the names of their thresholds.

    Raises:
        ConfigError: every fault in the file; `str` of it has one line per fault.
    """
    return load(path, installed_models).appliance


def load(path: Path, installed_models: Installed | None, option: str = "--config") -> Loaded:
    """The same, with the places of the values and the notes of migrations.

    With None for the installed models, any model name is taken as installed. `option` of the
    command line names the file in remedies.
    """
    document = parse_document(path, option)
    migrated = migrate(document)
    appliance, faults = validated(document, Appliance)
    draft = Draft(document, Appliance, faults)
    if installed_models is None:
        models = document.node(("models",))
        installed_models = tuple(models.entries) if isinstance(models, MappingNode) else ()
    faults = (*faults, *migrated.faults, *contradictions(draft, installed_models))
    if appliance is None or faults:
        raise ConfigError(faults=faults)
    return Loaded(appliance=appliance, document=document, notes=tuple(migrated.notes))
