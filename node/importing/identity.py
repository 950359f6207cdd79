"""The parts of `model.yaml` that are alike for every imported package."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from config.import_form import ImportForm, LabelForm
from models.importers.structures import Code, colour_of, structure_of
from node.domain.errors import ImportFault, ImportRefused

#: Storage SOP classes by modality, PS3.6 annex A.
_SOP_CLASSES: Mapping[str, tuple[str, ...]] = {
    "CT": ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"),
    "MR": ("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"),
    "PT": ("1.2.840.10008.5.1.4.1.1.128", "1.2.840.10008.5.1.4.1.1.130"),
    "MG": ("1.2.840.10008.5.1.4.1.1.1.2",),
    "DX": ("1.2.840.10008.5.1.4.1.1.1.1", "1.2.840.10008.5.1.4.1.1.1"),
    "CR": ("1.2.840.10008.5.1.4.1.1.1",),
    "US": ("1.2.840.10008.5.1.4.1.1.6.1",),
    "SM": ("1.2.840.10008.5.1.4.1.1.77.1.6",),
}
#: Not acquired planes: what is derived from them lies.
_REFUSED_TYPES = ["LOCALIZER", "MPR", "REFORMATTED", "PROJECTION IMAGE", "MIP"]
_CROSS_SECTIONS = ("CT", "MR", "PT")
#: Widest distance of planes where the source says nothing, mm.
_WIDEST_MM = 5.0
_NEUTRAL_SITE: Code = ("38266002", "SCT", "Entire body")
#: Tolerances of the golden case by provider (inference.md section 3): largest |difference| /
#: largest |expected|.
TOLERANCE: Mapping[str, float] = {
    "CPUExecutionProvider": 0.001,
    "OpenVINO": 0.002,
    "CUDAExecutionProvider": 0.01,
    "TensorrtExecutionProvider": 0.02,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a package is called and for what it is meant."""

    name: str
    title: str
    version: str
    manufacturer: str
    intended_use: str
    ebai_class: str
    task_number: int
    priority: int
    modality: str
    memory_mb: int
    time_s: float


def header(identity: Identity, form: ImportForm, pipeline: str) -> dict[str, Any]:
    """`model.yaml` up to and with `inputs`."""
    return {
        "format": 2,
        "name": package_name(identity.name),
        "title": identity.title[:64],
        "version": version_of(identity.version),
        "manufacturer": (identity.manufacturer or "unknown")[:64],
        "task": identity.task_number,
        "ebai_class": identity.ebai_class,
        "pipeline": pipeline,
        "intended_use": identity.intended_use,
        "triage": False,
        "priority": identity.priority,
        "limits": {"job_time_s": identity.time_s, "job_memory_mb": identity.memory_mb},
        "inputs": _inputs(identity.modality, form),
    }


def _inputs(modality: str, form: ImportForm) -> dict[str, Any]:
    section = modality in _CROSS_SECTIONS
    orientations = form.orientations or (
        ("axial",) if modality == "CT" else ("axial", "coronal", "sagittal", "oblique")
    )
    smallest, largest = (0.00002, 0.02) if modality == "SM" else (0.05, 10.0)
    return {
        "modalities": [modality],
        "sop_class_uids": list(_SOP_CLASSES[modality]),
        "orientations": list(orientations),
        "min_planes": 5 if section else 1,
        "min_extent_mm": 10.0 if section else 0.0,
        "max_spacing_mm": form.max_slice_spacing_mm or (_WIDEST_MM if section else 1000.0),
        "max_tilt_degrees": 5.0,
        "max_gap_factor": 1.5,
        "pixel_spacing_mm": [smallest, largest],
        "refused_image_types": _REFUSED_TYPES if section else [],
    }


def package_name(text: str) -> str:
    """A name as `model.yaml` takes it."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    if not name or not name[0].isalpha():
        name = f"model_{name}".rstrip("_")
    return name[:40]


def version_of(text: str) -> str:
    """Three numbers; what else stands there is dropped."""
    numbers = re.findall(r"\d+", text)[:3]
    return ".".join([*(str(int(number)) for number in numbers), "0", "0", "0"][:3])


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Entries of `results:` and what the card says of them."""

    entries: list[dict[str, Any]]
    private: tuple[str, ...]
    lesions: bool


def label_entries(names: Mapping[int, str], form: ImportForm) -> Labelled:
    """Entries of `results.labels`: names by value, the form's words above all.

    Raises:
        ImportRefused: a lesion without a place.
    """
    stated = {label.value: label for label in form.labels}
    entries, private, faults = [], [], []
    lesions = False
    for value in sorted({*names, *stated}):
        if value == 0:
            continue
        label = stated.get(value) or LabelForm(value=value, name=(names[value] or "unnamed")[:48])
        structure = structure_of(label.name)
        code = label.code or structure.code
        lesion = (label.kind == "lesion") if label.kind else structure.lesion
        site = label.site or structure.site
        if lesion and site is None:
            faults.append(
                ImportFault(
                    where=f"label {value} ({label.name})",
                    why="a lesion, but in which organ is not said",
                    remedy="add it to the form: labels: [{value: "
                    f"{value}, name: {label.name}, site: [10200004, SCT, Liver]}}]",
                )
            )
            continue
        if label.code is None and structure.private:
            private.append(f"{structure.name}: {code[0]}")
        laterality = label.laterality or structure.laterality
        entry: dict[str, Any] = {
            "value": value,
            "name": structure.name,
            "kind": "lesion" if lesion else "structure",
            "code": list(code),
        }
        if label.category is not None:
            entry["category"] = list(label.category)
        if site is not None:
            entry["site"] = list(site)
        if laterality is not None:
            entry["laterality"] = list(laterality)
        entry["colour"] = list(label.colour or colour_of(value))
        entry["measure"] = ["volume", "long_axis", "short_axis"] if lesion else ["volume"]
        entries.append(entry)
        lesions = lesions or lesion
    if faults:
        raise ImportRefused(faults=faults)
    return Labelled(entries=_apart(entries), private=tuple(private), lesions=lesions)


def scored_entries(
    names: Sequence[str], form: ImportForm, key: str
) -> tuple[list[dict[str, Any]], dict[str, float], tuple[str, ...]]:
    """Entries of `results.<key>` (classes, boxes, regions), their thresholds, private names."""
    stated = {label.value: label for label in form.labels}
    entries, thresholds, private = [], {}, []
    for channel in sorted(stated) or range(len(names)):
        label = stated.get(channel) or LabelForm(value=channel, name=(names[channel])[:48])
        structure = structure_of(label.name)
        code = label.code or structure.code
        if label.code is None and structure.private:
            private.append(f"{structure.name}: {code[0]}")
        threshold = package_name(f"{label.name}_percent")
        thresholds[threshold] = label.threshold
        entry: dict[str, Any] = {
            "channel": channel,
            "name": structure.name,
            "code": list(code),
            "threshold": threshold,
        }
        if key == "classes":
            score = package_name(label.name)[:12].upper()
            entry["score"] = [f"P{channel}{score}"[:16], "99VIGIE", f"P({structure.name})"[:64]]
        else:
            entry["site"] = list(label.site or structure.site or _NEUTRAL_SITE)
            entry["colour"] = list(label.colour or colour_of(channel))
        entries.append(entry)
    return entries, thresholds, tuple(private)


def _apart(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Names that occur twice get their value behind them: a report must tell them apart."""
    names = [entry["name"] for entry in entries]
    return [
        {**entry, "name": f"{entry['name'][:42]} {entry['value']}"}
        if names.count(entry["name"]) > 1
        else entry
        for entry in entries
    ]
