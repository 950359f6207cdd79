"""The anatomy network: a U-Net that works at half resolution, and where its training starts."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import nn

from models.anatomy.structures import Structure
from models.body_composition.train.networks import FoldedUNet
from models.phantoms.tissue import Level

PATCH = (64, 64, 96)
"""(slices, rows, columns) of one training block at 4 mm: 256 x 256 x 384 mm."""
STEP_MM = 4.0
WIDTHS = (16, 32, 64, 112)
LAST = 24
LEVELS = Path(__file__).parents[2] / "body_composition" / "weights" / "levels.onnx"
"""The network of vertebral levels, whose features training starts from."""

_BEFORE = {
    Structure.SACRUM: Level.SACRUM,
    Structure.L5: Level.L5,
    Structure.L4: Level.L4,
    Structure.L3: Level.L3,
    Structure.L2: Level.L2,
    Structure.L1: Level.L1,
    Structure.T12: Level.T12,
    Structure.T11: Level.T11,
    Structure.T10: Level.UPPER_THORACIC,
    Structure.UPPER_THORACIC: Level.UPPER_THORACIC,
    Structure.POSTERIOR: Level.POSTERIOR,
    Structure.RIB: Level.RIBS,
    Structure.RIB_11: Level.RIBS,
    Structure.RIB_12: Level.RIBS,
    Structure.HIP_BONE: Level.HIP_BONES,
    Structure.FEMUR: Level.HIP_BONES,
    Structure.LUNG: Level.LUNGS,
    Structure.KIDNEY: Level.KIDNEYS,
}
"""Classes whose weights exist already; every other class starts as background."""


class AnatomyUNet(FoldedUNet):
    """The U-Net of the levels with a wider last stage, for more classes."""

    def __init__(self) -> None:
        super().__init__(len(Structure), WIDTHS, deep=3)
        self.up[-1] = nn.Sequential(
            nn.Conv3d(WIDTHS[1] + WIDTHS[0], LAST, 3, padding=1, bias=False),
            nn.InstanceNorm3d(LAST, affine=True),
            nn.LeakyReLU(0.1, inplace=True),
        )
        self.head = nn.Conv3d(LAST, 8 * len(Structure), 1)


def anatomy_network() -> AnatomyUNet:
    """Classes of `Structure` in a block at 4 mm."""
    return AnatomyUNet()


@torch.no_grad()
def start_from_export(network: AnatomyUNet, path: Path) -> None:
    """Take over all weights of an exported anatomy network.

    Raises:
        KeyError: the file lacks one of them.
    """
    stored = {i.name: i for i in onnx.load(str(path)).graph.initializer}
    for name, mine in network.state_dict().items():
        mine.copy_(torch.from_numpy(numpy_helper.to_array(stored[name]).copy()))


@torch.no_grad()
def start_from_levels(network: AnatomyUNet, path: Path = LEVELS) -> None:
    """Take over the features and the class weights of the network of vertebral levels."""
    stored = {
        i.name: torch.from_numpy(numpy_helper.to_array(i).copy())
        for i in onnx.load(str(path)).graph.initializer
    }
    mine = network.state_dict()
    for name, value in stored.items():
        if name in mine and mine[name].shape == value.shape:
            mine[name].copy_(value)
    kept = WIDTHS[0]
    for part in ("0.weight", "1.weight", "1.bias"):
        mine[f"up.2.{part}"][:kept].copy_(stored[f"up.2.{part}"])
    head, bias = stored["head.weight"], stored["head.bias"]
    mine["head.weight"].mul_(0.3)
    for structure in Structure:
        level = _BEFORE.get(structure, Level.BACKGROUND)
        to, source = slice(8 * structure, 8 * structure + 8), slice(8 * level, 8 * level + 8)
        mine["head.weight"][to, :kept] = head[source]
        mine["head.bias"][to] = bias[source]
