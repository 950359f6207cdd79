"""What is told of moved copies: how far from L3, and why the others were refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from node.evaluation.filing import CtArray
from node.evaluation.l3_of_copies import rows_of_copies, where_it_went
from node.evaluation.product import Look

L3_MM = np.array([-20.0, 10.0, 60.0])
SCAN = CtArray(
    name="scan",
    voxels=np.zeros((30, 40, 50), np.int16),
    affine=np.array([[0, 0, 3.0, -70.0], [0, 3.0, 0, -60.0], [3.0, 0, 0, 15.0], [0, 0, 0, 1]]),
)


def looked(z: float | None, reason: str = "") -> Look:
    planes = () if z is None else (SimpleNamespace(position_mm=(0.0, 0.0, z)),)
    findings = SimpleNamespace(segmented_planes=planes, reason=reason)
    return cast(Look, SimpleNamespace(findings=findings))


def test_the_middle_of_the_scan_stays_where_it_is_and_l3_does_not() -> None:
    middle = np.array([3.5, -1.5, 58.5])
    assert where_it_went(SCAN, 4, middle) == pytest.approx(middle)
    assert np.linalg.norm(where_it_went(SCAN, 4, L3_MM) - L3_MM) > 0.5


def test_copies_are_counted_by_their_distance_from_where_l3_went() -> None:
    answers = {
        1: looked(float(where_it_went(SCAN, 1, L3_MM)[2]) + 2.0),
        2: looked(float(where_it_went(SCAN, 2, L3_MM)[2]) - 30.0),
        3: looked(None, "the field of view cuts 4.7 % of it at L3"),
        4: looked(None, "the field of view cuts 2.2 % of it at L3"),
    }

    def look_at(copy: CtArray) -> Look:
        return answers[int(copy.name.rsplit("-", 1)[1])]

    rows = list(rows_of_copies(SCAN, L3_MM, look_at, range(1, 5), "copies"))
    told = {row.metric: (row.value, row.n) for row in rows}
    assert told["copies measured (not refused)"] == ("0.500", 4)
    assert told["L3 slice, mean absolute error mm"] == ("16.0", 2)
    assert told["L3 slice within 10 mm, of those measured"] == ("0.500", 2)
    assert told["refused copy"] == ("the field of view cuts n % of it at L3", 2)
