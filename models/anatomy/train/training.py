"""Training of the anatomy network on simulated trunks."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from models.anatomy.structures import Structure
from models.anatomy.train.examples import Examples
from models.anatomy.train.networks import anatomy_network, start_from_levels
from models.body_composition.train.regions import loss_of
from models.recipe.averaging import Average


def _weights() -> torch.Tensor:
    """Share of each class in the cross-entropy: small structures would be learned last."""
    weights = torch.full((len(Structure),), 0.35)
    weights[Structure.OUTSIDE] = 0.04
    weights[Structure.BODY] = 0.12
    weights[Structure.LIMB] = 0.05
    for large in (Structure.LUNG, Structure.LIVER, Structure.PELVIC_MUSCLE):
        weights[large] = 0.15
    for body in range(Structure.SACRUM, Structure.DISC):
        weights[body] = 1.0
    for small in (Structure.DISC, Structure.RIB_11, Structure.RIB_12, Structure.QUADRATUS):
        weights[small] = 0.8
    return weights


WEIGHTS = _weights()


def train(minutes: float, out: Path, seed: int = 17, start: Path | None = None) -> Path:
    """Train for a wall-clock budget; writes `anatomy.pt` (averaged weights) and a log."""
    torch.manual_seed(seed)
    examples = iter(DataLoader(Examples(seed), batch_size=None, num_workers=1, prefetch_factor=4))
    network = anatomy_network()
    if start is None:
        start_from_levels(network)
    else:
        network.load_state_dict(torch.load(start, weights_only=True))
    average = Average(network, anatomy_network())
    peak = 3e-3
    optimiser = torch.optim.AdamW(network.parameters(), lr=peak, weight_decay=1e-4)
    log: list[dict[str, float]] = []
    begin, step, running = time.monotonic(), 0, 0.0
    while (done := (time.monotonic() - begin) / 60 / minutes) < 1:
        fall = 0.02 + 0.98 * math.cos(done * math.pi / 2)
        for group in optimiser.param_groups:
            group["lr"] = peak * min(1, (step + 1) / 60) * fall
        image, target = next(examples)
        optimiser.zero_grad(set_to_none=True)
        loss = loss_of(network(image), target, WEIGHTS)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        average.update(network)
        running = loss.item() if step == 0 else 0.97 * running + 0.03 * loss.item()
        step += 1
        if step % 25 == 0:
            now = round(done * minutes, 2)
            log.append({"step": step, "minutes": now, "loss": round(running, 4)})
            (out / "anatomy.log.json").write_text(json.dumps(log))
        if step % 50 == 0:
            torch.save(network.state_dict(), out / "anatomy.raw.pt")
            torch.save(average.twin.state_dict(), out / "anatomy.pt")
    torch.save(network.state_dict(), out / "anatomy.raw.pt")
    torch.save(average.twin.state_dict(), out / "anatomy.pt")
    return out / "anatomy.pt"
