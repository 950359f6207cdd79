"""Training of `levels`: vertebral levels in a block at 4 mm, from simulated trunks."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as nnf

from models.body_composition.train.networks import levels_network
from models.body_composition.train.regions import loss_of
from models.body_composition.train.render import field, gaussian, render
from models.body_composition.train.trunks import TrunkPool
from models.phantoms.tissue import LEVEL_OF, Level
from models.recipe.averaging import Average
from models.recipe.fitting import Plan, fit

VALUE_RANGE = (-250.0, 750.0)
PATCH = (96, 80, 112)
STEP_MM = 4.0
CLASSES = len(Level)
WEIGHTS = torch.tensor([0.04, *[1.0] * 9, 0.5, 0.4, 0.2, 0.05, 0.2])
"""Vertebral bodies are one voxel in a thousand; without weights they are learned last."""
_OF = torch.from_numpy(LEVEL_OF.astype(np.int64))


def scale(hu: torch.Tensor) -> torch.Tensor:
    """HU to the network's 0..1."""
    low, high = VALUE_RANGE
    return ((hu - low) / (high - low)).clamp(0, 1)


def _normal(generator: torch.Generator, sigma: float) -> float:
    return torch.randn((), generator=generator).item() * sigma


def _uniform(generator: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * torch.rand((), generator=generator).item()


def draw_block(pool: TrunkPool, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """(image (1, 1, 96, 80, 112) in 0..1, levels (1, 96, 80, 112) int64)."""
    labels, low = pool.trunk()
    depth, rows, columns = labels.shape
    g = generator
    size = PATCH
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in size]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    turn, lean, tip = _normal(g, 0.09), _normal(g, 0.05), _normal(g, 0.05)
    stretch = [math.exp(_normal(g, 0.07)) for _ in range(3)]
    whole = math.exp(_normal(g, 0.05))
    # In mm; the middle of the block lies anywhere along the trunk.
    top = low + 4 * depth
    middle = _uniform(g, low + 60, top - 60)
    zm = 4 * z * stretch[0] * whole
    ym = 4 * y * stretch[1] * whole
    xm = 4 * x * stretch[2] * whole
    zr = zm + lean * xm + tip * ym
    yr = ym * math.cos(turn) + xm * math.sin(turn) - tip * zm
    xr = xm * math.cos(turn) - ym * math.sin(turn) - lean * zm
    bend = field((1, 3, *size), 5, g)[0] * 5
    zr, yr, xr = zr + 0.6 * bend[0], yr + bend[1], xr + bend[2]
    yr, xr = yr + _normal(g, 14), xr + _normal(g, 14)
    at_z = (zr + middle - low) / 4 + 0.5
    grid = torch.stack([xr / columns, yr / rows, 2 * at_z / depth - 1], -1)
    warped = nnf.grid_sample(
        labels[None, None].float(), grid[None], mode="nearest", align_corners=False
    )[0, 0].long()
    # The scan itself may be short, or cut by a round field of view.
    extent = _uniform(g, 24, PATCH[0] * 1.8)
    start = _uniform(g, 0, PATCH[0]) - extent / 2 if torch.rand((), generator=g) < 0.7 else -999
    stop = start + extent if start > -900 else 999
    plane = torch.arange(PATCH[0], dtype=torch.float32)
    inside_z = (plane >= start) & (plane <= stop)
    if inside_z.sum() < 16:
        inside_z[:] = True
    hu = render(warped[None], g)
    target = _OF[warped][None].clone()
    thick = _uniform(g, 0.0, 0.75)
    hu = gaussian(hu, (thick, _uniform(g, 0.2, 0.55), _uniform(g, 0.2, 0.55)))
    hu = hu + torch.randn(hu.shape, generator=g) * _uniform(g, 1, 25)
    if torch.rand((), generator=g) < 0.4:
        yy = torch.arange(PATCH[1], dtype=torch.float32)[:, None] - PATCH[1] / 2 + _normal(g, 4)
        xx = torch.arange(PATCH[2], dtype=torch.float32)[None, :] - PATCH[2] / 2 + _normal(g, 4)
        far = yy**2 + xx**2 > _uniform(g, 36, 60) ** 2
        hu = hu.masked_fill(far, -1024.0)
        target = target.masked_fill(far, 0)
    hu = hu.masked_fill(~inside_z[None, None, :, None, None], -1024.0)
    target = target.masked_fill(~inside_z[None, :, None, None], 0)
    return scale(hu), target


def train(minutes: float, out: Path, seed: int = 11, start: Path | None = None) -> Path:
    """Train for a wall-clock budget; writes `levels.pt` (averaged weights) and a log."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    pool = TrunkPool(seed)
    network = levels_network()
    if start is not None:
        network.load_state_dict(torch.load(start, weights_only=True))
    average = Average(network, levels_network())
    plan = Plan(
        name="levels", minutes=minutes, peak=2e-3 if start is None else 1.2e-3, warm_up=60,
        told_every=50,
    )  # fmt: skip

    def loss() -> torch.Tensor:
        image, target = draw_block(pool, generator)
        return loss_of(network(image), target, WEIGHTS)

    fit(network, average, plan, out, loss)
    torch.save(average.twin.state_dict(), out / "levels.pt")
    return out / "levels.pt"
