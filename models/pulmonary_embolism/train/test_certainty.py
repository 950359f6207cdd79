"""The fit of the certainty: what counts as found, as false, and for whom it was fitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.pulmonary_embolism.again import Again
from models.pulmonary_embolism.certainty import NAMES
from models.pulmonary_embolism.train import certainty
from tests.models.pulmonary_embolism.test_parts import SEEN, SURE

BOTH = (SURE, SEEN)
NOTHING_MORE = frozenset[int]()


def test_the_trade_counts_clots_once_and_every_false_mark() -> None:
    nothing = (NOTHING_MORE,) * 3
    chest = certainty.Chest("1", 2, (BOTH, BOTH, BOTH), (1, 1, 0), nothing)
    weights = np.zeros(len(NAMES))
    rows = {limit: (share, false) for limit, share, false in certainty.trade([chest], weights, 2.0)}
    assert rows[80.0] == (0.5, 1.0)
    assert rows[90.0] == (0.0, 0.0)
    whole = replace(chest, more=(frozenset({1, 2}), NOTHING_MORE, NOTHING_MORE))
    assert certainty.trade([whole], weights, 2.0)[0][1:] == (1.0, 1.0)


def test_each_chest_is_judged_by_a_certainty_that_did_not_see_it() -> None:
    sure = (replace(SURE, mean=0.95), SEEN)
    weak = (replace(SURE, mean=0.35, peak=0.5), Again(np.full(8, 0.1), np.full(8, 0.4)))
    plain = [
        certainty.Chest(str(k), 1, (sure, weak), (1, 0), (NOTHING_MORE,) * 2) for k in range(4)
    ]
    # What looks like a clot everywhere else is none in the last chest.
    odd = certainty.Chest("odd", 0, (sure,), (0,), (NOTHING_MORE,))
    weights, offset = certainty.fit(*certainty.pooled(plain))
    seen = dict((limit, false) for limit, _, false in certainty.crossed([*plain, odd]))
    rows = {limit: row for limit, *row in certainty.trade(plain, weights, offset)}
    assert rows[50.0] == [1.0, 0.0]
    assert seen[50.0] == pytest.approx(1 / 5)


def test_a_candidate_beside_a_clot_lies_at_it_and_small_clots_are_neither_found_nor_false() -> None:
    clots = np.zeros((12, 12, 12), np.int16)
    clots[3:6, 0:3, 0:3] = 2
    mask = np.zeros((6, 6, 6), np.bool_)
    mask[:3, :3, :3] = True
    assert certainty.clot_of(replace(SURE, box=(slice(0, 6),) * 3, mask=mask), clots) == 2
    assert certainty.clot_of(replace(SURE, box=(slice(6, 12),) * 3, mask=mask), clots) == 0
    clots[3:6, 3:6, 0:3] = 3
    # Two that hang together, drawn as one: the first whole, a third of the second.
    mask = np.zeros((6, 6, 6), np.bool_)
    mask[3:6, :3, :3] = True
    assert certainty.covered(replace(SURE, box=(slice(0, 6),) * 3, mask=mask), clots) == {2}
    mask[3:6, :5, :3] = True
    assert certainty.covered(replace(SURE, box=(slice(0, 6),) * 3, mask=mask), clots) == {2, 3}
    small = certainty.Chest("1", 1, (BOTH, BOTH), (-1, 2), (NOTHING_MORE,) * 2)
    rows = certainty.trade([small], np.zeros(len(NAMES)), 9.0)
    assert rows[0][1:] == (1.0, 0.0)
    assert certainty.pooled([small])[1] == [True, True]


def test_fitted_certainty_separates_clots_from_what_is_none() -> None:
    rng = np.random.default_rng(1)
    found, true = [], []
    for number in range(80):
        is_clot = number % 2 == 0
        mean = float(np.clip(rng.normal(0.75 if is_clot else 0.45, 0.08), 0.3, 1.0))
        found.append((replace(SURE, mean=mean, peak=min(1.0, mean + 0.1)), SEEN))
        true.append(is_clot)
    weights, offset = certainty.fit(found, true)
    scores = [1 / (1 + np.exp(-(certainty.known_of(one) @ weights + offset))) for one in found]
    right = [(score > 0.5) == known for score, known in zip(scores, true, strict=True)]
    assert np.mean(right) > 0.9
