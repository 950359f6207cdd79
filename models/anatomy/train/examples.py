"""Training examples: simulated trunks bent, scanned and cut differently every time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as nnf
from torch.utils.data import IterableDataset

from models.anatomy.intensity import scale
from models.anatomy.train.cache import STEPS_MM, STRUCTURE_OF, TISSUE_OF
from models.anatomy.train.densities import densities, rim
from models.anatomy.train.networks import PATCH, STEP_MM
from models.body_composition.train.render import field, gaussian
from models.phantoms.tissue import BONES, Tissue

_KEPT = 120
_TISSUES = torch.from_numpy(TISSUE_OF)
_STRUCTURES = torch.from_numpy(STRUCTURE_OF)
_JITTER = ((0.0, 0.0, 0.0), (0.3, -0.3, 0.35))
"""Where within a voxel the labels are read, in voxels: borders become mixtures."""


def _flags(tissues: tuple[Tissue, ...]) -> torch.Tensor:
    flags = torch.zeros(64, dtype=torch.bool)
    flags[[int(t) for t in tissues]] = True
    return flags


_BONE = _flags(BONES)
_HARD = (*BONES, Tissue.DISC, Tissue.CANAL, Tissue.AIR, Tissue.LUNG, Tissue.BOWEL_GAS,
         Tissue.TABLE, Tissue.CLOTHES, Tissue.METAL, Tissue.SKIN)  # fmt: skip
_SOFT = _flags(tuple(t for t in Tissue if t not in _HARD))


def uniform(generator: torch.Generator, low: float, high: float) -> float:
    """One draw between two limits."""
    return low + (high - low) * torch.rand((), generator=generator).item()


def normal(generator: torch.Generator, sigma: float) -> float:
    """One draw around 0."""
    return torch.randn((), generator=generator).item() * sigma


class TrunkPool:
    """Codes of cached trunks; files that the cache writer adds are picked up as they come."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._rng = np.random.default_rng(seed)
        self._kept: list[tuple[torch.Tensor, float]] = []
        self._drawn = 0

    def _load(self) -> tuple[torch.Tensor, float]:
        files = sorted(p for p in self._folder.glob("*.npz") if "part" not in p.name)
        if not files:
            raise SystemExit(f"{self._folder} is empty; fill the cache first")
        with np.load(files[int(self._rng.integers(len(files)))]) as stored:
            return torch.from_numpy(stored["codes"]), float(stored["low"])

    def trunk(self) -> tuple[torch.Tensor, float]:
        """(codes (z, y, x) uint8 at 3 x 2 x 2 mm, z of slice 0 from mid-L3 in mm)."""
        self._drawn += 1
        if len(self._kept) < _KEPT and self._drawn % 2 == 1:
            self._kept.append(self._load())
            return self._kept[-1]
        if self._drawn % 8 == 0:
            self._kept[int(self._rng.integers(len(self._kept)))] = self._load()
        return self._kept[int(self._rng.integers(len(self._kept)))]


