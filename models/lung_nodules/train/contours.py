"""Train the contour: which voxels are the nodule in the middle, its veil of ground glass too?

It is a refiner that goes on with other samples: nodules alone, part-solid ones far more often than
nature has them, for there the refiner draws the solid core and leaves out the veil.
"""

from __future__ import annotations

import time
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import torch

from models.lung_nodules.train import samples
from models.lung_nodules.train.networks import Contour, Refiner
from models.lung_nodules.train.parenchyma import STEP_MM, Cube, draw_cube
from models.lung_nodules.train.pool import REFRESHED_EVERY, Pool, plan_of, toned
from models.lung_nodules.train.refiner import shape_loss
from models.lung_nodules.train.scanner import scanned
from models.lung_nodules.train.warm import begin
from models.phantoms.insertion import Physics, Scan
from models.phantoms.nodules import Density
from models.recipe.ahead import Ahead
from models.recipe.averaging import Average
from models.recipe.fitting import fit
from models.recipe.precision import fast

FOLDER = Path("train-out") / "nodule-contours"
BATCH, RATE, KEPT = 10, 1e-3, 12000
#: Samples that training begins with.
FIRST = 300
#: Draws of one cube, and nodules that are tried in each.
DRAWS, NODULES = 6, 4
#: Mean diameters, mm: log-uniform.
SIZES_MM = (3.5, 30.0)
#: What a nodule is; the rest as nature has it.
SHARES = {Density.PART_SOLID: 0.4, Density.GROUND_GLASS: 0.2}


def write(seed: int, folder: Path = FOLDER) -> Path:
    """The samples of one cube: `patch`, `mask` (share, 0..255) and `diameter`, as of `samples`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"cube-{seed:07d}.npz"
    if path.exists():
        return path
    shard = samples.Shard()
    draw(shard, draw_cube(seed), np.random.default_rng([seed, 9]))
    if shard.patch:
        part = path.with_name("part-" + path.name)
        np.savez(
            part,
            patch=np.stack(shard.patch),
            mask=np.stack(shard.mask),
            diameter=np.array(shard.diameter, np.float32),
        )
        part.rename(path)
    return path


def draw(shard: samples.Shard, cube: Cube, rng: np.random.Generator) -> None:
    """Several draws of one cube, turned, each with nodules and seen by another scanner."""
    for _ in range(DRAWS):
        turned = samples.turn_cube(cube, rng)
        ideal = Physics(blur_mm=0.3, slice_mm=STEP_MM, noise_hu=0.0, grain_mm=0.5)
        scan = Scan(hu=turned.hu.copy(), spacing_mm=(STEP_MM,) * 3, physics=ideal)
        nodules = samples.put_nodules(scan, turned, rng, NODULES, partial(_kind, rng))
        seen = scanned(scan.hu, rng, cube.scale)
        noise = (float(np.exp(rng.uniform(np.log(4), np.log(75)))), float(rng.uniform(0.3, 0.9)))
        samples.add_patches(shard, seen, nodules, (noise, rng, []))


def _kind(rng: np.random.Generator) -> tuple[float, Density | None]:
    """Diameter, mm, and density."""
    low, high = np.log(SIZES_MM)
    return float(np.exp(rng.uniform(low, high))), density(rng)


def density(rng: np.random.Generator) -> Density | None:
    """Of one nodule; None for what nature has."""
    drawn = rng.random()
    for density, share in SHARES.items():
        if drawn < share:
            return density
        drawn -= share
    return None


def train(minutes: float, out: Path, start: Path, folder: Path = FOLDER) -> None:
    """Train for some minutes of wall clock and write `contour.pt` (and `contour.raw.pt`).

    Args:
        start: of a refiner to go on from, `refiner.raw.pt` or an exported `refiner.onnx`.
    """
    torch.manual_seed(13)
    rng = np.random.default_rng(13)
    pool = Pool([folder], ("patch", "mask", "diameter"), KEPT)
    while pool.refresh() < FIRST:
        time.sleep(5)
    network = Contour().to(memory_format=torch.channels_last_3d)
    own = Refiner()
    begin(own, start, toned(pool.draw(np.linspace(0, len(pool) - 1, 48).astype(int), rng)[0], rng))
    network.begin_as(own)
    average = Average(network, Contour(), memory=0.995)
    steps = count()

    def batch() -> list[torch.Tensor]:
        if next(steps) % REFRESHED_EVERY == 0:
            pool.refresh()
        rows = rng.choice(len(pool), BATCH)
        image, share, _ = pool.draw(rows, rng)
        return [toned(image, rng).to(memory_format=torch.channels_last_3d), share]

    batches = Ahead(batch)

    def loss() -> torch.Tensor:
        image, share = batches()
        with fast():
            mask = network(image)
        return shape_loss(mask.float(), share.float() / 255).mean()

    fit(network, average, plan_of("contour", minutes, RATE), out, loss)
    average.settle(lambda: batches()[0])
    batches.close()
    torch.save(average.twin.state_dict(), out / "contour.pt")
