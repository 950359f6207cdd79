"""A loss that can fall falls, the log says so, and the averaged weights follow."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import nn

from models.recipe.averaging import Average
from models.recipe.fitting import Plan, fit


def test_a_line_is_learned_within_its_budget(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Linear(1, 1)
    average = Average(network, nn.Linear(1, 1))
    x = torch.linspace(-1, 1, 64)[:, None]

    def loss() -> torch.Tensor:
        return ((network(x) - (3 * x + 2)) ** 2).mean()

    plan = Plan(name="line", minutes=0.05, peak=5e-2, warm_up=10, weight_decay=0.0)
    fit(network, average, plan, tmp_path, loss)
    log = json.loads((tmp_path / "line.log.json").read_text())
    assert log[0]["loss"] > 10 * log[-1]["loss"]
    assert log[-1]["minutes"] <= 0.06
    weights = torch.load(tmp_path / "line.avg.pt", weights_only=True)
    assert abs(float(weights["weight"]) - 3) < 0.1
    assert abs(float(weights["bias"]) - 2) < 0.1


def test_batch_statistics_of_the_average_are_those_of_what_it_is_shown() -> None:
    network = nn.BatchNorm3d(1)
    average = Average(network, nn.BatchNorm3d(1))
    average.settle(lambda: 5 + 2 * torch.randn(8, 1, 8, 8, 8), batches=20)
    assert abs(float(average.twin.running_mean) - 5) < 0.1
    assert abs(float(average.twin.running_var) - 4) < 0.2
    assert not average.twin.training
