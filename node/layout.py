"""Result objects laid out for a person: reports as text, pages as PNG, objects as DICOM."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.uid import (
    KeyObjectSelectionDocumentStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

_KINDS = {
    SecondaryCaptureImageStorage: "capture",
    SegmentationStorage: "segmentation",
    RTStructureSetStorage: "structure set",
    KeyObjectSelectionDocumentStorage: "key-images",
}


def lay_out(files: Iterable[Path], out: Path) -> list[Path]:
    """Copy each object into `out/<study>/` beside its readable twin; returns what was written."""
    written = []
    for path in files:
        data_set = dcmread(path)
        folder = out / str(data_set.StudyInstanceUID)
        folder.mkdir(parents=True, exist_ok=True)
        name = (
            f"{int(data_set.get('SeriesNumber') or 0)}-{int(data_set.get('InstanceNumber') or 1)}"
        )
        target = _unused(folder / f"{name}-{_kind(data_set)}.dcm")
        shutil.copyfile(path, target)
        written.append(target)
        if data_set.SOPClassUID == SecondaryCaptureImageStorage:
            twin = target.with_suffix(".png")
            Image.fromarray(data_set.pixel_array).save(twin)
            written.append(twin)
        elif "ContentSequence" in data_set:
            twin = target.with_suffix(".txt")
            twin.write_text("\n".join(report_lines(data_set)) + "\n", encoding="utf-8")
            written.append(twin)
    return written


def _unused(target: Path) -> Path:
    """Two models of one task number their series alike: the second gets a name of its own."""
    number, found = 1, target
    while found.exists():
        number += 1
        found = target.with_name(f"{target.stem}-{number}{target.suffix}")
    return found


def report_lines(item: Dataset, depth: int = 0) -> Iterator[str]:
    """The content tree of a Structured Report, one item a line, indented (PS3.3 C.17.3)."""
    name = _meaning(item, "ConceptNameCodeSequence")
    value = _value(item)
    if name or value:
        yield "  " * depth + (f"{name}: {value}" if value else name)
    for child in item.get("ContentSequence", ()):
        yield from report_lines(child, depth + 1)


def _value(item: Dataset) -> str:
    kind = item.get("ValueType", "")
    if kind == "NUM" and item.get("MeasuredValueSequence"):
        measured = item.MeasuredValueSequence[0]
        unit = measured.MeasurementUnitsCodeSequence[0].CodeValue
        return f"{measured.NumericValue} {unit}"
    if kind == "CODE":
        return _meaning(item, "ConceptCodeSequence")
    if kind in ("IMAGE", "COMPOSITE") and item.get("ReferencedSOPSequence"):
        return str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
    if kind == "SCOORD":
        return f"{item.GraphicType}, {len(item.GraphicData) // 2} points"
    attribute = {"TEXT": "TextValue", "UIDREF": "UID", "PNAME": "PersonName", "DATE": "Date"}
    return str(item.get(attribute.get(kind, ""), "")) if kind in attribute else ""


def _meaning(item: Dataset, keyword: str) -> str:
    sequence = item.get(keyword)
    return str(sequence[0].CodeMeaning) if sequence else ""


def _kind(data_set: Dataset) -> str:
    other = "report" if "ContentSequence" in data_set else "object"
    return _KINDS.get(data_set.SOPClassUID, other)
