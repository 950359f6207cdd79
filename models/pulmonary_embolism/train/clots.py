"""Training of `clots`: vessels, airways and clots in windows at 1.25 mm."""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from models.pulmonary_embolism.train.averaging import Average, settle
from models.pulmonary_embolism.train.networks import CLOTS_RANGE, clots_network
from models.pulmonary_embolism.train.scenes import Painter, Scene, scanned

BATCH = 4
#: Of other, vessel, airway, clot.
WEIGHTS = torch.tensor([0.4, 1.0, 0.5, 5.0])
#: Scenes kept; one new scene comes with each batch. Each time that one is shown it is turned
#: and recorded anew.
_KEPT = 200

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

    Scenes are painted by a process of their own, in the order of the seed.
    """

    def __init__(
        self, seed: int, crops: Callable[[np.random.Generator], Window] | None = None,
        share: float = 0.5,
    ) -> None:  # fmt: skip
        spawn = multiprocessing.get_context("spawn")
        self._queue: multiprocessing.Queue[Scene] = spawn.Queue(maxsize=24)
        self._worker = spawn.Process(target=_paint, args=(seed, self._queue), daemon=True)
        self._worker.start()
        self._rng = np.random.default_rng([seed, 78])
        self._scenes: list[Scene] = [self._queue.get() for _ in range(8)]
        self._crops = crops
        self._share = share

    def close(self) -> None:
        """End the painter."""
        self._worker.kill()
        self._worker.join()

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(image (n, 1, z, y, x) in 0..1, labels (n, z, y, x) int64)."""
        fresh = self._queue.get()
        if len(self._scenes) < _KEPT:
            self._scenes.append(fresh)
        else:
            self._scenes[int(self._rng.integers(_KEPT))] = fresh
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
    peak = 3e-3 if start is None else 1.3e-3
    optimiser = torch.optim.AdamW(network.parameters(), lr=peak, weight_decay=1e-4)
    log: list[dict[str, float]] = []
    begin, step, running = time.monotonic(), 0, 0.0
    network.train()
    while (done := (time.monotonic() - begin) / 60 / minutes) < 1:
        fall = 0.02 + 0.98 * math.cos(done * math.pi / 2)
        for group in optimiser.param_groups:
            group["lr"] = peak * min(1, (step + 1) / 60) * fall
        image, target = source.batch()
        optimiser.zero_grad(set_to_none=True)
        loss = loss_of(network(image.to(memory_format=torch.channels_last_3d)), target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        average.update(network)
        running = loss.item() if step == 0 else 0.98 * running + 0.02 * loss.item()
        step += 1
        if step % 25 == 0:
            now = round(done * minutes, 2)
            log.append({"step": step, "minutes": now, "loss": round(running, 4)})
            (out / "clots.log.json").write_text(json.dumps(log))
        if step % 100 == 0:
            torch.save(network.state_dict(), out / "clots.raw.pt")
            torch.save(average.twin.state_dict(), out / "clots.avg.pt")
    settle(average.twin, lambda: source.batch()[0])
    source.close()
    torch.save(network.state_dict(), out / "clots.raw.pt")
    torch.save(average.twin.state_dict(), out / "clots.pt")
    return out / "clots.pt"
