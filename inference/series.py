"""Stored instances in, described series and study out: the one place that reads headers.

Every fact is of the whole series, never of its first file: a value counts where all images
that state it agree. Nothing raises for a single bad file; it is counted in
`Series.unreadable`, and the verdict on the series says so.

SOP Class UID missing (PS3.3 C.12.1 makes it type 1, real archives lose it): the class is then
taken from the C-STORE command or the file meta information. Where these are silent too, CT
Image Storage is assumed only of images with Modality CT and every attribute that a CT image
needs (`Header.looks_like_ct`); a class stated anywhere that is another one contradicts it, and
the series keeps both, so that no model accepts it. `Series.class_inference` says which it was.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from inference.attributes import quiet_pydicom
from inference.facts import StudyTexts, facts_of
from inference.geometry import PlaneFacts, Stack, stack_planes
from inference.header import CT_IMAGE_STORAGE, Header, open_header, planes_of
from inference.header_file import KnownValues
from inference.sight import PIXEL_FACTS, look_at, with_pixels
from inference.stacks import split_stacks
from inference.written import age_in_years, positive_number
from node.domain.facts import SeriesFacts, StudyFacts
from node.domain.study import (
    ClassUID,
    CompletedStudy,
    Instance,
    Patient,
    Plane,
    Series,
    SeriesUID,
)


def describe_study(
    instances: Sequence[Instance], *, generation: int, completed_at: datetime, confidence: str
) -> CompletedStudy:
    """Read the headers of a study.

    Args:
        instances: all of one study, at least one.
        generation, completed_at, confidence: as in `CompletedStudy`.

    Returns:
        The study with its series sorted by series number, then UID; a mixed series is there
        once for each of its stacks. A series of which no instance is readable is there too,
        without modality and geometry.

    Raises:
        ValueError: no instances.
    """
    with quiet_pydicom():
        stacks = _read(instances)
        return _study(stacks, generation, completed_at, confidence)


def describe_with_facts(
    instances: Sequence[Instance],
    *,
    generation: int,
    completed_at: datetime,
    confidence: str,
    pixels: bool = True,
) -> tuple[CompletedStudy, StudyFacts]:
    """The same, with the typed facts of each series.

    Args:
        pixels: look at a few slices of each axial CT as well.
    """
    with quiet_pydicom():
        stacks = _read(instances)
        study = _study(stacks, generation, completed_at, confidence)
        texts = StudyTexts(
            description=study.study_description,
            patient=study.patient,
            quality_control=any(
                header.values.text("QualityControlSubject").upper() == "YES"
                for stack in stacks
                for header in stack.headers
            ),
        )
        facts = []
        for stack in stacks:
            found = facts_of(stack.series, stack.images, texts)
            facts.append(_seen(found, stack.series) if pixels else _blind(found))
    return study, StudyFacts(
        study_uid=study.study_uid,
        series=tuple(facts),
        generation=generation,
        at=completed_at,
        patient_id=study.patient.patient_id,
        issuer_of_patient_id=study.patient.issuer_of_patient_id,
        birth_date=study.patient.birth_date,
        study_date=study.study_date,
        study_time=study.study_time,
        faults=study.specific_faults,
    )


@dataclass(frozen=True, slots=True)
class _Stack:
    """One described stack. `headers`: of all its files; `images`: of those that are judged."""

    series: Series
    headers: tuple[Header, ...]
    images: tuple[Header, ...]


def _read(instances: Sequence[Instance]) -> tuple[_Stack, ...]:
    groups: dict[SeriesUID, list[Instance]] = defaultdict(list)
    for instance in instances:
        groups[instance.series_uid].append(instance)
    stacks: list[_Stack] = []
    known = KnownValues()
    for uid, members in groups.items():
        read = [(member, open_header(member, known)) for member in members]
        stacks += _series(uid, members, [header for _, header in read if header is not None])
    if not stacks:
        raise ValueError("a study has at least one instance")
    stacks.sort(key=lambda one: _place(one.series))
    return tuple(stacks)


def _place(series: Series) -> tuple[bool, int, str, int]:
    number = series.series_number
    return number is None, number or 0, series.series_uid, series.stack


def _study(
    stacks: Sequence[_Stack], generation: int, completed_at: datetime, confidence: str
) -> CompletedStudy:
    headers = [header for stack in stacks if stack.series.stack == 1 for header in stack.headers]
    return CompletedStudy(
        study_uid=stacks[0].series.study_uid,
        series=tuple(stack.series for stack in stacks),
        patient=_patient(headers),
        completed_at=completed_at,
        generation=generation,
        confidence=confidence,
        study_id=_usual(headers, "StudyID"),
        study_date=_usual(headers, "StudyDate"),
        study_time=_usual(headers, "StudyTime"),
        accession_number=_usual(headers, "AccessionNumber"),
        referring_physician=_usual(headers, "ReferringPhysicianName"),
        study_description=_usual(headers, "StudyDescription"),
        specific_faults=_contradictions(headers),
    )


def _series(uid: SeriesUID, members: Sequence[Instance], headers: Sequence[Header]) -> list[_Stack]:
    unreadable = len(members) - len(headers)
    if not headers:
        series = Series(
            study_uid=members[0].study_uid,
            series_uid=uid,
            modality="",
            sop_class_uid=ClassUID(_listed(member.sop_class_uid for member in members)),
            instances=tuple(members),
            transfer_syntaxes=tuple(sorted({m.transfer_syntax_uid for m in members})),
            geometry_fault="no image of the series can be read",
            has_pixels=False,
            unreadable=unreadable,
        )
        return [_Stack(series, (), ())]
    images = [header for header in headers if not header.is_localizer] or list(headers)
    placed = [(header, *pair) for header in images for pair in planes_of(header)]
    groups = split_stacks([facts for _, _, facts in placed])
    if len(groups) < 2:
        planes = [(plane, facts) for _, plane, facts in placed]
        series = _described(members, images, planes, headers)
        return [_Stack(replace(series, unreadable=unreadable), tuple(headers), tuple(images))]
    found = []
    for number, group in enumerate(groups, 1):
        parts = [placed[index] for index in group]
        own = list({id(header): header for header, _, _ in parts}.values())
        planes = [(plane, facts) for _, plane, facts in parts]
        series = _described([header.instance for header in own], own, planes, own)
        # Which stack the unreadable images belong to is not known: each may lack slices.
        series = replace(series, unreadable=unreadable, stack=number, stacks=len(groups))
        found.append(_Stack(series, tuple(headers), tuple(own)))
    return found


def _described(
    members: Sequence[Instance],
    images: Sequence[Header],
    placed: Sequence[tuple[Plane, PlaneFacts]],
    headers: Sequence[Header],
) -> Series:
    planes, stack = _stack(placed)
    fault = stack.fault or _mixed_kinds(images)
    class_uid, inference = _sop_class(images)
    return Series(
        study_uid=members[0].study_uid,
        series_uid=members[0].series_uid,
        modality=_listed(h.values.text("Modality").upper() for h in images),
        sop_class_uid=class_uid,
        class_inference=inference,
        instances=tuple(members),
        planes=planes,
        geometry=stack.geometry,
        geometry_fault=fault,
        frame_of_reference_uid=_agreed(images, "FrameOfReferenceUID"),
        transfer_syntaxes=tuple(sorted(_transfer_syntaxes(members, headers))),
        image_type=_common_image_type(images),
        body_part=_agreed(images, "BodyPartExamined").upper(),
        description=_agreed(images, "SeriesDescription"),
        protocol=_agreed(images, "ProtocolName"),
        kernel=_agreed(images, "ConvolutionKernel") or _kernel(placed),
        contrast_agent=_agreed(images, "ContrastBolusAgent"),
        manufacturer=_agreed(images, "Manufacturer"),
        model_name=_agreed(images, "ManufacturerModelName"),
        slice_thickness_mm=_thickness(placed),
        bits_allocated=_largest(images, "BitsAllocated"),
        samples_per_pixel=_largest(images, "SamplesPerPixel"),
        photometric_interpretation=_listed(
            h.values.text("PhotometricInterpretation").upper() for h in images
        ),
        has_pixels=any(header.has_pixels for header in images),
        burned_in_annotation=_burned_in(images),
        series_number=_series_number(images),
    )


def _seen(facts: SeriesFacts, series: Series) -> SeriesFacts:
    return with_pixels(facts, look_at(series))


def _blind(facts: SeriesFacts) -> SeriesFacts:
    return replace(facts, untold=facts.untold | PIXEL_FACTS)


def _kernel(placed: Sequence[tuple[Plane, PlaneFacts]]) -> str:
    """Of the frames of an enhanced image, which say it one by one."""
    stated = {facts.kernel for _, facts in placed} - {""}
    return stated.pop() if len(stated) == 1 else ""


def _stack(pairs: Sequence[tuple[Plane, PlaneFacts]]) -> tuple[tuple[Plane, ...], Stack]:
    stack = stack_planes([facts for _, facts in pairs])
    return tuple(pairs[index][0] for index in stack.order), stack


def _mixed_kinds(headers: Sequence[Header]) -> str:
    """Images of different kinds in one series, by values 1 and 3 of ImageType (C.7.6.1.1.2)."""
    for value in (0, 2):
        kinds = Counter(h.image_type[value] if len(h.image_type) > value else "" for h in headers)
        if len(kinds) > 1:
            listed = ", ".join(f"{n} {name or 'not stated'}" for name, n in kinds.most_common(4))
            return f"the series mixes images of different kinds ({listed})"
    return ""


def _sop_class(headers: Sequence[Header]) -> tuple[ClassUID, str]:
    """The SOP class of the series, and why, where the images do not say it themselves."""
    stated = frozenset[str]().union(*(header.sop_classes for header in headers))
    silent = [header for header in headers if not header.own_class]
    if not silent:
        return ClassUID(_listed(stated)), ""
    told = f"{len(silent)} of {len(headers)} images carry no SOP Class UID"
    unstated = [header for header in silent if not header.sop_classes]
    if not unstated:
        return ClassUID(_listed(stated)), (
            f"{told}; it was taken from the C-STORE command or the file meta information"
        )
    if not all(header.looks_like_ct for header in unstated):
        return ClassUID(_listed(stated)), ""
    return ClassUID(_listed({*stated, CT_IMAGE_STORAGE})), (
        f"{told}; CT Image Storage was assumed because the modality is CT and rescale, matrix, "
        "pixel spacing, position and orientation are all there"
    )


def _transfer_syntaxes(members: Iterable[Instance], headers: Iterable[Header]) -> set[str]:
    stated = {member.transfer_syntax_uid for member in members}
    return {str(uid) for uid in stated if uid} or {
        header.file_transfer_syntax_uid for header in headers if header.file_transfer_syntax_uid
    }


def _common_image_type(headers: Sequence[Header]) -> tuple[str, ...]:
    return tuple(
        value
        for value in headers[0].image_type
        if value and all(value in header.image_type for header in headers)
    )


def _agreed(headers: Iterable[Header], keyword: str) -> str:
    """The value where all images that state it agree, else ""."""
    stated = {text for header in headers if (text := header.values.text(keyword))}
    return stated.pop() if len(stated) == 1 else ""


def _usual(headers: Iterable[Header], keyword: str) -> str:
    """The most frequent stated value; of two as frequent, the first in the alphabet."""
    stated = Counter(text for header in headers if (text := header.values.text(keyword)))
    return min(stated, key=lambda text: (-stated[text], text), default="")


def _listed(values: Iterable[str]) -> str:
    """The one value, or all of them: a mixed series must match no single one."""
    return ", ".join(sorted({value for value in values if value}))


def _largest(headers: Iterable[Header], keyword: str) -> int | None:
    stated = (header.values.integer(keyword) for header in headers)
    return max((value for value in stated if value is not None), default=None)


def _thickness(placed: Sequence[tuple[Plane, PlaneFacts]]) -> float | None:
    """The slice thickness that all images share, within 1 %."""
    stated = sorted(facts.thickness_mm for _, facts in placed if facts.thickness_mm)
    if not stated or stated[-1] - stated[0] > 0.01 * stated[-1]:
        return None
    return stated[len(stated) // 2]


def _burned_in(headers: Sequence[Header]) -> str:
    stated = {header.values.text("BurnedInAnnotation").upper() for header in headers}
    return "YES" if "YES" in stated else _agreed(headers, "BurnedInAnnotation").upper()


def _series_number(headers: Sequence[Header]) -> int | None:
    stated = {header.values.integer("SeriesNumber") for header in headers}
    return stated.pop() if len(stated) == 1 else None


def _patient(headers: Sequence[Header]) -> Patient:
    return Patient(
        patient_name=_usual(headers, "PatientName"),
        patient_id=_usual(headers, "PatientID"),
        issuer_of_patient_id=_usual(headers, "IssuerOfPatientID"),
        birth_date=_usual(headers, "PatientBirthDate"),
        sex=_usual(headers, "PatientSex"),
        age_years=_age_years(headers),
        size_m=positive_number(_usual(headers, "PatientSize")),
        weight_kg=positive_number(_usual(headers, "PatientWeight")),
    )


def _age_years(headers: Sequence[Header]) -> float | None:
    """The age as written (AS), else from the birth date at the date of the study.

    In this order, because archives that hide a birth date put another one in its place.
    """
    written = age_in_years(_usual(headers, "PatientAge"))
    if written is not None:
        return written
    born = _date(_usual(headers, "PatientBirthDate"))
    seen = _date(_usual(headers, "StudyDate"))
    return (seen - born).days / 365.25 if born and seen and born <= seen else None


def _date(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8])) if len(text) == 8 else None
    except ValueError:
        return None


def _contradictions(headers: Sequence[Header]) -> tuple[str, ...]:
    """Where images of one study disagree on whose they are; never the values themselves.

    Names are spelt, and accession numbers given, more than one way for one patient; identifier
    and birth date are not.
    """
    names = {"PatientID": "patient IDs", "PatientBirthDate": "birth dates"}
    faults = []
    for keyword, name in names.items():
        stated = {text for header in headers if (text := header.values.text(keyword))}
        if len(stated) > 1:
            faults.append(f"the images of the study carry {len(stated)} different {name}")
    return tuple(faults)
