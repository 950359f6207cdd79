"""Windows out of whole simulated chests, for the second half of the training of `clots`.

They show what the random scenes lack: real order of arteries, veins and bronchi, hila, heart and
diaphragm. Made once and kept on disk: (z, y, x) int16 HU as scanned, and labels.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.phantoms.chest import (
    Block,
    ChestOptions,
    ChestTissue,
    ContrastPhase,
    Kernel,
    build_chest,
    simulate_block,
)
from models.phantoms.clots import Clot, ClotOptions, draw_clots, lesion_of
from models.phantoms.vessel_tree import Level
from models.pulmonary_embolism.train.scenes import AIRWAY, CLOT, SIZE, STEP_MM, VESSEL

Window = tuple[NDArray[np.float32], NDArray[np.uint8]]
#: Blocks are this much larger than a window, so that a window can be cut anywhere in them.
EDGE = SIZE + 8
_OF = np.zeros(256, np.uint8)
_OF[[ChestTissue.PULMONARY_ARTERY, ChestTissue.PULMONARY_VEIN]] = VESSEL
_OF[[ChestTissue.AIRWAY, ChestTissue.AIRWAY_WALL, ChestTissue.TRACHEA]] = AIRWAY


def _options(rng: np.random.Generator) -> ChestOptions:
    routine = rng.random() < 0.35
    return ChestOptions(
        phase=ContrastPhase.ROUTINE if routine else ContrastPhase.PULMONARY,
        kernel=Kernel.LUNG if rng.random() < 0.35 else Kernel.SOFT,
        strength=float(rng.uniform(0.85, 1.3) if routine else rng.uniform(0.55, 1.3)),
        noise_hu=float(rng.uniform(6, 34)),
        motion=float(rng.uniform(0, 1.6)),
        thickness_mm=float(rng.choice([1.0, 1.25, 2.0, 3.0])),
        arms_up=True,
    )


def _middle(clot: Clot) -> NDArray[np.float64]:
    course = clot.course
    steps = np.linalg.norm(np.diff(course.points, axis=0), axis=1)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.random.default_rng(round(1e3 * clot.start_mm)).uniform(clot.start_mm, clot.stop_mm)
    return np.array([np.interp(at, way, course.points[:, k]) for k in range(3)])


def make(seed: int, count: int, folder: Path) -> Path:
    """`count` blocks of one chest with clots, most of them at a clot."""
    path = folder / f"{seed:07d}.npz"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 81])
    tree = build_chest(seed).arteries
    wide = [
        k for k in tree.of_level(Level.CENTRAL, Level.LOBAR, Level.SEGMENTAL)
        if tree.branches[k].radius_mm.mean() > 1.2
    ]  # fmt: skip
    hu, labels = [], []
    size = (EDGE * STEP_MM,) * 3
    base = _options(rng)
    for _ in range(count):
        clots = draw_clots(tree, ClotOptions(count=int(rng.integers(3, 7)), saddle=0.15), rng)
        at_clot = bool(clots) and rng.random() < 0.62
        if at_clot:
            centre = _middle(clots[int(rng.integers(len(clots)))])
        else:
            branch = tree.branches[int(rng.choice(wide))]
            centre = branch.points[int(rng.integers(len(branch.points)))]
        centre = centre + rng.normal(0, 9, 3)
        # The same arms and noise pattern cost least; the rest changes from block to block.
        options = replace(_options(rng), arms_up=base.arms_up)
        block = simulate_block(
            seed,
            Block(
                centre_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
                size_mm=size,
                spacing_mm=(STEP_MM,) * 3,
            ),
            options,
            lesions=[lesion_of(clot, f"clot {k}") for k, clot in enumerate(clots)],
        )
        truth = _OF[block.labels]
        for lesion in block.lesions.values():
            truth[lesion.box][lesion.share >= 0.45] = CLOT
        hu.append(np.clip(np.rint(block.hu), -1024, 3000).astype(np.int16)[:EDGE, :EDGE, :EDGE])
        labels.append(truth[:EDGE, :EDGE, :EDGE])
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, hu=np.stack(hu), labels=np.stack(labels))
    part.rename(path)
    return path


def fill(folder: Path, seeds: range, count: int) -> None:
    """Blocks of many chests."""
    for seed in seeds:
        make(seed, count, folder)


class Crops:
    """Windows cut and mirrored at random; new files are picked up as they come."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: dict[Path, tuple[NDArray[np.int16], NDArray[np.uint8]]] = {}

    def __call__(self, rng: np.random.Generator) -> Window:
        """(hu, labels) of a window."""
        files = sorted(self._folder.glob("*.npz"))
        path = files[int(rng.integers(len(files)))]
        if path not in self._kept:
            with np.load(path) as stored:
                self._kept[path] = (stored["hu"], stored["labels"])
        hu, labels = self._kept[path]
        number = int(rng.integers(len(hu)))
        start = rng.integers(0, [n - SIZE + 1 for n in hu.shape[1:]])
        box = tuple(slice(int(a), int(a) + SIZE) for a in start)
        flips = tuple(slice(None, None, int(rng.choice([1, -1]))) for _ in range(3))
        image = hu[number][box][flips].astype(np.float32)
        image += rng.normal(size=image.shape).astype(np.float32) * float(rng.uniform(0, 14))
        return image, labels[number][box][flips].copy()
