"""What every importer is: a function from a request to a draft, found by the word of `--kind`."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from models.manifest import ModelManifest
from node.domain.errors import ImportRefused
from node.importing.draft import PackageDraft
from node.importing.identity import package_name
from node.importing.package import require_place, write_package
from node.importing.sandbox import SandboxLimits

#: Module of each kind; it holds `draft_package(request) -> PackageDraft`. Imported when asked for.
IMPORTERS: Mapping[str, str] = MappingProxyType(
    {
        "monai": "node.importing.monai",
        "nnunet": "node.importing.nnunet",
        "totalsegmentator": "node.importing.totalsegmentator",
        "onnx": "node.importing.onnx",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """What a person asked for.

    Attributes:
        source: file or folder of the foreign model. name: of the package.
        form: what the source cannot say, written by a person; None if there is none.
        allow_code: the model's own Python may run in the sandbox.
        python: interpreter of the import environment; None for `.venv-import`.
        scratch: a folder that is removed afterwards. tell: progress, a line each.
    """

    source: Path
    name: str
    form: Path | None
    allow_code: bool
    python: Path | None
    limits: SandboxLimits
    scratch: Path
    tell: Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Imported:
    """A package that was written, and the draft it came from."""

    manifest: ModelManifest
    draft: PackageDraft


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportOptions:
    """The same for every kind; `ImportRequest` without what is made on the way."""

    form: Path | None = None
    allow_code: bool = False
    python: Path | None = None
    limits: SandboxLimits = field(default_factory=SandboxLimits)
    replace: bool = False


@contextmanager
def opened_request(
    source: Path, name: str, options: ImportOptions, tell: Callable[[str], None]
) -> Iterator[ImportRequest]:
    """A request with a scratch folder that is removed afterwards.

    Raises:
        ImportRefused: the source does not exist.
    """
    if not source.exists():
        raise ImportRefused.once(str(source), "this does not exist", "name a file or folder")
    with tempfile.TemporaryDirectory(prefix="vigie-import-") as scratch:
        yield ImportRequest(
            source=source.resolve(),
            name=name,
            form=options.form,
            allow_code=options.allow_code,
            python=options.python,
            limits=options.limits,
            scratch=Path(scratch),
            tell=tell,
        )


def import_model(
    source: Path,
    kind: str,
    out: Path,
    options: ImportOptions,
    tell: Callable[[str], None],
) -> Imported:
    """Read, export, compare, write.

    Raises:
        ImportRefused: what stands against it, one line each. WorkerError: a sandboxed program
            passed a limit or died. ConfigError, ModelError: see `write_package`.
    """
    if out.name != package_name(out.name):
        raise ImportRefused.once(
            str(out),
            "the folder's name is the package's name, and this cannot be one",
            f"use a-z, 0-9 and _, first a letter, for example {package_name(out.name)}",
        )
    require_place(out, replace=options.replace)
    with opened_request(source, out.name, options, tell) as request:
        importer = importlib.import_module(IMPORTERS[kind])
        draft: PackageDraft = importer.draft_package(request)
        tell("write the package")
        manifest = write_package(draft, out, limits=options.limits, replace=options.replace)
    return Imported(manifest, draft)
