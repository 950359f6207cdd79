"""Growth in mm and %, and the time in which a volume doubles, as radiologists reckon it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.priors.growth import Change, Lesion, Verdict, change_of, doubling_days


def lesion(diameter: float, volume: float | None = None) -> Lesion:
    return Lesion(centre_mm=(0.0, 0.0, 0.0), diameter_mm=diameter, volume_mm3=volume)


def test_a_volume_that_doubles_in_a_hundred_days_has_that_doubling_time() -> None:
    assert doubling_days(100.0, 200.0, 100.0) == pytest.approx(100.0)
    assert doubling_days(100.0, 400.0, 100.0) == pytest.approx(50.0)
    assert doubling_days(200.0, 100.0, 100.0) == pytest.approx(-100.0)
    assert doubling_days(100.0, 100.0, 100.0) is None


@pytest.mark.parametrize(
    ("now", "verdict", "word"),
    [
        (7.5, Verdict.STABLE, "stable"),
        (7.51, Verdict.GROWN, "+1.5 mm"),
        (4.49, Verdict.SMALLER, "-1.5 mm"),
        (4.5, Verdict.STABLE, "stable"),
    ],
)
def test_growth_is_more_than_one_and_a_half_millimetres(
    now: float, verdict: Verdict, word: str
) -> None:
    change = change_of(lesion(now), lesion(6.0), 200)
    assert (change.verdict, change.word) == (verdict, word)


def test_the_sentence_says_diameters_volume_and_doubling_time() -> None:
    change = change_of(lesion(8.0, 268.0), lesion(6.0, 113.0), 180)
    assert change.sentence == (
        "Grown: mean diameter 6.0 mm then, 8.0 mm now (+2.0 mm, +33%), volume +137%, "
        "doubling time 144 days."
    )
    told = {item.label: round(item.value, item.decimals) for item in change.measurements}
    assert told == {
        "Change of mean diameter": 2.0,
        "Change of volume": 137.0,
        "Volume doubling time": 144.0,
    }


def test_no_doubling_time_is_made_of_noise_of_days_or_of_nothing() -> None:
    assert change_of(lesion(6.1, 115.0), lesion(6.0, 113.0), 180).doubling_days is None
    assert change_of(lesion(8.0, 268.0), lesion(6.0, 113.0), 10).doubling_days is None
    assert change_of(lesion(8.0, 268.0), lesion(6.0, 113.0), None).doubling_days is None
    assert change_of(lesion(8.0), lesion(6.0, 113.0), 180).doubling_days is None


def test_a_volume_that_grows_by_a_quarter_is_told_though_the_diameter_is_stable() -> None:
    change = change_of(lesion(6.6, 145.0), lesion(6.0, 113.0), 180)
    assert change.verdict is Verdict.STABLE
    assert "volume +28%" in change.sentence
    assert change.doubling_days is not None


def test_a_solid_part_that_grows_is_growth_whatever_the_whole_does() -> None:
    before = replace(lesion(12.0), solid_mm=0.0)
    change = change_of(replace(lesion(12.0), solid_mm=5.0), before, 200)
    assert change.verdict is Verdict.GROWN
    assert change.word == "solid part +5.0 mm"
    assert change.sentence.startswith("Grown: the solid part measured 0.0 mm then, 5.0 mm now")
    # A solid nodule has no solid part of its own: its diameter says it all.
    whole = change_of(replace(lesion(7.0), solid_mm=7.0), replace(lesion(6.0), solid_mm=4.0), 200)
    assert whole.verdict is Verdict.STABLE


@pytest.mark.parametrize(
    ("now_mm", "volume_mm3", "said"),
    [
        (18.9, 3304.0, "Grown by diameter, not by volume: mean diameter 16.1 mm then"),
        (18.9, 3500.0, "Grown: mean diameter 16.1 mm then"),
        (13.9, 3500.0, "Smaller by diameter, not by volume: mean diameter 16.1 mm then"),
        (13.9, 3304.0, "Smaller: mean diameter 16.1 mm then"),
    ],
)
def test_a_volume_that_changes_against_the_diameter_is_told(
    now_mm: float, volume_mm3: float, said: str
) -> None:
    change = change_of(lesion(now_mm, volume_mm3), lesion(16.1, 3388.0), 365)
    assert change.sentence.startswith(said)


def test_a_volume_that_nearly_doubles_is_not_told_as_stable() -> None:
    change = change_of(lesion(7.4, 212.0), lesion(6.0, 113.0), 180)
    assert change.verdict is Verdict.STABLE
    assert change.sentence.startswith("Larger by volume, stable by diameter: ")
    assert change.word == "volume +88%"


def test_what_was_not_found_in_the_earlier_scan_is_not_called_new_in_a_table() -> None:
    assert Change(verdict=Verdict.NEW, sentence="").word == "not found then"
