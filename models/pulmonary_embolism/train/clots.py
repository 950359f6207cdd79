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

from models.pulmonary_embolism.train.networks import CLOTS_RANGE, clots_network
from models.pulmonary_embolism.train.scenes import Painter, Scene, scanned
from models.recipe.ahead import Ahead
from models.recipe.averaging import Average
from models.recipe.fitting import Plan, fit
from models.recipe.precision import fast

BATCH = 4
#: Of other, vessel, airway, clot.
WEIGHTS = torch.tensor([0.4, 1.0, 0.5, 5.0])
#: Scenes kept, and new ones taken at most with each batch, as fast as the painter makes them. Each
#: time that one is shown it is turned and recorded anew.
_KEPT, _TAKEN = 1500, 2

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
        self._scenes: list[Scene] = [self._queue.get() for _ in range(32)]
        self._oldest = 0
        self._crops = crops
        self._share = share

    def close(self) -> None:
        """End the painter."""
        self._worker.kill()
        self._worker.join()

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(image (n, 1, z, y, x) in 0..1, labels (n, z, y, x) int64)."""
        for _ in range(_TAKEN):
            try:
                fresh = self._queue.get_nowait()
            except queues.Empty:
                break
            if len(self._scenes) < _KEPT:
                self._scenes.append(fresh)
            else:
                self._scenes[self._oldest] = fresh
                self._oldest = (self._oldest + 1) % _KEPT
        pairs = [self._window() for _ in range(BATCH)]
        hu = torch.from_numpy(np.stack([p[0] for p in pairs]))[:, None]
        labels = torch.from_numpy(np.stack([p[1] for p in pairs]).astype(np.int64))
        return scale(hu), labels

    def _window(self) -> Window:
        if self._crops is not None and self._rng.random() < self._share:
            return self._crops(self._rng)
        scene = self._scenes[int(self._rng.integers(len(self._scenes)))]
        return scanned(scene, self._rng)


def loss_of(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Weighted cross-entropy over all voxels plus soft Dice of the clots of the whole batch."""
    logs = logits.log_softmax(1)
    at_truth = logs.gather(1, target.unsqueeze(1)).squeeze(1)
    share = WEIGHTS[target]
    # Easy voxels, of which there are many, weigh little (focal loss, Lin et al. 2017).
    share = share * (1 - at_truth.exp()).clamp(min=1e-4)
    entropy = -(at_truth * share).sum() / WEIGHTS[target].sum()
    clot = logs[:, 3].exp()
    truth = (target == 3).float()
    dice = (2 * (clot * truth).sum() + 20) / (clot.sum() + truth.sum() + 20)
    return 2 * entropy + (1 - dice)


def train(
    minutes: float, out: Path, seed: int = 5, start: Path | None = None,
    windows: Windows | None = None,
) -> Path:  # fmt: skip
    """Train for a wall-clock budget; writes `clots.pt` (averaged weights) and a log."""
    torch.manual_seed(seed)
    source = windows or Windows(seed)
    # Last axis channels: 20 % faster on the CPU.
    network = clots_network().to(memory_format=torch.channels_last_3d)
    if start is not None:
        network.load_state_dict(torch.load(start, weights_only=True))
    average = Average(network, clots_network())
    batches = Ahead(source.batch)
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
