"""Train and export: `python -m models.vertebral_fractures.train`.

Needs torch and onnx (the training environment).
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import torch

from models.recipe.export import export
from models.vertebral_fractures.train.golden import write_golden
from models.vertebral_fractures.train.network import Outline
from models.vertebral_fractures.train.spines import EDGE
from models.vertebral_fractures.train.training import train

WEIGHTS = Path(__file__).parents[1] / "weights"
STAGES = ("train", "export", "golden")


def main() -> None:
    """Run the stages that were asked for, in order."""
    parser = argparse.ArgumentParser(prog="models.vertebral_fractures.train", description=__doc__)
    parser.add_argument("stages", nargs="*", default=STAGES, help=" ".join(STAGES))
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--onward", action="store_true", help="train the exported network on")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("train-out/vertebral_fractures"))
    asked = parser.parse_args()
    os.nice(5)
    torch.set_num_threads(asked.threads)
    asked.out.mkdir(parents=True, exist_ok=True)
    for stage in asked.stages:
        if stage == "train":
            train(asked.minutes, asked.out, WEIGHTS / "outline.onnx" if asked.onward else None)
        elif stage == "export":
            network = Outline()
            network.load_state_dict(torch.load(asked.out / "outline.pt", weights_only=True))
            difference = export(network, (EDGE, EDGE), WEIGHTS / "outline.onnx")
            sys.stdout.write(f"exported, ONNX Runtime differs by {difference:.1e}\n")
        elif stage == "golden":
            write_golden()
        else:
            parser.error(f"unknown stage {stage!r}; there are {', '.join(STAGES)}")


if __name__ == "__main__":
    main()
