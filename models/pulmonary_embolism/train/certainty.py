"""Fit of the certainty: candidates in whole simulated chests against the true clots there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import minimize

from models.pulmonary_embolism import anatomy, candidates
from models.pulmonary_embolism.anatomy import find_anatomy, search_mask
from models.pulmonary_embolism.candidates import Candidate, find_candidates
from models.pulmonary_embolism.certainty import NAMES, allowed
from models.pulmonary_embolism.gate import measure_contrast
from models.pulmonary_embolism.region import find_region
from models.pulmonary_embolism.space import doubled, halved
from models.pulmonary_embolism.train.imitators import dressed
from models.pulmonary_embolism.train.scenes import AIRWAY, CLOT, VESSEL
from models.pulmonary_embolism.windows import probabilities

NETWORKS = (anatomy.NETWORK, candidates.NETWORK)
#: A candidate is true from so much of itself, or of the true clot, in common.
_COMMON = 0.2
#: Strength of the prior that pulls the weights to 0.
_RIDGE = 0.1


class Exported:
    """An exported network."""

    provider = "CPUExecutionProvider"

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options, providers=[self.provider])

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """(batch, 1, z, y, x) -> logits."""
        (out,) = self._session.run(None, {"image": inputs})
        return out


def gathered(weights: Path, folder: Path) -> list[Chest]:
    """Candidates of whole chests that `clots` did not learn from, and which of them are clots.

    Each chest is looked at twice: as it is, and with tissue drawn round its vessels.
    """
    networks = {name: Exported(weights / f"{name}.onnx", name) for name in NETWORKS}
    chests = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as stored:
            hu = np.maximum(stored["hu"][0].astype(np.float32), -1024.0)
            labels = stored["labels"][0]
        rng = np.random.default_rng([int(path.stem), 83])
        occupied = (labels == VESSEL) | (labels == AIRWAY)
        free = (labels != AIRWAY) & (labels != CLOT)
        clots, count = ndimage.label(labels == CLOT, np.ones((3, 3, 3)))
        for image in (hu, dressed(hu, occupied, free, rng)):
            found = _candidates(image, networks)
            chests.append(
                Chest(path.stem, count, tuple(found), tuple(clot_of(one, clots) for one in found))
            )
    return chests


@dataclass(frozen=True, slots=True)
class Chest:
    """One simulated chest.

    Attributes:
        count: of its clots. found: candidates. at: the clot, from 1, that each lies at, or 0.
    """

    name: str
    count: int
    found: tuple[Candidate, ...]
    at: tuple[int, ...]


def _candidates(hu: NDArray[np.float32], networks: dict[str, Exported]) -> Sequence[Candidate]:
    """As the pipeline finds them."""
    coarse = halved(hu)
    region = find_region(coarse)
    contrast = measure_contrast(coarse, region)
    parts = find_anatomy(coarse, region, networks[anatomy.NETWORK])
    blood = parts.trunk_hu if parts.trunk_hu is not None else contrast.measured_hu
    if blood is None:
        return ()
    where = doubled(search_mask(coarse, region, parts), hu.shape)
    chances = probabilities(
        hu, where, networks[candidates.NETWORK], candidates.PATCH, candidates.VALUE_RANGE
    )
    return find_candidates(hu, chances, where, blood)


def clot_of(one: Candidate, clots: NDArray[np.int32]) -> int:
    """Number of the clot that a candidate lies at, or 0."""
    here = clots[one.box][one.mask]
    inside = here[here > 0]
    if not inside.size:
        return 0
    number = int(np.bincount(inside).argmax())
    if inside.size >= _COMMON * one.mask.sum():
        return number
    return number if (inside == number).sum() >= _COMMON * (clots == number).sum() else 0


def fit(found: list[Candidate], true: list[bool]) -> tuple[NDArray[np.float64], float]:
    """Weights of `Candidate.features` and offset, by ridge logistic regression."""
    kept = [k for k, one in enumerate(found) if allowed(one)]
    x = np.stack([found[k].features for k in kept])
    y = np.array([true[k] for k in kept], np.float64)
    middle, spread = x.mean(axis=0), x.std(axis=0) + 1e-6
    z = (x - middle) / spread

    def cost(values: NDArray[np.float64]) -> float:
        score = z @ values[:-1] + values[-1]
        return float(
            np.mean(np.logaddexp(0, score) - y * score) + _RIDGE * (values[:-1] ** 2).mean()
        )

    best = minimize(cost, np.zeros(x.shape[1] + 1), method="L-BFGS-B").x
    weights = best[:-1] / spread
    return weights, float(best[-1] - weights @ middle)


def trade(
    chests: Sequence[Chest], weights: NDArray[np.float64], offset: float
) -> list[tuple[float, float, float]]:
    """At each limit of certainty (per cent): clots found, and false marks a chest."""
    rows = []
    total = sum(chest.count for chest in chests)
    for limit in (30, 40, 50, 60, 70, 75, 80, 85, 90, 93, 95, 97, 98, 99):
        hits, false = 0, 0
        for chest in chests:
            sure = [
                at for one, at in zip(chest.found, chest.at, strict=True)
                if allowed(one)
                and 100 / (1 + np.exp(-(one.features @ weights + offset))) >= limit
            ]  # fmt: skip
            hits += len(set(sure) - {0})
            false += sure.count(0)
        rows.append((float(limit), hits / max(total, 1), false / max(len(chests), 1)))
    return rows


def told(weights: NDArray[np.float64], offset: float) -> str:
    """As they stand in `certainty.py`."""
    numbers = ", ".join(f"{value:.3f}" for value in weights)
    return f"NAMES = {NAMES}\nWEIGHTS = np.array([{numbers}])\nOFFSET = {offset:.3f}\n"
