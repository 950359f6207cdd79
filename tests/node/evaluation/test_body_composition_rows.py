"""What the table of body composition counts of trunks in a narrow field of view."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from models.phantoms.trunk import Phantom, TrunkOptions, simulate_trunk
from node.domain.finding import Status
from node.evaluation import body_composition
from node.evaluation.product import Look, Product


class Refusing:
    """A product that refuses whatever it is shown."""

    def look(self, paths: Iterable[Path]) -> Look:
        assert list(paths)
        findings = SimpleNamespace(status=Status.NOT_ELIGIBLE, reason="it is cut", findings=())
        return cast(Look, SimpleNamespace(findings=findings, verdict=""))


def test_only_trunks_that_the_field_of_view_cuts_count_as_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = TrunkOptions(
        matrix=64, slice_mm=10.0, reach_mm=(-20.0, 20.0), working_mm=(10.0, 6.0), posed=False
    )
    phantom = simulate_trunk(1_000_005, small)

    def drawn(seed: int, options: TrunkOptions) -> Phantom:
        assert options.truncated
        share = 0.03 if seed % 3 == 0 else 0.0
        return replace(phantom, seed=seed, truth=replace(phantom.truth, trunk_cut=share))

    monkeypatch.setattr(body_composition, "simulate_trunk", drawn)
    run = body_composition.Evaluation(cast(Product, Refusing()), tmp_path)
    rows = {row.metric: (row.value, row.n) for row in run.cut(3_000, 3)}
    assert rows == {
        "trunks cut by the field of view refused": ("1.000", 1),
        "trunks that just fit into the field of view measured": ("0.000", 2),
    }
