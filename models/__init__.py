"""The model packages, one folder each, and the code that reads them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType


class _ModulesFirst(MetaPathFinder):
    """`registry.py` is `models.registry`, whatever package lies here as a folder `registry`.

    Python takes a folder with `__init__.py` before the module of its name, and would so run the
    code of a package in the node itself, before anybody looked at its signature.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """As `importlib.abc.MetaPathFinder`."""
        room, _, name = fullname.partition(".")
        if room != __name__ or not name or "." in name:
            return None
        file = self._folder / f"{name}.py"
        return spec_from_file_location(fullname, file) if file.is_file() else None


sys.meta_path.insert(0, _ModulesFirst(Path(__file__).parent))
