"""Secondary Capture (RGB): the pages as images, for every run and for every viewer."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from pydicom import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from dicom_sr import codes
from dicom_sr.common import Kind, ResultInput, clipped, code_item, date_or_nothing, finish
from dicom_sr.drawing import printable
from dicom_sr.page import SIZE, Page, PageFrame
from dicom_sr.pages import draw_pages
from dicom_sr.source import study_class
from node.domain.study import Patient

#: Pages of one result; a corrected result numbers its pages from the next hundred.
PAGES_PER_RESULT: Final = 100


def write_captures(work: ResultInput) -> tuple[Dataset, ...]:
    """The summary and one image for each key image; never empty."""
    pages = draw_pages(work.findings, _frame(work))
    return tuple(_capture(work, page, number) for number, page in enumerate(pages, start=1))


#: In place of a name that the page cannot show.
OTHER_SCRIPT = "(name in another script)"


def displayed_name(patient_name: str) -> str:
    """Family name in front, "LOVELACE, Ada": the alphabetic group of a person name.

    A name of which the page's font lacks characters is not shown in pieces.
    """
    parts = [part.strip() for part in patient_name.split("=", maxsplit=1)[0].split("^")]
    family, given = parts[0], " ".join(part for part in parts[1:3] if part)
    shown = f"{family}, {given}" if given else family
    return OTHER_SCRIPT if printable(shown).count("?") > shown.count("?") else shown


def _frame(work: ResultInput) -> PageFrame:
    model, context = work.findings.model, work.context
    moment = work.local_time
    return PageFrame(
        title=f"AI {model.title}",
        identity=_identity(work) if context.patient_identity_on_pages else (),
        images=_images(work),
        footer=f"{model.name} v{model.version}, {context.manufacturer} "
        f"{context.software_version}, {_moment(moment)}",
        is_research=context.is_research,
    )


def _images(work: ResultInput) -> str:
    """Which images were looked at; the description of the series may name people, so: not it."""
    series = work.series
    number = f" {series.series_number}" if series.series_number is not None else ""
    return f"Looked at: {series.modality or 'unknown modality'} series{number}, " + (
        f"{len(series.instances)} images"
    )


def _identity(work: ResultInput) -> tuple[str, ...]:
    patient: Patient = work.study.patient
    return identity_lines(
        name=patient.patient_name,
        patient_id=patient.patient_id,
        birth_date=patient.birth_date,
        sex=patient.sex,
        study_date=work.study.study_date,
    )


def identity_lines(
    *, name: str, patient_id: str, birth_date: str, sex: str, study_date: str
) -> tuple[str, ...]:
    """Three lines about patient and study for the head of a page; dates as DICOM has them."""
    born = _dashed(date_or_nothing(birth_date))
    about = "  ".join(
        part
        for part in (f"ID {patient_id}", f"*{born}", sex)
        if len(part) > 1 or part in ("M", "F", "O")
    )
    study = _dashed(date_or_nothing(study_date))
    return (
        displayed_name(name) or "(no name)",
        about,
        f"Study {study}" if study else "Study date unknown",
    )


def _dashed(date: str) -> str:
    return f"{date[:4]}-{date[4:6]}-{date[6:]}" if date else ""


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M")


def _capture(work: ResultInput, page: Page, number: int) -> Dataset:
    data_set = Dataset()
    data_set.SOPClassUID = SecondaryCaptureImageStorage
    data_set.Modality = "OT"
    data_set.InstanceNumber = number + PAGES_PER_RESULT * (work.context.instance_number - 1)
    data_set.ConversionType = "WSD"
    data_set.ImageType = ["DERIVED", "SECONDARY"]
    data_set.PatientOrientation = ""
    data_set.DerivationDescription = clipped(f"AI result page: {page.title}", 1024)
    # About identity, not about marks (PS3.3 C.7.6.1.1.2).
    shown = work.context.patient_identity_on_pages
    data_set.BurnedInAnnotation = "YES" if shown else "NO"
    if page.plane is not None:
        data_set.SourceImageSequence = [_source(work, page)]
    put_page(data_set, page)
    finish(data_set, work, Kind.CAPTURE, number)
    return data_set


def put_page(data_set: Dataset, page: Page) -> None:
    """The pixels of a page (Image Pixel module, PS3.3 C.7.6.3)."""
    data_set.SamplesPerPixel = 3
    data_set.PhotometricInterpretation = "RGB"
    data_set.PlanarConfiguration = 0
    data_set.Rows = data_set.Columns = SIZE
    data_set.BitsAllocated = data_set.BitsStored = 8
    data_set.HighBit = 7
    data_set.PixelRepresentation = 0
    data_set.LossyImageCompression = "00"
    data_set.PixelData = page.pixels.tobytes()
    data_set["PixelData"].VR = "OB"


def _source(work: ResultInput, page: Page) -> Dataset:
    assert page.plane is not None
    uid = str(page.plane.sop_instance_uid)
    item = Dataset()
    item.ReferencedSOPClassUID = study_class(work.study, work.series, uid)
    item.ReferencedSOPInstanceUID = uid
    if page.plane.frame_number is not None:
        item.ReferencedFrameNumber = page.plane.frame_number
    item.PurposeOfReferenceCodeSequence = [code_item(codes.SOURCE_IMAGE)]
    return item
