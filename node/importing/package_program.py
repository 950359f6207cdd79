"""Sandboxed program: open the networks of a package that was just made, and run them.

The ONNX file came out of a foreign model, so it is opened here, by the node's own interpreter and
engine, but without network, with limits on memory and time, and not in the command's process.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from inference.golden import check_golden
from models.importers.exchange import Json, answer
from models.manifest import ModelManifest
from models.registry import load_manifest
from node.importing.cases import GeneratedImage, load_case
from node.importing.confined_package import TOLD
from node.importing.foreign_parity import Reference, compare_cases
from node.importing.nnunet_parity import compare
from node.importing.nnunet_windows import compare_windows, note_windows
from node.importing.opened import opened
from node.importing.parity import Parity

Images = Sequence[GeneratedImage]


def _golden(manifest: ModelManifest, _images: Images, _request: Json) -> tuple[Parity, ...]:
    check_golden(manifest, opened(manifest).networks)
    return ()


def _foreign(manifest: ModelManifest, images: Images, request: Json) -> tuple[Parity, ...]:
    folder = Path(request["references"])
    references = {
        name: Reference(folder, name, frozenset(case["arrays"]), float(case["seconds"]))
        for name, case in request["report"]["cases"].items()
    }
    return tuple(compare_cases(opened(manifest), images, references))


def _nnunet(manifest: ModelManifest, images: Images, request: Json) -> tuple[Parity, ...]:
    return compare(opened(manifest), images, Path(request["references"]), request["report"])


def _note(manifest: ModelManifest, images: Images, request: Json) -> tuple[Parity, ...]:
    note_windows(manifest, images, Path(request["scratch"]))
    return ()


def _windows(manifest: ModelManifest, images: Images, request: Json) -> tuple[Parity, ...]:
    folder = Path(request["references"])
    return compare_windows(opened(manifest), images, folder, request["report"])


DEEDS: Mapping[str, Callable[[ModelManifest, Images, Json], tuple[Parity, ...]]] = {
    "golden": _golden,
    "foreign": _foreign,
    "nnunet": _nnunet,
    "note windows": _note,
    "nnunet windows": _windows,
}


def main(request: Json, folder: Path) -> dict[str, Any]:
    """Do one deed; its rows of parity, or what is wrong with the package."""
    images = [
        load_case(folder / f"{image['name']}.npz", image["name"], image["description"])
        for image in request["images"]
    ]
    try:
        manifest = load_manifest(Path(request["package"]))
        rows = DEEDS[request["deed"]](manifest, images, {**request, "scratch": str(folder)})
    except tuple(TOLD.values()) as error:
        return {"error": type(error).__name__, "text": str(error)}
    return {"rows": [dataclasses.asdict(row) for row in rows]}


if __name__ == "__main__":
    sys.exit(answer(main))
