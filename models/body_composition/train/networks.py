"""The two compact U-Nets. Strides come early, so that most work is done on coarse grids."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import nn

Make = Callable[..., nn.Module]


def _block(make_conv: Make, make_norm: Make, ins: int, outs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        make_conv(ins, outs, 3, stride=stride, padding=1, bias=False),
        make_norm(outs),
        nn.LeakyReLU(0.1, inplace=True),
    )


class CompactUNet(nn.Module):
    """U-Net with a thin full-resolution rim and wide coarse stages, in 2D or 3D.

    Args:
        dims: 2 or 3. classes: output channels. rim: channels at full resolution.
        widths: channels after each halving. deep: blocks at the coarsest stage.
    """

    def __init__(
        self, dims: int, classes: int, rim: int, widths: tuple[int, ...], deep: int
    ) -> None:
        super().__init__()
        conv = nn.Conv2d if dims == 2 else nn.Conv3d
        norm = nn.BatchNorm2d if dims == 2 else (lambda n: nn.InstanceNorm3d(n, affine=True))
        self.mode = "bilinear" if dims == 2 else "trilinear"
        self.rim = _block(conv, norm, 1, rim)
        self.down = nn.ModuleList()
        before = rim
        for k, width in enumerate(widths):
            extra = deep if k == len(widths) - 1 else 1
            self.down.append(
                nn.Sequential(
                    _block(conv, norm, before, width, stride=2),
                    *[_block(conv, norm, width, width) for _ in range(extra)],
                )
            )
            before = width
        self.up = nn.ModuleList()
        for width in reversed(widths[:-1]):
            self.up.append(_block(conv, norm, before + width, width))
            before = width
        self.last = _block(conv, norm, before + rim, max(2 * rim, 12))
        self.head = conv(max(2 * rim, 12), classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(batch, 1, *spatial) in 0..1 -> (batch, classes, *spatial) logits."""
        rim = self.rim(image)
        kept = []
        x = rim
        for stage in self.down:
            x = stage(x)
            kept.append(x)
        for stage, skip in zip(self.up, reversed(kept[:-1]), strict=True):
            x = nn.functional.interpolate(x, scale_factor=2, mode=self.mode, align_corners=False)
            x = stage(torch.cat([x, skip], 1))
        x = nn.functional.interpolate(x, scale_factor=2, mode=self.mode, align_corners=False)
        return self.head(self.last(torch.cat([x, rim], 1)))


class FoldedUNet(nn.Module):
    """3D U-Net that works at half resolution: 2x2x2 voxels folded into channels and back.

    Args:
        classes: output channels. widths: channels per stage, each half as fine as the one
            before. deep: blocks at the coarsest stage.
    """

    def __init__(self, classes: int, widths: tuple[int, ...], deep: int) -> None:
        super().__init__()
        self.classes = classes

        def norm(n: int) -> nn.Module:
            return nn.InstanceNorm3d(n, affine=True)

        conv = nn.Conv3d
        self.fold = nn.Conv3d(1, widths[0], 4, stride=2, padding=1)
        self.first = _block(conv, norm, widths[0], widths[0])
        self.down = nn.ModuleList()
        for k, (before, width) in enumerate(pairwise(widths)):
            extra = deep if k == len(widths) - 2 else 1
            self.down.append(
                nn.Sequential(
                    _block(conv, norm, before, width, stride=2),
                    *[_block(conv, norm, width, width) for _ in range(extra)],
                )
            )
        self.up = nn.ModuleList()
        before = widths[-1]
        for width in reversed(widths[:-1]):
            self.up.append(_block(conv, norm, before + width, width))
            before = width
        self.head = nn.Conv3d(before, 8 * classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """(batch, 1, z, y, x) in 0..1 -> (batch, classes, z, y, x) logits."""
        x = self.first(self.fold(image))
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


def regions_network() -> CompactUNet:
    """Compartments of one axial slice: 7 classes at 2 mm."""
    return CompactUNet(2, 7, rim=8, widths=(24, 40, 72, 112, 144), deep=2)


def levels_network() -> CompactUNet:
    """Vertebral levels of a block: 15 classes at 4 mm."""
    return FoldedUNet(15, widths=(16, 32, 64, 112), deep=3)
