"""Strips are reproducible and true; the network learns from them."""

from __future__ import annotations

import numpy as np
import torch

from models.vertebral_fractures.train.network import Outline
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
