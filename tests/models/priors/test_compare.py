"""Lesions keep their names from scan to scan; whatever stands against a comparison is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from models.priors import Lesion, Verdict, compare
from models.priors.growth import Point
from models.priors.registration import register
from node.domain.analysis import AnalysisRequest, CompanionSeries
from node.domain.errors import ModelError, VolumeError
from node.domain.finding import ModelIdentity, Tracked
from node.domain.imaging import Volume
from node.domain.study import Patient
from tests.models.priors.chests import Moved, chest, lung_points, moved


@cache
def scans() -> tuple[Volume, Moved]:
    now = chest()
    return now, moved(now)


def request_of(
    now: Volume, before: Volume | Exception | None, *tracked: Tracked, prior_date: str = "20250101"
) -> AnalysisRequest:
    def load() -> Volume:
        if isinstance(before, Exception):
            raise before
        assert before is not None
        return before

    prior = CompanionSeries(
        series=SimpleNamespace(),  # type: ignore[arg-type]
        load=load,
        study_date=prior_date,
        tracked=tracked,
    )
    return AnalysisRequest(
        volume=now,
        series=SimpleNamespace(),  # type: ignore[arg-type]
        patient=Patient(),
        model=ModelIdentity(
            name="m", title="m", version="1", digest="d", manufacturer="v", task_number=3
        ),
        networks={},
        thresholds={},
        companions={} if before is None else {"prior": prior},
        study_date="20250630",
    )


def lesion(centre: np.ndarray, diameter: float = 8.0) -> Lesion:
    x, y, z = (float(value) for value in centre)
    return Lesion(centre_mm=(x, y, z), diameter_mm=diameter, volume_mm3=np.pi / 6 * diameter**3)


def tracked(item: Lesion, uid: str, name: str) -> Tracked:
    return Tracked(
        tracking_uid=uid,
        identifier=name,
        finding="27925004 SCT",
        laterality="",
        frame_of_reference_uid="2.3",
        centre_mm=item.centre_mm,
        radius_mm=item.diameter_mm / 2,
    )


def test_a_known_movement_is_found_to_within_a_slice() -> None:
    now, earlier = scans()
    registration = register(now, earlier.volume)
    assert registration.is_trusted, registration.told
    points = lung_points(now)
    error = np.linalg.norm(registration.to_prior(points) - earlier.to_prior(points), axis=1)
    assert np.median(error) < 2.0
    assert error.max() < 6.0
    back = registration.to_current(registration.to_prior(points))
    assert np.abs(back - points).max() < 0.1


def test_the_same_scans_give_the_same_registration() -> None:
    now, earlier = scans()
    points = lung_points(now, 10)
    first, second = (register(now, earlier.volume).to_prior(points) for _ in range(2))
    assert (first == second).all()


def test_lesions_are_known_again_and_what_is_new_or_gone_is_told() -> None:
    now, earlier = scans()
    points = lung_points(now, 3)
    mine = [lesion(points[0], 8.0), lesion(points[1], 6.0)]
    theirs = earlier.to_prior(points)
    grown, gone = lesion(theirs[0], 6.0), lesion(theirs[2], 7.0)
    asked: list[Point] = []

    def look(volume: Volume, places: Sequence[Point]) -> list[Lesion]:
        assert volume is earlier.volume
        asked.extend(places)
        return [gone, grown]

    known = (tracked(gone, "2.25.2", "Nodule 2"), tracked(grown, "2.25.1", "Nodule 1"))
    result = compare(request_of(now, earlier.volume, *known), mine, look)
    assert result.compared
    assert result.days == 180
    assert result.sentence == "Compared with the scan of 2025-01-01, 180 days earlier."
    first, second = result.changes
    assert first.verdict is Verdict.GROWN
    assert (first.tracking_uid, first.identifier) == ("2.25.1", "Nodule 1")
    assert first.diameter_mm == pytest.approx(2.0)
    assert first.doubling_days == pytest.approx(180 * np.log(2) / np.log((8 / 6) ** 3))
    assert second.verdict is Verdict.NEW
    assert second.tracking_uid == ""
    assert result.gone == ("Nodule 2 of the scan of 2025-01-01 is not seen any more.",)
    # It is looked for where the lesions of today should be, and where something was tracked.
    assert np.linalg.norm(np.array(asked[:2]) - theirs[:2], axis=1).max() < 6.0
    assert asked[2:] == [gone.centre_mm, grown.centre_mm]


def test_two_neighbours_are_not_mixed_up() -> None:
    now, earlier = scans()
    point = lung_points(now, 1)
    pair = np.concatenate([point, point + np.array([0.0, 12.0, 0.0])])
    theirs = earlier.to_prior(pair)
    before = [lesion(theirs[1], 6.0), lesion(theirs[0], 9.0)]
    result = compare(
        request_of(now, earlier.volume),
        [lesion(pair[0], 9.0), lesion(pair[1], 6.0)],
        lambda _volume, _places: before,
    )
    assert [change.before for change in result.changes] == [before[1], before[0]]
    assert {change.verdict for change in result.changes} == {Verdict.STABLE}


def test_what_the_earlier_scan_does_not_show_is_not_called_new() -> None:
    now, earlier = scans()
    below = replace(
        earlier.volume,
        voxels=earlier.volume.voxels[:44],
        planes=earlier.volume.planes[:44],
    )
    height = lung_points(now, 200)[:, 2].max()
    high = lung_points(now, 200)[lung_points(now, 200)[:, 2].argmax()]
    result = compare(request_of(now, below), [lesion(high)], lambda _v, _p: [])
    assert height > 30
    assert result.compared, result.sentence
    assert result.changes[0].verdict is Verdict.NOT_COMPARED


def test_without_an_earlier_scan_that_is_said() -> None:
    now, _ = scans()
    result = compare(request_of(now, None), [lesion(np.zeros(3))], lambda _v, _p: [])
    assert result.sentence == "No earlier scan of this patient was at hand to compare with."
    assert result.changes[0].verdict is Verdict.NOT_COMPARED
    assert not result.compared


def test_an_earlier_scan_that_cannot_be_read_is_a_reason_and_no_failure() -> None:
    now, _ = scans()
    request = request_of(now, VolumeError("slice gap 7.5 mm"))
    result = compare(request, [lesion(np.zeros(3))], lambda _v, _p: [])
    assert "could not be read: slice gap 7.5 mm" in result.sentence
    assert not result.compared


def test_a_later_scan_is_no_prior() -> None:
    now, earlier = scans()
    request = request_of(now, earlier.volume, prior_date="20260101")
    assert not compare(request, [], lambda _v, _p: []).compared


@pytest.mark.parametrize("other", [chest(lungs=False), moved(chest(seed=2)).volume])
def test_somebody_elses_lungs_and_no_lungs_are_not_trusted(other: Volume) -> None:
    now, _ = scans()
    result = compare(request_of(now, other), [lesion(lung_points(now, 1)[0])], lambda _v, _p: [])
    assert not result.compared
    assert "Compare by eye" in result.sentence
    assert result.changes[0].verdict is Verdict.NOT_COMPARED


def test_what_is_still_seen_without_being_reported_is_not_told_as_gone() -> None:
    now, earlier = scans()
    points = lung_points(now, 2)
    theirs = earlier.to_prior(points)
    there = lesion(theirs[1], 6.0)
    asked = request_of(now, earlier.volume, tracked(there, "2.25.2", "Nodule 2"))
    mine = [lesion(points[0], 8.0)]
    alone = compare(asked, mine, lambda _v, _p: [there])
    assert len(alone.gone) == 1
    beside = compare(asked, mine, lambda _v, _p: [there], also=[lesion(points[1], 6.0)])
    assert beside.compared
    assert beside.gone == ()


def test_what_was_only_found_because_it_was_expected_is_not_told_as_gone() -> None:
    now, earlier = scans()
    there = replace(lesion(earlier.to_prior(lung_points(now, 1))[0], 5.0), is_sure=False)
    result = compare(request_of(now, earlier.volume), [], lambda _v, _p: [there])
    assert result.compared
    assert result.gone == ()


def test_an_earlier_scan_that_cannot_be_looked_at_makes_nothing_new() -> None:
    now, earlier = scans()

    def look(volume: Volume, places: Sequence[Point]) -> list[Lesion]:
        raise ModelError("it cannot be looked at: no lung is in view")

    mine = [lesion(lung_points(now, 1)[0], 6.0)]
    result = compare(request_of(now, earlier.volume), mine, look)
    assert not result.compared
    assert result.changes[0].verdict is Verdict.NOT_COMPARED
    assert "no lung is in view" in result.sentence
