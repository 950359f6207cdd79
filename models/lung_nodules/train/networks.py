"""The three compact networks. The detector strides first; the refiner keeps one thin fine stage."""

from __future__ import annotations

import torch
from torch import nn


def _block(ins: int, outs: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv3d(ins, outs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm3d(outs),
        nn.ReLU(inplace=True),
    )


class _Stage(nn.Module):
    """Two blocks with a way round the second."""

    def __init__(self, ins: int, outs: int, stride: int) -> None:
        super().__init__()
        self.first = _block(ins, outs, stride)
        self.again = _block(outs, outs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        return x + self.again(x)


class _Merge(nn.Module):
    """Coarse features brought up and added to the finer ones."""

    def __init__(self, coarse: int, fine: int) -> None:
        super().__init__()
        self.narrow = nn.Conv3d(coarse, fine, 1)
        self.block = _block(fine, fine)

    def forward(self, coarse: torch.Tensor, fine: torch.Tensor) -> torch.Tensor:
        up = nn.functional.interpolate(self.narrow(coarse), scale_factor=2, mode="nearest")
        return self.block(up + fine)


class Detector(nn.Module):
    """(batch, 1, 64, 64, 64) in 0..1 at 1 mm -> (batch, 2, 32, 32, 32).

    Channel 0: logit that a cell of 2 mm lies in the middle of a nodule. Channel 1: log2 of the
    nodule's mean diameter in mm, where it is one.
    """

    WIDTHS = (16, 32, 64, 96)

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = self.WIDTHS
        self.fold = nn.Sequential(
            nn.Conv3d(1, a, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm3d(a),
            nn.ReLU(inplace=True),
            _block(a, a),
        )
        self.second = _Stage(a, b, 2)
        self.third = _Stage(b, c, 2)
        self.fourth = _Stage(c, d, 2)
        self.up = nn.ModuleList([_Merge(d, c), _Merge(c, b), _Merge(b, a)])
        self.head = nn.Conv3d(a, 2, 1)
        nn.init.constant_(self.head.bias, 0.0)
        with torch.no_grad():
            self.head.bias[0] = -4.0
            self.head.bias[1] = 3.0

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        kept = [self.fold(image)]
        for stage in (self.second, self.third, self.fourth):
            kept.append(stage(kept[-1]))
        x = kept.pop()
        for merge, fine in zip(self.up, reversed(kept), strict=True):
            x = merge(x, fine)
        return self.head(x)


class _Drawer(nn.Module):
    """What refiner and contour share: features, and the mask that is drawn of them."""

    WIDTHS = (16, 32, 64)

    def __init__(self) -> None:
        super().__init__()
        a, b, c = self.WIDTHS
        self.fold = nn.Sequential(
            nn.Conv3d(1, a, 4, stride=2, padding=1, bias=False),
            nn.BatchNorm3d(a),
            nn.ReLU(inplace=True),
            _block(a, a),
        )
        self.second = _Stage(a, b, 2)
        self.third = _Stage(b, c, 2)
        self.up = nn.ModuleList([_Merge(c, b), _Merge(b, a)])
        self.mask = nn.Conv3d(a, 8, 1)
        nn.init.constant_(self.mask.bias, -3.0)

    def draw(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The mask, and the features of the second and the third stage on their way down."""
        first = self.fold(image)
        second = self.second(first)
        third = self.third(second)
        x = self.up[0](third, second)
        x = self.up[1](x, first)
        # Eight logits of each cell to voxels.
        fine = self.mask(x).unflatten(1, (1, 2, 2, 2)).permute(0, 1, 5, 2, 6, 3, 7, 4)
        return fine.flatten(6, 7).flatten(4, 5).flatten(2, 3), second, third


class Refiner(_Drawer):
    """(batch, 1, 48, 48, 48) in 0..1 -> mask (batch, 1, 48, 48, 48), score (batch, 1).

    mask: logit of each voxel that it belongs to the nodule in the middle. score: logit that
    there is a nodule in the middle.
    """

    def __init__(self) -> None:
        super().__init__()
        _, b, c = self.WIDTHS
        self.score = nn.Sequential(nn.Linear(c + b, 48), nn.ReLU(inplace=True), nn.Linear(48, 1))

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """As the class says."""
        mask, second, third = self.draw(image)
        # What lies in the middle decides: its cells, and the whole for what surrounds it.
        centre = torch.cat(
            [
                third[:, :, 2:4, 2:4, 2:4].mean((2, 3, 4)),
                second[:, :, 4:8, 4:8, 4:8].amax((2, 3, 4)),
            ],
            1,
        )
        return mask, self.score(centre)


class Contour(_Drawer):
    """A refiner that draws only: (batch, 1, 48, 48, 48) in 0..1 -> mask, as of the refiner."""

    def begin_as(self, refiner: Refiner) -> None:
        """Take the weights of a refiner, without its score."""
        own = self.state_dict()
        self.load_state_dict(
            {name: value for name, value in refiner.state_dict().items() if name in own}
        )

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """As the class says."""
        return self.draw(image)[0]
