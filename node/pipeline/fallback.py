"""Writes an object in another form, inside a worker: pixels of patients are decoded there."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import SegmentationStorage

from dicom_sr.fallback import as_captures, as_comprehensive
from dicom_sr.fallback_pages import (
    SourceImage,
    image_key,
    report_pages,
    segmentation_pages,
    sources_of,
)
from inference.volume import load_plane
from node.domain.errors import ResultError, VolumeError
from node.domain.study import Instance, Plane
from node.pipeline.ladder import Form
from node.pipeline.writing import WrittenObject, sync_folder

log = structlog.get_logger(__name__)

FOLDER = "fallback"
CT_CLASSES = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class FallbackTask:
    """One object to be written in another form.

    Attributes:
        path: Part 10 file of the object; the new ones go into a folder beside it.
        kind: what the ledger calls the new ones.
        instances: of the study, for the images below a segmentation.
        replaced: SOP Instance UIDs of earlier objects that are at the destination in this
            form, with their UIDs there.
        identified: may pages name the patient?
    """

    path: Path
    form: Form
    kind: str
    instances: tuple[Instance, ...]
    replaced: Mapping[str, str]
    identified: bool


#: Carries a task out where that is safe; raises NodeError as `write_fallback`.
WriteFallback = Callable[[FallbackTask], tuple[WrittenObject, ...]]


def write_fallback(task: FallbackTask) -> tuple[WrittenObject, ...]:
    """Write the objects of another form, durably; the same task writes the same bytes.

    Raises:
        ResultError: the object cannot be read, or cannot be put in this form.
    """
    try:
        original = dcmread(task.path)
    except (OSError, InvalidDicomError) as error:
        raise ResultError(f"the result file cannot be read ({type(error).__name__})") from error
    try:
        written = _in_form(original, task)
    except (AttributeError, KeyError, IndexError, ValueError, TypeError) as error:
        raise ResultError(
            f"the object cannot be put in another form ({type(error).__name__})"
        ) from error
    folder = task.path.parent if task.path.parent.name == FOLDER else task.path.parent / FOLDER
    folder.mkdir(exist_ok=True)
    objects = tuple(_write(data_set, folder, task.kind) for data_set in written)
    sync_folder(folder)
    sync_folder(folder.parent)
    return objects


def _in_form(original: Dataset, task: FallbackTask) -> list[Dataset]:
    if task.form == "comprehensive":
        return [as_comprehensive(original, task.replaced)]
    if original.SOPClassUID == SegmentationStorage:
        pages = segmentation_pages(original, _images(original, task), identified=task.identified)
    else:
        pages = report_pages(original, identified=task.identified)
    return as_captures(original, pages, identified=task.identified)


def _write(data_set: Dataset, folder: Path, kind: str) -> WrittenObject:
    path = folder / f"{data_set.SOPInstanceUID}.dcm"
    draft = path.with_suffix(".draft")
    with draft.open("wb") as stream:
        data_set.save_as(stream, enforce_file_format=True)
        stream.flush()
        os.fsync(stream.fileno())
    draft.rename(path)
    return WrittenObject(
        sop_instance_uid=str(data_set.SOPInstanceUID),
        sop_class_uid=str(data_set.SOPClassUID),
        series_uid=str(data_set.SeriesInstanceUID),
        kind=kind,
        instance_number=int(data_set.InstanceNumber),
        path=path,
    )


def _images(segmentation: Dataset, task: FallbackTask) -> dict[tuple[str, int | None], SourceImage]:
    """The images that were segmented, where they are still there and can be decoded."""
    by_uid = {str(item.sop_instance_uid): item for item in task.instances}
    images: dict[tuple[str, int | None], SourceImage] = {}
    for _, _, source in sources_of(segmentation):
        key = image_key(source)
        instance = by_uid.get(key[0])
        if instance is None or key in images:
            continue
        is_ct = str(source.ReferencedSOPClassUID) in CT_CLASSES
        plane = Plane(
            sop_instance_uid=instance.sop_instance_uid,
            frame_number=key[1],
            position_mm=(0.0, 0.0, 0.0),
            extent=instance.extent,
        )
        try:
            pixels = load_plane(plane, instance.transfer_syntax_uid, is_ct=is_ct)
        except VolumeError as error:
            log.warning("fallback.image_left_out", cause=str(error))
            continue
        images[key] = SourceImage(plane, pixels, is_ct)
    return images
