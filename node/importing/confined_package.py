"""Has the networks of a package that was just made run by another process, which is confined.

Their files came out of a foreign model: one that takes all memory or never ends must not take
the command with it. See `node.importing.package_program` for what is run there.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from models.manifest import ModelManifest
from node.domain.errors import ConfigError, GoldenMismatch, ModelError
from node.importing.cases import GeneratedImage
from node.importing.environment import ImportEnvironment
from node.importing.parity import Agreement, Difference, Parity
from node.importing.sandbox import Sandbox, SandboxLimits

_PROGRAM = "node.importing.package_program"
#: What the program reports by name, raised here again.
TOLD: Mapping[str, type[Exception]] = {
    kind.__name__: kind for kind in (ConfigError, GoldenMismatch, ModelError)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Theirs:
    """What the source framework left.

    Attributes:
        folder: of its arrays. report: of its program; () before there is one.
    """

    folder: Path
    report: Mapping[str, Any] = field(default_factory=dict)


def prove_golden(manifest: ModelManifest, limits: SandboxLimits) -> None:
    """Run the golden case.

    Raises:
        GoldenMismatch, ModelError: the package cannot be used. WorkerError: it passed a limit.
    """
    _run("golden", manifest, limits)


def compare_foreign(
    manifest: ModelManifest,
    images: Sequence[GeneratedImage],
    theirs: Theirs,
    limits: SandboxLimits,
) -> tuple[Parity, ...]:
    """Against MONAI's objects on generated images, a row each.

    Raises:
        ImportRefused: shapes differ, or boxes are not found again. ModelError, WorkerError: as
            `prove_golden`.
    """
    return _run("foreign", manifest, limits, images, theirs)


def compare_nnunet(
    manifest: ModelManifest,
    images: Sequence[GeneratedImage],
    theirs: Theirs,
    limits: SandboxLimits,
) -> tuple[Parity, ...]:
    """Against nnU-Net itself; else as `compare_foreign`."""
    return _run("nnunet", manifest, limits, images, theirs)


def note_windows(
    manifest: ModelManifest, images: Sequence[GeneratedImage], folder: Path, limits: SandboxLimits
) -> None:
    """Write what the networks would be given on each image, as NAME.windows.npy of a folder."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        _confined("note windows", manifest, limits, (images, None, Path(scratch)))
        for image in images:
            name = f"{image.name}.windows.npy"
            (Path(scratch) / name).rename(folder / name)


def compare_windows(
    manifest: ModelManifest,
    images: Sequence[GeneratedImage],
    theirs: Theirs,
    limits: SandboxLimits,
) -> tuple[Parity, ...]:
    """Against PyTorch's outputs for the noted windows; else as `compare_foreign`."""
    return _run("nnunet windows", manifest, limits, images, theirs)


def _run(
    deed: str,
    manifest: ModelManifest,
    limits: SandboxLimits,
    images: Sequence[GeneratedImage] = (),
    theirs: Theirs | None = None,
) -> tuple[Parity, ...]:
    with tempfile.TemporaryDirectory(prefix="vigie-import-") as scratch:
        return _confined(deed, manifest, limits, (images, theirs, Path(scratch)))


def _confined(
    deed: str,
    manifest: ModelManifest,
    limits: SandboxLimits,
    work: tuple[Sequence[GeneratedImage], Theirs | None, Path],
) -> tuple[Parity, ...]:
    images, theirs, scratch = work
    for image in images:
        image.save(scratch / f"{image.name}.npz")
    readable = (manifest.folder,) if theirs is None else (manifest.folder, theirs.folder)
    sandbox = Sandbox(
        # The node's own interpreter and engine: what is compared is what will be at work.
        environment=ImportEnvironment(Path(sys.executable)),
        readable=readable,
        limits=limits,
    )
    request = {
        "deed": deed,
        "package": str(manifest.folder.resolve()),
        "images": [{"name": one.name, "description": one.description} for one in images],
        "references": None if theirs is None else str(theirs.folder.resolve()),
        "report": {} if theirs is None else dict(theirs.report),
    }
    report = sandbox.run(_PROGRAM, request, scratch).report
    if "error" in report:
        raise TOLD.get(str(report["error"]), ModelError)(str(report["text"]))
    return tuple(map(_parity, report["rows"]))


def _parity(row: Mapping[str, Any]) -> Parity:
    labels, entered = row["labels"], row["preprocessed"]
    return Parity(
        case=str(row["case"]),
        shape=tuple(row["shape"]),
        logits=Difference(**row["logits"]),
        preprocessed=None if entered is None else Difference(**entered),
        labels=None
        if labels is None
        else Agreement(
            # JSON knows only text as a key.
            dice={int(label): float(dice) for label, dice in labels["dice"].items()},
            equal=float(labels["equal"]),
        ),
        notes=tuple(row["notes"]),
        our_seconds=float(row["our_seconds"]),
        their_seconds=float(row["their_seconds"]),
    )
