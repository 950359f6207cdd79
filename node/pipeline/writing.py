"""Result objects onto disk: durable, and visible only when all of them are there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from pydicom import Dataset
from pydicom.uid import (
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    EnhancedSRStorage,
    KeyObjectSelectionDocumentStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

STRUCTURE_SET = "structure set"
KINDS = {
    BasicTextSRStorage: "report",
    EnhancedSRStorage: "report",
    ComprehensiveSRStorage: "report",
    Comprehensive3DSRStorage: "report",
    SegmentationStorage: "segmentation",
    RTStructureSetStorage: STRUCTURE_SET,
    SecondaryCaptureImageStorage: "secondary capture",
    KeyObjectSelectionDocumentStorage: "rejection note",
}
#: Title of a Key Object Selection that selects instead of rejecting (PS3.16 CID 7010).
OF_INTEREST = ("113000", "DCM")
KEY_IMAGES = "key images"


def kind_of(data_set: Dataset) -> str:
    """What the ledger calls an object."""
    if data_set.SOPClassUID == KeyObjectSelectionDocumentStorage:
        title = data_set.ConceptNameCodeSequence[0]
        if (title.CodeValue, title.CodingSchemeDesignator) == OF_INTEREST:
            return KEY_IMAGES
    return KINDS.get(data_set.SOPClassUID, "result")


#: Files made durable at once: a disk takes several in the time of one.
_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenObject:
    """One result object on disk, as the ledger needs to know it."""

    sop_instance_uid: str
    sop_class_uid: str
    series_uid: str
    kind: str
    instance_number: int
    path: Path


def write_folder(
    data_sets: Sequence[Dataset], folder: Path, files: Mapping[str, bytes] | None = None
) -> tuple[WrittenObject, ...]:
    """Write the objects of one job; `folder` appears by a rename when all are synced.

    An earlier folder of the same name (a repeated job) is replaced: deterministic UIDs make
    both hold the same objects.

    Args:
        files: by SOP Instance UID, what `dicom_sr.validation.validate` encoded and read back;
            an object that is not among them is encoded here.
    """
    draft = folder.with_name(folder.name + ".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    written = []
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="results") as disk:
        saved = []
        for number, data_set in enumerate(data_sets, start=1):
            name = f"{number:02d}-{kind_of(data_set).replace(' ', '-')}.dcm"
            file = (files or {}).get(str(data_set.SOPInstanceUID)) or _encoded(data_set)
            saved.append(disk.submit(_save, file, draft / name))
            written.append(_written(data_set, folder / name))
        for one in saved:
            one.result()
    sync_folder(draft)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    sync_folder(folder.parent)
    return tuple(written)


def write_object(data_set: Dataset, path: Path) -> WrittenObject:
    """Write one more object beside those of a job; it appears whole."""
    draft = path.with_name(path.name + ".draft")
    _save(_encoded(data_set), draft)
    draft.rename(path)
    sync_folder(path.parent)
    return _written(data_set, path)


def _encoded(data_set: Dataset) -> bytes:
    stream = BytesIO()
    data_set.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _save(file: bytes, path: Path) -> None:
    with path.open("wb") as stream:
        stream.write(file)
        stream.flush()
        os.fsync(stream.fileno())


def _written(data_set: Dataset, path: Path) -> WrittenObject:
    return WrittenObject(
        sop_instance_uid=str(data_set.SOPInstanceUID),
        sop_class_uid=str(data_set.SOPClassUID),
        series_uid=str(data_set.SeriesInstanceUID),
        kind=kind_of(data_set),
        instance_number=int(data_set.InstanceNumber),
        path=path,
    )


def sync_folder(folder: Path) -> None:
    """Make the entries of a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
