"""What the tables of spines beside the usual one count, and where they go."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from models.phantoms.spine_truth import BodyTruth
from models.phantoms.tissue import Tissue
from models.phantoms.trunk import Phantom, TrunkOptions, simulate_trunk
from models.vertebral_fractures import vocabulary as say
from node.domain.finding import Finding
from node.evaluation.product import Look
from node.evaluation.table import write_into_card
from node.evaluation.vertebral_agreement import area_table, level_table
from node.evaluation.vertebral_tally import Pair, Tally
from node.evaluation.vertebral_variants import MARKS, part_of
from node.evaluation.vertebral_variants_tally import (
    AreaTally,
    SpineTally,
    add_areas,
    areas_table,
    spine_table,
)

POINT = (0.0, 0.0, 0.0)


def truth(body: Tissue, height: float, whole: float | None = None) -> BodyTruth:
    before = height if whole is None else whole
    return BodyTruth(
        body=body, points_mm=((POINT, POINT),) * 3, heights_mm=(height,) * 3,
        whole_mm=(before,) * 3, change=None,
    )  # fmt: skip


def finding(name: str, height: float, kind: object = say.MEASURED) -> Finding:
    heights = [SimpleNamespace(name=say.HEIGHT, value=height)] * 3
    return cast(
        Finding,
        SimpleNamespace(tracking_identifier=f"Vertebra {name}", measurements=heights, finding=kind),
    )


def tally() -> SpineTally:
    pairs = [
        Pair(truth(Tissue.L3, 27.0), finding("L3", 28.0), 2.5),
        Pair(truth(Tissue.L2, 27.0), finding("L1", 30.0, say.DEFORMITY), 2.5),
        Pair(truth(Tissue.L1, 15.0, 25.0), finding("lowest seen", 15.5, say.FRACTURE), 2.5),
        Pair(truth(Tissue.T12, 25.0), None, 2.5),
    ]
    seen = Tally(pairs=pairs, scans=2, false_marks=[(2.5, 1.0), (2.5, 0.0)], named=[True, False])
    found = SpineTally(seen=seen)
    found.answers.update(["present", "absent"])
    found.fixed.update(["sacrum and lowest ribs", "nothing"])
    return found


def cells(table: str, row: int) -> list[str]:
    return [cell.strip() for cell in table.splitlines()[2 + row].strip("|").split("|")]


def test_a_row_counts_bodies_levels_heights_and_calls() -> None:
    row = cells(spine_table({"scoliosis": tally()}), 0)
    assert row[:9] == [
        "scoliosis", "2", "3 of 4", "1 of 2", "2 of 3", "6 of 9", "1", "1 of 2", "1 of 1 (0)",
    ]  # fmt: skip
    assert row[9] == "absent: 1; present: 1"
    assert row[10] == "nothing: 1; sacrum and lowest ribs: 1"


def test_levels_have_their_own_rows_with_limits_of_agreement() -> None:
    table = level_table(tally().seen.pairs, [(20.0, 21.0), (22.0, 22.0), (24.0, 25.0)])
    rows = {line.split("|")[1].strip(): line for line in table.splitlines()[2:]}
    assert "| 1 of 1 | 1 of 1 | 3 of 3 | +1.00 |" in rows["simulated L3"]
    assert "| 1 of 1 | 0 of 1 | 0 of 3 | +3.00 |" in rows["simulated L2"]
    assert "| 1 of 1 | none stated | 3 of 3 | +0.50 |" in rows["simulated L1"]
    assert "| 0 of 1 | none stated | - |" in rows["simulated T12"]
    assert "| 3 of 3 | +0.67 |" in rows["abdomen_ct_totalseg (silver)"]


def look(z: float, muscle: float) -> Look:
    found = SimpleNamespace(
        reason="", status=None,
        segmented_planes=(SimpleNamespace(position_mm=(0.0, 0.0, z)),),
        findings=(
            SimpleNamespace(
                tracking_identifier="L3 skeletal muscle",
                measurements=(SimpleNamespace(value=muscle),),
            ),
        ),
    )  # fmt: skip
    return cast(Look, SimpleNamespace(findings=found))


def test_areas_count_only_where_l3_is_the_right_one() -> None:
    areas = SimpleNamespace(muscle=100.0, subcutaneous_fat=50.0, visceral_fat=80.0)
    person = SimpleNamespace(truth=SimpleNamespace(l3_z_mm=10.0, areas=areas))
    counted = AreaTally()
    add_areas(counted, cast(Phantom, person), look(12.0, 104.0))
    add_areas(counted, cast(Phantom, person), look(45.0, 500.0))
    row = cells(areas_table({"usual": counted}), 0)
    assert row[:6] == ["usual", "2", "2 of 2", "1 of 2", "+2, +35", "+4.0 (+4.0)"]
    assert "| - | - | - | 0 |" in area_table({"muscle": []})
    assert "| +2.0 (" in area_table({"muscle": [(10.0, 12.0), (20.0, 22.0), (30.0, 32.0)]})


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    options = TrunkOptions(
        matrix=96, slice_mm=6.0, reach_mm=(-90.0, 90.0), working_mm=(6.0, 4.0), posed=False
    )
    return simulate_trunk(1_000_003, options)


def test_a_part_of_a_phantom_lies_where_it_lay(phantom: Phantom) -> None:
    part = part_of(phantom, (-30.0, 30.0))
    middle = phantom.truth.l3_z_mm
    assert middle is not None
    heights = [plane.position_mm[2] for plane in part.volume.planes]
    assert middle - 30 <= min(heights) < max(heights) <= middle + 30
    assert part.volume.affine[2, 3] == pytest.approx(heights[0])
    at = [plane.position_mm[2] for plane in phantom.volume.planes].index(heights[0])
    assert np.array_equal(part.volume.voxels[0], phantom.volume.voxels[at])


def test_a_table_goes_between_its_own_marks(tmp_path: Path) -> None:
    card = tmp_path / "CARD.md"
    measured = "<!-- measured: begin -->\nold\n<!-- measured: end -->"
    card.write_text("\n".join([measured, *MARKS]) + "\n")
    write_into_card(card, "new", MARKS)
    assert "old" in card.read_text()
    assert f"{MARKS[0]}\nnew\n{MARKS[1]}" in card.read_text()
    with pytest.raises(ValueError, match="no markers"):
        write_into_card(card, "new", ("<!-- a -->", "<!-- b -->"))
