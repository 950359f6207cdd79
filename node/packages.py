"""Where the installed model packages lie, and what `appliance.yaml` may say of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import models
from config.load import read_document
from config.package_schema import Package

MODELS_FOLDER = Path(models.__file__).resolve().parent


def installed_models(folder: Path = MODELS_FOLDER) -> Mapping[str, tuple[str, ...]]:
    """Names of the packages, each with the names of its thresholds.

    Raises:
        ConfigError: a `model.yaml` cannot be used; one line per fault.
    """
    return {
        path.parent.name: tuple(read_document(path, Package).thresholds)
        for path in sorted(folder.glob("*/model.yaml"))
    }
