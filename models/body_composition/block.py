"""Tissue volumes from T12 to L5, as far as in view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.body_composition.compartments import Labels, measured
from models.body_composition.levels import NAMED, LevelMap
from models.body_composition.tissues import RULES, Tissue, tissue_masks
from models.grid import Grid
from node.domain.imaging import Network

#: Thinner slices than this are sampled, since compartments change little within it.
SAMPLE_MM = 5.0
_BLOCK = ("L5", "L4", "L3", "L2", "L1", "T12")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Volumes over a stated stretch of the spine.

    Attributes:
        name: e.g. "T12-L5", or "L2-L5" where no more is whole and in view.
        first, last: canonical slices, both measured.
        step: every how many slices were measured.
        ml: volume of each tissue.
    """

    name: str
    first: int
    last: int
    step: int
    ml: Mapping[Tissue, float]


def stretch(levels: LevelMap, count: int) -> tuple[str, int, int] | None:
    """Name, first and last slice of the longest unbroken run of whole bodies round L3."""
    whole = [n for n in _BLOCK if n in levels.bodies and not levels.bodies[n].cut]
    if "L3" not in whole:
        return None
    run = ["L3"]
    at = NAMED.index("L3")
    for names, grow in ((reversed(_BLOCK[:at]), run.insert), (_BLOCK[at + 1 :], None)):
        for name in names:
            if name not in whole:
                break
            if grow is None:
                run.append(name)
            else:
                grow(0, name)
    low = levels.bodies[run[0]].lowest
    high = levels.bodies[run[-1]].highest
    first, last = max(0, int(np.ceil(low))), min(count - 1, int(np.floor(high)))
    name = run[0] if len(run) == 1 else f"{run[-1]}-{run[0]}"
    return name, first, last


def measure_block(grid: Grid, network: Network, found: tuple[str, int, int]) -> Block:
    """Volumes over the stretch; each measured slice stands for itself and those left out."""
    name, first, last = found
    step = max(1, int(SAMPLE_MM / grid.spacing_mm[0]))
    slices = range(first, last + 1, step)
    ml = block_volumes(grid, network, slices)
    scale = (last - first + 1) / len(slices)
    return Block(
        name=name,
        first=first,
        last=last,
        step=step,
        ml={tissue: value * scale for tissue, value in ml.items()},
    )


def block_volumes(grid: Grid, network: Network, slices: Sequence[int]) -> dict[Tissue, float]:
    """Volume of each tissue on the given canonical slices, ml."""

    def counted(index: int, labels: Labels) -> dict[Tissue, int]:
        masks = tissue_masks(labels, grid.hu[index], grid.spacing_mm[1:])
        return {tissue: int(np.count_nonzero(mask)) for tissue, mask in masks.items()}

    voxels = dict.fromkeys(RULES, 0)
    for counts in measured(grid, network, slices, counted):
        for tissue, count in counts.items():
            voxels[tissue] += count
    return {tissue: count * grid.voxel_ml for tissue, count in voxels.items()}
