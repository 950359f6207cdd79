"""The same lesion keeps its tracking identifiers in a corrected result (PS3.16 TID 1410, 1411).

A model numbers what it finds from nothing each time. Lesions are known again by where they lie
in the frame of reference, by what they are and by their side; what is bound to the anatomy (a
tissue, an organ) is the same by its name, and keeps the identifiers that its model gives it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from node.domain.finding import (
    CodedConcept,
    Contour,
    Finding,
    Findings,
    KeyImage,
    Tracked,
    derived_uid,
)
from node.domain.study import Series, SeriesGeometry

#: Two results of one study place a lesion within this distance, or within its own radius.
NEAR_MM: Final = 5.0
_FAR: Final = 1e9


def located(findings: Findings, series: Series) -> tuple[Tracked, ...]:
    """Place of every finding that can be known again; none where the series has no geometry."""
    places = (_locate(finding, series) for finding in findings.findings)
    return tuple(place for place in places if place is not None)


def keep_tracking(findings: Findings, series: Series, earlier: Sequence[Tracked]) -> Findings:
    """Give lesions that an earlier result tracked the identifiers that they had there.

    Each earlier lesion goes to one new one at most, so that the sum of the distances is
    smallest. A new lesion whose identifier belonged to another one before gets one of its own.
    """
    places = {
        index: place
        for index, finding in enumerate(findings.findings)
        if finding.is_abnormal and (place := _locate(finding, series)) is not None
    }
    if not places or not earlier:
        return findings
    matches = _match(places, earlier)
    taken = {earlier[match].tracking_uid for match in matches.values()}
    spent = {item.tracking_uid for item in earlier}
    renamed: dict[str, tuple[str, str]] = {}
    names: dict[str, tuple[str, str]] = {}
    kept: list[Finding] = []
    for index, finding in enumerate(findings.findings):
        uid, identifier = finding.tracking_uid, finding.tracking_identifier
        if index in matches:
            before = earlier[matches[index]]
            uid = before.tracking_uid
            identifier = identifier if finding.is_named_by_place else before.identifier
        elif index in places and uid in spent:
            identifier = _free(identifier, {item.identifier for item in earlier}, kept)
            uid = derived_uid("tracking", uid, "another", *sorted(taken), str(index))
        renamed[finding.tracking_uid] = (uid, identifier)
        names[finding.tracking_uid] = (finding.tracking_identifier, identifier)
        kept.append(replace(finding, tracking_uid=uid, tracking_identifier=identifier))
    segments = tuple(
        replace(
            segment,
            label=_relabelled(segment.label, names[segment.tracking_uid]),
            tracking_uid=renamed[segment.tracking_uid][0],
            tracking_identifier=renamed[segment.tracking_uid][1],
        )
        if segment.tracking_uid in renamed
        else segment
        for segment in findings.segments
    )
    pictures = tuple(
        _of_the_same(key, renamed[key.tracking_uid][0], names[key.tracking_uid])
        if key.tracking_uid in renamed
        else key
        for key in findings.key_images
    )
    return replace(findings, findings=tuple(kept), segments=segments, key_images=pictures)


def _of_the_same(key: KeyImage, uid: str, names: tuple[str, str]) -> KeyImage:
    """A picture of a finding whose identifiers changed: it stays on the page of its finding."""
    return replace(
        key,
        tracking_uid=uid,
        caption=_relabelled(key.caption, names),
        overlays=tuple(
            replace(overlay, label=_relabelled(overlay.label, names)) for overlay in key.overlays
        ),
    )


def _relabelled(text: str, names: tuple[str, str]) -> str:
    """A label that begins with the name of its finding, with the name that it has now."""
    before, now = names
    rest = text.removeprefix(before)
    return now + rest if rest != text and not rest[:1].isalnum() else text


def _match(places: dict[int, Tracked], earlier: Sequence[Tracked]) -> dict[int, int]:
    """Index of the new finding -> index of the earlier one, by least sum of distances."""
    indices = list(places)
    cost = np.full((len(indices), len(earlier)), _FAR)
    for row, index in enumerate(indices):
        for column, before in enumerate(earlier):
            distance = _distance_mm(places[index], before)
            if distance is not None:
                cost[row, column] = distance
    rows, columns = linear_sum_assignment(cost)
    return {
        indices[row]: int(column)
        for row, column in zip(rows, columns, strict=True)
        if cost[row, column] < _FAR
    }


def _distance_mm(now: Tracked, before: Tracked) -> float | None:
    """Distance of two findings that may be the same; None when they cannot be."""
    same = (
        now.frame_of_reference_uid == before.frame_of_reference_uid
        and now.finding == before.finding
        and (now.laterality == before.laterality or not (now.laterality and before.laterality))
    )
    distance = float(np.linalg.norm(np.subtract(now.centre_mm, before.centre_mm)))
    near = distance <= max(NEAR_MM, min(now.radius_mm, before.radius_mm))
    return distance if same and near else None


def _free(identifier: str, used: set[str], kept: Sequence[Finding]) -> str:
    names = used | {finding.tracking_identifier for finding in kept}
    number = 2
    while f"{identifier} ({number})" in names:
        number += 1
    return f"{identifier} ({number})" if identifier in names else identifier


def _locate(finding: Finding, series: Series) -> Tracked | None:
    if series.geometry is None or not series.frame_of_reference_uid:
        return None
    if series.geometry.pixel_spacing_mm is None:
        return None
    points = np.concatenate([points_mm(item, series.geometry) for item in finding.contours])
    centre = points.mean(axis=0)
    radius = float(np.linalg.norm(points - centre, axis=1).max())
    return Tracked(
        tracking_uid=finding.tracking_uid,
        identifier=finding.tracking_identifier,
        finding=_text(finding.finding),
        laterality=_text(finding.laterality) if finding.laterality else "",
        frame_of_reference_uid=series.frame_of_reference_uid,
        centre_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
        radius_mm=radius,
    )


def points_mm(contour: Contour, geometry: SeriesGeometry) -> NDArray[np.float64]:
    """(n, 3) LPS mm of the points of a contour, PS3.3 C.7.6.2.1.1 and C.18.6.1.1."""
    assert geometry.pixel_spacing_mm is not None
    between_rows, between_columns = geometry.pixel_spacing_mm
    column = (contour.points[:, :1].astype(np.float64) - 0.5) * between_columns
    row = (contour.points[:, 1:].astype(np.float64) - 0.5) * between_rows
    along_row = column * np.asarray(geometry.row_cosines, np.float64)
    along_column = row * np.asarray(geometry.column_cosines, np.float64)
    points: NDArray[np.float64] = np.asarray(contour.plane.position_mm) + along_row + along_column
    return points


def _text(concept: CodedConcept) -> str:
    return f"{concept.value} {concept.scheme}"
