"""Key Object Selection (PS3.3 A.35.4, TID 2010): the images to look at first, as a PACS lists them.

Title (113000, DCM, Of Interest): the source images on which findings were marked, and the pages.
Only of a result with findings: a selection of nothing would look like one that is broken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from highdicom import ko, sr
from pydicom import Dataset

from dicom_sr import codes
from dicom_sr.codes import as_code
from dicom_sr.common import Kind, ResultInput, clipped, finish
from dicom_sr.source import bare_reference, home_of
from dicom_sr.wording import CLEARED_COMMENT, RESEARCH_COMMENT
from node.domain.errors import ResultError
from node.domain.finding import derived_uid
from node.domain.study import Plane

#: Longest description that every viewer shows whole.
DESCRIPTION_CHARACTERS: Final = 1024


def write_key_objects(work: ResultInput, captures: Sequence[Dataset]) -> Dataset | None:
    """One selection of the key images and the pages of a result.

    Returns:
        None where the site or the package wants none, or nothing was found.

    Raises:
        ResultError: the selection cannot be expressed as a valid object.
    """
    planes = key_planes(work)
    if not work.context.key_objects or not planes:
        return None
    chosen = [_image(work, uid) for uid in planes] + [_page(work, page) for page in captures]
    try:
        data_set: Dataset = ko.KeyObjectSelectionDocument(
            evidence=chosen,
            content=ko.KeyObjectSelection(
                document_title=as_code(codes.OF_INTEREST),
                referenced_objects=chosen,
                observer_device_context=_observer(work),
                description=clipped(_description(work), DESCRIPTION_CHARACTERS),
            ),
            series_instance_uid=work.series_uid(Kind.KEY_OBJECTS),
            series_number=work.series_number(Kind.KEY_OBJECTS),
            sop_instance_uid=work.object_uid(Kind.KEY_OBJECTS),
            instance_number=work.context.instance_number,
            manufacturer=clipped(work.context.manufacturer),
            specific_character_set="ISO_IR 192",
        )
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise ResultError(
            f"the key images cannot be written as a selection: {error}",
            study_uid=work.study.study_uid,
            series_uid=work.series.series_uid,
        ) from error
    finish(data_set, work, Kind.KEY_OBJECTS)
    return data_set


def key_planes(work: ResultInput) -> tuple[str, ...]:
    """SOP Instance UIDs of the images that abnormal findings are marked on, each once, in order."""
    planes: list[Plane] = [
        c.plane for f in work.findings.findings if f.is_abnormal for c in f.contours
    ]
    return tuple(dict.fromkeys(str(plane.sop_instance_uid) for plane in planes))


def _description(work: ResultInput) -> str:
    found = [item for item in work.findings.findings if item.is_abnormal]
    names = ", ".join(item.tracking_identifier for item in found[:20])
    mark = RESEARCH_COMMENT if work.context.is_research else CLEARED_COMMENT
    return f"AI {work.findings.model.title}: {names}. {mark}"


def _image(work: ResultInput, uid: str) -> Dataset:
    return _shown(bare_reference(work.study, home_of(work.study, work.series, uid), uid))


def _page(work: ResultInput, page: Dataset) -> Dataset:
    reference = bare_reference(work.study, work.series, str(page.SOPInstanceUID))
    reference.SOPClassUID = page.SOPClassUID
    reference.SeriesInstanceUID = page.SeriesInstanceUID
    return _shown(reference)


def _shown(reference: Dataset) -> Dataset:
    # highdicom tells an image from another object by these.
    reference.Rows = reference.Columns = 1
    return reference


def _observer(work: ResultInput) -> sr.ObserverContext:
    context = work.context
    return sr.ObserverContext(
        observer_type=sr.CodedConcept.from_code(as_code(codes.DEVICE)),
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=derived_uid("node", context.manufacturer, context.serial_number),
            name=context.station_name,
            manufacturer_name=context.manufacturer,
            model_name=context.model_name,
            serial_number=context.serial_number,
        ),
    )
