"""Train, export and measure both networks: `python -m models.body_composition.train`.

Needs torch and onnx (the training environment). Budgets are wall-clock minutes, so the number
of steps, and with it the weights, depends on the machine; the order of the random draws does not.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import torch

from models.body_composition.train import cache, levels, measure, networks, regions
from models.recipe.export import export

OUT = Path("train-out")
WEIGHTS = Path(__file__).parents[1] / "weights"


STAGES = ("cache", "regions", "levels", "export", "measure")


def main() -> None:
    """Run the stages that were asked for, in order."""
    parser = argparse.ArgumentParser(prog="models.body_composition.train", description=__doc__)
    parser.add_argument("stages", nargs="*", default=STAGES, help=" ".join(STAGES))
    parser.add_argument("--minutes", type=float, default=45.0, help="for each network")
    parser.add_argument("--trunks", type=int, default=300, help="simulated patients in the cache")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", action="store_true", help="start from train-out/*.raw.pt")
    asked = parser.parse_args()
    os.nice(5)
    torch.set_num_threads(asked.threads)
    OUT.mkdir(exist_ok=True)
    starts = {n: OUT / f"{n}.raw.pt" if asked.resume else None for n in ("regions", "levels")}
    for stage in asked.stages:
        if stage == "cache":
            cache.fill(range(asked.trunks), processes=2)
        elif stage == "regions":
            regions.train(asked.minutes, OUT, start=starts["regions"])
        elif stage == "levels":
            levels.train(asked.minutes, OUT, start=starts["levels"])
        elif stage == "export":
            write()
        elif stage == "measure":
            measure.main()
        else:
            parser.error(f"unknown stage {stage!r}; there are {', '.join(STAGES)}")


def write() -> None:
    """Export whatever is trained."""
    for name, network, patch in (
        ("regions", networks.regions_network(), (regions.SIZE, regions.SIZE)),
        ("levels", networks.levels_network(), levels.PATCH),
    ):
        if not (OUT / f"{name}.pt").exists():
            continue
        network.load_state_dict(torch.load(OUT / f"{name}.pt", weights_only=True))
        difference = export(network, patch, WEIGHTS / f"{name}.onnx")
        sys.stdout.write(f"{name}: exported, ONNX Runtime differs from torch by {difference:.1e}\n")


if __name__ == "__main__":
    main()
