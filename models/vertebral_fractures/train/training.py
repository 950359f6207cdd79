"""Train the outline network on strips that are drawn while it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from models.grid import normalised
from models.recipe.averaging import Average
from models.recipe.fitting import Plan, fit
from models.recipe.precision import fast
from models.vertebral_fractures.outlines import VALUE_RANGE
from models.vertebral_fractures.train.network import Outline
from models.vertebral_fractures.train.onward import taken_up
from models.vertebral_fractures.train.spines import EDGE, draw_strip

BATCH, FRESH, KEPT = 32, 6, 8000
RATE, ONWARD_RATE = 3e-3, 1e-3
#: Weight of a mm by which a column is too high or too low; columns of so much bone count, mm.
HEIGHT, LEAST_MM = 0.05, 5.0
SEED = 7


class Strips:
    """A store of drawn strips: each batch draws a few new ones, and takes from all."""

    def __init__(self, rng: np.random.Generator, kept: int = KEPT) -> None:
        self._rng = rng
        self._images = np.zeros((kept, EDGE, EDGE), np.float16)
        self._shares = np.zeros((kept, 2, EDGE, EDGE), np.uint8)
        self._drawn = 0

    def draw(self, fresh: int = FRESH, batch: int = BATCH) -> tuple[torch.Tensor, torch.Tensor]:
        """(batch, 1, 64, 64) in 0..1, and (batch, 3, 64, 64) shares of the classes."""
        for _ in range(fresh):
            at = self._drawn % len(self._images)
            image, shares = draw_strip(self._rng)
            self._images[at] = np.clip(image, -2000, 3000)
            self._shares[at] = shares
            self._drawn += 1
        rows = self._rng.integers(0, min(self._drawn, len(self._images)), batch)
        hu = self._images[rows].astype(np.float32)
        images = torch.from_numpy(normalised(hu, VALUE_RANGE))[:, None]
        two = torch.from_numpy(self._shares[rows].astype(np.float32) / 255)
        other = (1 - two.sum(1, keepdim=True)).clamp(min=0)
        return images, torch.cat([other, two], 1)


def loss_of(logits: torch.Tensor, shares: torch.Tensor) -> torch.Tensor:
    """Cross-entropy against the shares, and of the body in the middle soft Dice and heights."""
    cross = -(shares * functional.log_softmax(logits, 1)).sum(1).mean()
    p, truth = torch.softmax(logits, 1)[:, 1], shares[:, 1]
    overlap = 2 * (p * truth).sum((1, 2)) + 1
    dice = 1 - overlap / (p.pow(2).sum((1, 2)) + truth.pow(2).sum((1, 2)) + 1)
    # What is asked of the network in the end: how high each column of the body is, mm.
    high = truth.sum(1)
    inner = high > LEAST_MM
    wrong = (p.sum(1) - high).abs()[inner].mean() if bool(inner.any()) else p.sum() * 0.0
    return cross + 0.5 * dice.mean() + HEIGHT * wrong


def train(minutes: float, out: Path, start: Path | None = None) -> None:
    """Train for some minutes of wall clock and write `outline.pt` (and raw and averaged).

    Args:
        start: of an exported network that is trained on; None begins at random.
    """
    torch.manual_seed(SEED)
    strips = Strips(np.random.default_rng([SEED, 90]))
    strips.draw(fresh=200)
    network = Outline() if start is None else taken_up(start, strips.draw(fresh=0, batch=128)[0])
    network = network.to(memory_format=torch.channels_last)
    average = Average(network, Outline(), memory=0.995)

    def loss() -> torch.Tensor:
        images, shares = strips.draw()
        with fast():
            logits = network(images.contiguous(memory_format=torch.channels_last))
        return loss_of(logits.float(), shares)

    peak = RATE if start is None else ONWARD_RATE
    plan = Plan(name="outline", minutes=minutes, peak=peak, warm_up=100)
    fit(network, average, plan, out, loss)
    average.settle(lambda: strips.draw(fresh=0)[0])
    torch.save(average.twin.state_dict(), out / "outline.pt")
