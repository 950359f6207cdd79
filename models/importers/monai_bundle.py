"""A MONAI bundle, read whole as data: folder, metadata, inference configuration, weights."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from models.importers.faults import Faults
from models.importers.foreign import ForeignModel
from models.importers.monai_arguments import Reading
from models.importers.monai_config import MonaiConfig, read_tree
from models.importers.monai_metadata import read_metadata
from models.importers.monai_network import read_network
from models.importers.monai_results import (
    read_detector,
    read_inferer,
    read_postprocessing,
)
from models.importers.monai_transforms import read_preprocessing
from models.importers.monai_values import Component, Value
from node.domain.errors import ImportRefused

_INFERENCE = ("inference.json", "inference.yaml", "inference.yml")
_WEIGHTS = ("model.pt", "model.pth", "model.safetensors", "model.ts")
_LARGE_FILES = ("large_files.yml", "large_files.yaml", "large_files.json")
#: Networks all of whose outputs count.
_SEVERAL_OUTPUTS = ("RetinaNet",)
_HASHES = ("md5", "sha1", "sha256", "sha512")


def find_configuration(folder: Path) -> Path:
    """The inference configuration of a bundle.

    Raises:
        ImportRefused: there is none.
    """
    for name in _INFERENCE:
        path = folder / "configs" / name
        if path.is_file():
            return path
    raise ImportRefused.once(
        f"{folder.name}/configs",
        "there is no inference.json or inference.yaml",
        "name the folder of the bundle that holds `configs` and `models`",
    )


def read_bundle(
    folder: Path, *, overrides: Mapping[str, Any] | None = None, own_code: bool = False
) -> ForeignModel:
    """Read everything that a package needs.

    Args:
        overrides: values by key path that replace the configuration's, e.g. what MONAI's own
            parser made of expressions, in a sandbox.
        own_code: the network is defined by code of the bundle, which was allowed.

    Raises:
        ImportRefused: one fault for each thing that is missing or not understood.
    """
    faults = Faults()
    path = find_configuration(folder)
    name = f"configs/{path.name}"
    config = MonaiConfig(name, read_tree(path, name), overrides or {})
    metadata_file = folder / "configs" / "metadata.json"
    if not metadata_file.is_file():
        faults.add("configs/metadata.json", "it is missing", "take it from the same bundle")
        faults.refuse()
    metadata = read_metadata(read_tree(metadata_file, "configs/metadata.json"))
    network = None if own_code else read_network(config, faults)
    before = Reading(_image_key(config), faults, channels=max(1, len(metadata.input_channels)))
    read_preprocessing(config.value("preprocessing"), before, config.where("preprocessing"))
    inference = read_inferer(config.value("inferer"), faults, config.where("inferer"))
    detector = None
    if inference is not None and inference.kind == "detector":
        found = read_detector(config, faults)
        detector, inference = found if found else (None, inference)
    behind = Reading("pred", faults, channels=max(1, len(metadata.output_channels)))
    behind.forward = tuple(
        step["interpolation"] for step in before.steps if step["step"] in ("spacing", "resize")
    )
    read_postprocessing(config.value("postprocessing"), behind, config.where("postprocessing"))
    weights, checked = find_weights(folder, config, faults)
    faults.refuse()
    assert inference is not None
    assert weights is not None
    return ForeignModel(
        folder=folder,
        metadata=metadata,
        network=network,
        before=tuple(before.steps),
        behind=tuple(behind.steps),
        references={"before": before.reference, "behind": behind.reference},
        image_key=before.key,
        frame=before.frame,
        several_outputs=network is not None and network["build"] in _SEVERAL_OUTPUTS,
        inference=inference,
        detector=detector,
        channels=before.channels,
        weights=weights,
        checked=checked,
        licence=metadata.licence or _licence(folder),
        notes=tuple(faults.notes),
    )


def _image_key(config: MonaiConfig) -> str:
    """Key of the image in MONAI's dictionary: the one that is loaded."""
    named = config.value("image_key")
    if isinstance(named, str) and named:
        return named
    transforms = config.value("preprocessing")
    items: Value = transforms.get("transforms", []) if isinstance(transforms, Component) else []
    for item in items if isinstance(items, list) else []:
        keys = item.get("keys") if isinstance(item, Component) else None
        if isinstance(keys, list) and keys:
            keys = keys[0]
        if isinstance(keys, str):
            return keys
    return "image"


def find_weights(folder: Path, config: MonaiConfig, faults: Faults) -> tuple[Path | None, str]:
    """The file of weights, and what its digest was compared with.

    Faults: there is none, or its digest is not the one that `large_files.yml` states.
    """
    names = [*_stated_weights(config), *_WEIGHTS]
    paths = (folder / "models" / name for name in names)
    path = next((found for found in paths if found.is_file()), None)
    if path is None:
        faults.add(
            f"models/{names[0]}",
            "the weights are missing",
            "the zoo keeps them apart: download the file that large_files.yml names, and put it "
            "there",
        )
        return None, ""
    if not path.resolve().is_relative_to(folder.resolve()):
        faults.add(f"models/{path.name}", "it is a link to elsewhere", "put the file itself there")
        return None, ""
    return path, _compare_digest(folder, path, faults)


def _stated_weights(config: MonaiConfig) -> list[str]:
    """File names of the checkpoint that the configuration loads."""
    values = [config.value("checkpointloader#load_path"), config.value("modelname")]
    handlers = config.value("handlers")
    for handler in handlers if isinstance(handlers, list) else []:
        if isinstance(handler, Component) and handler.name == "CheckpointLoader":
            values.append(handler.get("load_path"))
    names = [PurePosixPath(value).name for value in values if isinstance(value, str)]
    return [name for name in names if re.fullmatch(r"[\w.-]+\.(pt|pth|ts|safetensors)", name)]


def _compare_digest(folder: Path, path: Path, faults: Faults) -> str:
    listing = next((folder / name for name in _LARGE_FILES if (folder / name).is_file()), None)
    if listing is None:
        return ""
    entries = read_tree(listing, listing.name, as_text=True).get("large_files")
    for entry in entries if isinstance(entries, list) else []:
        if (
            not isinstance(entry, Mapping)
            or PurePosixPath(str(entry.get("path"))).name != path.name
        ):
            continue
        kind, stated = str(entry.get("hash_type", "")).lower(), str(entry.get("hash_val", ""))
        if kind not in _HASHES or not stated:
            return ""
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, kind).hexdigest()
        if found != stated.lower():
            faults.add(
                f"models/{path.name}",
                f"its {kind} is {found}, but {listing.name} states {stated}",
                "the file is damaged or another version: download it again",
            )
        return f"{kind} of {listing.name}"
    return ""


def _licence(folder: Path) -> str:
    """What the bundle's LICENSE is, by its first lines."""
    for path in (folder / "LICENSE", folder / "LICENSE.txt", folder / "LICENSE.md"):
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")[:2000]
        if re.search(r"Apache License\s+Version 2\.0", text):
            return "Apache-2.0 (LICENSE of the bundle)"
        if "MIT License" in text:
            return "MIT (LICENSE of the bundle)"
        first = next((line.strip() for line in text.splitlines() if line.strip()), "")
        return f"LICENSE of the bundle: {first[:80]}"
    return ""
