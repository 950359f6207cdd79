"""What one incoming instance says of itself, as typed facts."""

from __future__ import annotations

from dataclasses import dataclass

from inference.attributes import UNREADABLE, Attributes, Frame, Frames
from inference.geometry import PlaneFacts, Vector
from inference.header_file import KnownValues, read_header
from node.domain.study import Instance, Plane

#: CT Image Storage, PS3.4 B.5.
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"

#: More frames than any CT has; a header that claims more is lying.
MAX_FRAMES = 20_000
#: A coordinate beyond ten metres is no place in a patient.
FARTHEST_MM = 10_000.0

#: What sets apart the phases of one series, most telling first: (macro, keyword).
PHASE_MARKS = (
    ("FrameContentSequence", "TemporalPositionIndex"),
    ("TemporalPositionSequence", "TemporalPositionIdentifier"),
    ("MRDiffusionSequence", "DiffusionBValue"),
    ("MREchoSequence", "EchoTime"),
    ("CardiacSynchronizationSequence", "NominalPercentageOfCardiacPhase"),
    ("CardiacSynchronizationSequence", "TriggerTime"),
    ("FrameContentSequence", "FrameAcquisitionNumber"),
    ("", "AcquisitionNumber"),
    ("", "SeriesTime"),
    ("", "AcquisitionTime"),
)
PHASE_KEYWORDS = tuple(dict.fromkeys(keyword for _, keyword in PHASE_MARKS))

_STUDY_KEYWORDS = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyDescription",
    "QualityControlSubject",
)
_IMAGE_KEYWORDS = (
    "SpecificCharacterSet",
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "Modality",
    "SeriesNumber",
    "SeriesDescription",
    "ProtocolName",
    "BodyPartExamined",
    "ImageType",
    "FrameType",
    "Manufacturer",
    "ManufacturerModelName",
    "ConvolutionKernel",
    "ContrastBolusAgent",
    "ContrastBolusVolume",
    "ContrastBolusRoute",
    "ContrastBolusAgentSequence",
    "AnatomicRegionSequence",
    "StationName",
    "InstitutionName",
    "InstitutionalDepartmentName",
    "QualityControlImage",
    "ImageLaterality",
    "Laterality",
    "ViewPosition",
    "ViewCodeSequence",
    "PatientOrientation",
    "Units",
    "SliceThickness",
    "FrameOfReferenceUID",
    "InstanceNumber",
    "NumberOfFrames",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "BitsAllocated",
    "BurnedInAnnotation",
    "RescaleSlope",
    "RescaleIntercept",
    *PHASE_KEYWORDS,
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
)

_KEYWORDS = _STUDY_KEYWORDS + _IMAGE_KEYWORDS

#: The CT Image module's own attributes (PS3.3 C.8.2.1) and those of an image in the patient:
#: together they make an image without a SOP class a CT image beyond reasonable doubt.
_CT_EVIDENCE = {
    "RescaleSlope": 1,
    "RescaleIntercept": 1,
    "Rows": 1,
    "Columns": 1,
    "PixelSpacing": 2,
    "ImagePositionPatient": 3,
    "ImageOrientationPatient": 6,
}


@dataclass(frozen=True, slots=True)
class Header:
    """One readable instance.

    Attributes:
        values: its attributes up to the pixels. frames: the same, frame by frame.
        sop_classes: every SOP class that the data set, the C-STORE command or the file meta
            information states, without repetition.
        own_class: what the data set itself states; "" where it does not.
        image_type: values of ImageType, upper case.
        has_pixels: a pixel data element that is not empty follows.
        file_transfer_syntax_uid: what the file says, "" where it does not.
    """

    instance: Instance
    values: Attributes
    frames: Frames
    sop_classes: frozenset[str]
    own_class: str
    image_type: tuple[str, ...]
    has_pixels: bool
    file_transfer_syntax_uid: str

    def frame(self, number: int | None) -> Frame:
        """The attributes of one frame, numbered from 1; None for a single-frame instance."""
        return self.frames.frame(number)

    @property
    def is_localizer(self) -> bool:
        """ImageType value 3 LOCALIZER: a scout, PS3.3 C.8.2.1.1.1."""
        return "LOCALIZER" in self.image_type

    @property
    def looks_like_ct(self) -> bool:
        """Modality CT with the attributes that a CT image needs."""
        return self.values.text("Modality").upper() == "CT" and all(
            self.values.numbers(keyword, count) is not None
            for keyword, count in _CT_EVIDENCE.items()
        )


