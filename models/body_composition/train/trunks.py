"""Reads the cache of simulated trunks; keeps a changing handful of them in memory."""

from __future__ import annotations

import numpy as np
import torch

from models.body_composition.train.cache import FOLDER

_KEPT = 90


class TrunkPool:
    """Labels of cached trunks; files that the cache writer adds are picked up as they come."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._kept: list[tuple[torch.Tensor, float]] = []
        self._drawn = 0

    def _load(self) -> tuple[torch.Tensor, float]:
        files = sorted(p for p in FOLDER.glob("*.npz") if "part" not in p.name)
        if not files:
            raise SystemExit(f"{FOLDER} is empty; run models.body_composition.train.cache first")
        with np.load(files[int(self._rng.integers(len(files)))]) as stored:
            return torch.from_numpy(stored["labels"]), float(stored["origin"][0])

    def trunk(self) -> tuple[torch.Tensor, float]:
        """(labels (z, y, x) uint8 at 4 x 2 x 2 mm, z of slice 0 from mid-L3 in mm)."""
        self._drawn += 1
        if len(self._kept) < _KEPT and self._drawn % 2 == 1:
            self._kept.append(self._load())
            return self._kept[-1]
        if self._drawn % 10 == 0:
            self._kept[int(self._rng.integers(len(self._kept)))] = self._load()
        return self._kept[int(self._rng.integers(len(self._kept)))]

    def slices(self, generator: torch.Generator) -> torch.Tensor:
        """(2, y, x) float32 labels of a slice and the one above; half of them T12 to L5."""
        labels, low = self.trunk()
        draw = torch.rand(2, generator=generator)
        if draw[0] < 0.5:
            z = -95 + 215 * draw[1].item()
        else:
            z = low + 4 * draw[1].item() * (len(labels) - 2)
        at = int(np.clip(round((z - low) / 4), 0, len(labels) - 2))
        return labels[at : at + 2].float()
