"""Train, export and measure both networks: `python -m models.body_composition.train`.

Needs torch and onnx (the training environment). Budgets are wall-clock minutes, so the number
of steps, and with it the weights, depends on the machine; the order of the random draws does not.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import torch

from models.body_composition.train import export, levels, networks, regions

OUT = Path("train-out")
WEIGHTS = Path(__file__).parents[1] / "weights"


def main() -> None:
    """Run the stages that were asked for, in order."""
    parser = argparse.ArgumentParser(prog="models.body_composition.train", description=__doc__)
    parser.add_argument("stages", nargs="*", default=["cache", "regions", "levels", "export", "measure"])
    parser.add_argument("--minutes", type=float, default=45.0, help="for each network")
    parser.add_argument("--trunks", type=int, default=400)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume", action="store_true", help="start from train-out/*.raw.pt")
    asked = parser.parse_args()
    os.nice(5)
    torch.set_num_threads(asked.threads)
    OUT.mkdir(exist_ok=True)
    for stage in asked.stages:
        if stage == "cache":
            command = [sys.executable, "-m", "models.body_composition.train.cache"]
            subprocess.run([*command, "--count", str(asked.trunks), "--processes", "2"], check=True)
        elif stage == "regions":
            regions.train(asked.minutes, OUT, start=OUT / "regions.raw.pt" if asked.resume else None)
        elif stage == "levels":
            levels.train(asked.minutes, OUT, start=OUT / "levels.raw.pt" if asked.resume else None)
        elif stage == "export":
            write()
        elif stage == "measure":
            from models.body_composition.train import measure

            measure.main()
        else:
            parser.error(f"unknown stage {stage!r}")


def write() -> None:
    """Export whatever is trained."""
    for name, network, patch in (
        ("regions", networks.regions_network(), (regions.SIZE, regions.SIZE)),
        ("levels", networks.levels_network(), levels.PATCH),
    ):
        if not (OUT / f"{name}.pt").exists():
            continue
        network.load_state_dict(torch.load(OUT / f"{name}.pt", weights_only=True))
        difference = export.export(network, patch, WEIGHTS / f"{name}.onnx")
        sys.stdout.write(f"{name}: exported, ONNX Runtime differs from torch by {difference:.1e}\n")


if __name__ == "__main__":
    main()
