"""Texts of a header in, typed facts out; the same for files and for a row of a table of headers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from inference.header import Header
from inference.kernels import kernel_class
from inference.vocabulary import (
    before_or_after,
    contrast_in,
    folded,
    is_enteral,
    is_phantom,
    phase_in,
    regions_in,
    sections_in,
    side_of,
    view_in,
)
from inference.written import positive_number
from node.domain.facts import MODALITIES, PET_UNITS, SEXES, VIEWS, SeriesFacts
from node.domain.study import Patient, Series, SeriesGeometry

#: The agreed text of an attribute; "" where the images do not say it or disagree.
Said = Callable[[str], str]

#: A gap wider than this many times the usual distance is a missing slice.
MISSING_SLICE_FACTOR = 1.5
#: Secondary Capture classes (PS3.4 B.5) hold pictures of a screen.
_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
#: Modalities that image with and without contrast, in phases.
_ENHANCED_MODALITIES = ("CT", "MR")
_NO_AGENT = {"none", "no", "nein", "non", "ohne", "0", "n", "nil", "no contrast", "without", "n/a"}
#: SNOMED CT and SRT codes of CID 4014.
_VIEW_CODES = {
    "399162004": "CC", "R-10242": "CC", "399368009": "MLO", "R-10226": "MLO", "399260004": "ML",
    "R-10224": "ML", "399352003": "LM", "R-10228": "LM", "399099002": "LMO", "R-10230": "LMO",
    "399265009": "XCCL", "Y-X1770": "XCCL", "399192008": "FB", "R-10244": "FB",
    "399188001": "SIO", "R-102D0": "SIO", "442593009": "AT", "399101009": "XCCM",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyTexts:
    """What the whole study says; `quality_control`: QualityControlSubject is YES somewhere."""

    description: str
    patient: Patient
    quality_control: bool = False


def facts_of(series: Series, images: Sequence[Header], study: StudyTexts) -> SeriesFacts:
    """The facts of one stack, without what only pixels tell."""
    said = _said_by(images, study)
    geometry = series.geometry
    told = header_facts(said) | {
        "modality": series.modality or None,
        "kernel": series.kernel or None,
        "kernel_class": kernel_class(series.kernel),
        "image_type": series.image_type or None,
        "slices": len(series.planes) or None,
        "slice_thickness_mm": series.slice_thickness_mm,
        "patient_age_years": study.patient.age_years,
        "sender": tuple(sorted({i.calling_ae_title for i in series.instances} - {""})) or None,
        "phantom": study.quality_control
        or is_phantom((study.patient.patient_name, study.patient.patient_id))
        or phantom(said),
        "burned_in_annotation": _yes_no(series.burned_in_annotation),
    }
    if geometry is not None:
        told |= _geometry_facts(geometry)
    return SeriesFacts(
        study_uid=series.study_uid,
        series_uid=series.series_uid,
        stack_id=series.stack_id,
        stack=series.stack,
        stacks=series.stacks,
        digest=series.digest,
        sop_class_uid=series.sop_class_uid,
        class_is_inferred=series.class_is_inferred,
        has_pixels=series.has_pixels,
        samples_per_pixel=series.samples_per_pixel,
        geometry_fault=series.geometry_fault,
        has_geometry=geometry is not None,
        gap_after=None if geometry is None else _after(geometry),
        smallest_pixel_mm=_smallest(geometry),
        unreadable=series.unreadable,
        frame_of_reference_uid=series.frame_of_reference_uid,
        series_number=series.series_number,
        **told,
    )


def header_facts(said: Said) -> dict[str, Any]:
    """What the texts alone tell, by the name of the fact."""
    description, protocol = said("SeriesDescription"), said("ProtocolName")
    kind = image_kind(said)
    region = _regions(said, kind)
    phase = phase_in(description) or phase_in(protocol)
    contrast = _contrast(said, phase)
    if contrast is False and phase is None and said("Modality").upper() in _ENHANCED_MODALITIES:
        phase = "native"
    view, side = _view(said)
    return {
        "header_region": region or None,
        "body_region": region or None,
        "body_part": said("BodyPartExamined").upper() or None,
        "kernel": said("ConvolutionKernel") or None,
        "kernel_class": kernel_class(said("ConvolutionKernel")),
        "header_contrast": contrast,
        "contrast": _by_order(said) if contrast is None else contrast,
        "contrast_agent": said("ContrastBolusAgent") or None,
        "phase": phase,
        "view": view,
        "laterality": side,
        "pet_units": _among(PET_UNITS, said("Units").upper()),
        "image_kind": kind,
        "patient_sex": _among(SEXES, said("PatientSex").upper()),
        "patient_height_m": positive_number(said("PatientSize")),
        "patient_weight_kg": positive_number(said("PatientWeight")),
        "manufacturer": said("Manufacturer") or None,
        "scanner": said("ManufacturerModelName") or None,
        "station": said("StationName") or None,
        "institution": said("InstitutionName") or None,
        "department": said("InstitutionalDepartmentName") or None,
        "protocol": protocol or None,
        "series_description": description or None,
        "study_description": said("StudyDescription") or None,
    }


def _regions(said: Said, kind: str | None) -> tuple[str, ...]:
    """By the region and the series; the protocol and the study speak where those are silent."""
    own = [said("AnatomicRegion"), said("BodyPartExamined"), said("SeriesDescription")]
    if said("Modality").upper() == "CT" and kind != "localizer":
        own += sections_in(said("SeriesDescription"))
    asked = (filter(None, own), [said("ProtocolName")], [said("StudyDescription")])
    return next((found for texts in asked if (found := regions_in(texts))), ())


def modality_of(text: str) -> str | None:
    """A modality that exists; None for anything else."""
    return _among(MODALITIES, text.strip().upper())


def image_kind(said: Said) -> str | None:
    """`facts.IMAGE_KINDS` from ImageType, SOP class and description, the most telling first."""
    values = set(said("ImageType").upper().split("\\")) - {""}
    line = folded(said("SeriesDescription"))
    close = line.replace("-", "").replace(" ", "")
    words = set(line.replace("-", " ").split()) | set(line.replace("-", "").split())
    # With the dot: 7.1 to 7.4 are the multi-frame captures, 77.1.6 is a whole slide.
    capture = f"{said('SOPClassUID')}.".startswith(f"{_SECONDARY_CAPTURE}.")
    dose = {"dose", "dosis", "dosisinfo"} & words and ({"report", "info", "protocol"} & words)
    signs = (
        ("dose_report", bool(dose) or "DOSE_INFO" in values or "dosisinfo" in words),
        ("localizer", "LOCALIZER" in values or bool(_LOCALIZER & words)),
        ("monitoring", any(word in close for word in _MONITORING)),
        ("screen", (capture and said("Modality").upper() != "MG") or "SCREEN SAVE" in values),
        ("subtraction", bool(_SUBTRACTIONS & (values | {w.upper() for w in words}))),
        ("projection", bool(_PROJECTIONS & values) or bool(_PROJECTION_WORDS & words)),
        ("reformat", bool({"MPR", "REFORMATTED", "CSA MPR"} & values) or bool(_REFORMATS & words)),
        ("derived", "DERIVED" in values),
        ("original", "ORIGINAL" in values),
    )
    return next((kind for kind, holds in signs if holds), None)


_LOCALIZER = {
    "scout", "topogram", "topogramm", "surview", "localizer", "localiser", "scanogram", "loc",
    "survey", "scano", "scouts", "topo", "locator", "locators",
}  # fmt: skip
#: One place again and again until the contrast arrives, or a small dose of it beforehand.
_MONITORING = (
    "smartprep", "premonitoring", "monitoring", "bolustrack", "timingbolus", "testbolus",
    "surestart", "bolustiming",
)  # fmt: skip
_REFORMATS = {"mpr", "mprs", "reformat", "reformats", "reformatted", "cpr"}
_SUBTRACTIONS = {"SUBTRACTION", "SUBTRACT", "SUB", "SUBTR", "SUBTRACTED"}
_PROJECTIONS = {"PROJECTION IMAGE", "MIP", "MINIP", "MAX_IP", "MIN_IP", "VOLUME RENDERED", "VRT"}
#: "projections": the detector's own readings, which some archives keep as CT images.
_PROJECTION_WORDS = {"mip", "mips", "minip", "vrt", "3dmip", "aveip", "avip", "projections"}


def phantom(said: Said) -> bool:
    """Does anything in the header speak of a phantom or of quality control?"""
    stated = {said("QualityControlImage").upper(), said("QualityControlSubject").upper()}
    keywords = ("SeriesDescription", "StudyDescription", "ProtocolName", "BodyPartExamined")
    return "YES" in stated or is_phantom(map(said, keywords))


def _said_by(images: Sequence[Header], study: StudyTexts) -> Said:
    def said(keyword: str) -> str:
        if keyword == "StudyDescription":
            return study.description
        if keyword in ("PatientSex", "PatientSize", "PatientWeight"):
            return _of_patient(study.patient, keyword)
        read = _CODED.get(keyword)
        stated = {text for image in images if (text := (read or _text)(image, keyword))}
        return stated.pop() if len(stated) == 1 else ""

    return said


def _text(image: Header, keyword: str) -> str:
    return image.values.text(keyword)


def _region(image: Header, _keyword: str) -> str:
    frame = image.frame(1)
    items = frame.find("FrameAnatomySequence", "AnatomicRegionSequence")
    return " ".join(i.text("CodeMeaning") for i in items.items("AnatomicRegionSequence"))


def _side(image: Header, keyword: str) -> str:
    return image.values.text(keyword) or image.frame(1).text(
        "FrameAnatomySequence", "FrameLaterality"
    )


def _view_code(image: Header, _keyword: str) -> str:
    return "".join(i.text("CodeValue") for i in image.values.items("ViewCodeSequence")[:1])


def _agents(image: Header, _keyword: str) -> str:
    return " ".join(
        i.text("CodeMeaning") or "given" for i in image.values.items("ContrastBolusAgentSequence")
    )


_CODED: dict[str, Callable[[Header, str], str]] = {
    "AnatomicRegion": _region,
    "ImageLaterality": _side,
    "ViewCode": _view_code,
    "ContrastBolusAgentSequence": _agents,
}


def _of_patient(patient: Patient, keyword: str) -> str:
    if keyword == "PatientSex":
        return patient.sex
    value = patient.size_m if keyword == "PatientSize" else patient.weight_kg
    return "" if value is None else f"{value:g}"


def _contrast(said: Said, phase: str | None) -> bool | None:
    """ContrastBolusAgent is type 2: empty says nothing (PS3.3 C.7.6.4).

    What was drunk, or given as an enema, says nothing of the vessels.
    """
    agent, route = said("ContrastBolusAgent"), said("ContrastBolusRoute")
    if folded(agent) in _NO_AGENT:
        return False
    volume = positive_number(said("ContrastBolusVolume"))
    given = bool(agent or said("ContrastBolusAgentSequence") or volume)
    if given and not is_enteral(route or agent):
        return True
    found = contrast_in(said("SeriesDescription"))
    found = contrast_in(said("ProtocolName")) if found is None else found
    if found is None and said("Modality").upper() == "MR":
        found = before_or_after(said("SeriesDescription"))
    if found is None and said("Modality").upper() in _ENHANCED_MODALITIES:
        # There is no late phase of nothing.
        return True if phase in ("arterial", "venous", "delayed") else None
    return found


def _by_order(said: Said) -> bool | None:
    """An order without contrast; one with contrast has series without it as well."""
    ordered = said("Modality").upper() in _ENHANCED_MODALITIES
    return False if ordered and contrast_in(said("StudyDescription")) is False else None


def _view(said: Said) -> tuple[str | None, str | None]:
    if said("Modality").upper() != "MG":
        return None, _first_side(said, ("ImageLaterality", "Laterality"))
    view, side = view_in(said("SeriesDescription"))
    coded = _VIEW_CODES.get(said("ViewCode"))
    stated = (said("ViewPosition"), said("PatientOrientation"))
    view = coded or next((v for text in stated if (v := _among(VIEWS, text.upper()))), view)
    keywords = ("ImageLaterality", "Laterality", "BodyPartExamined")
    return view, _first_side(said, keywords) or side or side_of(said("SeriesDescription"))


def _first_side(said: Said, keywords: Iterable[str]) -> str | None:
    return next((side for keyword in keywords if (side := side_of(said(keyword)))), None)


def _geometry_facts(geometry: SeriesGeometry) -> dict[str, Any]:
    spacing, gap = geometry.spacing_mm, geometry.largest_gap_mm
    pixel = geometry.pixel_spacing_mm
    return {
        "orientation": geometry.orientation,
        "slice_spacing_mm": spacing,
        "coverage_mm": geometry.extent_mm,
        "largest_gap_mm": gap,
        "missing_slices": None if spacing is None or gap is None else _missing(gap, spacing),
        "duplicate_positions": geometry.duplicates,
        "tilt_degrees": geometry.tilt_degrees,
        "pixel_spacing_mm": max(pixel) if pixel else None,
        "rows": geometry.rows,
        "columns": geometry.columns,
    }


def _missing(gap: float, spacing: float) -> bool:
    return gap > MISSING_SLICE_FACTOR * spacing


def _after(geometry: SeriesGeometry) -> int | None:
    return None if geometry.largest_gap_after is None else geometry.largest_gap_after + 1


def _smallest(geometry: SeriesGeometry | None) -> float | None:
    return min(geometry.pixel_spacing_mm) if geometry and geometry.pixel_spacing_mm else None


def _among(known: tuple[str, ...], text: str) -> str | None:
    return text if text in known else None


def _yes_no(text: str) -> bool | None:
    return {"YES": True, "NO": False}.get(text)
