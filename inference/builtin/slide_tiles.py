"""Tiles of a slide: which there are, and each as the network sees it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from inference.builtin.tissue import TissueMap, coarse_level, tissue_of
from inference.steps import sampling
from inference.steps.chain import preprocess
from inference.steps.image import Image
from inference.steps.verdict import NothingLeft
from models.manifest import ModelManifest, NetworkSpec
from models.manifest_results import TileReading
from node.domain.errors import ModelError
from node.domain.slide import Slide

Floats = NDArray[np.float32]
#: A slide finer than this part of the wanted resolution is not made finer.
_RESOLUTION_TOLERANCE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePlan:
    """The grid of tiles, in the network's resolution.

    Attributes:
        level: that is read. scale: its pixels for one of the network.
        step: from tile to tile, network pixels. patch: (rows, columns) of a tile.
        grid: (rows, columns) of tiles over the whole slide.
        places: (n, 2) (row, column) of the tiles that are looked at, row by row.
        base: pixels of the base level for one of the network.
        tissue: where tissue was seen; None where every tile is looked at.
    """

    level: int
    scale: float
    step: tuple[int, int]
    patch: tuple[int, int]
    grid: tuple[int, int]
    places: NDArray[np.int64]
    base: float
    mpp_um: float
    tissue: TissueMap | None

    @property
    def step_mm2(self) -> float:
        """Area that one tile stands for."""
        return self.step[0] * self.step[1] * (self.mpp_um / 1000.0) ** 2

    @property
    def looked_at_mm2(self) -> float:
        """Area of the tissue; of all tiles where tissue was not looked for."""
        if self.tissue is not None:
            return self.tissue.area_mm2
        return len(self.places) * self.step_mm2

    def corner(self, place: NDArray[np.int64]) -> tuple[int, int]:
        """(row, column) of the first pixel of a tile, network pixels."""
        return int(place[0]) * self.step[0], int(place[1]) * self.step[1]


def plan_tiles(slide: Slide, spec: NetworkSpec, reading: TileReading) -> TilePlan:
    """Which tiles of a slide are looked at.

    Raises:
        NothingLeft: the slide is stained otherwise than the network needs, or coarser, shows no
            tissue, or has more tiles than the package reads.
        ModelError: the network does not look at planar tiles.
    """
    if len(spec.patch) != 2:
        raise ModelError(f"network {spec.name} looks at no planar tiles; correct 'patch:'")
    _check_stains(slide, reading)
    base = slide.levels[0]
    if base.mpp_um > reading.mpp_um * (1 + _RESOLUTION_TOLERANCE):
        raise NothingLeft(
            f"the slide was scanned at {base.mpp_um:.2f} um a pixel; the model needs "
            f"{reading.mpp_um:g} um or finer"
        )
    number = coarse_level(slide, reading.mpp_um)
    scale = reading.mpp_um / slide.levels[number].mpp_um
    patch = (spec.patch[0], spec.patch[1])
    step = tuple(max(1, round(size * (1.0 - reading.overlap))) for size in patch)
    extent = (base.rows * base.mpp_um / reading.mpp_um, base.columns * base.mpp_um / reading.mpp_um)
    grid = tuple(
        max(1, int(np.ceil((length - window) / stride)) + 1) if length > window else 1
        for length, window, stride in zip(extent, patch, step, strict=True)
    )
    tissue = tissue_of(slide) if reading.tissue == "saturation" else None
    every = np.stack(np.meshgrid(*map(np.arange, grid), indexing="ij"), axis=-1).reshape(-1, 2)
    plan = TilePlan(
        level=number,
        scale=scale,
        step=(step[0], step[1]),
        patch=patch,
        grid=(grid[0], grid[1]),
        places=every.astype(np.int64),
        base=reading.mpp_um / base.mpp_um,
        mpp_um=reading.mpp_um,
        tissue=tissue,
    )
    places = plan.places if tissue is None else plan.places[_tissued(plan, tissue, reading)]
    if not len(places):
        raise NothingLeft("no tissue was found on the slide")
    if len(places) > reading.at_most:
        raise NothingLeft(
            f"the slide has {len(places)} tiles of tissue; "
            f"the model reads {reading.at_most} at most"
        )
    return replace(plan, places=places)


def _check_stains(slide: Slide, reading: TileReading) -> None:
    """A number that a network of another stain gives is worse than none."""
    stated = {stain.casefold() for stain in slide.stains}
    lacking = [stain for stain in reading.stains if stain.casefold() not in stated]
    if lacking:
        found = ", ".join(slide.stains) or "none"
        raise NothingLeft(
            f"the slide does not state the stain {' and '.join(lacking)} (it states {found})"
        )


def _tissued(plan: TilePlan, tissue: TissueMap, reading: TileReading) -> NDArray[np.bool_]:
    """Of each place: is enough of it tissue?"""
    sums = np.pad(tissue.mask.cumsum(axis=0, dtype=np.int64).cumsum(axis=1), ((1, 0), (1, 0)))
    factor = plan.mpp_um / tissue.mpp_um
    edges = []
    for axis in range(2):
        first = plan.places[:, axis] * plan.step[axis] * factor
        last = first + plan.patch[axis] * factor
        length = tissue.mask.shape[axis]
        low = np.clip(np.floor(first).astype(np.int64), 0, length)
        edges.append((low, np.clip(np.ceil(last).astype(np.int64), low, length)))
    (top, bottom), (left, right) = edges
    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    area = plan.patch[0] * plan.patch[1] * factor**2
    return np.asarray(inside >= max(reading.least_tissue * area, 1.0), np.bool_)


def tiles_of(slide: Slide, plan: TilePlan, manifest: ModelManifest) -> Iterator[Floats]:
    """(3, *patch) of each place, through `preprocess:`, in the order of the plan."""
    for place in plan.places:
        image = Image(
            values=raw_tile(slide, plan, place).transpose(2, 0, 1)[:, np.newaxis],
            affine=np.eye(4),
        )
        prepared = preprocess(image, manifest.preprocess)
        yield np.ascontiguousarray(prepared.values[:, 0], np.float32)


def raw_tile(slide: Slide, plan: TilePlan, place: NDArray[np.int64]) -> NDArray[np.float32]:
    """(row, column, 3) 0..255 in the network's resolution."""
    row, column = plan.corner(place)
    corner = (round(column * plan.scale), round(row * plan.scale))
    size = (round(plan.patch[1] * plan.scale), round(plan.patch[0] * plan.scale))
    pixels = slide.read(plan.level, corner, size)
    if pixels.shape[:2] == plan.patch:
        return pixels.astype(np.float32)
    channels = sampling.area(pixels.transpose(2, 0, 1), plan.patch)
    return np.ascontiguousarray(channels.transpose(1, 2, 0))


def batches(items: Iterator[Floats], size: int) -> Iterator[Sequence[Floats]]:
    """So many at a time, that a slide of any size needs little memory."""
    held: list[Floats] = []
    for item in items:
        held.append(item)
        if len(held) == size:
            yield held
            held = []
    if held:
        yield held
