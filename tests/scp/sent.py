"""Small data sets as bytes, for the tests of the receiver."""

from __future__ import annotations

from io import BytesIO

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from node.intake import FileContent

STUDY = "1.2.826.0.1.3680043.10.20.1"


def content(
    *, uid: str | None = None, note: str = "", without: str = "", **changes: str
) -> FileContent:
    """A data set that a CT might send, with some attributes changed or left out."""
    data_set = Dataset()
    data_set.SOPClassUID = CTImageStorage
    data_set.SOPInstanceUID = uid or generate_uid()
    data_set.Modality = "CT"
    data_set.StudyInstanceUID = STUDY
    data_set.SeriesInstanceUID = STUDY + ".1"
    data_set.TextValue = note
    instance_uid = str(data_set.SOPInstanceUID)
    for keyword, value in changes.items():
        setattr(data_set, keyword, value)
    if without:
        delattr(data_set, without)
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, data_set)
    return FileContent(
        sop_class_uid=CTImageStorage,
        sop_instance_uid=instance_uid,
        transfer_syntax_uid=ExplicitVRLittleEndian,
        data_set=BytesIO(stream.getvalue()).getvalue(),
    )
