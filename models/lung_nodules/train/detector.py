"""Train the detector: cells in the middle of nodules against all others."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from models.lung_nodules.train.averaging import Average
from models.lung_nodules.train.networks import Detector
from models.lung_nodules.train.pool import Pool, toned
from models.lung_nodules.train.samples import NEITHER, NODULE

BATCH = 6
RATE = 2e-3
#: Weight of the size's loss against the detection's.
SIZE_WEIGHT = 0.2
KEPT = 3000


def loss_of(
    logits: torch.Tensor, target: torch.Tensor, size: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Focal loss over all cells by the number of nodule cells, and L1 of log2 diameter."""
    positive = (target == NODULE).float()
    counted = (target != NEITHER).float()
    logit = logits[:, 0]
    p = torch.sigmoid(logit)
    likely = torch.where(positive > 0, p, 1 - p)
    cross = functional.binary_cross_entropy_with_logits(logit, positive, reduction="none")
    weight = torch.where(positive > 0, 1.0, 0.5) * (1 - likely) ** 2 * counted
    found = positive.sum().clamp(min=20)
    heat = (weight * cross).sum() / found
    truth = torch.log2(size.float().clamp(min=6) / 6)
    error = (functional.smooth_l1_loss(logits[:, 1], truth, reduction="none") * positive).sum()
    return heat, error / found


def train(minutes: float, out: Path, folders: list[Path], start: Path | None = None) -> None:
    """Train for some minutes of wall clock and write `detector.pt` (and `detector.raw.pt`)."""
    torch.manual_seed(11)
    rng = np.random.default_rng(11)
    pool = Pool(folders, ("window", "target", "size"), KEPT)
    while pool.refresh() < 60:
        time.sleep(5)
    network = Detector()
    if start is not None:
        network.load_state_dict(torch.load(start, weights_only=True))
    network.train()
    average = Average(network, Detector())
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=1e-3)
    began, step, means = time.perf_counter(), 0, []
    while (part := (time.perf_counter() - began) / (60 * minutes)) < 1:
        for group in optimiser.param_groups:
            group["lr"] = (
                RATE * min(1.0, (step + 1) / 200) * (0.5 * (1 + np.cos(np.pi * part)) + 0.01)
            )
        if step % 50 == 0:
            pool.refresh()
        rows = rng.integers(0, len(pool), BATCH)
        image, target, size = pool.draw(rows, rng)
        with torch.autocast("cpu", torch.bfloat16):
            logits = network(toned(image, rng))
        heat, error = loss_of(logits.float(), target, size)
        optimiser.zero_grad()
        (heat + SIZE_WEIGHT * error).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        average.update(network)
        means.append((float(heat.detach()), float(error.detach())))
        step += 1
        if step % 100 == 0:
            heat_mean, size_mean = np.mean(means[-100:], axis=0)
            sys.stdout.write(
                f"detector {part:.2f} step {step} heat {heat_mean:.4f} size {size_mean:.4f} "
                f"pool {len(pool)} {time.perf_counter() - began:.0f} s\n"
            )
            sys.stdout.flush()
        if step % 500 == 0:
            torch.save(network.state_dict(), out / "detector.raw.pt")
    average.settle(lambda: toned(pool.draw(rng.integers(0, len(pool), BATCH), rng)[0], rng))
    torch.save(average.twin.state_dict(), out / "detector.pt")
    torch.save(network.state_dict(), out / "detector.raw.pt")
