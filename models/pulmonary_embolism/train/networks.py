"""The networks. Strides come early, so that most work is done on coarse grids."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn


def _block(ins: int, outs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(ins, outs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm3d(outs),
        nn.LeakyReLU(0.1, inplace=True),
    )


class FoldedUNet(nn.Module):
    """3D U-Net that works at half resolution: 2x2x2 voxels folded into channels and back.

    The image is first cut into ramps of attenuation (lung, soft tissue, opacified blood), so that
    a clot and blood differ before anything is folded.

    Args:
        classes: output channels. widths: channels per stage, each half as fine as the one
            before. deep: blocks at the coarsest stage. ramps: ends of each, in the 0..1 of the
            image.
    """

    def __init__(
        self,
        classes: int,
        widths: tuple[int, ...],
        deep: int,
        ramps: tuple[tuple[float, float], ...],
    ) -> None:
        super().__init__()
        self.classes = classes
        self.ramps = ramps
        self.fold = nn.Conv3d(len(ramps), widths[0], 4, stride=2, padding=1)
        self.first = _block(widths[0], widths[0])
        self.down = nn.ModuleList()
        for k, (before, width) in enumerate(pairwise(widths)):
            extra = deep if k == len(widths) - 2 else 1
            self.down.append(
                nn.Sequential(
                    _block(before, width, stride=2),
                    *[_block(width, width) for _ in range(extra)],
                )
            )
        self.up = nn.ModuleList()
        before = widths[-1]
        for width in reversed(widths[:-1]):
            self.up.append(_block(before + width, width))
            before = width
        self.head = nn.Conv3d(before, 8 * classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(batch, 1, z, y, x) in 0..1 -> (batch, classes, z, y, x) logits."""
        cut = [((image - low) / (high - low)).clamp(0, 1) for low, high in self.ramps]
        x = self.first(self.fold(torch.cat(cut, 1)))
        kept = [x]
        for stage in self.down:
            x = stage(x)
            kept.append(x)
        for stage, skip in zip(self.up, reversed(kept[:-1]), strict=True):
            x = nn.functional.interpolate(x, scale_factor=2, mode="nearest")
            x = stage(torch.cat([x, skip], 1))
        x = self.head(x)
        x = x.unflatten(1, (self.classes, 2, 2, 2)).permute(0, 1, 5, 2, 6, 3, 7, 4)
        return x.flatten(6, 7).flatten(4, 5).flatten(2, 3)


def _ramps(
    value_range: tuple[float, float], ends_hu: tuple[tuple[float, float], ...]
) -> tuple[tuple[float, float], ...]:
    low, high = value_range
    return tuple(((a - low) / (high - low), (b - low) / (high - low)) for a, b in ends_hu)


CLOTS_RANGE = (-1000.0, 600.0)
CENTRAL_RANGE = (-1000.0, 600.0)
_ENDS_HU = ((-1000.0, -250.0), (-150.0, 130.0), (90.0, 260.0), (200.0, 600.0))


def clots_network() -> FoldedUNet:
    """Vessels, airways and clots in a window at 1.25 mm."""
    return FoldedUNet(4, widths=(32, 48, 80), deep=2, ramps=_ramps(CLOTS_RANGE, _ENDS_HU))


def central_network() -> FoldedUNet:
    """Heart and great vessels of a whole chest at 2.5 mm."""
    return FoldedUNet(9, widths=(16, 32, 64, 96), deep=2, ramps=_ramps(CENTRAL_RANGE, _ENDS_HU))
