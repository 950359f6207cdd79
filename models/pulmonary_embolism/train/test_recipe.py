"""The recipe on tiny samples: draws are usable, losses fall for right answers, exports agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.phantoms.chest_tissue import ChestTissue
from models.pulmonary_embolism.train import certainty, clots, hearts, networks
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
    from dataclasses import replace  # noqa: PLC0415

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
