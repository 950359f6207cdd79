"""Cubes cut out of whole simulated chests: the anatomy that a cube drawn alone has not.

`python -m models.lung_nodules.train.chests --first 0 --count 40` adds shards of samples beside
those of `samples`. Chests of training seeds only.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from models.lung_nodules.train.mining import detector_finder
from models.lung_nodules.train.parenchyma import EXTENT_MM, SIZE, STEP_MM, Cube
from models.lung_nodules.train.samples import Finder, Shard, add_draws
from models.phantoms.chest import Block, ChestOptions, build_chest, simulate_block
from models.phantoms.chest_setup import prepare
from models.phantoms.chest_tissue import ChestTissue, Lobe

FOLDER = Path("train-out") / "nodule-chests"
#: Cubes of twice the size, for the second look that finds masses.
WIDE_FOLDER = Path("train-out") / "nodule-wide"
BLOCKS, DRAWS = 6, 2
WIDE_SCALE = 2.0
#: Every second chest has scars, bands and collapsed sheets; so many of its blocks lie at one.
AT_FINDING = 0.5
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


def options_of(seed: int, scale: float) -> ChestOptions:
    """How a chest is drawn: with findings or as a clean lung, without motion."""
    findings = seed % 3 != 0 if scale > 1 else seed % 2 == 1
    return ChestOptions(motion=0.0, noise_hu=1.0, findings=findings)


def draw_blocks(seed: int, count: int = BLOCKS, scale: float = 1.0) -> list[Cube]:
    """Cubes of one chest, most of them where its vessels run."""
    rng = np.random.default_rng([seed, 9 if scale == 1 else 12])
    anatomy = build_chest(seed)
    findings = prepare(seed, options_of(seed, scale)).scene.findings
    marked = [s.points[len(s.points) // 2] for s in findings.strands]
    marked += [plate.centre for plate in findings.plates]
    cubes = []
    for _ in range(count):
        if scale == 1 and marked and rng.random() < AT_FINDING:
            at = marked[int(rng.integers(len(marked)))] + rng.normal(0, 10, 3)
            cubes.append(_cube(seed, (float(at[0]), float(at[1]), float(at[2])), scale))
            continue
        tree = anatomy.arteries if rng.random() < 0.5 else anatomy.veins
        branches = [b for b in tree.branches if b.lobe is not Lobe.MEDIASTINUM]
        if scale > 1 and rng.random() < 0.6:
            # The hilum, where central masses grow.
            branches = sorted(branches, key=lambda b: -float(b.radius_mm.mean()))[:12]
        branch = branches[int(rng.integers(len(branches)))]
        at = branch.points[int(rng.integers(len(branch.points)))] + rng.normal(0, 14 * scale, 3)
        cubes.append(_cube(seed, (float(at[0]), float(at[1]), float(at[2])), scale))
    return cubes


def _cube(seed: int, centre: tuple[float, float, float], scale: float) -> Cube:
    block = simulate_block(
        seed,
        Block(
            centre_mm=centre, size_mm=(EXTENT_MM * scale,) * 3, spacing_mm=(STEP_MM * scale,) * 3
        ),
        options_of(seed, scale),
    )
    if block.clean.shape != (SIZE,) * 3:
        raise RuntimeError(f"a block of {block.clean.shape} instead of {SIZE} voxels each way")
    return Cube(
        hu=np.asarray(block.clean, np.float32),
        lung=np.isin(block.labels, _LUNG),
        vessel=np.isin(block.labels, _VESSEL),
        # A granuloma is a nodule that the samples call something else: left out of the loss.
        doubtful=block.labels == ChestTissue.GRANULOMA,
        scale=scale,
    )


def write(seed: int, folder: Path = FOLDER, finder: Finder | None = None) -> Path:
    """The shard of one chest, unless it is there."""
    return _write(seed, folder, finder, 1.0)


def write_wide(seed: int, folder: Path = WIDE_FOLDER, finder: Finder | None = None) -> Path:
    """The shard of wide cubes of one chest, unless it is there."""
    return _write(seed, folder, finder, WIDE_SCALE)


def _write(seed: int, folder: Path, finder: Finder | None, scale: float) -> Path:
    path = folder / f"cube-{seed:07d}.npz"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        shard = Shard()
        rng = np.random.default_rng([seed, 10 if scale == 1 else 13])
        for cube in draw_blocks(seed, scale=scale):
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
    parser.add_argument("--wide", action="store_true", help="cubes of twice the size, for masses")
    parser.add_argument("--mine", type=Path, help="detector.onnx whose mistakes are kept")
    asked = parser.parse_args()
    finder = detector_finder(asked.mine) if asked.mine else None
    for seed in range(asked.first, asked.first + asked.count):
        if asked.wide:
            write_wide(seed, WIDE_FOLDER, finder)
        else:
            write(seed, FOLDER, finder)


if __name__ == "__main__":
    main()
