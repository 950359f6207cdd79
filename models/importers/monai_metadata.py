"""`configs/metadata.json`: what a MONAI bundle says of itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

#: Words that bundles use for a modality, and DICOM's.
_MODALITIES = {
    "CT": "CT",
    "CTA": "CT",
    "MR": "MR",
    "MRI": "MR",
    "PET": "PT",
    "PT": "PT",
    "MG": "MG",
    "MAMMOGRAPHY": "MG",
    "US": "US",
    "ULTRASOUND": "US",
    "XRAY": "DX",
    "X-RAY": "DX",
    "ENDOSCOPY": "ES",
    "HISTOPATHOLOGY": "SM",
    "PATHOLOGY": "SM",
    "WSI": "SM",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleMetadata:
    """The part of the metadata that a package needs; "" and () where nothing is said.

    Attributes:
        modality: DICOM's word. input_channels: meaning of each. output_channels: likewise.
        value_range: of the network's input. shape: of the network's input where it is fixed.
        patch_data: the network sees patches of a larger image.
    """

    title: str = ""
    version: str = ""
    framework_version: str = ""
    authors: str = ""
    copyright: str = ""
    description: str = ""
    intended_use: str = ""
    task: str = ""
    references: tuple[str, ...] = ()
    licence: str = ""
    modality: str = ""
    input_channels: tuple[str, ...] = ()
    value_range: tuple[float, float] | None = None
    shape: tuple[int, ...] = ()
    patch_data: bool = False
    output_channels: tuple[str, ...] = ()
    output_kind: str = ""
    raw: Mapping[str, Any] = field(default_factory=dict)


def read_metadata(tree: Mapping[str, Any]) -> BundleMetadata:
    """Typed values; what has another form is left out, since nothing depends on it alone."""
    formats = _mapping(tree.get("network_data_format"))
    inputs = _mapping(formats.get("inputs"))
    image = _mapping(inputs.get("image") or next(iter(inputs.values()), None))
    outputs = _mapping(formats.get("outputs"))
    pred = _mapping(outputs.get("pred") or next(iter(outputs.values()), None))
    references = tree.get("references")
    return BundleMetadata(
        title=_text(tree.get("name")),
        version=_text(tree.get("version")),
        framework_version=_text(tree.get("monai_version")),
        authors=_text(tree.get("authors")),
        copyright=_text(tree.get("copyright")),
        description=_text(tree.get("description")),
        intended_use=_text(tree.get("intended_use")),
        task=_text(tree.get("task")),
        references=tuple(map(_text, references)) if isinstance(references, list) else (),
        licence=_text(tree.get("license") or tree.get("licence")),
        modality=_modality(tree, image),
        input_channels=_channels(image),
        value_range=_range(image.get("value_range")),
        shape=_shape(image.get("spatial_shape")),
        patch_data=image.get("is_patch_data") is True,
        output_channels=_channels(pred),
        output_kind=f"{_text(pred.get('type'))} {_text(pred.get('format'))}".strip(),
        raw=tree,
    )


def _modality(tree: Mapping[str, Any], image: Mapping[str, Any]) -> str:
    for place in (image.get("modality"), image.get("format"), tree.get("image_classes")):
        for word in re.findall(r"[A-Za-z-]+", _text(place).upper()):
            if word in _MODALITIES:
                return _MODALITIES[word]
    return ""


def _channels(image: Mapping[str, Any]) -> tuple[str, ...]:
    """`channel_def` in the order of its numbers; else as many as `num_channels` says."""
    names = _mapping(image.get("channel_def"))
    numbers = [key for key in names if str(key).isdecimal()]
    if numbers and sorted(map(int, numbers)) == list(range(len(numbers))):
        return tuple(_text(names[key]) for key in sorted(numbers, key=int))
    count = image.get("num_channels")
    if isinstance(count, int) and 0 < count <= 4096:
        return tuple(f"channel {number}" for number in range(count))
    return ()


def _range(value: object) -> tuple[float, float] | None:
    if isinstance(value, list) and len(value) == 2:
        low, high = value
        if isinstance(low, int | float) and isinstance(high, int | float) and low < high:
            return float(low), float(high)
    return None


def _shape(value: object) -> tuple[int, ...]:
    if isinstance(value, list) and all(isinstance(side, int) and side > 0 for side in value):
        return tuple(value)
    return ()


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    """One line, without control characters; what a stranger wrote goes into a card."""
    if not isinstance(value, str | int | float):
        return ""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in str(value)).split())
