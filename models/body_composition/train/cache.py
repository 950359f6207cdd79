"""Simulated trunks for training, painted once and kept on disk.

`python -m models.body_composition.train.cache --count 400` writes
`train-out/trunks/<seed>.npz`: labels (z, y, x) uint8 at 4 x 2 x 2 mm, trimmed to the patient.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from pathlib import Path

import numpy as np

from models.phantoms.anatomy import paint_trunk

STEPS_MM = (4.0, 2.0, 2.0)
FOLDER = Path("train-out") / "trunks"


def write(seed: int) -> str:
    """Paint one trunk and file it, unless it is there."""
    path = FOLDER / f"{seed:07d}.npz"
    if path.exists():
        return str(path)
    trunk = paint_trunk(seed, STEPS_MM)
    part = path.with_suffix(".part.npz")
    np.savez_compressed(
        part,
        labels=trunk.canvas.labels,
        origin=np.array([trunk.canvas.z[0], trunk.canvas.y[0], trunk.canvas.x[0]]),
        bone_hu=np.float32(trunk.person.bone_hu),
    )
    part.rename(path)
    return str(path)


def fill(seeds: range, processes: int) -> None:
    """Paint and file the trunks of `seeds` with a pool of processes."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for _ in pool.imap_unordered(write, seeds):
            pass


def main() -> None:
    """Fill the cache."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--processes", type=int, default=1)
    asked = parser.parse_args()
    os.nice(5)
    fill(range(asked.first, asked.first + asked.count), asked.processes)


if __name__ == "__main__":
    main()
