"""The lesions of a scan against an earlier scan of the same patient, in one call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.priors.growth import Change, Lesion, Point, Verdict, change_of
from models.priors.matching import match, owners
from models.priors.registration import Registration, register
from node.domain.analysis import AnalysisRequest, CompanionSeries
from node.domain.errors import ModelError, VolumeError
from node.domain.finding import CodedConcept, Evaluation, Tracked
from node.domain.imaging import Volume

#: Finds and measures lesions of the earlier scan: near these points of it (LPS mm), or everywhere.
#: Raises ModelError where the scan cannot be looked at.
Look = Callable[[Volume, Sequence[Point]], Sequence[Lesion]]

#: Distance within which the same lesion is expected, beyond its own radius and the error that
#: the registration shows: breathing moves lesions near the diaphragm by more than it corrects.
GATE_MM: Final = 8.0
#: A place this near to the end of the earlier scan counts as not shown by it.
EDGE_MM: Final = 3.0

#: (111018...) of PS3.16 speak of CAD; this question has no code there.
COMPARISON: Final = CodedConcept("comparison", "99VIGIE", "Comparison with an earlier scan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What the comparison says.

    Attributes:
        sentence: what was compared with what, or why nothing was; always there.
        changes: one for each lesion, in their order; all NOT_COMPARED where nothing was compared.
        gone: sentences about lesions of the earlier scan that are not seen any more.
        compared: the scans could be laid over each other.
        days: between the two studies; None where a date is not known.
    """

    sentence: str
    changes: tuple[Change, ...]
    gone: tuple[str, ...] = ()
    compared: bool = False
    days: int | None = None
    registration: Registration | None = None

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        """Sentences for `Findings.exam_evaluations`."""
        return tuple(Evaluation(COMPARISON, text) for text in (self.sentence, *self.gone))

    @property
    def parameters(self) -> tuple[tuple[str, str], ...]:
        """How well the scans lie over each other, for `Findings.parameters`."""
        if self.registration is None:
            return ()
        return (("registration with the prior", self.registration.told),)


def compare(
    request: AnalysisRequest,
    lesions: Sequence[Lesion],
    look: Look,
    *,
    also: Sequence[Lesion] = (),
    role: str = "prior",
) -> Comparison:
    """Compare with the companion of this role; a missing or unreadable one is told, not raised.

    Args:
        lesions: of the current scan, in LPS mm of `request.volume`.
        look: see the module `models.priors`. Where it raises ModelError nothing is compared; what
            else it raises passes through.
        also: what the current scan shows too, but is not reported: nothing that lies there is
            told as gone.
    """
    prior = request.companions.get(role)
    if prior is None:
        return _nothing(lesions, "No earlier scan of this patient was at hand to compare with.")
    told = _told(prior.study_date)
    days = _days(prior.study_date, request.study_date)
    if days is not None and days < 0:
        return _nothing(lesions, f"The scan {told} is no earlier one: it was not compared.")
    try:
        volume = prior.load()
    except VolumeError as error:
        return _nothing(lesions, f"The earlier scan {told} could not be read: {error}.")
    if volume.unit != request.volume.unit:
        return _nothing(
            lesions,
            f"Not compared with the scan {told}: its values are in '{volume.unit}'.",
        )
    registration = register(request.volume, volume)
    if not registration.is_trusted:
        return replace(
            _nothing(
                lesions,
                f"Not compared with the scan {told}: the two could not be laid over each other "
                f"with certainty ({registration.fault}). Compare by eye.",
            ),
            days=days,
            registration=registration,
        )
    scans = _Scans(request, volume, prior, registration, told, days, tuple(also))
    try:
        return _compared(scans, lesions, look)
    except ModelError as error:
        # Without a look at it, what it does not show is not new.
        return replace(
            _nothing(lesions, f"Not compared with the scan {told}: {error}."),
            days=days,
            registration=registration,
        )


@dataclass(frozen=True, slots=True)
class _Scans:
    """Both scans, how they lie over each other, and what the current one shows beside."""

    request: AnalysisRequest
    volume: Volume
    prior: CompanionSeries
    registration: Registration
    told: str
    days: int | None
    also: tuple[Lesion, ...]


