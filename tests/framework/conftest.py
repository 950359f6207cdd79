"""Small bundles with real weights, and one import of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from node.importing.importer import Imported, ImportOptions, import_model
from node.importing.sandbox import SandboxLimits

Importer = Callable[..., Imported]


@pytest.fixture
def take(tmp_path: Path) -> Importer:
    """Import a source into a package below `tmp_path`, by this very interpreter."""

    def run(source: Path, kind: str, **options: object) -> Imported:
        settings = ImportOptions(
            python=Path(sys.executable), limits=SandboxLimits(time_s=600), **options
        )  # type: ignore[arg-type]
        return import_model(source, kind, tmp_path / "models" / "tiny", settings, lambda _: None)

    return run
