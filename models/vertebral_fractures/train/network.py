"""The outline network: a small U-Net for one strip."""

from __future__ import annotations

import torch
from torch import nn


def _block(ins: int, outs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(ins, outs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outs, outs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outs),
        nn.ReLU(inplace=True),
    )


class Outline(nn.Module):
    """(batch, 1, 64, 64) in 0..1 -> (batch, 3, 64, 64) logits: other, the body, its neighbours."""

    WIDTHS = (16, 32, 64, 96)

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = self.WIDTHS
        self.first, self.second = _block(1, a), _block(a, b)
        self.third, self.fourth = _block(b, c), _block(c, d)
        self.narrow = nn.ModuleList([nn.Conv2d(d, c, 1), nn.Conv2d(c, b, 1), nn.Conv2d(b, a, 1)])
        self.merge = nn.ModuleList([_block(2 * c, c), _block(2 * b, b), _block(2 * a, a)])
        self.head = nn.Conv2d(a, 3, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """As the class says."""
        kept = [self.first(image)]
        for stage in (self.second, self.third, self.fourth):
            kept.append(stage(nn.functional.max_pool2d(kept[-1], 2)))
        x = kept.pop()
        for narrow, merge in zip(self.narrow, self.merge, strict=True):
            x = nn.functional.interpolate(narrow(x), scale_factor=2, mode="nearest")
            x = merge(torch.cat([x, kept.pop()], 1))
        return self.head(x)
