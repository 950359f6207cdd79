"""Train, export and measure the networks: `python -m models.pulmonary_embolism.train`.

Needs torch and onnx (the training environment). Budgets are wall-clock minutes, so the number
of steps, and with it the weights, depends on the machine; the order of the random draws does not.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

from models.pulmonary_embolism import anatomy, candidates
from models.pulmonary_embolism.train import (
    certainty,
    clots,
    crops,
    golden,
    hearts,
    networks,
)
from models.recipe.export import export

OUT = Path("train-out") / "pulmonary_embolism"
PACKAGE = Path(__file__).parents[1]
STAGES = (
    "hearts", "central", "crops", "chests", "clots", "export", "certainty", "golden",
)  # fmt: skip


def main() -> None:
    """Run the stages that were asked for, in order."""
    parser = argparse.ArgumentParser(prog="models.pulmonary_embolism.train", description=__doc__)
    parser.add_argument("stages", nargs="*", default=STAGES, help=" ".join(STAGES))
    parser.add_argument("--minutes", type=float, default=60.0, help="for each network")
    # One thread: with more, a busy machine waits at every layer for the slowest of them.
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--chests", type=int, default=30, help="simulated chests of a stage")
    parser.add_argument("--first", type=int, default=0, help="seed of the first chest")
    parser.add_argument("--blocks", type=int, default=10, help="blocks of each chest for `clots`")
    parser.add_argument("--most-clots", type=int, default=16, help="of a whole chest")
    parser.add_argument("--seed", type=int, default=5, help="of the draws for `clots`")
    parser.add_argument("--share", type=float, default=0.6, help="of chests among its windows")
    parser.add_argument("--resume", action="store_true", help="start from the last raw weights")
    parser.add_argument("--start", type=Path, help="weights, raw or exported, to go on from")
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    OUT.mkdir(parents=True, exist_ok=True)
    for stage in asked.stages:
        if stage not in STAGES:
            parser.error(f"unknown stage {stage!r}; there are {', '.join(STAGES)}")
        _run(stage, asked)


def _run(stage: str, asked: argparse.Namespace) -> None:
    seeds = range(asked.first, asked.first + asked.chests)
    start = OUT / f"{stage}.raw.pt" if asked.resume else asked.start
    if stage == "central":
        hearts.train(asked.minutes, OUT, start=start)
    elif stage == "clots":
        cut = crops.Crops([OUT / "crops", OUT / "chests"])
        windows = clots.Windows(asked.seed, cut if len(cut) else None, asked.share)
        clots.train(asked.minutes, OUT, seed=asked.seed, start=start, windows=windows)
    else:
        {
            "hearts": lambda: hearts.fill(OUT / "hearts", seeds),
            "crops": lambda: crops.fill(OUT / "crops", seeds, asked.blocks),
            "chests": lambda: crops.fill_whole(OUT / "chests", seeds, asked.most_clots),
            "export": write,
            "certainty": _fit,
            "golden": lambda: golden.write(PACKAGE),
        }[stage]()


def _fit() -> None:
    """The weights of the certainty, and what each limit gives in chests left out of the fit."""
    chests = certainty.gathered(PACKAGE / "weights", OUT / "held")
    sys.stdout.write(certainty.told(*certainty.fit(*certainty.pooled(chests))))
    for limit, share, false in certainty.crossed(chests):
        sys.stdout.write(f"from {limit:.0f} %: {share:.3f} found, {false:.2f} false a chest\n")


def write() -> None:
    """Export whatever is trained."""
    for name, network, size in (
        ("central", networks.central_network(), anatomy.PATCH),
        ("clots", networks.clots_network(), candidates.PATCH),
    ):
        trained = OUT / f"{name}.pt"
        if not trained.exists():
            continue
        network.load_state_dict(torch.load(trained, weights_only=True))
        path = PACKAGE / "weights" / f"{name}.onnx"
        difference = export(network, (size, size, size), path)
        sys.stdout.write(f"{name}: exported, ONNX Runtime differs from torch by {difference:.1e}\n")


if __name__ == "__main__":
    main()
