"""Where the installed model packages lie."""

from __future__ import annotations

from pathlib import Path

import models

MODELS_FOLDER = Path(models.__file__).resolve().parent


def installed_models(folder: Path = MODELS_FOLDER) -> tuple[str, ...]:
    """Names of the packages: the folders that carry a `model.yaml`."""
    return tuple(sorted(path.parent.name for path in folder.glob("*/model.yaml")))
