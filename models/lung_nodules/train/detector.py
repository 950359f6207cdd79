"""Train the detector: cells in the middle of nodules against all others."""

from __future__ import annotations

import time
from itertools import count
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from models.lung_nodules.train.networks import Detector
from models.lung_nodules.train.pool import REFRESHED_EVERY, Pool, plan_of, toned
from models.lung_nodules.train.samples import NEITHER, NODULE
from models.lung_nodules.train.warm import begin
from models.recipe.ahead import Ahead
from models.recipe.averaging import Average
from models.recipe.fitting import fit
from models.recipe.precision import fast

BATCH = 6
RATE = 2e-3
#: Weight of the size's loss against the detection's.
SIZE_WEIGHT = 0.2
KEPT = 3000
#: A nodule of this mean diameter has so many cells; larger ones have many more, and each of theirs
#: counts less, by this power of their number, or the small ones would hardly be learned, mm.
SMALL_MM, SMALL_CELLS, SHARED = 8.0, 4.2, 0.6


def weight_of(size: torch.Tensor) -> torch.Tensor:
    """Weight of each cell of a nodule, from its mean diameter (1/6 mm)."""
    cells = SMALL_CELLS * (size.float() / 6 / SMALL_MM).clamp(min=1.0) ** 3
    return torch.asarray((SMALL_CELLS / cells) ** SHARED)


def loss_of(
    logits: torch.Tensor, target: torch.Tensor, size: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Focal loss over all cells by the weight of the nodules' cells, and L1 of log2 diameter."""
    positive = (target == NODULE).float()
    counted = (target != NEITHER).float()
    logit = logits[:, 0]
    p = torch.sigmoid(logit)
    likely = torch.where(positive > 0, p, 1 - p)
    cross = functional.binary_cross_entropy_with_logits(logit, positive, reduction="none")
    share = weight_of(size) * positive
    weight = torch.where(positive > 0, share, 0.5) * (1 - likely) ** 2 * counted
    found = share.sum().clamp(min=12)
    heat = (weight * cross).sum() / found
    truth = torch.log2(size.float().clamp(min=6) / 6)
    error = (functional.smooth_l1_loss(logits[:, 1], truth, reduction="none") * share).sum()
    return heat, error / found


def train(minutes: float, out: Path, folders: list[Path], start: Path | None = None) -> None:
    """Train for some minutes of wall clock and write `detector.pt` (and `detector.raw.pt`).

    Args:
        start: weights to go on from, `detector.raw.pt` or an exported `detector.onnx`.
    """
    torch.manual_seed(11)
    rng = np.random.default_rng(11)
    pool = Pool(folders, ("window", "target", "size"), KEPT)
    while pool.refresh() < 60:
        time.sleep(5)
    network = Detector().to(memory_format=torch.channels_last_3d)
    if start is not None:
        rows = np.linspace(0, len(pool) - 1, 24).astype(int)
        begin(network, start, toned(pool.draw(rows, rng)[0], rng))
    average = Average(network, Detector(), memory=0.995)
    steps = count()

    def batch() -> list[torch.Tensor]:
        if next(steps) % REFRESHED_EVERY == 0:
            pool.refresh()
        image, target, size = pool.draw(rng.integers(0, len(pool), BATCH), rng)
        return [toned(image, rng).to(memory_format=torch.channels_last_3d), target, size]

    batches = Ahead(batch)

    def loss() -> torch.Tensor:
        image, target, size = batches()
        with fast():
            logits = network(image)
        heat, error = loss_of(logits.float(), target, size)
        return heat + SIZE_WEIGHT * error

    rate = RATE if start is None else RATE / 2
    fit(network, average, plan_of("detector", minutes, rate), out, loss)
    average.settle(lambda: batches()[0])
    batches.close()
    torch.save(average.twin.state_dict(), out / "detector.pt")