def _compared(scans: _Scans, lesions: Sequence[Lesion], look: Look) -> Comparison:
    registration = scans.registration
    centres = np.array([item.centre_mm for item in lesions], np.float64).reshape(-1, 3)
    expected = registration.to_prior(centres)
    shown = covered(scans.volume, expected)
    places = [*_points(expected[shown]), *(item.centre_mm for item in _tracked(scans))]
    found = _named(look(scans.volume, places), scans)
    gate = GATE_MM + registration.error_mm
    pairs = match(expected, lesions, found, gate)
    changes = tuple(
        change_of(lesion, found[pairs[index]], scans.days)
        if index in pairs
        else _unmatched(bool(shown[index]), scans.told)
        for index, lesion in enumerate(lesions)
    )
    return Comparison(
        sentence=_sentence(scans),
        changes=changes,
        gone=_gone(scans, [item for i, item in enumerate(found) if i not in pairs.values()]),
        compared=True,
        days=scans.days,
        registration=registration,
    )


def _gone(scans: _Scans, alone: Sequence[Lesion]) -> tuple[str, ...]:
    """Of what was tracked or found in the earlier scan, what the current scan does not show.

    What was only just found there, or is still seen here without being reported, is not gone.
    """
    centres = np.array([item.centre_mm for item in alone], np.float64).reshape(-1, 3)
    now = scans.registration.to_current(centres)
    inside = covered(scans.request.volume, now)
    told = []
    gate = GATE_MM + scans.registration.error_mm
    for item, point, is_shown in zip(alone, now, inside, strict=True):
        if not (item.is_sure or item.tracking_uid) or _is_near(point, item, scans.also, gate):
            continue
        name = item.identifier or f"A lesion of {item.diameter_mm:.1f} mm"
        if is_shown:
            told.append(f"{name} of the scan {scans.told} is not seen any more.")
        else:
            told.append(f"{name} of the scan {scans.told} lies outside of the current scan.")
    return tuple(told)


def _is_near(
    point: NDArray[np.float64], item: Lesion, others: Sequence[Lesion], gate: float
) -> bool:
    return any(
        float(np.linalg.norm(point - np.array(other.centre_mm)))
        <= gate + max(item.diameter_mm, other.diameter_mm) / 2
        for other in others
    )


def _tracked(scans: _Scans) -> list[Tracked]:
    frame = scans.volume.frame_of_reference_uid
    return [item for item in scans.prior.tracked if item.frame_of_reference_uid == frame]


def _named(found: Sequence[Lesion], scans: _Scans) -> list[Lesion]:
    """With the tracking identifiers that the result on the earlier scan gave them."""
    tracked = scans.prior.tracked
    known = owners(found, tracked, scans.volume.frame_of_reference_uid)
    return [
        replace(
            item,
            tracking_uid=tracked[known[index]].tracking_uid,
            identifier=tracked[known[index]].identifier,
        )
        if index in known
        else item
        for index, item in enumerate(found)
    ]


def _unmatched(is_shown: bool, told: str) -> Change:
    if is_shown:
        return Change(
            verdict=Verdict.NEW, sentence=f"New: the software did not find it in the scan {told}."
        )
    return Change(
        verdict=Verdict.NOT_COMPARED, sentence=f"Not compared: the scan {told} does not show it."
    )


def _nothing(lesions: Sequence[Lesion], sentence: str) -> Comparison:
    change = Change(verdict=Verdict.NOT_COMPARED, sentence="")
    return Comparison(sentence=sentence, changes=tuple(change for _ in lesions))


def _sentence(scans: _Scans) -> str:
    said = f"Compared with the scan {scans.told}"
    if scans.days is not None:
        said += f", {scans.days} days earlier"
    thickness = scans.volume.spacing_mm[0]
    if thickness > 1.5 * scans.request.volume.spacing_mm[0]:
        said += f"; its slices are {thickness:.1f} mm apart, so small lesions may be missed there"
    return f"{said}."


def covered(volume: Volume, points_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(n,) which points, (n, 3) LPS mm, lie inside of a volume, not at its very edge."""
    inverse = np.linalg.inv(volume.affine)
    index = points_mm @ inverse[:3, :3].T + inverse[:3, 3]
    margin = EDGE_MM / np.asarray(volume.spacing_mm)
    last = np.asarray(volume.voxels.shape) - 1
    inside: NDArray[np.bool_] = ((index >= margin) & (index <= last - margin)).all(axis=1)
    return inside


def _points(array: NDArray[np.float64]) -> list[Point]:
    return [(float(x), float(y), float(z)) for x, y, z in array]


def _told(study_date: str) -> str:
    parsed = _date(study_date)
    return f"of {parsed.isoformat()}" if parsed is not None else "of an unknown date"


def _days(before: str, now: str) -> int | None:
    first, last = _date(before), _date(now)
    return (last - first).days if first is not None and last is not None else None


def _date(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None
