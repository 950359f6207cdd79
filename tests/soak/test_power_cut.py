"""The campaign of power cuts, once, where the machine allows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.soak.power_cut import NotPossible, power_cuts


@pytest.mark.slow
def test_what_was_acknowledged_survives_a_power_cut(tmp_path: Path) -> None:
    try:
        counted = power_cuts(tmp_path, cuts=2, seed=1)
    except NotPossible as error:
        pytest.skip(str(error))
    assert counted.faults == []
    assert counted.acknowledged
