"""The room of each lung on a drawn chest whose volumes are known, and on real blocks."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from inference.series import describe_with_facts
from inference.volume import load_volume
from models.grid import canonical
from models.refusal import Refusal
from models.thorax.lungs import Lungs, find_lungs
from node.evaluation.filing import instances_of
from tests.models.thorax.chest import LEFT, LUNG_ML, RIGHT, Chest, lesion


def found(chest: Chest, flips: tuple[bool, bool, bool] = (False, False, False)) -> Lungs:
    lungs = find_lungs(canonical(chest.volume(flips)))
    assert isinstance(lungs, Lungs)
    return lungs


def position(lungs: Lungs, chest: Chest, z: float, y: float, x: float) -> np.ndarray:
    grid = canonical(chest.volume())
    return (np.linalg.inv(grid.affine) @ np.array([x, y, z, 1.0]))[:3]


def test_both_lungs_have_their_volume_and_lie_on_their_side() -> None:
    chest = Chest()
    lungs = found(chest)
    assert lungs.right_ml == pytest.approx(LUNG_ML, rel=0.06)
    assert lungs.left_ml == pytest.approx(LUNG_ML, rel=0.06)
    assert lungs.side_at(position(lungs, chest, *RIGHT)) == "right"
    assert lungs.side_at(position(lungs, chest, *LEFT)) == "left"
    assert not (lungs.right & lungs.left).any()


def test_the_trachea_is_airway_and_no_lung() -> None:
    chest = Chest()
    lungs = found(chest)
    at = position(lungs, chest, 90.0, 0.0, 0.0)[None]
    assert lungs.volume.at(lungs.airways, at)[0]
    assert not lungs.volume.at(lungs.both, at)[0]


@pytest.mark.parametrize("flips", [(True, False, False), (False, True, True)])
def test_order_of_slices_and_rows_changes_nothing(flips: tuple[bool, bool, bool]) -> None:
    plain, turned = found(Chest()), found(Chest(), flips)
    assert turned.right_ml == pytest.approx(plain.right_ml, rel=0.02)
    assert turned.left_ml == pytest.approx(plain.left_ml, rel=0.02)


@pytest.mark.parametrize(
    ("centre", "radius"),
    [((0.0, 5.0, -75.0), 12.0), ((0.0, 5.0, -120.0), 9.0), ((0.0, 60.0, -85.0), 22.0)],
    ids=["inside", "at the pleura", "a large tumour at the back"],
)
def test_tumours_stay_inside_the_room(centre: tuple[float, float, float], radius: float) -> None:
    chest = Chest(paint=(lesion(centre, radius),))
    lungs = found(chest)
    assert lungs.side_at(position(lungs, chest, *centre)) == "right"


def test_gas_in_the_bowel_is_no_lung() -> None:
    def gas(hu: np.ndarray, z: np.ndarray, y: np.ndarray, x: np.ndarray) -> None:
        lesion((-112.0, -20.0, 0.0), 30.0, -1000.0)(hu, z, y, x)

    chest = Chest(bottom=-150.0, paint=(gas,))
    lungs = found(chest)
    assert not lungs.volume.at(lungs.both, position(lungs, chest, -112.0, -20.0, 0.0)[None])[0]


def test_an_end_that_cuts_the_lungs_is_told() -> None:
    lungs = found(Chest(bottom=-40.0, top=60.0))
    assert lungs.cut_below
    assert lungs.cut_above
    whole = found(Chest())
    assert not whole.cut_below
    assert not whole.cut_above


def test_a_trunk_without_lung_is_refused_with_the_reason() -> None:
    refusal = find_lungs(canonical(Chest(lungs=False).volume()))
    assert isinstance(refusal, Refusal)
    assert "no lung is in view" in refusal.reason


@pytest.mark.slow
@pytest.mark.parametrize(("block", "litres"), [("lower", (1.2, 1.6)), ("upper", (0.35, 0.6))])
def test_lungs_of_a_real_scan(shared_images: Path, block: str, litres: tuple[float, float]) -> None:
    paths = sorted((shared_images / "chest_ct_lidc" / block).iterdir())
    study, _ = describe_with_facts(
        instances_of(paths),
        generation=1,
        completed_at=datetime.now(UTC),
        confidence="a folder",
        pixels=False,
    )
    lungs = find_lungs(canonical(load_volume(study.series[0])))
    assert isinstance(lungs, Lungs)
    assert litres[0] < (lungs.right_ml + lungs.left_ml) / 1000 < litres[1]
    # The right lung of this patient is the smaller one.
    assert lungs.right_ml < lungs.left_ml
