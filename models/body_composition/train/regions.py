"""Training of `regions`: compartments of an axial slice at 2 mm, from simulated trunks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as nnf

from models.body_composition.train.networks import regions_network
from models.body_composition.train.render import field, gaussian, render
from models.body_composition.train.trunks import TrunkPool
from models.phantoms.tissue import COMPARTMENT_OF, Compartment
from models.recipe.averaging import Average
from models.recipe.fitting import Plan, fit

VALUE_RANGE = (-250.0, 250.0)
SIZE = 256
CROP = (160, 224)
"""Trained on the middle of the window, where the patient is; the rest is air."""
STEP_MM = 2.0
CLASSES = len(Compartment)
BATCH = 6
WEIGHTS = torch.ones(CLASSES)
_OF = torch.from_numpy(COMPARTMENT_OF.astype(np.int64))


def scale(hu: torch.Tensor) -> torch.Tensor:
    """HU to the network's 0..1."""
    low, high = VALUE_RANGE
    return ((hu - low) / (high - low)).clamp(0, 1)


def _grid(batch: int, shape: tuple[int, int], generator: torch.Generator) -> torch.Tensor:
    """Sampling grid with rotation, scaling, shift and elastic bending; (batch, *CROP, 2)."""
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in CROP]
    yy, xx = torch.meshgrid(*axes, indexing="ij")
    base = torch.stack([xx, yy], -1).expand(batch, *CROP, 2)
    turn = torch.randn(batch, generator=generator) * 0.09
    wild = torch.rand(batch, generator=generator) < 0.12
    turn = torch.where(wild, turn * 5, turn)
    zoom = torch.exp(torch.randn(batch, 2, generator=generator) * 0.09)
    shift = torch.randn(batch, 2, generator=generator) * torch.tensor([12.0, 10.0])
    c, s = torch.cos(turn), torch.sin(turn)
    x = c[:, None, None] * base[..., 0] - s[:, None, None] * base[..., 1]
    y = s[:, None, None] * base[..., 0] + c[:, None, None] * base[..., 1]
    bend = field((batch, 2, *CROP), 7, generator) * 2.6
    bend = bend + field((batch, 2, *CROP), 22, generator) * 0.55
    x = x * zoom[:, 0, None, None] + shift[:, 0, None, None] + bend[:, 0]
    y = y * zoom[:, 1, None, None] + shift[:, 1, None, None] + bend[:, 1]
    rows, columns = shape
    return torch.stack([x / (columns / 2), y / (rows / 2)], -1)


def draw_batch(
    pool: TrunkPool, batch: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """(image (batch, 1, *CROP) in 0..1, compartments (batch, *CROP) int64)."""
    pairs = [pool.slices(generator) for _ in range(batch)]
    shape = (max(p.shape[1] for p in pairs), max(p.shape[2] for p in pairs))
    stack = torch.zeros(batch, 2, *shape)
    for k, pair in enumerate(pairs):
        top, left = (shape[0] - pair.shape[1]) // 2, (shape[1] - pair.shape[2]) // 2
        stack[k, :, top : top + pair.shape[1], left : left + pair.shape[2]] = pair
    grid = _grid(batch, shape, generator)
    labels = nnf.grid_sample(stack, grid, mode="nearest", align_corners=False).long()
    state = generator.get_state()
    first = render(labels[:, 0], generator)
    generator.set_state(state)
    second = render(labels[:, 1], generator)
    weight = torch.rand(batch, 1, 1, 1, generator=generator) * 0.5
    hu = (1 - weight) * first + weight * second
    target = _OF[labels[:, 0]]
    sharp = 0.25 + 0.55 * torch.rand((), generator=generator).item()
    hu = gaussian(hu, (sharp, sharp))
    noise = torch.randn(hu.shape, generator=generator)
    grain = torch.rand((), generator=generator).item()
    noise = gaussian(noise, (grain, grain)) * (1 + 1.6 * grain)
    level = 2 + 26 * torch.rand(batch, 1, 1, 1, generator=generator) ** 2
    hu = hu + noise * level
    rows, columns = (torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in CROP)
    radius = torch.rand(batch, generator=generator) * 60 + 92
    centre = torch.randn(batch, 2, generator=generator) * 9
    wide = torch.rand(batch, generator=generator) < 0.55
    radius = torch.where(wide, torch.full_like(radius, 400.0), radius)
    far = (rows[None, :, None] - centre[:, 0, None, None]) ** 2 + (
        columns[None, None, :] - centre[:, 1, None, None]
    ) ** 2 > radius[:, None, None] ** 2
    hu = hu.masked_fill(far.unsqueeze(1), -1024.0)
    target = target.masked_fill(far, 0)
    return scale(hu), target


def loss_of(logits: torch.Tensor, target: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted cross-entropy plus soft Dice over the classes that are present."""
    classes = len(weights)
    logs = logits.log_softmax(1)
    at_truth = logs.gather(1, target.unsqueeze(1)).flatten()
    flat = target.flatten()
    share = weights[flat]
    entropy = -(at_truth * share).sum() / share.sum()
    overlap = torch.zeros(classes).index_add(0, flat, at_truth.exp())
    count = torch.bincount(flat, minlength=classes).float()
    total = logs.exp().sum((0, *range(2, logits.ndim))) + count
    dice = (2 * overlap + 1) / (total + 1)
    return entropy + (1 - dice[count > 0]).mean()


def train(minutes: float, out: Path, seed: int = 7, start: Path | None = None) -> Path:
    """Train for a wall-clock budget; writes `regions.pt` (averaged weights) and a log."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    pool = TrunkPool(seed)
    network = regions_network().to(memory_format=torch.channels_last)
    if start is not None:
        network.load_state_dict(torch.load(start, weights_only=True))
    average = Average(network, regions_network())
    plan = Plan(
        name="regions", minutes=minutes, peak=2e-3 if start is None else 1e-3, warm_up=100,
        told_every=50,
    )  # fmt: skip

    def loss() -> torch.Tensor:
        image, target = draw_batch(pool, BATCH, generator)
        return loss_of(network(image), target, WEIGHTS)

    fit(network, average, plan, out, loss)
    average.settle(lambda: draw_batch(pool, BATCH, generator)[0], batches=24)
    torch.save(average.twin.state_dict(), out / "regions.pt")
    return out / "regions.pt"
