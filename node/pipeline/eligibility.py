"""Series x manifest -> verdict, from facts of the whole series, with a reason for every refusal.

Only headers are judged here. The pixels have their say in the model's pipeline, which may
still refuse; both reasons end in the ledger word for word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from models.manifest import InputLimits, ModelManifest
from node.domain.study import CompletedStudy, Patient, Series, SeriesGeometry
from node.domain.verdict import Eligibility, Eligible, Ineligible, ModelName

#: A spacing this much above the limit is rounding of the scanner, not a wider series.
SPACING_TOLERANCE_MM = 0.05


def judge(series: Series, patient: Patient, manifest: ModelManifest) -> Eligibility:
    """May this model look at this series? The first rule that refuses gives the reason."""
    name = ModelName(manifest.identity.name)
    limits = manifest.inputs
    for rule in (_kind, _readable, _age(patient), _image_type, _stack):
        reason = rule(series, limits)
        if reason:
            return Ineligible(model=name, series_uid=series.series_uid, reason=reason)
    return Eligible(model=name, series_uid=series.series_uid, rank=_rank(series, limits))


def judge_study(
    study: CompletedStudy, manifest: ModelManifest, *, unrouted: str = ""
) -> tuple[Eligibility, ...]:
    """One verdict for each series; none is analysed where the study contradicts itself.

    Images of two patients under one Study Instance UID would give a result to the wrong one.

    Args:
        unrouted: why no routing rule sends the study to this model. A series that is unfit by
            itself keeps its own reason; this one is for those that would have been fit.
    """
    if study.specific_faults:
        reason = "; ".join(study.specific_faults)
        name = ModelName(manifest.identity.name)
        return tuple(
            Ineligible(model=name, series_uid=series.series_uid, reason=reason)
            for series in study.series
        )
    verdicts = []
    for series in study.series:
        verdict = judge(series, study.patient, manifest)
        if unrouted and isinstance(verdict, Eligible):
            reason = f"no routing rule applies: {unrouted}"
            verdict = Ineligible(model=verdict.model, series_uid=series.series_uid, reason=reason)
        verdicts.append(verdict)
    return tuple(verdicts)


def facts(series: Series) -> str:
    """One line that says what a series is, without anything that identifies a patient."""
    parts = [series.modality or "modality not stated", _counted(len(series.planes), "image")]
    geometry = series.geometry
    if geometry is not None:
        parts.append(geometry.orientation)
        if geometry.spacing_mm is not None:
            parts.append(f"every {geometry.spacing_mm:.2f} mm over {geometry.extent_mm:.0f} mm")
        if geometry.rows and geometry.columns:
            parts.append(f"{geometry.columns} x {geometry.rows}")
        if geometry.pixel_spacing_mm:
            parts.append(f"pixel {geometry.pixel_spacing_mm[0]:.2f} mm")
    if series.slice_thickness_mm is not None:
        parts.append(f"slice {series.slice_thickness_mm:g} mm")
    if series.class_is_inferred:
        parts.append("SOP class inferred")
    if series.unreadable:
        parts.append(f"{series.unreadable} unreadable")
    return ", ".join(parts)


def _kind(series: Series, limits: InputLimits) -> str:
    if series.modality not in limits.modalities:
        found = series.modality or "not stated"
        return f"modality {found}; the model reads {_or(limits.modalities)}"
    if series.sop_class_uid not in limits.sop_class_uids:
        found = series.sop_class_uid or "not stated"
        return f"SOP class {found} is not an image class the model reads"
    if not series.has_pixels:
        return "no image pixels in the series"
    if series.samples_per_pixel not in (None, 1):
        return "colour images; the model reads grey values in HU"
    return ""


def _readable(series: Series, limits: InputLimits) -> str:
    if series.unreadable:
        return (
            f"{_counted(series.unreadable, 'image')} of the series cannot be read, "
            "so slices are missing"
        )
    return ""


def _age(patient: Patient) -> Callable[[Series, InputLimits], str]:
    def rule(series: Series, limits: InputLimits) -> str:
        youngest = limits.min_age_years
        if youngest is not None and patient.age_years is not None and patient.age_years < youngest:
            return (
                f"patient is {patient.age_years:.0f} years old; "
                f"the model was made for {youngest:.0f} and older"
            )
        return ""

    return rule


def _image_type(series: Series, limits: InputLimits) -> str:
    refused = [value for value in series.image_type if value in limits.refused_image_types]
    if refused:
        return f"image type {refused[0]}; the model reads original axial images"
    return ""


def _stack(series: Series, limits: InputLimits) -> str:
    geometry = series.geometry
    if geometry is None:
        return series.geometry_fault or "the images carry no position in the patient"
    if geometry.orientation not in limits.orientations:
        return f"{geometry.orientation} images; the model reads {_or(limits.orientations)} images"
    if len(series.planes) < limits.min_planes:
        return (
            f"only {_counted(len(series.planes), 'image')}; "
            f"the model needs at least {limits.min_planes}"
        )
    if series.geometry_fault:
        return series.geometry_fault
    return _distances(geometry, limits)


def _distances(geometry: SeriesGeometry, limits: InputLimits) -> str:
    spacing = geometry.spacing_mm
    if spacing is None or spacing <= 0:
        return "the distance between the slices cannot be determined"
    if spacing > limits.max_spacing_mm + SPACING_TOLERANCE_MM:
        return (
            f"slices lie {spacing:.1f} mm apart; "
            f"the model was validated to {limits.max_spacing_mm:.1f} mm"
        )
    gap, after = geometry.largest_gap_mm, geometry.largest_gap_after
    if gap is not None and after is not None and gap > limits.max_gap_factor * spacing:
        return (
            f"slice gap {gap:.1f} mm after slice {after + 1} "
            f"(others {spacing:.1f} mm): a slice is missing"
        )
    if geometry.extent_mm < limits.min_extent_mm:
        return (
            f"the series covers {geometry.extent_mm:.0f} mm; "
            f"the model needs at least {limits.min_extent_mm:.0f} mm"
        )
    if abs(geometry.tilt_degrees) > limits.max_tilt_degrees:
        return (
            f"gantry tilt {geometry.tilt_degrees:.1f} degrees; "
            f"the model was validated to {limits.max_tilt_degrees:.1f} degrees"
        )
    return _pixels(geometry, limits)


def _pixels(geometry: SeriesGeometry, limits: InputLimits) -> str:
    if geometry.pixel_spacing_mm is None:
        return "no pixel spacing, so nothing can be measured"
    smallest, largest = limits.pixel_spacing_mm
    for spacing in geometry.pixel_spacing_mm:
        if not smallest <= spacing <= largest:
            return (
                f"pixel spacing {spacing:.2f} mm; "
                f"the model was validated from {smallest:.2f} to {largest:.2f} mm"
            )
    return ""


def _rank(series: Series, limits: InputLimits) -> float:
    """Lower is better: a stated body part first, then the longest, then the thinnest stack."""
    geometry = series.geometry
    assert geometry is not None  # `_stack` refuses a series without geometry
    rank = 0.0 if series.body_part in limits.body_parts_hint else 1000.0
    rank -= min(geometry.extent_mm, 900.0)
    return rank + (geometry.spacing_mm or 0.0)


def _or(values: Iterable[str]) -> str:
    listed = list(values)
    return listed[0] if len(listed) == 1 else ", ".join(listed[:-1]) + " or " + listed[-1]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
