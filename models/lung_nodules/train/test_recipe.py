"""The recipe on one cube: samples are usable, perfect answers lose least, exports agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from models.lung_nodules.train import detector, refiner, samples
from models.lung_nodules.train.networks import Detector, Refiner
from models.lung_nodules.train.parenchyma import draw_cube
from models.recipe.export import export


@pytest.fixture(scope="module")
def shard() -> samples.Shard:
    made = samples.Shard()
    for seed in (0, 1):
        samples.add_draws(made, draw_cube(seed), np.random.default_rng(seed))
    return made


def test_samples_hold_nodules_and_others(shard: samples.Shard) -> None:
    assert {0, 1} <= set(shard.label)
    assert any((target == samples.NODULE).any() for target in shard.target)
    for mask, label in zip(shard.mask, shard.label, strict=True):
        if label:
            assert mask.max() > 127


def test_perfect_answers_have_the_smallest_loss(shard: samples.Shard) -> None:
    target = torch.from_numpy(np.stack(shard.target))
    size = torch.from_numpy(np.stack(shard.size))
    sure = torch.where(target == samples.NODULE, 9.0, -9.0)
    truth = torch.log2(size.float().clamp(min=6) / 6)
    good = detector.loss_of(torch.stack([sure, truth], 1), target, size)
    poor = detector.loss_of(torch.zeros(len(target), 2, 32, 32, 32), target, size)
    assert float(good[0]) < 0.01 < float(poor[0])
    assert float(good[1]) < 0.01 < float(poor[1])
    share = torch.from_numpy(np.stack(shard.mask)).float() / 255
    label = torch.tensor(shard.label)
    mask = 20 * (share[:, None] - 0.5)
    score = 20 * (label[:, None].float() - 0.5)
    best = sum(refiner.loss_of(mask, score, share, label))
    worst = sum(refiner.loss_of(-mask, -score, share, label))
    assert float(best) < 0.3 * float(worst)


@pytest.mark.parametrize(
    ("network", "patch", "names"),
    [(Detector, 64, ("heat",)), (Refiner, 48, ("mask", "score"))],
)
def test_export_agrees_with_torch_for_any_batch(
    network: type[torch.nn.Module], patch: int, names: tuple[str, ...], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    path = tmp_path / "network.onnx"
    assert export(network(), (patch,) * 3, path, names) < 1e-4
    assert path.stat().st_size < 8e6