def open_header(instance: Instance, known: KnownValues | None = None) -> Header | None:
    """Read the header of one stored instance; None when the file is not readable as DICOM.

    `known`: of its study, where other images of it are read as well.
    """
    try:
        values, meta, has_pixels = read_header(instance.extent, _KEYWORDS, known)
    except UNREADABLE:
        return None
    own_class = values.text("SOPClassUID")
    # Any bytes can be stepped through as elements; a data set has at least one of these.
    if not (own_class or values.text("Modality") or values.text("StudyInstanceUID")):
        return None
    stated = (own_class, instance.sop_class_uid, meta.text("MediaStorageSOPClassUID"))
    return Header(
        instance=instance,
        values=values,
        frames=Frames(values),
        sop_classes=frozenset(filter(None, stated)),
        own_class=own_class,
        image_type=tuple(value.upper() for value in values.texts("ImageType")),
        has_pixels=has_pixels,
        file_transfer_syntax_uid=meta.text("TransferSyntaxUID"),
    )


def planes_of(header: Header) -> list[tuple[Plane, PlaneFacts]]:
    """The image planes of an instance; none where it has no pixel matrix.

    A multi-frame instance is as many planes as it has frames. A plane without a position
    gets NaN for coordinates; its series then has no geometry.
    """
    values = header.values
    if not header.has_pixels and values.integer("Rows") is None:
        return []
    frames = values.integer("NumberOfFrames") or 1
    if frames <= 1 and not header.frames.has_functional_groups:
        return [_plane(header, None)]
    return [_plane(header, number) for number in range(1, min(frames, MAX_FRAMES) + 1)]


def _plane(header: Header, number: int | None) -> tuple[Plane, PlaneFacts]:
    values, instance = header.values, header.instance
    frame = header.frame(number)
    position = _vector(frame.numbers("PlanePositionSequence", "ImagePositionPatient", 3))
    if number is not None and not header.frames.has_functional_groups:
        # The one position of an old multi-frame image (RT dose, nuclear) is its first frame's.
        position = None
    cosines = frame.numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6)
    spacing = frame.numbers("PixelMeasuresSequence", "PixelSpacing", 2)
    instance_number = values.integer("InstanceNumber")
    label = f"image {instance_number}" if instance_number is not None else "image without number"
    plane = Plane(
        sop_instance_uid=instance.sop_instance_uid,
        frame_number=number,
        position_mm=position or (float("nan"),) * 3,
        extent=instance.extent,
        instance_number=instance_number,
    )
    image_type = tuple(t.upper() for t in _frame_type(frame)) or header.image_type
    thickness = frame.number("PixelMeasuresSequence", "SliceThickness")
    facts = PlaneFacts(
        position=position,
        cosines=cosines if cosines and max(map(abs, cosines)) < 2 else None,
        pixel_spacing_mm=_spacing(spacing),
        rows=values.integer("Rows"),
        columns=values.integer("Columns"),
        frame_of_reference_uid=values.text("FrameOfReferenceUID"),
        label=f"frame {number}" if number is not None else label,
        order=(instance_number or 0, number or 0, instance.sop_instance_uid),
        thickness_mm=thickness if thickness and thickness > 0 else None,
        kind=" ".join(filter(None, (image_type[:1] + image_type[2:3]))),
        kernel=frame.text("CTReconstructionSequence", "ConvolutionKernel"),
        phase_marks=tuple(frame.text(macro, keyword) for macro, keyword in PHASE_MARKS),
    )
    return plane, facts


def _frame_type(frame: Frame) -> tuple[str, ...]:
    """FrameType of an enhanced image (PS3.3 C.8.16.1), else nothing."""
    for macro in ("CTImageFrameTypeSequence", "MRImageFrameTypeSequence", "PETFrameTypeSequence"):
        found = frame.find(macro, "FrameType").texts("FrameType")
        if found:
            return found
    return ()


def _vector(values: tuple[float, ...] | None) -> Vector | None:
    if values is None or max(map(abs, values)) > FARTHEST_MM:
        return None
    return values[0], values[1], values[2]


def _spacing(values: tuple[float, ...] | None) -> tuple[float, float] | None:
    if values is None or min(values) <= 0 or max(values) > FARTHEST_MM:
        return None
    return values[0], values[1]
