"""Train the refiner: is there a nodule in the middle, and which voxels are it?"""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from models.lung_nodules.train.networks import Refiner
from models.lung_nodules.train.pool import REFRESHED_EVERY, Pool, plan_of, toned
from models.lung_nodules.train.warm import begin
from models.recipe.ahead import Ahead
from models.recipe.averaging import Average
from models.recipe.fitting import fit
from models.recipe.precision import fast

BATCH = 12
RATE = 2e-3
KEPT = 8000
#: Nodules up to this size are drawn so many times as often, mm.
SMALL_MM, SMALL_WEIGHT = 7.0, 2.0


def loss_of(
    mask: torch.Tensor, score: torch.Tensor, share: torch.Tensor, label: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Soft Dice and cross-entropy of the mask (nodules only), cross-entropy of the score.

    Args:
        share: (batch, z, y, x) 0..1 of each voxel. label: (batch,) 1 for a nodule.
    """
    is_nodule = label.float()
    kind = functional.binary_cross_entropy_with_logits(score[:, 0], is_nodule)
    p = torch.sigmoid(mask[:, 0])
    each = shape_loss(mask, share) * is_nodule
    # Where there is no nodule the mask stays empty, but that matters little.
    empty = 0.02 * p.mean((1, 2, 3)) * (1 - is_nodule)
    return (each + empty).sum() / is_nodule.sum().clamp(min=1), kind


def shape_loss(mask: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    """(batch,) soft Dice and cross-entropy of each mask; arguments as of `loss_of`."""
    logit = mask[:, 0]
    p = torch.sigmoid(logit)
    overlap = 2 * (p * share).sum((1, 2, 3)) + 1.0
    dice = 1 - overlap / (p.pow(2).sum((1, 2, 3)) + share.pow(2).sum((1, 2, 3)) + 1.0)
    cross = functional.binary_cross_entropy_with_logits(logit, share, reduction="none")
    return dice + 0.3 * cross.sum((1, 2, 3)) / (share.sum((1, 2, 3)) + 60.0)


def _rows(label: np.ndarray, diameter: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Half nodules, small ones among them more often than they were drawn, half others."""
    nodules, others = np.flatnonzero(label), np.flatnonzero(label == 0)
    weight = np.where(diameter[nodules] < SMALL_MM, SMALL_WEIGHT, 1.0)
    drawn = rng.choice(nodules, BATCH // 2, p=weight / weight.sum())
    return np.concatenate([drawn, rng.choice(others, BATCH // 2)])


def train(minutes: float, out: Path, folders: list[Path], start: Path | None = None) -> None:
    """Train for some minutes of wall clock and write `refiner.pt` (and `refiner.raw.pt`).

    Args:
        start: weights to go on from, `refiner.raw.pt` or an exported `refiner.onnx`.
    """
    torch.manual_seed(12)
    rng = np.random.default_rng(12)
    pool = Pool(folders, ("patch", "mask", "label", "diameter"), KEPT)
    while pool.refresh() < 150:
        time.sleep(5)
    network = Refiner().to(memory_format=torch.channels_last_3d)
    if start is not None:
        rows = np.linspace(0, len(pool) - 1, 48).astype(int)
        begin(network, start, toned(pool.draw(rows, rng)[0], rng))
    average = Average(network, Refiner(), memory=0.995)
    steps = count()

    def batch() -> list[torch.Tensor]:
        if next(steps) % REFRESHED_EVERY == 0:
            pool.refresh()
        rows = _rows(pool.arrays["label"], pool.arrays["diameter"], rng)
        image, share, label, _ = pool.draw(rows, rng)
        return [toned(image, rng).to(memory_format=torch.channels_last_3d), share, label]

    batches = Ahead(batch)

    def loss() -> torch.Tensor:
        image, share, label = batches()
        with fast():
            mask, score = network(image)
        shape, kind = loss_of(mask.float(), score.float(), share.float() / 255, label)
        return shape + kind

    rate = RATE if start is None else RATE / 2
    fit(network, average, plan_of("refiner", minutes, rate), out, loss)
    average.settle(lambda: batches()[0])
    batches.close()
    torch.save(average.twin.state_dict(), out / "refiner.pt")
