"""Strips are reproducible and true; the network learns from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from models.recipe.export import export
from models.vertebral_fractures.train.network import Outline
from models.vertebral_fractures.train.onward import taken_up
from models.vertebral_fractures.train.spines import EDGE, draw_strip
from models.vertebral_fractures.train.training import Strips, loss_of


def test_the_same_seed_draws_the_same_strip_and_the_body_lies_in_the_middle() -> None:
    first, shares = draw_strip(np.random.default_rng(3))
    again, _ = draw_strip(np.random.default_rng(3))
    assert np.array_equal(first, again)
    assert first.shape == (EDGE, EDGE)
    assert shares[0, 28:36, 28:36].mean() > 150
    assert (shares.astype(int).sum(axis=0) <= 256).all()


def test_a_few_steps_lower_the_loss() -> None:
    torch.manual_seed(0)
    strips = Strips(np.random.default_rng(5), kept=32)
    images, shares = strips.draw(fresh=24, batch=16)
    network = Outline()
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        optimiser.zero_grad()
        value = loss_of(network(images), shares)
        value.backward()
        optimiser.step()
        losses.append(value.item())
    assert losses[-1] < 0.8 * losses[0]


def test_an_exported_network_is_taken_up_as_it_was_and_can_learn(tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = Outline()
    images = torch.rand(16, 1, EDGE, EDGE)
    for _ in range(3):
        first(images)
    first.eval()
    export(first, (EDGE, EDGE), tmp_path / "outline.onnx")
    again = taken_up(tmp_path / "outline.onnx", images).eval()
    with torch.no_grad():
        wanted, found = first(images), again(images)
        assert torch.allclose(wanted, found, atol=1e-3)
        # In training the images' own mean and spread count, and give the same.
        assert torch.allclose(wanted, again.train()(images), atol=1e-3)
    again(images).sum().backward()
    assert all(one.grad is not None for one in again.parameters())
