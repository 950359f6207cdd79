"""Draw samples, train, export: `python -m models.lung_nodules.train`.

Needs torch and onnx (the training environment). Budgets are wall-clock minutes, so the number
of steps, and with it the weights, depends on the machine; the order of the random draws does not.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from models.lung_nodules.train import chests, contours, detector, mining, refiner, samples
from models.lung_nodules.train.networks import Contour, Detector, Refiner
from models.recipe.export import export

OUT = Path("train-out")
WEIGHTS = Path(__file__).parents[1] / "weights"
STAGES = (
    "samples", "wide", "detector", "export", "mined", "refiner", "export",
    "contours", "contour", "export",
)  # fmt: skip


def main() -> None:
    """Run the stages that were asked for, in order."""
    parser = argparse.ArgumentParser(prog="models.lung_nodules.train", description=__doc__)
    parser.add_argument("stages", nargs="*", default=STAGES, help=" ".join(STAGES))
    parser.add_argument("--minutes", type=float, default=40.0, help="for each network")
    parser.add_argument("--first", type=int, default=0, help="first seed of `contours`")
    parser.add_argument("--cubes", type=int, default=215, help="simulated cubes of lung")
    parser.add_argument("--chests", type=int, default=40, help="simulated chests")
    parser.add_argument("--wide", type=int, default=20, help="simulated chests for masses")
    parser.add_argument("--mined", type=int, default=150, help="cubes with the detector's mistakes")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--start", type=Path, help="folder with weights to go on from: NAME.raw.pt or NAME.onnx"
    )
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    OUT.mkdir(exist_ok=True)
    starts = {name: _start(asked.start, name) for name in ("detector", "refiner")}
    for stage in asked.stages:
        if stage not in STAGES:
            parser.error(f"unknown stage {stage!r}; there are {', '.join(STAGES)}")
        _run(stage, asked, starts)


def _start(folder: Path | None, name: str) -> Path | None:
    """Weights to go on from, the trainable form first."""
    if folder is None:
        return None
    for path in (folder / f"{name}.raw.pt", folder / f"{name}.onnx"):
        if path.exists():
            return path
    raise SystemExit(f"no weights of the {name} in {folder}")


def _run(stage: str, asked: argparse.Namespace, starts: dict[str, Path | None]) -> None:
    folders = [samples.FOLDER, chests.FOLDER, chests.WIDE_FOLDER]
    {
        "samples": lambda: _draw(asked),
        "wide": lambda: [chests.write_wide(seed) for seed in range(asked.wide)],
        "mined": lambda: _mine(asked),
        "contours": lambda: [
            contours.write(seed) for seed in range(asked.first, asked.first + asked.cubes)
        ],
        "detector": lambda: detector.train(asked.minutes, OUT, folders, starts["detector"]),
        "refiner": lambda: refiner.train(asked.minutes, OUT, folders, starts["refiner"]),
        "contour": lambda: contours.train(
            asked.minutes, OUT, starts["refiner"] or WEIGHTS / "refiner.onnx"
        ),
        "export": write,
    }[stage]()


def _draw(asked: argparse.Namespace) -> None:
    """Samples of cubes drawn alone, and out of whole chests."""
    for seed in range(asked.cubes):
        samples.write(seed)
    for seed in range(asked.chests):
        chests.write(seed)


def _mine(asked: argparse.Namespace) -> None:
    """Samples with what the detector takes for nodules."""
    finder = mining.detector_finder(WEIGHTS / "detector.onnx")
    for seed in range(asked.cubes, asked.cubes + asked.mined):
        samples.write(seed, samples.FOLDER, finder)
    for seed in range(asked.chests, asked.chests + asked.mined // 5):
        chests.write(seed, chests.FOLDER, finder)
    for seed in range(asked.wide, asked.wide + asked.mined // 10):
        chests.write_wide(seed, chests.WIDE_FOLDER, finder)


def write() -> None:
    """Export whatever is trained."""
    for name, network, patch, outputs in (
        ("detector", Detector(), samples.WINDOW, ("heat",)),
        ("refiner", Refiner(), samples.PATCH, ("mask", "score")),
        ("contour", Contour(), samples.PATCH, ("mask",)),
    ):
        if not (OUT / f"{name}.pt").exists():
            continue
        network.load_state_dict(torch.load(OUT / f"{name}.pt", weights_only=True))
        difference = export(network, (patch,) * 3, WEIGHTS / f"{name}.onnx", outputs)
        sys.stdout.write(f"{name}: exported, ONNX Runtime differs from torch by {difference:.1e}\n")


if __name__ == "__main__":
    main()
