"""What lies in a folder: images to analyse, or reports to read back; listed without keeping it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pydicom.uid import (
    KeyObjectSelectionDocumentStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from dicom_sr.reading import REPORT_CLASSES
from inference.attributes import UNREADABLE, Attributes, quiet_pydicom
from inference.header_file import read_header
from node.domain.extent import Extent
from node.evaluation.cohort import patient_key
from node.intake import PREAMBLE, PREFIX, files_below

#: Objects that results consist of besides reports.
_OF_RESULTS: Final = (
    SegmentationStorage,
    RTStructureSetStorage,
    SecondaryCaptureImageStorage,
)
_KEYWORDS: Final = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "AccessionNumber",
    "PatientID",
    "IssuerOfPatientID",
)


@dataclass(slots=True)
class Listed:
    """One study in a folder, by the paths of its files."""

    study_uid: str
    accession_number: str
    patient: str
    images: list[str] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Contents:
    """A folder.

    Attributes:
        studies: by Study Instance UID.
        problems: DICOM files that cannot be read, in words. left_out: files that are no DICOM.
    """

    studies: dict[str, Listed] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    left_out: int = 0

    @property
    def images(self) -> int:
        """Number of images."""
        return sum(len(study.images) for study in self.studies.values())

    @property
    def reports(self) -> int:
        """Number of reports."""
        return sum(len(study.reports) for study in self.studies.values())


def contents_of(folder: Path) -> Contents:
    """List a folder; only headers are read, and only paths are kept."""
    found = Contents()
    with quiet_pydicom():
        for path in files_below(folder):
            header = _header(path)
            if header is not None:
                _file(found, path, header)
            elif _is_part_10(path):
                name = path.relative_to(folder)
                found.problems.append(f"{name}: a DICOM file that cannot be read")
            else:
                found.left_out += 1
    return found


def _file(found: Contents, path: Path, header: Attributes) -> None:
    uid = header.text("StudyInstanceUID")
    study = found.studies.get(uid)
    if study is None:
        identifiers = (header.text("IssuerOfPatientID"), header.text("PatientID"))
        study = found.studies[uid] = Listed(
            uid, header.text("AccessionNumber"), patient_key(identifiers, uid)
        )
    sop_class = header.text("SOPClassUID")
    if sop_class in REPORT_CLASSES:
        study.reports.append(str(path))
    elif sop_class == KeyObjectSelectionDocumentStorage:
        study.notes.append(str(path))
    elif sop_class not in _OF_RESULTS:
        study.images.append(str(path))


def _header(path: Path) -> Attributes | None:
    try:
        values, _, _ = read_header(Extent(path), _KEYWORDS)
    except UNREADABLE:
        return None
    return values if values.text("StudyInstanceUID") else None


def _is_part_10(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(PREAMBLE + len(PREFIX)).endswith(PREFIX)
    except OSError:
        return True


def batches(studies: Iterator[Listed]) -> Iterator[list[Listed]]:
    """Studies of one patient together: the prior of a study may be among them."""
    of_patient: dict[str, list[Listed]] = {}
    for study in studies:
        of_patient.setdefault(study.patient, []).append(study)
    yield from of_patient.values()
