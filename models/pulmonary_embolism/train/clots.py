"""Training of `clots`: vessels, airways and clots in windows at 1.25 mm."""

from __future__ import annotations

import multiprocessing
import os
import queue as queues
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.pulmonary_embolism.train.continued import take_over
from models.pulmonary_embolism.train.imitators import IMITATOR, OTHER
from models.pulmonary_embolism.train.networks import CLOTS_RANGE, clots_network
from models.pulmonary_embolism.train.scenes import Painter, Scene, scanned
from models.recipe.ahead import Ahead
from models.recipe.averaging import Average
from models.recipe.fitting import Plan, fit
from models.recipe.precision import fast

BATCH = 4
#: Of other, vessel, airway, clot, and of what imitates a clot.
WEIGHTS = torch.tensor([0.4, 1.0, 0.5, 5.0, 3.0])
#: Scenes kept; those at hand before the first batch; batches between two looks for a new one. Each
#: time that one is shown it is turned and recorded anew.
_KEPT, _FIRST, _TAKEN_EVERY = 1500, 96, 3
#: Batches on which the batch norms of a network that was exported are measured.
_MEASURED = 24
#: Weight of the overlap in windows without a clot.
_EMPTY_SHARE = 0.5

Window = tuple[NDArray[np.float32], NDArray[np.uint8]]


def scale(hu: torch.Tensor) -> torch.Tensor:
    """HU to the network's 0..1."""
    low, high = CLOTS_RANGE
    return ((hu - low) / (high - low)).clamp(0, 1)


def _paint(seed: int, queue: multiprocessing.Queue[Scene]) -> None:
    os.nice(5)
    torch.set_num_threads(1)
    painter = Painter(seed)
    while True:
        queue.put(painter.scene())


class Windows:
    """Endless batches of scenes, and of crops of whole simulated chests where there are any.

    Scenes are painted by a process of their own, in the order of the seed; how many of them are at
    hand at a step depends on the machine.
    """

    def __init__(
        self, seed: int, crops: Callable[[np.random.Generator], Window] | None = None,
        share: float = 0.5,
    ) -> None:  # fmt: skip
        spawn = multiprocessing.get_context("spawn")
        self._queue: multiprocessing.Queue[Scene] = spawn.Queue(maxsize=32)
        self._worker = spawn.Process(target=_paint, args=(seed, self._queue), daemon=True)
        self._worker.start()
        self._rng = np.random.default_rng([seed, 78])
        self._scenes: list[Scene] = [self._queue.get() for _ in range(_FIRST)]
        self._batches = 0
        self._oldest = 0
        self._crops = crops
        self._share = share

    def close(self) -> None:
        """End the painter."""
        self._worker.kill()
        self._worker.join()

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(image (n, 1, z, y, x) in 0..1, labels (n, z, y, x) int64)."""
        self._batches += 1
        if self._batches % _TAKEN_EVERY == 0:
            self._take()
        pairs = [self._window() for _ in range(BATCH)]
        hu = torch.from_numpy(np.stack([p[0] for p in pairs]))[:, None]
        labels = torch.from_numpy(np.stack([p[1] for p in pairs]).astype(np.int64))
        return scale(hu), labels

    def _take(self) -> None:
        """A new scene, if there is one."""
        try:
            fresh = self._queue.get_nowait()
        except queues.Empty:
            return
        if len(self._scenes) < _KEPT:
            self._scenes.append(fresh)
        else:
            self._scenes[self._oldest] = fresh
            self._oldest = (self._oldest + 1) % _KEPT

    def _window(self) -> Window:
        if self._crops is not None and self._rng.random() < self._share:
            return self._crops(self._rng)
        scene = self._scenes[int(self._rng.integers(len(self._scenes)))]
        return scanned(scene, self._rng)


def loss_of(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Weighted cross-entropy over all voxels plus soft Dice of the clots, window by window.

    So a small clot, which has its window for itself, counts as much as a large one.
    """
    logs = logits.log_softmax(1)
    share = weights = WEIGHTS[target]
    target = torch.where(target == IMITATOR, OTHER, target)
    at_truth = logs.gather(1, target.unsqueeze(1)).squeeze(1)
    # Easy voxels, of which there are many, weigh little (focal loss, Lin et al. 2017).
    share = share * (1 - at_truth.exp()).clamp(min=1e-4)
    entropy = -(at_truth * share).sum() / weights.sum()
    clot = logs[:, 3].exp()
    truth = (target == 3).float()
    both = (2 * (clot * truth).flatten(1).sum(1) + 20) / ((clot + truth).flatten(1).sum(1) + 20)
    share = torch.where(truth.flatten(1).any(1), 1.0, _EMPTY_SHARE)
    return 2 * entropy + ((1 - both) * share).sum() / share.sum()


def train(
    minutes: float, out: Path, seed: int = 5, start: Path | None = None,
    windows: Windows | None = None,
) -> Path:  # fmt: skip
    """Train for a wall-clock budget; writes `clots.pt` (averaged weights) and a log.

    Args:
        start: raw weights, or an exported network, to go on from.
    """
    torch.manual_seed(seed)
    source = windows or Windows(seed)
    # Last axis channels: 20 % faster on the CPU.
    network = clots_network().to(memory_format=torch.channels_last_3d)
    batches = Ahead(source.batch)
    if start is not None and start.suffix == ".onnx":
        take_over(network, start, [batches()[0] for _ in range(_MEASURED)])
    elif start is not None:
        network.load_state_dict(torch.load(start, weights_only=True))
    average = Average(network, clots_network())
    plan = Plan(
        name="clots", minutes=minutes, peak=3e-3 if start is None else 1.3e-3, warm_up=60,
        memory=0.98,
    )  # fmt: skip

    def loss() -> torch.Tensor:
        image, target = batches()
        with fast():
            logits = network(image.to(memory_format=torch.channels_last_3d))
        return loss_of(logits.float(), target)

    fit(network, average, plan, out, loss)
    average.settle(lambda: batches()[0])
    batches.close()
    source.close()
    torch.save(average.twin.state_dict(), out / "clots.pt")
    return out / "clots.pt"
