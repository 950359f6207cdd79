"""What an imported network is said to be trained at."""

from __future__ import annotations

from typing import Any

import pytest

from config.import_form import ImportForm
from node.importing.foreign_manifest import spacing_of


@pytest.mark.parametrize(
    ("made", "form", "axes", "stated"),
    [
        ([[1.5, 1.5, 2.0]], {}, 3, [1.5, 1.5, 2.0]),
        # Each axis as the last step that resamples it leaves it.
        ([[1.5, 1.5, 2.0], [None, 3.0, None]], {}, 3, [1.5, 3.0, 2.0]),
        ([[1.5, 1.5, None]], {"spacing_mm": (9.0, 9.0, 4.0)}, 3, [1.5, 1.5, 4.0]),
        ([[1.5, 1.5, None]], {}, 3, [1.5, 1.5, 1.0]),
        # A network of planes sees the last two axes.
        ([[None, 0.7, 0.8]], {}, 2, [0.7, 0.8]),
        ([], {"spacing_mm": (2.0, 2.0)}, 2, [2.0, 2.0]),
        ([], {"mpp_um": 0.5}, 2, [0.0005, 0.0005]),
        ([], {}, 0, []),
    ],
)
def test_the_voxel_size_of_a_network_is_what_its_steps_make(
    made: list[list[float | None]], form: dict[str, Any], axes: int, stated: list[float]
) -> None:
    before = [{"step": "spacing", "spacing_mm": sides} for sides in made]
    notes: list[str] = []
    assert spacing_of(before, ImportForm(**form), axes, notes) == stated
    nominal = 1.0 in stated
    assert ["nominal" in note for note in notes] == [True] * nominal
