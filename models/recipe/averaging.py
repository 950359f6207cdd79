"""Averaged weights: a running mean that forgets the random start quickly."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


class Average:
    """Exponential mean of a network's parameters and buffers with a warm-up of its memory.

    Attributes:
        twin: the same network, with the averaged weights.
    """

    def __init__(self, network: nn.Module, twin: nn.Module, memory: float = 0.99) -> None:
        self.twin = twin.eval()
        self.twin.load_state_dict(network.state_dict())
        self._memory = memory
        self._steps = 0

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take one step of the network into the mean."""
        self._steps += 1
        keep = min(self._memory, self._steps / (self._steps + 9))
        mine = self.twin.state_dict()
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                mine[name].lerp_(value, 1 - keep)
            else:
                mine[name].copy_(value)

    @torch.no_grad()
    def settle(self, draw: Callable[[], torch.Tensor], batches: int = 40) -> None:
        """Measure the batch statistics of the averaged weights afresh, where there are any."""
        norms = [m for m in self.twin.modules() if isinstance(m, (nn.BatchNorm2d, nn.BatchNorm3d))]
        if not norms:
            return
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        self.twin.train()
        for _ in range(batches):
            self.twin(draw())
        self.twin.eval()
