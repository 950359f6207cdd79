"""Facts x manifest -> verdict, with a reason in a radiologist's words for every refusal.

Only facts are judged here. The pixels have their say in the model's pipeline, which may still
refuse; both reasons end in the ledger word for word. Where the source cannot tell a fact (a
table of headers), nothing is decided on it: the verdict is then `Undecided`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pydicom.uid import UID

from models.manifest import InputLimits, ModelManifest
from node.domain.facts import SeriesFacts
from node.domain.verdict import Eligible, Ineligible, ModelName, ReasonCode, Undecided

#: A spacing this much above the limit is rounding of the scanner, not a wider series.
SPACING_TOLERANCE_MM = 0.05

#: Why not, and its code; None where the rule has nothing against it.
Refusal = tuple[str, ReasonCode]
_Rule = Callable[[SeriesFacts, InputLimits], Refusal | None]


def judge(facts: SeriesFacts, manifest: ModelManifest) -> Eligible | Ineligible | Undecided:
    """May this model look at this stack? The first rule that refuses gives the reason."""
    name = ModelName(manifest.identity.name)
    untold: list[str] = []
    for needed, rule in _RULES:
        missing = [fact for fact in needed if fact in facts.untold]
        untold += missing
        refusal = None if missing else rule(facts, manifest.inputs)
        if refusal is not None:
            reason, code = refusal
            return Ineligible(model=name, stack_id=facts.stack_id, reason=reason, code=code)
    if untold:
        listed = tuple(dict.fromkeys(untold))
        return Undecided(model=name, stack_id=facts.stack_id, untold=listed)
    return Eligible(model=name, stack_id=facts.stack_id, rank=_rank(facts, manifest.inputs))


def class_name(sop_class_uid: str) -> str:
    """Name of a SOP class, or of several joined by commas; the UID of a private one."""
    names = [UID(uid).name for uid in sop_class_uid.split(", ") if uid]
    return ", ".join(names)


def _modality(facts: SeriesFacts, limits: InputLimits) -> Refusal | None:
    if facts.modality not in limits.modalities:
        found = facts.modality or "not stated"
        return f"modality {found}; the model reads {_or(limits.modalities)}", ReasonCode.MODALITY
    return None


def _class(facts: SeriesFacts, limits: InputLimits) -> Refusal | None:
    if facts.sop_class_uid not in limits.sop_class_uids:
        found = class_name(facts.sop_class_uid) or "images whose class is not stated"
        read = _or(dict.fromkeys(class_name(uid) for uid in limits.sop_class_uids))
        return f"{found}; the model reads {read}", ReasonCode.SOP_CLASS
    return None


def _pixels_there(facts: SeriesFacts, limits: InputLimits) -> Refusal | None:
    if not facts.has_pixels:
        return "no image pixels in the series", ReasonCode.NO_PIXELS
    if facts.samples_per_pixel not in (None, 1):
        return "colour images; the model reads grey values", ReasonCode.COLOUR
    return None


def _readable(facts: SeriesFacts, limits: InputLimits) -> Refusal | None:
    if not facts.unreadable:
        return None
    images = _counted(facts.unreadable, "image")
    return (
        f"{images} of the series cannot be read, so slices are missing",
        ReasonCode.UNREADABLE,
    )


def _age(facts: SeriesFacts, limits: InputLimits) -> Refusal | None:
    youngest, age = limits.min_age_years, facts.patient_age_years
    if youngest is None or age is None or age >= youngest:
        return None
    return (
        f"patient is {age:.0f} years old; the model was made for {youngest:.0f} and older",
        ReasonCode.AGE,
    )


def _image_type(facts: SeriesFacts, limits: InputLimits) -> Refusal | None:
    refused = [value for value in facts.image_type or () if value in limits.refused_image_types]
    if not refused:
        return None
    return f"image type {refused[0]}; the model reads original images", ReasonCode.IMAGE_TYPE


def _orientation(facts: SeriesFacts, limits: InputLimits) -> Refusal | None:
    if not limits.orientations:
        return None
    if facts.orientation is None:
        fault = facts.geometry_fault or "the images carry no position in the patient"
        return fault, ReasonCode.NO_GEOMETRY
    if facts.orientation in limits.orientations:
        return None
    return (
        f"{facts.orientation} images; the model reads {_or(limits.orientations)} images",
        ReasonCode.ORIENTATION,
    )


def _slices(facts: SeriesFacts, limits: InputLimits) -> Refusal | None:
    if (facts.slices or 0) >= limits.min_planes:
        return None
    return (
        f"only {_counted(facts.slices or 0, 'image')}; "
        f"the model needs at least {limits.min_planes}",
        ReasonCode.TOO_FEW_SLICES,
    )


def _sound(facts: SeriesFacts, limits: InputLimits) -> Refusal | None:
    if limits.orientations and facts.geometry_fault:
        return facts.geometry_fault, ReasonCode.GEOMETRY
    return None


def _spacing(facts: SeriesFacts, limits: InputLimits) -> Refusal | None:
    if not limits.orientations:
        return None
    spacing = facts.slice_spacing_mm
    if spacing is None or spacing <= 0:
        return "the distance between the slices cannot be determined", ReasonCode.SLICE_DISTANCE
    if spacing > limits.max_spacing_mm + SPACING_TOLERANCE_MM:
        return (
            f"slices lie {spacing:.1f} mm apart; "
            f"the model was validated to {limits.max_spacing_mm:.1f} mm",
            ReasonCode.SLICE_DISTANCE,
        )
    return None


def _gap(facts: SeriesFacts, limits: InputLimits) -> Refusal | None:
    gap, after, spacing = facts.largest_gap_mm, facts.gap_after, facts.slice_spacing_mm
    if not limits.orientations or gap is None or after is None or spacing is None:
        return None
    if gap <= limits.max_gap_factor * spacing:
        return None
    elsewhere = (
        ", or is one of the other images of this series, which differ in orientation, matrix, "
        "spacing or kind"
    )
    return (
        f"slice gap {gap:.1f} mm after slice {after} (others {spacing:.1f} mm): a slice is missing"
        f"{elsewhere if facts.stacks > 1 else ''}",
        ReasonCode.MISSING_SLICE,
    )


def _coverage(facts: SeriesFacts, limits: InputLimits) -> Refusal | None:
    if not limits.orientations or (facts.coverage_mm or 0.0) >= limits.min_extent_mm:
        return None
    return (
        f"the series covers {facts.coverage_mm or 0.0:.0f} mm; "
        f"the model needs at least {limits.min_extent_mm:.0f} mm",
        ReasonCode.COVERAGE,
    )


def _tilt(facts: SeriesFacts, limits: InputLimits) -> Refusal | None:
    if not limits.orientations or abs(facts.tilt_degrees or 0.0) <= limits.max_tilt_degrees:
        return None
    return (
        f"gantry tilt {facts.tilt_degrees:.1f} degrees; "
        f"the model was validated to {limits.max_tilt_degrees:.1f} degrees",
        ReasonCode.TILT,
    )


def _pixel_spacing(facts: SeriesFacts, limits: InputLimits) -> Refusal | None:
    if not limits.orientations:
        return None
    if facts.pixel_spacing_mm is None:
        return "no pixel spacing, so nothing can be measured", ReasonCode.PIXEL_SPACING
    smallest, largest = limits.pixel_spacing_mm
    for spacing in (facts.smallest_pixel_mm or facts.pixel_spacing_mm, facts.pixel_spacing_mm):
        if not smallest <= spacing <= largest:
            return (
                f"pixel spacing {spacing:.2f} mm; "
                f"the model was validated from {smallest:.2f} to {largest:.2f} mm",
                ReasonCode.PIXEL_SPACING,
            )
    return None


#: Facts that a rule needs, and the rule; in the order in which a person would ask.
_RULES: tuple[tuple[tuple[str, ...], _Rule], ...] = (
    (("modality",), _modality),
    (("sop_class_uid",), _class),
    ((), _pixels_there),
    ((), _readable),
    (("patient_age_years",), _age),
    (("image_type",), _image_type),
    (("orientation",), _orientation),
    (("slices",), _slices),
    ((), _sound),
    (("slice_spacing_mm",), _spacing),
    (("largest_gap_mm",), _gap),
    (("coverage_mm",), _coverage),
    (("tilt_degrees",), _tilt),
    (("pixel_spacing_mm",), _pixel_spacing),
)


def _rank(facts: SeriesFacts, limits: InputLimits) -> tuple[float, ...]:
    """Lower is better: a stated body part first, then the longest, then the thinnest stack."""
    hinted = facts.body_part in limits.body_parts_hint
    length = min(facts.coverage_mm or 0.0, 900.0)
    return (0.0 if hinted else 1.0, (facts.slice_spacing_mm or 0.0) - length)


def _or(values: Iterable[str]) -> str:
    listed = list(values)
    return listed[0] if len(listed) == 1 else ", ".join(listed[:-1]) + " or " + listed[-1]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
