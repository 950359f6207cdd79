"""`models import --print-form`: a form with what the source says, and questions for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from models.importers.monai_bundle import find_configuration
from models.importers.monai_config import read_tree
from models.importers.monai_metadata import read_metadata
from node.domain.errors import ImportRefused
from node.importing import nnunet_questions, onnx
from node.importing.importer import ImportRequest

#: Operators that a graph may end with, and what that leaves to do.
_ENDINGS = {"Softmax": "none", "Sigmoid": "none", "LogSoftmax": "softmax"}


def print_form(request: ImportRequest, kind: str) -> str:
    """YAML with comments; a person completes it and passes it with --form.

    Raises:
        ImportRefused: faults of the source, or a kind that needs no form.
    """
    if kind == "onnx":
        return "\n".join(_onnx(onnx.describe(request))) + "\n"
    if kind == "monai" and request.source.is_dir():
        return "\n".join(_monai(request)) + "\n"
    if kind in ("nnunet", "totalsegmentator") and request.source.is_dir():
        return "\n".join(nnunet_questions.questions(request)) + "\n"
    raise ImportRefused.once(
        "--print-form",
        f"there is no form to print for this source of kind {kind}",
        "forms are printed for ONNX files and for folders of MONAI bundles and nnU-Net models",
    )


def _onnx(facts: Mapping[str, Any]) -> Iterator[str]:
    name, _, shape = facts["inputs"][0]
    output, _, result = facts["outputs"][0]
    channels, sizes = shape[1] or 1, shape[2:]
    planar = len(sizes) == 2
    yield f"# Input {name!r}: (batch, {_sizes(shape[1:])})."
    yield f"# Output {output!r}: (batch, {_sizes(result[1:])})."
    yield f"# {facts['parameters'] / 1e6:.1f} million parameters, written by {facts['producer']}."
    yield "# Write an answer in place of each ~. Every key is explained in models/IMPORT.md."
    yield "title: ~                     # as it stands on reports"
    yield "version: 1.0.0"
    yield "manufacturer: ~"
    yield "licence: ~                   # e.g. Apache-2.0"
    yield "intended_use: ~              # one sentence: which finding, which images, which patients"
    task = "classification" if len(result) == 2 else "segmentation"
    yield f"task: {task}"
    yield "modality: ~                  # CT, MR, PT, MG, DX, CR, US, SM"
    axes = "SPL" if planar else "RAS"
    yield f"orientation: {axes}             # where each axis of the input points to"
    if planar:
        yield "#   a network of planes looks at those along the first axis"
    yield f"spacing_mm: ~                # {len(sizes)} numbers: its voxel size, in that order"
    yield "intensity: ~                 # one of:"
    yield "#   {range: {source: [-57, 164], to: [0, 1], clip: true}}"
    yield "#   {score: {mean: [40.0], std: [120.0], clip: [-300, 300]}}   of the training data"
    yield "#   {own_score: {region: all}}   {own_range: [0, 1]}   {unchanged: true}"
    yield f"channels: ~                  # meaning of each of {channels}, e.g. [CT]"
    if None in sizes:
        yield f"patch: ~                     # {len(sizes)} numbers: the window of its training"
    else:
        yield f"patch: [{', '.join(map(str, sizes))}]"
    if task == "segmentation":
        yield "overlap: 0.5"
    ending = _ENDINGS.get(facts["ending"], "~")
    yield f"activation: {ending}               # the graph ends with {facts['ending']}"
    yield "#   softmax or sigmoid where it gives logits, none where it does that itself"
    yield from _labels(_names(result, task), "the code is looked up by the name where it is known")


def _names(result: Sequence[int | None], task: str) -> dict[int, str]:
    count = result[1] if len(result) > 1 and result[1] else 2
    if task == "classification":
        return dict.fromkeys(range(count), "~")
    return {1: "~"} if count == 1 else dict.fromkeys(range(1, count), "~")


def _monai(request: ImportRequest) -> Iterator[str]:
    find_configuration(request.source)
    name = "configs/metadata.json"
    meta = read_metadata(read_tree(request.source / name, name))
    yield "# Everything here may be left out; what stands here wins over the bundle."
    yield f"title: {_quoted(meta.title or '~')}"
    yield f"licence: {_quoted(meta.licence or '~')}"
    yield f"intended_use: {_quoted(meta.intended_use or '~')}"
    yield f"modality: {meta.modality or '~'}"
    if meta.modality == "SM":
        yield "mpp_um: ~                    # micrometres a pixel that the network learned at"
    else:
        yield "# patch: [96, 96, 96]        # only to run other windows than the bundle's"
    lone = len(meta.output_channels) == 1
    names = {
        number: text
        for number, text in enumerate(meta.output_channels)
        if lone or number > 0 or text.lower() != "background"
    }
    yield from _labels(names, "site is needed for lesions: in which organ")


def _labels(names: Mapping[int, str], remark: str) -> Iterator[str]:
    yield f"labels:                      # {remark}"
    for value, name in names.items():
        yield f"  - {{value: {value}, name: {_quoted(name)}}}"


def _quoted(text: str) -> str:
    """As a YAML scalar in double quotes."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return "~" if text == "~" else f'"{escaped}"'


def _sizes(shape: Sequence[int | None]) -> str:
    return ", ".join("any" if size is None else str(size) for size in shape)
