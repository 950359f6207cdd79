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
WEIGHTS = Path(__file__).parents[1] / "weights"
STAGES = ("cache", "train", "export")


def main() -> None:
    """Run the stages that were asked for, in order."""
    parser = argparse.ArgumentParser(prog="models.anatomy.train", description=__doc__)
    parser.add_argument("stages", nargs="*", default=STAGES, help=" ".join(STAGES))
    parser.add_argument("--minutes", type=float, default=50.0)
    parser.add_argument("--trunks", type=int, default=260, help="simulated patients in the cache")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--resume", action="store_true", help="start from train-out/anatomy.raw.pt")
    asked = parser.parse_args()
    os.nice(5)
    torch.set_num_threads(asked.threads)
    OUT.mkdir(exist_ok=True)
    for stage in asked.stages:
        if stage == "cache":
            cache.fill(range(asked.trunks), processes=2)
        elif stage == "train":
            start = OUT / "anatomy.raw.pt" if asked.resume else None
            training.train(asked.minutes, OUT, seed=asked.seed, start=start)
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
