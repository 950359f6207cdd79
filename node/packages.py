"""Where the installed model packages lie, and what `appliance.yaml` may say of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import models
from config.installed import InstalledModel
from models.registry import MANIFEST_NAME, read_package
from models.signature import SIGNATURE_NAME
from node.domain.errors import ConfigError, ModelError

MODELS_FOLDER = Path(models.__file__).resolve().parent


def installed_models(folder: Path = MODELS_FOLDER) -> Mapping[str, InstalledModel]:
    """The packages by name, each with its thresholds and acute findings.

    One whose `model.yaml` cannot be used has a fault: it must not keep the node from starting.
    """
    return {
        path.parent.name: _installed(path) for path in sorted(folder.glob(f"*/{MANIFEST_NAME}"))
    }


def _installed(path: Path) -> InstalledModel:
    try:
        package = read_package(path.parent)
    except (ConfigError, ModelError) as error:
        return InstalledModel(fault=str(error))
    return InstalledModel(
        signed=path.with_name(SIGNATURE_NAME).is_file(),
        thresholds=tuple(package.thresholds),
        triage=package.triage,
        key_objects=package.with_key_objects,
        acute={
            name: package.thresholds[acute.threshold]
            for name, acute in package.acute_findings.items()
        },
        uses=package.uses,
    )
