"""The recipe on tiny samples: draws are usable, losses fall for right answers, exports agree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.phantoms.chest_tissue import ChestTissue
from models.pulmonary_embolism.train import certainty, clots, crops, hearts, networks
from models.pulmonary_embolism.train.imitators import dressed
from models.pulmonary_embolism.train.scenes import AIRWAY, CLOT, SIZE, VESSEL, Painter, scanned
from models.recipe.export import export
from tests.models.pulmonary_embolism.test_parts import SURE


def test_scenes_hold_vessels_and_clots_that_are_darker_than_the_blood() -> None:
    painter, rng = Painter(3), np.random.default_rng(3)
    labels = np.zeros(4, np.int64)
    darker = []
    for _ in range(12):
        scene = painter.scene()
        hu, truth = scanned(scene, rng)
        assert hu.shape == truth.shape == (SIZE,) * 3
        labels += np.bincount(truth.ravel(), minlength=4)
        if (scene.labels == CLOT).sum() > 40:
            clot = float(np.median(scene.hu[scene.labels == CLOT]))
            darker.append(clot < float(np.percentile(scene.hu[scene.labels == VESSEL], 90)) - 60)
    assert labels[VESSEL] > labels[CLOT] > 0
    assert labels[AIRWAY] > 0
    assert all(darker)
    assert darker


def test_the_same_seed_draws_the_same_scene() -> None:
    first, second = Painter(5).scene(), Painter(5).scene()
    assert np.array_equal(first.hu, second.hu)
    assert not np.array_equal(first.hu, Painter(6).scene().hu)


def _fork() -> tuple[np.ndarray, np.ndarray]:
    """Two bright tubes side by side in lung, and their labels."""
    line = np.arange(SIZE)
    first = np.hypot(line[:, None] - 24, line[None, :] - 18) < 4
    second = np.hypot(line[:, None] - 24, line[None, :] - 27) < 4
    labels = np.broadcast_to((first | second)[None], (SIZE,) * 3).astype(np.uint8) * VESSEL
    return np.where(labels == VESSEL, 350.0, -850.0).astype(np.float32), labels


def test_sheaths_fill_the_gap_between_vessels_and_leave_their_blood() -> None:
    hu, labels = _fork()
    occupied = labels == VESSEL
    filled = 0
    for seed in range(8):
        out = dressed(hu, occupied, np.ones_like(occupied), np.random.default_rng(seed))
        assert np.array_equal(out[occupied], hu[occupied])
        assert out[:, 24, 5].max() < -500
        filled += int(np.median(out[:, 24, 22:24]) > -200)
    assert filled >= 3


def test_windows_of_a_whole_chest_lie_at_its_clots_about_as_often_as_asked(tmp_path: Path) -> None:
    labels = np.zeros((120, 110, 100), np.uint8)
    labels[30:90, 50:56, 50:56] = VESSEL
    labels[60, 10:100, 10:90] = VESSEL
    labels[40:46, 50:56, 50:56] = CLOT
    hu = np.where(labels > 0, 300, -850).astype(np.int16)
    np.savez(tmp_path / "0000001.npz", hu=hu[None], labels=labels[None])
    whole = crops.Crops([tmp_path])
    rng = np.random.default_rng(0)
    shown = [whole(rng)[1] for _ in range(40)]
    assert all(window.shape == (SIZE,) * 3 for window in shown)
    assert np.mean([bool((window == CLOT).any()) for window in shown]) > 0.5
    assert len({window.tobytes() for window in shown}) > 30


def test_the_trade_counts_clots_once_and_every_false_mark() -> None:
    chest = certainty.Chest("1", 2, (SURE, SURE, SURE), (1, 1, 0))
    weights = np.zeros(len(SURE.features))
    rows = {limit: (share, false) for limit, share, false in certainty.trade([chest], weights, 2.0)}
    assert rows[80.0] == (0.5, 1.0)
    assert rows[90.0] == (0.0, 0.0)


def test_each_chest_is_judged_by_a_certainty_that_did_not_see_it() -> None:
    sure, weak = replace(SURE, mean=0.95), replace(SURE, mean=0.35, peak=0.5)
    plain = [certainty.Chest(str(k), 1, (sure, weak), (1, 0)) for k in range(4)]
    # What looks like a clot everywhere else is none in the last chest.
    odd = certainty.Chest("odd", 0, (sure,), (0,))
    weights, offset = certainty.fit(*certainty.pooled(plain))
    seen = dict((limit, false) for limit, _, false in certainty.crossed([*plain, odd]))
    assert certainty.trade(plain, weights, offset)[2][1:] == (1.0, 0.0)
    assert seen[50.0] == pytest.approx(1 / 5)


def test_a_candidate_beside_a_clot_lies_at_it_and_small_clots_are_neither_found_nor_false() -> None:
    clots = np.zeros((12, 12, 12), np.int16)
    clots[3:6, 0:3, 0:3] = 2
    mask = np.zeros((6, 6, 6), np.bool_)
    mask[:3, :3, :3] = True
    assert certainty.clot_of(replace(SURE, box=(slice(0, 6),) * 3, mask=mask), clots) == 2
    assert certainty.clot_of(replace(SURE, box=(slice(6, 12),) * 3, mask=mask), clots) == 0
    small = certainty.Chest("1", 1, (SURE, SURE), (-1, 2))
    rows = certainty.trade([small], np.zeros(len(SURE.features)), 9.0)
    assert rows[0][1:] == (1.0, 0.0)
    assert certainty.pooled([small])[1] == [True, True]


def test_perfect_answers_have_the_smallest_loss() -> None:
    target = torch.randint(0, 4, (2, 8, 8, 8), generator=torch.Generator().manual_seed(0))
    truth = torch.nn.functional.one_hot(target, 4).movedim(-1, 1).float()
    assert float(clots.loss_of(20 * truth, target)) < 0.05
    assert float(clots.loss_of(torch.zeros_like(truth), target)) > 0.3


def test_opacified_chambers_are_brighter_than_their_wall() -> None:
    labels = np.full((hearts.PATCH,) * 3, ChestTissue.MEDIASTINAL_FAT, np.uint8)
    labels[20:40, 20:40, 20:40] = ChestTissue.PULMONARY_ARTERY
    for seed in range(4):
        hu = hearts.attenuation(labels, np.random.default_rng(seed))
        assert np.median(hu[24:36, 24:36, 24:36]) > np.median(hu[:10]) + 60


@pytest.mark.parametrize(("name", "size"), [("clots", 48), ("central", 64)])
def test_export_agrees_with_torch_for_any_batch(name: str, size: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = {"clots": networks.clots_network, "central": networks.central_network}[name]()
    path = tmp_path / f"{name}.onnx"
    assert export(network, (size,) * 3, path) < 1e-4
    assert path.stat().st_size < 8e6


def test_fitted_certainty_separates_clots_from_what_is_none() -> None:
    rng = np.random.default_rng(1)
    found, true = [], []
    for number in range(80):
        is_clot = number % 2 == 0
        mean = float(np.clip(rng.normal(0.75 if is_clot else 0.45, 0.08), 0.3, 1.0))
        found.append(replace(SURE, mean=mean, peak=min(1.0, mean + 0.1)))
        true.append(is_clot)
    weights, offset = certainty.fit(found, true)
    scores = [1 / (1 + np.exp(-(one.features @ weights + offset))) for one in found]
    right = [(score > 0.5) == known for score, known in zip(scores, true, strict=True)]
    assert np.mean(right) > 0.9