def _places(
    codes: torch.Tensor, low: float, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """(sampling grid (z, y, x, 3) into the codes, size of one voxel in its units (3,))."""
    g = generator
    depth, rows, columns = codes.shape
    axes = [torch.arange(n, dtype=torch.float32) - (n - 1) / 2 for n in PATCH]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    turn, lean, tip = normal(g, 0.1), normal(g, 0.05), normal(g, 0.06)
    whole = math.exp(normal(g, 0.08))
    stretch = [STEP_MM * whole * math.exp(normal(g, 0.08)) for _ in range(3)]
    high = low + STEPS_MM[0] * depth
    middle = uniform(g, low + 40, high - 40)
    zm, ym, xm = z * stretch[0], y * stretch[1], x * stretch[2]
    zr = zm + lean * xm + tip * ym
    yr = ym * math.cos(turn) + xm * math.sin(turn) - tip * zm
    xr = xm * math.cos(turn) - ym * math.sin(turn) - lean * zm
    broad = field((1, 3, *PATCH), 4, g)[0] * uniform(g, 0, 10)
    fine = field((1, 3, *PATCH), 10, g)[0] * uniform(g, 0, 4)
    bend = broad + fine
    zr = zr + 0.7 * bend[0] + middle - low
    yr = yr + bend[1] + normal(g, 14)
    xr = xr + bend[2] + normal(g, 16)
    at = torch.stack(
        [
            xr / (STEPS_MM[2] * columns / 2),
            yr / (STEPS_MM[1] * rows / 2),
            2 * (zr / STEPS_MM[0] + 0.5) / depth - 1,
        ],
        -1,
    )
    voxel = torch.tensor(
        [
            stretch[2] / (STEPS_MM[2] * columns / 2),
            stretch[1] / (STEPS_MM[1] * rows / 2),
            2 * stretch[0] / STEPS_MM[0] / depth,
        ]
    )
    return at, voxel


def _seams(hu: torch.Tensor, tissue: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Thin fat between organs and muscles that touch; patchy, as in a real patient."""
    soft = _SOFT[tissue]
    seam = torch.zeros_like(hu)
    for axis in range(3):
        other = tissue.roll(1, axis)
        seam += ((tissue != other) & soft & _SOFT[other]).float()
    patchy = (field((1, 1, *PATCH), 12, generator)[0, 0] + uniform(generator, -1, 1)).clamp(0, 1)
    return hu - seam.clamp(max=1) * patchy * uniform(generator, 0, 110)


def _render(
    codes: torch.Tensor, at: torch.Tensor, voxel: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """(HU (1, 1, *PATCH) without noise, codes at the voxels' middles (*PATCH))."""
    g = generator
    table = densities(g)
    source = codes[None, None].float()
    total = torch.zeros(PATCH)
    middle = torch.zeros(PATCH, dtype=torch.long)
    for k, (dx, dy, dz) in enumerate(_JITTER):
        moved = at + voxel * torch.tensor([dx, dy, dz])
        read = nnf.grid_sample(source, moved[None], mode="nearest", align_corners=False)
        found = read[0, 0].long()
        total += table[_TISSUES[found]]
        if k == 0:
            middle = found
    hu = total / len(_JITTER)
    tissue = _TISSUES[middle]
    bone = _BONE[tissue].float()[None, None]
    inner = 1 - nnf.max_pool3d(1 - bone, (1, 3, 3), 1, (0, 1, 1))
    hu = hu + (bone - inner)[0, 0] * uniform(g, 40, 380)
    hu = hu + rim(tissue == Tissue.KIDNEY, g)
    hu = _seams(hu, tissue, g)
    soft = _SOFT[tissue].float()
    hu = hu + field((1, 1, *PATCH), 4, g)[0, 0] * uniform(g, 0, 9)
    hu = hu + field((1, 1, *PATCH), 26, g)[0, 0] * soft * uniform(g, 0, 22)
    return hu[None, None], middle


class Examples(IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    """Endless examples of one seed; drawn in a process of its own beside the training."""

    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__()
        self._folder = folder
        self._seed = seed

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """(image (1, 1, *PATCH), structures (1, *PATCH)), as `draw` gives them."""
        torch.set_num_threads(1)
        generator = torch.Generator().manual_seed(self._seed)
        pool = TrunkPool(self._folder, self._seed)
        while True:
            yield draw(pool, generator)


def draw(pool: TrunkPool, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """(image (1, 1, *PATCH) in 0..1, structures (1, *PATCH) int64)."""
    g = generator
    codes, low = pool.trunk()
    at, voxel = _places(codes, low, g)
    hu, middle = _render(codes, at, voxel, g)
    target = _STRUCTURES[middle][None].clone()
    thick = uniform(g, 0.0, 0.9)
    plane = uniform(g, 0.1, 0.55)
    hu = gaussian(hu, (thick, plane, plane))
    if torch.rand((), generator=g) < 0.25:
        # A sharp kernel overshoots at borders.
        hu = hu + uniform(g, 0, 0.8) * (hu - gaussian(hu, (0.0, 0.7, 0.7)))
    grain = torch.randn(hu.shape, generator=g)
    if torch.rand((), generator=g) < 0.5:
        grain = gaussian(grain, (0.0, 0.6, 0.6)) * 1.6
    hu = hu + grain * uniform(g, 1, 28)
    if torch.rand((), generator=g) < 0.35:
        yy = torch.arange(PATCH[1], dtype=torch.float32)[:, None] - PATCH[1] / 2 + normal(g, 4)
        xx = torch.arange(PATCH[2], dtype=torch.float32)[None, :] - PATCH[2] / 2 + normal(g, 4)
        far = yy**2 + xx**2 > uniform(g, 34, 58) ** 2
        hu = hu.masked_fill(far, -1024.0)
        target = target.masked_fill(far, 0)
    planes = torch.arange(PATCH[0], dtype=torch.float32)
    if torch.rand((), generator=g) < 0.65:
        extent = uniform(g, 20, PATCH[0] * 1.5)
        start = uniform(g, 0, PATCH[0]) - extent / 2
        inside = (planes >= start) & (planes <= start + extent)
        if inside.sum() >= 12:
            hu = hu.masked_fill(~inside[None, None, :, None, None], -1024.0)
            target = target.masked_fill(~inside[None, :, None, None], 0)
    return scale(hu), target
