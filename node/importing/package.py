"""Writes a package folder: manifest, networks, golden case, card. Whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from models.manifest import ModelManifest
from models.registry import MANIFEST_NAME, file_sha256, load_manifest
from node.domain.errors import ImportRefused
from node.importing.card import card_text
from node.importing.confined_package import prove_golden
from node.importing.draft import Array, PackageDraft
from node.importing.parity import require_parity
from node.importing.sandbox import SandboxLimits

#: Values of each golden output that are kept, spread evenly.
KEPT = 20_000
_GOLDEN_INPUTS, _GOLDEN_EXPECTED = "golden/inputs.npz", "golden/expected.npz"


class _Dumper(yaml.SafeDumper):
    """Short lists on one line, as a person would write them."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: Any = None) -> Any:  # noqa: ANN401
        """A list of plain values stays on a line."""
        short = all(not isinstance(item, list | dict) for item in sequence)
        return super().represent_sequence(tag, sequence, flow_style=short or flow_style)


def write_package(
    draft: PackageDraft,
    out: Path,
    *,
    limits: SandboxLimits | None = None,
    replace: bool = False,
) -> ModelManifest:
    """Write the package, open it as the node would, and only then put it in its place.

    Raises:
        ImportRefused: parity is not good enough; else as `require_place`.
        ConfigError, ModelError: what was written cannot be used. WorkerError: its golden case
            passed a limit.
    """
    require_parity(draft.parity)
    require_place(out, replace=replace)
    with tempfile.TemporaryDirectory(prefix=".importing-", dir=out.parent) as scratch:
        folder = Path(scratch) / out.name
        manifest = assemble(draft, folder)
        prove_golden(manifest, limits or SandboxLimits())
        folder.chmod(0o755)
        if out.exists():
            out.rename(Path(scratch) / "replaced")
        folder.rename(out)
    return load_manifest(out)


def require_place(out: Path, *, replace: bool) -> None:
    """Make the folder above a package; asked before the work, and again before it is written.

    Raises:
        ImportRefused: `out` exists and is not to be replaced, or is no package, or nothing can
            be written there.
    """
    if out.exists() and not (out / MANIFEST_NAME).is_file():
        raise ImportRefused.once(
            str(out),
            f"this exists and is no package (it holds no {MANIFEST_NAME}); it is not replaced",
            "choose another --out",
        )
    if out.exists() and not replace:
        raise ImportRefused.once(
            str(out), "this folder exists", "choose another --out, or add --replace"
        )
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".importing-", dir=out.parent):
            pass
    except OSError as error:
        raise ImportRefused.once(
            str(out.parent),
            f"nothing can be written here ({error.strerror})",
            "name another folder with --out, and copy the package from there",
        ) from None


def assemble(draft: PackageDraft, folder: Path) -> ModelManifest:
    """Write everything into a folder, whatever its parity, and read it as the node would.

    Raises:
        ConfigError, ModelError: what was written cannot be used.
    """
    for relative, source in draft.files.items():
        target = folder / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    golden = _write_golden(draft, folder)
    digests = {
        path.relative_to(folder).as_posix(): file_sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    manifest = _sealed(draft.manifest, digests, golden)
    text = yaml.dump(manifest, Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)
    head = "# Written by `python -m node models import`. After a change of a listed file:\n"
    seal = f"#   python -m models.seal models/{folder.name}\n"
    (folder / MANIFEST_NAME).write_text(head + seal + text, encoding="utf-8")
    (folder / "CARD.md").write_text(card_text(draft, digests), encoding="utf-8")
    return load_manifest(folder)


def _write_golden(draft: PackageDraft, folder: Path) -> bool:
    if not draft.golden_inputs:
        return False
    (folder / "golden").mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / _GOLDEN_INPUTS, **_typed(draft.golden_inputs))
    expected: dict[str, Any] = {}
    for name, output in draft.golden_expected.items():
        step = max(1, output.size // KEPT)
        at = np.arange(step // 2, output.size, step, dtype=np.int64)
        expected[name] = output.reshape(-1)[at]
        expected[f"{name}_at"] = at
    np.savez_compressed(folder / _GOLDEN_EXPECTED, **expected)
    return True


def _typed(arrays: Mapping[str, Array]) -> dict[str, Any]:
    """As float16 where that loses nothing: golden inputs are rounded so that they pack well."""
    packed: dict[str, Any] = {}
    for name, array in arrays.items():
        half = array.astype(np.float16)
        packed[name] = half if np.array_equal(half.astype(np.float32), array) else array
    return packed


def _sealed(
    manifest: Mapping[str, Any], digests: Mapping[str, str], golden: bool
) -> dict[str, Any]:
    networks = []
    for network in manifest["networks"]:
        stated = {}
        for key, value in network.items():
            stated[key] = value
            if key == "path":
                stated["sha256"] = digests[value]
        networks.append(stated)
    whole = {**manifest, "networks": networks}
    if golden:
        whole["golden"] = {
            "inputs": _GOLDEN_INPUTS,
            "inputs_sha256": digests[_GOLDEN_INPUTS],
            "expected": _GOLDEN_EXPECTED,
            "expected_sha256": digests[_GOLDEN_EXPECTED],
        }
    return whole
