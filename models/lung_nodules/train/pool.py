"""Samples on disk as a growing pool; what a step draws from it is turned and toned anew."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from models.recipe.fitting import Plan, half_cosine

Arrays = dict[str, np.ndarray]

#: Steps between two looks for new samples.
REFRESHED_EVERY = 50


class Pool:
    """All shards below a folder, read as they appear, the newest `most` samples kept.

    Args:
        names: of the arrays in a shard, the image first.
    """

    def __init__(self, folders: list[Path], names: tuple[str, ...], most: int) -> None:
        self._folders, self._names, self._most = folders, names, most
        self._seen: set[Path] = set()
        self.arrays: Arrays = {}

    def refresh(self, at_once: int = 200) -> int:
        """Read new shards; gives the number of samples at hand."""
        fresh: dict[str, list[np.ndarray]] = {name: [] for name in self._names}
        new = [
            path
            for folder in self._folders
            for path in sorted(folder.glob("cube-*.npz"))
            if path not in self._seen
        ]
        for path in new[:at_once]:
            self._seen.add(path)
            with np.load(path) as shard:
                for name in self._names:
                    fresh[name].append(shard[name])
        for name, parts in fresh.items():
            if parts:
                old = [self.arrays[name]] if name in self.arrays else []
                self.arrays[name] = np.concatenate(old + parts)[-self._most :]
        return len(self)

    def __len__(self) -> int:
        return len(self.arrays.get(self._names[0], ()))

    def draw(self, rows: np.ndarray, rng: np.random.Generator) -> list[torch.Tensor]:
        """These samples; each turned by one of the 48 ways of a cube, all its arrays alike."""
        turned: list[list[np.ndarray]] = [[] for _ in self._names]
        for row in rows:
            axes = rng.permutation(3)
            flips = tuple(slice(None, None, int(f)) for f in rng.choice([-1, 1], 3))
            for out, name in zip(turned, self._names, strict=True):
                value = self.arrays[name][row]
                out.append(value.transpose(axes)[flips] if value.ndim == 3 else value)
        return [torch.from_numpy(np.ascontiguousarray(np.stack(out))) for out in turned]


def toned(image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """uint8 images as (batch, 1, z, y, x) in 0..1 with a small shift, gain and fresh noise."""
    batch = len(image)
    x = image.float().div_(255.0).unsqueeze(1)
    gain = torch.from_numpy(rng.uniform(0.95, 1.05, batch).astype(np.float32))
    shift = torch.from_numpy(rng.uniform(-0.03, 0.03, batch).astype(np.float32))
    noise = torch.from_numpy(rng.choice([0.0, 0.0, 0.01, 0.02], batch).astype(np.float32))
    shape = (batch, 1, 1, 1, 1)
    x = x * gain.view(shape) + shift.view(shape)
    x = x + torch.randn(x.shape) * noise.view(shape)
    return x.clamp_(0, 1)


def plan_of(name: str, minutes: float, rate: float) -> Plan:
    """How both networks are trained."""
    return Plan(
        name=name, minutes=minutes, peak=rate, warm_up=200, fall=half_cosine, weight_decay=1e-3,
        memory=0.99, told_every=100,
    )  # fmt: skip
