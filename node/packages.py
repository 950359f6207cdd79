"""Where the installed model packages lie, and what `appliance.yaml` may say of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import models
from config.installed import InstalledModel
from config.load import read_document
from config.package_schema import Package
from models.signature import SIGNATURE_NAME

MODELS_FOLDER = Path(models.__file__).resolve().parent


def installed_models(folder: Path = MODELS_FOLDER) -> Mapping[str, InstalledModel]:
    """The packages by name, each with its thresholds and acute findings.

    Raises:
        ConfigError: a `model.yaml` cannot be used; one line per fault.
    """
    return {
        path.parent.name: replace(
            _installed(read_document(path, Package)),
            signed=path.with_name(SIGNATURE_NAME).is_file(),
        )
        for path in sorted(folder.glob("*/model.yaml"))
    }


def _installed(package: Package) -> InstalledModel:
    return InstalledModel(
        thresholds=tuple(package.thresholds),
        triage=package.triage,
        acute={
            name: package.thresholds[acute.threshold]
            for name, acute in package.acute_findings.items()
        },
    )
