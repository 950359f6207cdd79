"""Nodules of a scan are where its moved copy shows them, as large as the copy makes them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from models.lung_nodules import vocabulary as say
from models.phantoms.insertion import Inserted, diameters
from models.phantoms.nodules import Density
from node.domain.finding import Status
from node.evaluation.filing import CtArray
from node.evaluation.lung_nodules_moved import (
    SLICES_MM,
    Steadiness,
    moved_case,
    plain_rows,
)
from node.evaluation.lung_nodules_tally import Hit
from node.evaluation.moved import draw_move
from node.evaluation.nodule_cases import Case

SPACING = (1.0, 0.8, 0.8)
AFFINE = np.array([[0, 0, 0.8, -60.0], [0, 0.8, 0, -70.0], [1.0, 0, 0, 30.0], [0, 0, 0, 1]])
SHAPE = (90, 170, 150)
HALF_MM = np.array([6.0, 10.0, 7.0])


def nodule(centre: tuple[float, float, float]) -> Inserted:
    """An ellipsoid, and what is known of it."""
    low = [int(np.floor(c - h / s - 2)) for c, h, s in zip(centre, HALF_MM, SPACING, strict=True)]
    high = [int(np.ceil(c + h / s + 3)) for c, h, s in zip(centre, HALF_MM, SPACING, strict=True)]
    box = tuple(slice(max(0, a), min(n, b)) for a, b, n in zip(low, high, SHAPE, strict=True))
    lines = [np.arange(part.start - 0.4, part.stop - 0.5, 0.2) for part in box]
    at = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1)
    fine = (((at - centre) * SPACING / HALF_MM) ** 2).sum(axis=-1) <= 1.0
    count = [part.stop - part.start for part in box]
    coverage = fine.reshape(count[0], 5, count[1], 5, count[2], 5).mean(axis=(1, 3, 5))
    middle = fine[int(fine.sum(axis=(1, 2)).argmax())]
    long_mm, short_mm = diameters(middle, np.array(SPACING[1:]) / 5)
    return Inserted(
        density=Density.SOLID,
        centre=np.array(centre),
        long_mm=long_mm,
        short_mm=short_mm,
        volume_mm3=float(fine.sum() * np.prod(SPACING) / 125),
        solid_mm=(long_mm + short_mm) / 2,
        box=box,  # type: ignore[arg-type]
        coverage=coverage.astype(np.float32),
    )


def case_of(*nodules: Inserted) -> Case:
    voxels = np.full(SHAPE, -900, np.int16)
    for one in nodules:
        voxels[one.box] += np.rint(900 * one.coverage).astype(np.int16)
    array = CtArray(name="drawn", voxels=voxels, affine=AFFINE)
    return Case(data="drawn", patient="drawn", array=array, truth=nodules)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_nodule_is_measured_where_and_as_the_copy_shows_it(seed: int) -> None:
    whole = nodule((45.0, 80.0, 70.0))
    chest, held = moved_case(case_of(whole), seed)
    (placed,) = chest.case.truth
    assert held == [0]
    assert not len(chest.granulomas)
    array = chest.case.array
    share = np.clip((array.voxels.astype(float) + 900.0) / 900.0, 0.0, None)
    share[array.voxels < -700] = 0.0
    at = np.argwhere(share > 0)
    seen = np.average(at, axis=0, weights=share[tuple(at.T)])
    assert placed.centre == pytest.approx(seen, abs=0.3)
    sizes = draw_move(seed).sizes
    assert placed.volume_mm3 == pytest.approx(whole.volume_mm3 * float(np.prod(sizes)))
    steps = np.linalg.norm(array.affine[:3, :3], axis=0)
    assert float(placed.coverage.sum() * steps.prod()) == pytest.approx(placed.volume_mm3, rel=0.03)
    inside = array.voxels > -450
    plane = inside[int(inside.sum(axis=(1, 2)).argmax())]
    shown = diameters(plane, steps[1:])
    assert (placed.long_mm, placed.short_mm) == pytest.approx(shown, abs=1.0)
    # Its long axis lies along the rows' way to the back, which the turns hardly change.
    assert placed.long_mm / whole.long_mm == pytest.approx(sizes[1], abs=0.03)


def test_a_nodule_that_the_end_of_a_copy_cuts_is_neither_right_nor_wrong() -> None:
    whole, cut = nodule((45.0, 80.0, 70.0)), nodule((7.0, 80.0, 70.0))
    chest, held = moved_case(case_of(cut, whole), 2)
    assert held == [1]
    assert len(chest.case.truth) == 1
    assert len(chest.granulomas) > 20


def finding(side: str, *, possible: bool) -> SimpleNamespace:
    values = ((say.DIAMETER, 40.0), (say.CERTAINTY, 70.0))
    return SimpleNamespace(
        tracking_identifier="Possible mass 1" if possible else "Nodule 1",
        laterality=say.SIDES[side],
        measurements=[SimpleNamespace(name=name, value=value) for name, value in values],
    )


def test_copies_are_counted_by_what_is_said_of_them() -> None:
    said = iter([
        [finding("right", possible=True)],
        [finding("left", possible=True), finding("left", possible=False)],
        [],
    ])  # fmt: skip
    seen: list[CtArray] = []

    def look(copy: CtArray) -> SimpleNamespace:
        seen.append(copy)
        told = next(said)
        status = Status.FINDINGS if told else Status.NOT_ELIGIBLE
        return SimpleNamespace(findings=SimpleNamespace(findings=told, status=status))

    rows = {
        row.metric: row
        for row in plain_rows(look, case_of().array, [1, 2, 3], side="right")  # type: ignore[arg-type]
    }
    assert rows["nodules and masses reported a copy, where none is"].value == "0.33"
    assert rows["possible mass told, on the right"].value == "0.333"
    assert rows["other possible masses"].value == "1"
    assert rows["refused"].value == "0.333"
    assert len({copy.name for copy in seen}) == 3
    spacings = [round(float(np.linalg.norm(copy.affine[:3, 0])), 3) for copy in seen]
    assert set(spacings) <= set(SLICES_MM)


def hit(true_mm: float, measured_mm: float, certainty: float) -> Hit:
    truth = SimpleNamespace(mean_mm=true_mm, volume_mm3=100.0)
    found = SimpleNamespace(
        measurements=[
            SimpleNamespace(name=say.DIAMETER, value=measured_mm),
            SimpleNamespace(name=say.VOLUME, value=100.0 + 10 * (measured_mm - true_mm)),
        ]
    )
    return Hit(truth=truth, finding=found, certainty=certainty)  # type: ignore[arg-type]


def test_steadiness_is_told_of_each_nodule_among_its_copies() -> None:
    steady = Steadiness()
    steady.add("one", [0, 1], [hit(10.0, 11.0, 0.9), hit(8.0, 8.0, 0.9)])
    steady.add("one", [0, 1], [hit(11.0, 14.0, 0.9), hit(9.0, 9.0, 0.1)])
    steady.add("two", [0], [hit(5.0, 5.0, 0.1)])
    steady.add("two", [0], [hit(5.5, 5.5, 0.1)])
    rows = {row.metric: row for row in steady.rows("copies", 0.3)}
    assert rows["nodules from 6 mm found in each of their copies"].value == "0.500"
    assert rows["nodules from 6 mm found in none of their copies"].value == "0.000"
    spread = rows["standard deviation of one nodule's diameter error among its copies, mm"]
    assert (spread.value, spread.n) == (f"{np.sqrt(2):.2f}", 1)
