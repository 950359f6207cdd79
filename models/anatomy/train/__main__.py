"""Train, export and measure the anatomy network: `python -m models.anatomy.train`.

Needs torch and onnx (the training environment). The budget is wall-clock minutes, so the number
of steps, and with it the weights, depends on the machine; the order of the random draws does not.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import torch

from models.anatomy.sampling import WINDOW
from models.anatomy.train import cache, networks, training
from models.recipe.export import export

OUT = Path("train-out")
FIRST_VARIED, FIRST_WORN = 1000, 2000
WEIGHTS = Path(__file__).parents[1] / "weights"
STAGES = ("cache", "train", "vary", "refine", "wear", "repeat", "export")


def main() -> None:
    """Run the stages that were asked for, in order."""
    parser = argparse.ArgumentParser(prog="models.anatomy.train", description=__doc__)
    parser.add_argument("stages", nargs="*", default=STAGES, help=" ".join(STAGES))
    parser.add_argument("--minutes", type=float, default=50.0, help="of each training")
    parser.add_argument("--trunks", type=int, default=260, help="simulated patients in a cache")
    parser.add_argument("--processes", type=int, default=2, help="that paint them")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument(
        "--start",
        type=Path,
        default=OUT / "anatomy.pt",
        help="what `refine` and `repeat` go on from",
    )
    asked = parser.parse_args()
    os.nice(5)
    torch.set_num_threads(asked.threads)
    OUT.mkdir(exist_ok=True)
    for stage in asked.stages:
        if stage == "cache":
            cache.fill(cache.PLAIN, range(asked.trunks), asked.processes)
        elif stage == "train":
            training.train(asked.minutes, cache.PLAIN, OUT, seed=asked.seed)
        elif stage == "vary":
            # Other people than those of the first training.
            seeds = range(FIRST_VARIED, FIRST_VARIED + asked.trunks)
            cache.fill(cache.VARIED, seeds, asked.processes)
        elif stage == "refine":
            seed, start = asked.seed + 1, asked.start
            training.train(asked.minutes, cache.VARIED, OUT, seed=seed, start=start)
        elif stage == "wear":
            seeds = range(FIRST_WORN, FIRST_WORN + asked.trunks)
            cache.fill(cache.WORN, seeds, asked.processes)
        elif stage == "repeat":
            seed, start = asked.seed + 2, asked.start
            training.train(asked.minutes, cache.WORN, OUT, seed=seed, start=start)
        elif stage == "export":
            write()
        else:
            parser.error(f"unknown stage {stage!r}; there are {', '.join(STAGES)}")


def write() -> None:
    """Export what is trained."""
    network = networks.anatomy_network()
    network.load_state_dict(torch.load(OUT / "anatomy.pt", weights_only=True))
    difference = export(network, WINDOW, WEIGHTS / "anatomy.onnx")
    sys.stdout.write(f"anatomy: exported, ONNX Runtime differs from torch by {difference:.1e}\n")


if __name__ == "__main__":
    main()
