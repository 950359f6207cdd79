"""One network, trained for a budget of wall-clock minutes."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from models.recipe.averaging import Average

#: Steps between two saves of the weights.
SAVED_EVERY = 100


def quarter_cosine(done: float) -> float:
    """Falls from 1 to 0.02, ever faster."""
    return 0.02 + 0.98 * math.cos(done * math.pi / 2)


def half_cosine(done: float) -> float:
    """Falls from 1 to 0.01, slowly at both ends."""
    return 0.5 * (1 + math.cos(math.pi * done)) + 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a network is trained.

    Attributes:
        name: of its files. minutes: of wall clock, so that the number of steps depends on the
            machine. peak: learning rate after `warm_up` steps.
        fall: share of the peak, by the part of the budget that is spent.
        memory: of the running mean of the loss. told_every: steps between two lines of the log.
    """

    name: str
    minutes: float
    peak: float
    warm_up: int
    fall: Callable[[float], float] = quarter_cosine
    weight_decay: float = 1e-4
    memory: float = 0.97
    told_every: int = 25


def fit(
    network: nn.Module, average: Average, plan: Plan, out: Path, loss: Callable[[], torch.Tensor]
) -> None:
    """Minimise the loss of fresh batches.

    Writes `NAME.raw.pt` (weights), `NAME.avg.pt` (averaged) and `NAME.log.json` into `out`.

    Args:
        loss: draws a batch and gives the loss of `network` on it.
    """
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=plan.peak, weight_decay=plan.weight_decay
    )
    log: list[dict[str, float]] = []
    begin, step, running = time.monotonic(), 0, 0.0
    network.train()
    while (done := (time.monotonic() - begin) / 60 / plan.minutes) < 1:
        for group in optimiser.param_groups:
            group["lr"] = plan.peak * min(1, (step + 1) / plan.warm_up) * plan.fall(done)
        optimiser.zero_grad(set_to_none=True)
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        average.update(network)
        now = value.item()
        running = now if step == 0 else plan.memory * running + (1 - plan.memory) * now
        step += 1
        if step % plan.told_every == 0:
            spent = round(done * plan.minutes, 2)
            log.append({"step": step, "minutes": spent, "loss": round(running, 4)})
            (out / f"{plan.name}.log.json").write_text(json.dumps(log))
        if step % SAVED_EVERY == 0:
            _save(network, average, plan.name, out)
    _save(network, average, plan.name, out)


def _save(network: nn.Module, average: Average, name: str, out: Path) -> None:
    torch.save(network.state_dict(), out / f"{name}.raw.pt")
    torch.save(average.twin.state_dict(), out / f"{name}.avg.pt")
