"""A folder of DICOM files as rows of the index, without taking them in."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

from inference.attributes import UNREADABLE, quiet_pydicom
from inference.header_file import read_header
from node.domain.extent import Extent
from node.domain.study import (
    ClassUID,
    Instance,
    InstanceUID,
    SeriesUID,
    StudyUID,
    TransferSyntaxUID,
)

_KEYWORDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")


def studies_below(folder: Path) -> tuple[dict[StudyUID, list[Instance]], int]:
    """Every readable DICOM file below a folder, by study, and how many files are none.

    Links are not followed. The digest of an instance is that of its path.
    """
    studies: dict[StudyUID, list[Instance]] = defaultdict(list)
    left_out = 0
    with quiet_pydicom():
        for path in sorted(folder.rglob("*")):
            if not path.is_file() or path.is_symlink() or path.name == "DICOMDIR":
                continue
            instance = _instance(path)
            if instance is None:
                left_out += 1
            else:
                studies[instance.study_uid].append(instance)
    return dict(studies), left_out


def _instance(path: Path) -> Instance | None:
    extent = Extent(path)
    try:
        values, meta, _ = read_header(extent, _KEYWORDS)
        size = extent.size
    except UNREADABLE:
        return None
    study, series = values.text("StudyInstanceUID"), values.text("SeriesInstanceUID")
    if not study or not series:
        return None
    return Instance(
        sop_instance_uid=InstanceUID(values.text("SOPInstanceUID")),
        sop_class_uid=ClassUID(values.text("SOPClassUID") or meta.text("MediaStorageSOPClassUID")),
        study_uid=StudyUID(study),
        series_uid=SeriesUID(series),
        transfer_syntax_uid=TransferSyntaxUID(meta.text("TransferSyntaxUID")),
        extent=extent,
        digest=hashlib.sha256(str(path).encode()).hexdigest(),
        size_bytes=size,
        calling_ae_title="",
        received_at=datetime.now(UTC),
    )
