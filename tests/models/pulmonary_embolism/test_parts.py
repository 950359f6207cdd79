"""Rules of the single stages, each on values that a person can check."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.pulmonary_embolism.again import Again
from models.pulmonary_embolism.anatomy import CLASSES, Anatomy, search_mask
from models.pulmonary_embolism.candidates import Candidate, find_candidates
from models.pulmonary_embolism.certainty import allowed, certainty_of
from models.pulmonary_embolism.clots import level_of
from models.pulmonary_embolism.gate import Contrast, refuse, refuse_trunk
from models.pulmonary_embolism.plausibility import refuse_turned
from models.pulmonary_embolism.region import Region, find_region
from models.pulmonary_embolism.space import COARSE_MM
from models.pulmonary_embolism.ventricles import measure_ventricles
from models.pulmonary_embolism.vocabulary import Level
from models.pulmonary_embolism.windows import probabilities
from tests.models.pulmonary_embolism.toy import THRESHOLDS


def region(right_ml: float = 2000.0, left_ml: float = 1800.0) -> Region:
    voxel_ml = COARSE_MM**3 / 1000.0
    air = np.zeros((60, 80, 80), np.bool_)
    for start, ml in ((0, right_ml), (40, left_ml)):
        count = round(ml / voxel_ml)
        half = np.zeros((60, 80, 40), np.bool_)
        half.reshape(-1)[:count] = True
        air[:, :, start : start + 40] = half
    return Region(air=air, room=air, between=~air, middle=40.0)


def contrast(hilar: float | None, pool: float | None = 300.0) -> Contrast:
    return Contrast(hilar_hu=hilar, hilar_ml=5.0 if hilar else 0.1, pool_hu=pool)


def test_enough_contrast_and_lung_is_not_refused() -> None:
    assert refuse(region(), contrast(250.0), THRESHOLDS) is None


@pytest.mark.parametrize(
    ("hilar", "pool", "words"),
    [(97.0, 46.0, "measured 97 HU"), (None, 64.0, "measured 64 HU"), (None, 300.0, "not in view")],
)
def test_too_little_contrast_is_refused_with_what_was_measured(
    hilar: float | None, pool: float, words: str
) -> None:
    refusal = refuse(region(), contrast(hilar, pool), THRESHOLDS)
    assert refusal is not None
    assert words in refusal.reason


def test_one_lung_without_air_is_named_by_its_side() -> None:
    refusal = refuse(region(right_ml=20.0), contrast(300.0), THRESHOLDS)
    assert refusal is not None
    assert "right lung" in refusal.reason


def test_a_dark_trunk_is_refused_although_the_hila_are_bright() -> None:
    refusal = refuse_trunk(88.0, THRESHOLDS)
    assert refusal is not None
    assert "88 HU" in refusal.reason
    assert refuse_trunk(None, THRESHOLDS) is None
    assert refuse_trunk(200.0, THRESHOLDS) is None


def chest(*, wall: int = 6) -> np.ndarray:
    """(slice, row, column) HU at 2.5 mm: two lungs, a wide heart below, air around the patient.

    Args:
        wall: voxels of tissue behind the right lung; 0 where the field of view ends in it.
    """
    hu = np.full((90, 90, 120), -1000.0, np.float32)
    hu[:, 10:84, 6:114] = 40.0
    for index in range(90):
        half = 24 if index < 45 else 11
        hu[index, 18:78, 14 : 60 - half] = -850.0
        hu[index, 18:78, 60 + half : 106] = -850.0
    if wall == 0:
        hu[30:60, 70:84, 30:34] = -850.0
    return hu


@pytest.mark.parametrize("wall", [6, 0])
def test_a_lung_that_meets_the_air_outside_on_some_slices_is_still_lung(wall: int) -> None:
    found = find_region(chest(wall=wall))
    right, left = found.sides_ml()
    assert right == pytest.approx(left, rel=0.05)
    assert not found.air[:, 86:].any()
    assert not found.air[:, :, :4].any()


@pytest.mark.parametrize("wall", [6, 0])
def test_a_sound_chest_is_the_right_way_up_and_one_that_is_turned_is_not(wall: int) -> None:
    sound = chest(wall=wall)
    assert refuse_turned(sound, find_region(sound)) is None
    turned = np.ascontiguousarray(sound[::-1])
    refusal = refuse_turned(turned, find_region(turned))
    assert refusal is not None
    assert "head and feet" in refusal.reason


def test_slices_on_which_a_lung_is_missing_tell_nothing_about_head_and_feet() -> None:
    sound = chest()
    found = find_region(sound)
    between = found.between.copy()
    # As if one lung were not found where the heart is: the narrow part alone is measured.
    between[8:45] = False
    holed = replace(found, between=between)
    assert refuse_turned(sound, holed) is None
    between = found.between.copy()
    between[3:45:2] = False
    assert refuse_turned(sound, replace(found, between=between)) is None


def anatomy_with_ventricles(right_mm: float, left_mm: float) -> Anatomy:
    labels = np.zeros((40, 60, 60), np.uint8)
    z, y, x = np.ogrid[:40, :60, :60]
    for name, row, width in (("right", 15, right_mm), ("left", 42, left_mm)):
        half = width / 2 / COARSE_MM
        inside = ((z - 20) / 12) ** 2 + ((y - row) / half) ** 2 + ((x - 30) / 14) ** 2 < 1
        labels[np.broadcast_to(inside, labels.shape)] = CLASSES.index(f"{name}_ventricle")
    return Anatomy(labels=labels, trunk_hu=None)


def test_ratio_of_the_ventricles_is_that_of_their_widths_across_the_long_axis() -> None:
    measured = measure_ventricles(anatomy_with_ventricles(52.0, 40.0))
    assert measured.withheld == ""
    assert measured.ratio == pytest.approx(52.0 / 40.0, rel=0.08)
    assert measured.left_mm == pytest.approx(40.0, abs=3.5)


def test_no_ratio_without_both_ventricles_or_when_one_is_cut() -> None:
    whole = anatomy_with_ventricles(45.0, 40.0)
    labels = whole.labels.copy()
    labels[labels == CLASSES.index("right_ventricle")] = 0
    missing = measure_ventricles(replace(whole, labels=labels))
    assert "right ventricle" in missing.withheld
    assert missing.ratio is None
    cut = measure_ventricles(replace(whole, labels=whole.labels[20:]))
    assert "cut" in cut.withheld


def test_heart_and_aorta_are_never_searched_but_the_central_arteries_are() -> None:
    room = np.zeros((10, 10, 10), np.bool_)
    room[:, :, 6:] = True
    labels = np.zeros((10, 10, 10), np.uint8)
    labels[:, :3] = CLASSES.index("aorta")
    labels[4:6, 6:8, 1:3] = CLASSES.index("pulmonary_artery")
    mask = search_mask(
        np.where(room, -850.0, 40.0).astype(np.float32),
        Region(air=room, room=room, between=~room, middle=5.0),
        Anatomy(labels=labels, trunk_hu=300.0),
    )
    assert not mask[:, :3].any()
    assert mask[4:6, 6:8, 1:3].all()
    assert mask[5, 8, 8]


SURE = Candidate(
    box=(slice(0, 3),) * 3,
    mask=np.ones((3, 3, 3), np.bool_),
    ml=0.4,
    peak=1.0,
    mean=0.9,
    hu=55.0,
    blood_hu=360.0,
    blood=0.5,
    around_ml=0.6,
    lung=0.4,
    round=0.9,
    enclosed=0.3,
    radius_mm=4.0,
    centre=(1, 1, 1),
)


SEEN = Again(cover=np.full(8, 0.8), peak=np.full(8, 0.95))


def test_rules_exclude_what_is_no_clot() -> None:
    assert allowed(SURE)
    for changed in (
        {"hu": -90.0},
        {"hu": 240.0},
        {"hu": 140.0, "blood_hu": 250.0},
        {"hu": 90.0, "blood_hu": 150.0},
        {"blood": 0.0},
    ):
        assert not allowed(replace(SURE, **changed)), changed


def test_in_bright_blood_a_small_clot_may_be_dense_with_its_blur() -> None:
    assert allowed(replace(SURE, hu=200.0, blood_hu=450.0))
    assert not allowed(replace(SURE, hu=300.0, blood_hu=450.0))


def test_a_long_clot_that_meets_blood_only_at_its_ends_is_not_excluded() -> None:
    ends = replace(SURE, blood=0.02, around_ml=0.8)
    assert allowed(ends)
    # The same share of the surroundings of a speck is a voxel or two.
    assert not allowed(replace(SURE, blood=0.02, around_ml=0.2))


def test_certainty_rises_with_the_networks_probability() -> None:
    values = [certainty_of(replace(SURE, mean=mean, peak=mean), SEEN) for mean in (0.4, 0.6, 0.8)]
    assert values == sorted(values)
    assert values[0] < values[-1]


def test_certainty_rises_with_what_the_looks_see_again() -> None:
    values = [
        certainty_of(SURE, Again(cover=np.full(8, cover), peak=np.full(8, 0.3 + 0.7 * cover)))
        for cover in (0.0, 0.4, 0.9)
    ]
    assert values == sorted(values)
    assert values[-1] > 80.0
    assert values[0] < values[-1] - 20.0


@pytest.mark.parametrize(
    ("radius", "level"),
    [
        (10.0, Level.CENTRAL),
        (6.0, Level.LOBAR),
        (2.8, Level.SEGMENTAL),
        (1.3, Level.SUBSEGMENTAL),
    ],
)
def test_level_follows_the_calibre(radius: float, level: Level) -> None:
    assert level_of(radius) is level


def test_candidates_know_their_volume_their_blood_and_their_vessel() -> None:
    hu = np.full((40, 40, 40), -850.0, np.float32)
    chances = np.zeros((4, 40, 40, 40), np.float32)
    chances[0] = 1.0
    vessel = (slice(None), slice(17, 23), slice(17, 23))
    hu[vessel] = 320.0
    chances[:, vessel[0], vessel[1], vessel[2]] = np.array([0.05, 0.9, 0, 0.05])[
        :, None, None, None
    ]
    clot = (slice(15, 25), slice(17, 23), slice(17, 23))
    hu[clot] = 60.0
    chances[:, clot[0], clot[1], clot[2]] = np.array([0.05, 0.05, 0, 0.9])[:, None, None, None]
    (found,) = find_candidates(hu, chances, np.ones(hu.shape, np.bool_), 320.0)
    assert found.ml == pytest.approx(360 * 1.25**3 / 1000)
    assert found.hu == pytest.approx(60.0)
    assert 0.05 < found.blood < 0.5
    assert found.lung > 0.4
    assert found.radius_mm == pytest.approx(3.75, abs=1.3)
    nowhere = np.zeros(hu.shape, np.bool_)
    assert find_candidates(hu, chances, nowhere, 320.0) == ()


class Ramp:
    """Logits that depend on the value of each voxel alone."""

    name = "ramp"
    provider = "CPUExecutionProvider"

    def __init__(self) -> None:
        self.windows = 0

    def run(self, inputs: np.ndarray) -> np.ndarray:
        self.windows += len(inputs)
        return np.concatenate([np.zeros_like(inputs), 6 * inputs - 3], axis=1)


def test_windows_agree_with_the_whole_and_leave_out_what_is_not_asked() -> None:
    rng = np.random.default_rng(0)
    hu = rng.uniform(-1000, 600, (40, 50, 61)).astype(np.float32)
    everywhere = np.ones(hu.shape, np.bool_)
    network = Ramp()
    found = probabilities(hu, everywhere, network, 16, (-1000.0, 600.0))  # type: ignore[arg-type]
    expected = 1 / (1 + np.exp(-(6 * (hu + 1000) / 1600 - 3)))
    assert np.abs(found[1] - expected).max() < 1e-4
    all_windows = network.windows
    corner = np.zeros(hu.shape, np.bool_)
    corner[0, 0, 0] = True
    network = Ramp()
    found = probabilities(hu, corner, network, 16, (-1000.0, 600.0))  # type: ignore[arg-type]
    assert network.windows < all_windows / 8
    assert found[1][-1, -1, -1] == 0.0


def test_a_series_shorter_than_a_window_is_padded_and_cut_back() -> None:
    hu = np.full((6, 20, 20), 600.0, np.float32)
    everywhere = np.ones(hu.shape, np.bool_)
    found = probabilities(hu, everywhere, Ramp(), 16, (-1000.0, 600.0))  # type: ignore[arg-type]
    assert found.shape == (2, 6, 20, 20)
    assert found[1].min() > 0.9
