"""Cubes cut out of whole simulated chests: the anatomy that a cube drawn alone has not.

`python -m models.lung_nodules.train.chests --first 0 --count 40` adds shards of samples beside
those of `samples`. Chests of training seeds only.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from models.lung_nodules.train.mining import detector_finder
from models.lung_nodules.train.parenchyma import EXTENT_MM, SIZE, STEP_MM, Cube
from models.lung_nodules.train.samples import Finder, Shard, add_draws
from models.phantoms.chest import Block, ChestOptions, build_chest, simulate_block
from models.phantoms.chest_tissue import ChestTissue, Lobe

FOLDER = Path("train-out") / "nodule-chests"
BLOCKS, DRAWS = 6, 2
_LUNG = (
    *(t for t in ChestTissue if t.name.endswith("_LOBE")),
    ChestTissue.FISSURE,
    ChestTissue.AIRWAY,
    ChestTissue.AIRWAY_WALL,
    ChestTissue.PULMONARY_ARTERY,
    ChestTissue.PULMONARY_VEIN,
    ChestTissue.SCAR,
    ChestTissue.BULLA,
)
_VESSEL = (ChestTissue.PULMONARY_ARTERY, ChestTissue.PULMONARY_VEIN)


def draw_blocks(seed: int, count: int = BLOCKS) -> list[Cube]:
    """Cubes of one chest, most of them where its vessels run."""
    rng = np.random.default_rng([seed, 9])
    anatomy = build_chest(seed)
    cubes = []
    for _ in range(count):
        tree = anatomy.arteries if rng.random() < 0.5 else anatomy.veins
        branches = [b for b in tree.branches if b.lobe is not Lobe.MEDIASTINUM]
        branch = branches[int(rng.integers(len(branches)))]
        at = branch.points[int(rng.integers(len(branch.points)))] + rng.normal(0, 14, 3)
        cubes.append(_cube(seed, (float(at[0]), float(at[1]), float(at[2]))))
    return cubes


def _cube(seed: int, centre: tuple[float, float, float]) -> Cube:
    # Its granulomas would be nodules that the samples call something else.
    options = ChestOptions(motion=0.0, noise_hu=1.0, findings=False)
    block = simulate_block(
        seed,
        Block(centre_mm=centre, size_mm=(EXTENT_MM,) * 3, spacing_mm=(STEP_MM,) * 3),
        options,
    )
    if block.clean.shape != (SIZE,) * 3:
        raise RuntimeError(f"a block of {block.clean.shape} instead of {SIZE} voxels each way")
    return Cube(
        hu=np.asarray(block.clean, np.float32),
        lung=np.isin(block.labels, _LUNG),
        vessel=np.isin(block.labels, _VESSEL),
    )


def write(seed: int, folder: Path = FOLDER, finder: Finder | None = None) -> Path:
    """The shard of one chest, unless it is there."""
    path = folder / f"cube-{seed:07d}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shard = Shard()
        rng = np.random.default_rng([seed, 10])
        for cube in draw_blocks(seed):
            if cube.lung.mean() > 0.1:
                add_draws(shard, cube, rng, DRAWS, finder)
        if shard.patch:
            shard.save(path)
    return path


def main() -> None:
    """Write the shards of a range of chests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--mine", type=Path, help="detector.onnx whose mistakes are kept")
    asked = parser.parse_args()
    os.nice(5)
    finder = detector_finder(asked.mine) if asked.mine else None
    for seed in range(asked.first, asked.first + asked.count):
        write(seed, FOLDER, finder)


if __name__ == "__main__":
    main()
