"""Typed facts of a whole series, computed once; verdicts, routing rules and `plan` read only these.

What the images do not say is None, never a guess. A fact that the source at hand cannot tell at
all (a table of headers has no pixels) is named in `SeriesFacts.untold`: nothing may be decided on
it, neither for nor against.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from node.domain.fact import METADATA, Fact, choice, flag, number, seen, text
from node.domain.study import SeriesUID, StackID, StudyUID

ORIENTATIONS = ("axial", "coronal", "sagittal", "oblique")
#: From head to foot; `whole_body` stands beside the regions that it surely holds.
REGIONS = (
    "head",
    "neck",
    "chest",
    "heart",
    "breast",
    "abdomen",
    "pelvis",
    "spine",
    "upper_limb",
    "lower_limb",
    "whole_body",
)
KERNEL_CLASSES = ("soft", "lung", "bone", "unknown")
PHASES = ("native", "arterial", "venous", "delayed")
VIEWS = ("CC", "MLO", "ML", "LM", "LMO", "XCCL", "XCCM", "FB", "SIO", "AT")
LATERALITIES = ("left", "right", "both", "unpaired")
#: PS3.3 C.8.9.1.1.3.
PET_UNITS = (
    "BQML", "GML", "CNTS", "PROPCPS", "PROPCNTS", "NONE", "CM2", "CM2ML", "PCNT", "CPS",
    "MGMINML", "UMOLMINML", "MLMING", "MLG", "1CM", "UMOLML", "MLMINML", "MLML", "STDDEV", "SUV",
)  # fmt: skip
#: What the images are, by ImageType, SOP class and the words of the description.
IMAGE_KINDS = (
    "original",
    "derived",
    "reformat",
    "projection",
    "subtraction",
    "localizer",
    "monitoring",
    "screen",
    "dose_report",
)
SEXES = ("F", "M", "O")
#: Defined terms of Modality, PS3.3 C.7.3.1.1.1, and the retired ones that archives still hold.
MODALITIES = (
    "ANN", "AR", "ASMT", "AU", "BDUS", "BI", "BMD", "CFM", "CR", "CT", "CTPROTOCOL", "DMS", "DG",
    "DOC", "DX", "ECG", "EEG", "EMG", "EOG", "EPS", "ES", "FID", "GM", "HC", "HD", "IO", "IOL",
    "IVOCT", "IVUS", "KER", "KO", "LEN", "LS", "M3D", "MG", "MR", "NM", "OAM", "OCT", "OP", "OPM",
    "OPT", "OPTBSV", "OPTENF", "OPV", "OSS", "OT", "PA", "PLAN", "POS", "PR", "PT", "PX", "REG",
    "RESP", "RF", "RG", "RTDOSE", "RTIMAGE", "RTINTENT", "RTPLAN", "RTRAD", "RTRECORD",
    "RTSEGANN", "RTSTRUCT", "RWV", "SEG", "SM", "SMR", "SR", "SRF", "STAIN", "TEXTUREMAP", "TG",
    "US", "VA", "XA", "XAPROTOCOL", "XC", "FS", "FA", "CF", "DF", "VF", "AS", "CD", "CP", "CS",
    "DD", "DM", "DS", "EC", "LP", "MA", "MS", "OPR", "ST", "FUSION",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesFacts:
    """One homogeneous stack of images of one series, as rules and models see it.

    A series that mixes orientations, thicknesses, kernels, matrices or phases is several of
    these: `stack` counts from 1 to `stacks`; a plain series is stack 1 of 1. Fields with a
    `Fact` may stand in a rule; the others carry what verdicts and jobs need besides.

    Attributes:
        stack_id: what verdicts and jobs name it by.
        digest: of its instances; changes when the input changes.
        sop_class_uid: "" where it is not stated.
        geometry_fault: why the images are no sound stack, in words; "" if they are.
        gap_after: number (from 1) of the slice before the largest gap.
        smallest_pixel_mm: the smaller of the two pixel spacings.
        unreadable: images whose header cannot be read.
        untold: names of the facts that this source cannot tell.
    """

    study_uid: StudyUID
    series_uid: SeriesUID
    stack_id: StackID
    stack: int = 1
    stacks: int = 1
    digest: str = ""
    sop_class_uid: str = ""
    class_is_inferred: bool = False
    has_pixels: bool = True
    samples_per_pixel: int | None = None
    geometry_fault: str = ""
    has_geometry: bool = True
    gap_after: int | None = None
    smallest_pixel_mm: float | None = None
    unreadable: int = 0
    frame_of_reference_uid: str = ""
    untold: frozenset[str] = frozenset()

    modality: str | None = choice("modality", "kind of equipment", MODALITIES, "Modality")
    body_region: tuple[str, ...] | None = choice(
        "body region",
        "what the header says, and where it is silent what the pixels show",
        REGIONS,
        "BodyPartExamined",
        "AnatomicRegionSequence",
        "SeriesDescription",
        "ProtocolName",
        "StudyDescription",
    )
    header_region: tuple[str, ...] | None = choice(
        "body region by the header",
        "from codes and words, in eight languages",
        REGIONS,
        "BodyPartExamined",
        "AnatomicRegionSequence",
        "SeriesDescription",
        "ProtocolName",
        "StudyDescription",
    )
    pixel_region: tuple[str, ...] | None = seen(
        "body region by the pixels", "seen in a few slices of an axial CT", REGIONS
    )
    region_disagrees: bool | None = flag(
        "disagreement on the body region", "header and pixels have no region in common", pixels=True
    )
    body_part: str | None = text("body part", "BodyPartExamined as it stands", "BodyPartExamined")
    orientation: str | None = choice(
        "orientation", "of the stack", ORIENTATIONS, "ImageOrientationPatient"
    )
    slices: int | None = number(
        "number of slices", "images or frames", "", (1, 100_000), "NumberOfSeriesRelatedInstances"
    )
    slice_thickness_mm: float | None = number(
        "slice thickness", "as the header states it", "mm", (0.05, 100), "SliceThickness"
    )
    slice_spacing_mm: float | None = number(
        "slice distance",
        "between the centres of neighbours, from their positions",
        "mm",
        (0.05, 100),
        "ImagePositionPatient",
        "SpacingBetweenSlices",
    )
    coverage_mm: float | None = number(
        "coverage", "from the first to the last slice", "mm", (0, 3000), "ImagePositionPatient"
    )
    largest_gap_mm: float | None = number(
        "largest gap", "widest distance of two neighbours", "mm", (0, 3000), "ImagePositionPatient"
    )
    missing_slices: bool | None = flag(
        "missing slices", "a gap is wider than 1.5 times the others", "ImagePositionPatient"
    )
    duplicate_positions: int | None = number(
        "images at a shared position",
        "images that share their place with another",
        "",
        (0, 100_000),
        "ImagePositionPatient",
    )
    tilt_degrees: float | None = number(
        "gantry tilt", "from the positions", "degrees", (-45, 45), "ImagePositionPatient"
    )
    pixel_spacing_mm: float | None = number(
        "pixel spacing", "the larger of the two", "mm", (0.0001, 50), "PixelSpacing"
    )
    rows: int | None = number("rows", "of the matrix", "", (1, 65_535), "Rows")
    columns: int | None = number("columns", "of the matrix", "", (1, 65_535), "Columns")
    kernel: str | None = text("kernel", "name that the manufacturer gives it", "ConvolutionKernel")
    kernel_class: str | None = choice(
        "kernel class", "from its name", KERNEL_CLASSES, "ConvolutionKernel"
    )
    contrast: bool | None = flag(
        "contrast",
        "what the header says, where it is silent what the pixels show, and where they do not "
        "tell, `false` when the study was ordered without",
        "ContrastBolusAgent",
        "SeriesDescription",
        "ProtocolName",
        "StudyDescription",
    )
    header_contrast: bool | None = flag(
        "contrast by the header",
        "in the vessels: agent, volume, or words such as 'native', 'ohne KM', 'C+'",
        "ContrastBolusAgent",
        "ContrastBolusVolume",
        "ContrastBolusRoute",
        "SeriesDescription",
        "ProtocolName",
    )
    pixel_contrast: bool | None = flag(
        "contrast by the pixels", "a bright vessel before the spine of an axial CT", pixels=True
    )
    contrast_disagrees: bool | None = flag(
        "disagreement on contrast", "header and pixels contradict each other", pixels=True
    )
    vessel_hu: float | None = number(
        "attenuation of the great vessels",
        "of the aorta or its neighbour, where one was found",
        "HU",
        (-100, 3000),
        pixels=True,
    )
    contrast_agent: str | None = text(
        "contrast agent", "ContrastBolusAgent as it stands", "ContrastBolusAgent"
    )
    phase: str | None = choice(
        "contrast phase",
        "from words of the description",
        PHASES,
        "SeriesDescription",
        "ProtocolName",
    )
    view: str | None = choice(
        "view", "of a mammogram", VIEWS, "ViewPosition", "ViewCodeSequence", "SeriesDescription"
    )
    laterality: str | None = choice(
        "side",
        "of a paired body part",
        LATERALITIES,
        "ImageLaterality",
        "Laterality",
        "SeriesDescription",
    )
    pet_units: str | None = choice("PET units", "of the stored values", PET_UNITS, "Units")
    image_kind: str | None = choice(
        "kind of image",
        "from ImageType, class and description; `localizer`, `monitoring` (of the bolus), `screen` "
        "and `dose_report` are "
        "never analysed by mistake when a rule asks for `original`",
        IMAGE_KINDS,
        "ImageType",
        "SeriesDescription",
        "SOPClassUID",
    )
    image_type: tuple[str, ...] | None = text(
        "image type", "values of ImageType common to all images", "ImageType"
    )
    truncated: bool | None = flag(
        "cut by the field of view", "the body runs out of the image of an axial CT", pixels=True
    )
    burned_in_annotation: bool | None = flag(
        "burned-in annotation", "text in the pixels may identify the patient", "BurnedInAnnotation"
    )
    phantom: bool | None = flag(
        "phantom",
        "true when header or description speak of a phantom or of quality control, else false",
        "QualityControlImage",
        "QualityControlSubject",
        "SeriesDescription",
        "StudyDescription",
        "ProtocolName",
        "BodyPartExamined",
    )
    patient_age_years: float | None = number(
        "age", "as stated, else from the birth date", "years", (0, 150), "PatientAge",
        "PatientBirthDate",
    )  # fmt: skip
    patient_sex: str | None = choice("sex", "of the patient", SEXES, "PatientSex")
    patient_height_m: float | None = number(
        "height", "of the patient", "m", (0.2, 2.6), "PatientSize"
    )
    patient_weight_kg: float | None = number(
        "weight", "of the patient", "kg", (0.2, 500), "PatientWeight"
    )
    manufacturer: str | None = text("manufacturer", "of the equipment", "Manufacturer")
    scanner: str | None = text("scanner model", "of the equipment", "ManufacturerModelName")
    station: str | None = text("station", "name of this very scanner", "StationName")
    institution: str | None = text("institution", "where it stands", "InstitutionName")
    department: str | None = text("department", "where it stands", "InstitutionalDepartmentName")
    protocol: str | None = text("protocol", "as the scanner calls it", "ProtocolName")
    series_description: str | None = text("series description", "free text", "SeriesDescription")
    study_description: str | None = text("study description", "free text", "StudyDescription")
    series_number: int | None = number(
        "series number", "as the scanner counts", "", (-100_000, 2**31), "SeriesNumber"
    )
    sender: tuple[str, ...] | None = text(
        "sender", "calling AE titles that sent images of the series", "CallingAETitle"
    )

    @property
    def label(self) -> str:
        """How a person finds the series in the viewer: its number, description and stack."""
        number_ = f"series {self.series_number}" if self.series_number is not None else "series"
        told = f" '{self.series_description[:40]}'" if self.series_description else ""
        stack = f", stack {self.stack} of {self.stacks}" if self.stacks > 1 else ""
        return f"{number_}{told}{stack}"


#: Every fact that a rule may ask for, by the name it has there.
FACTS: Mapping[str, Fact] = MappingProxyType(
    {
        item.name: item.metadata[METADATA]
        for item in dataclasses.fields(SeriesFacts)
        if METADATA in item.metadata
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFacts:
    """All stacks of one study, with what finds its priors.

    Attributes:
        at: when it was complete here; of a folder or table when it was acquired; None unknown.
        patient_id, issuer_of_patient_id, birth_date, study_date: as received; never logged.
        faults: contradictions that forbid every analysis (images of two patients).
    """

    study_uid: StudyUID
    series: tuple[SeriesFacts, ...]
    generation: int = 1
    at: datetime | None = None
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    birth_date: str = ""
    study_date: str = ""
    study_time: str = ""
    faults: tuple[str, ...] = ()


def plain(facts: SeriesFacts) -> dict[str, Any]:
    """As JSON holds it; what is not known is left out."""
    found: dict[str, Any] = {}
    for item in dataclasses.fields(facts):
        value = getattr(facts, item.name)
        if value is None or value == item.default:
            continue
        found[item.name] = sorted(value) if isinstance(value, frozenset) else value
    return found


def revived(values: Mapping[str, Any]) -> SeriesFacts:
    """The inverse of `plain`; what another version wrote and this one does not know is left out."""
    known = {item.name for item in dataclasses.fields(SeriesFacts)}
    found: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in values.items()
        if name in known
    }
    if "untold" in found:
        found["untold"] = frozenset(found["untold"])
    return SeriesFacts(**found)
