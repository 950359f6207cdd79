"""Weights of the certainty are found again in marks that were drawn with them."""

from __future__ import annotations

import numpy as np
import pytest

from node.evaluation.lung_nodules_certainty import fit


def test_weights_are_found_again() -> None:
    rng = np.random.default_rng(0)
    weights = np.array([-2.0, 1.2, 0.6, -0.5])
    features = np.c_[np.ones(8000), rng.normal(0, 2, (8000, 2)), rng.normal(0, 1, 8000)]
    true = rng.random(8000) < 1 / (1 + np.exp(-(features @ weights)))
    assert fit(features, true) == pytest.approx(weights, abs=0.2)
