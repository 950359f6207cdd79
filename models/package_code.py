"""A package's own Python: exactly the modules that its digest, and so its signature, covers.

Python itself would take more: a compiled module or a folder goes before `pipeline.py`, and bytes
in `__pycache__` are run instead of it. None of them is in the digest, so none of them is run.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import CodeType, ModuleType

from models.manifest import ModelManifest
from node.domain.errors import ModelError

#: Where packages are imported from.
_ROOM = "models"


def load_code(manifest: ModelManifest) -> ModuleType:
    """Import the module that `pipeline` names; its digest has been verified.

    Raises:
        ModelError: the module is of another package, or of a folder in this one.
        Exception: whatever the package's own code raises.
    """
    require_own_code(manifest)
    name = manifest.identity.name
    if manifest.pipeline.startswith(f"{_ROOM}.") and not any(
        isinstance(finder, _OwnModules) and finder.serves(name, manifest.folder)
        for finder in sys.meta_path
    ):
        sys.meta_path.insert(0, _OwnModules(name, manifest.folder))
    return importlib.import_module(manifest.pipeline)


def require_own_code(manifest: ModelManifest) -> None:
    """Is the pipeline a module beside `model.yaml`, or none of any package?

    Raises:
        ModelError: it is of another package, or of a folder in this one.
    """
    name, dotted = manifest.identity.name, manifest.pipeline
    room, *inside = dotted.split(".")
    if room == _ROOM and (len(inside) != 2 or inside[0] != name):
        raise ModelError(
            f"package {name}: its pipeline {dotted} is no module of its own folder, so its digest "
            f"does not cover it; write pipeline: {_ROOM}.{name}.MODULE, and lay MODULE.py beside "
            "model.yaml"
        )


class _OwnModules(MetaPathFinder):
    """Finds `models.NAME` and the `*.py` directly in its folder, and refuses what else lies there.

    Found first, so nothing that lies beside them can stand in for them.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._package = f"{_ROOM}.{name}"
        self._folder = folder

    def serves(self, name: str, folder: Path) -> bool:
        """Is it the finder of this package?"""
        return self._package == f"{_ROOM}.{name}" and self._folder == folder

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """As `importlib.abc.MetaPathFinder`; raises ImportError for what the digest leaves out."""
        if fullname == self._package:
            return self._package_spec()
        if not fullname.startswith(f"{self._package}."):
            return None
        inside = fullname.removeprefix(f"{self._package}.")
        file = self._folder / f"{inside}.py"
        if "." in inside or not file.is_file():
            raise ModuleNotFoundError(
                f"there is no {inside.replace('.', '/')}.py beside model.yaml; folders and "
                "compiled modules are not covered by the digest",
                name=fullname,
            )
        return spec_from_file_location(fullname, file, loader=_Source(fullname, str(file)))

    def _package_spec(self) -> ModuleSpec | None:
        file, places = self._folder / "__init__.py", [str(self._folder)]
        if file.is_file():
            return spec_from_file_location(
                self._package,
                file,
                loader=_Source(self._package, str(file)),
                submodule_search_locations=places,
            )
        spec = ModuleSpec(self._package, None, is_package=True)
        spec.submodule_search_locations = places
        return spec


class _Source(SourceFileLoader):
    """Compiles the source itself; bytes that somebody left in `__pycache__` are not looked at."""

    def get_code(self, fullname: str) -> CodeType:
        """Of the source."""
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code
