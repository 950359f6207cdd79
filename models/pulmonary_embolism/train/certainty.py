"""Fit of the certainty: candidates in blocks of simulated chests against the true clots there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import minimize

from models.pulmonary_embolism import candidates
from models.pulmonary_embolism.candidates import Candidate, find_candidates
from models.pulmonary_embolism.certainty import NAMES, allowed
from models.pulmonary_embolism.train.scenes import CLOT, VESSEL
from models.pulmonary_embolism.windows import probabilities

#: A candidate is true from so much of itself, or of the true clot, in common.
_COMMON = 0.2
#: Strength of the prior that pulls the weights to 0.
_RIDGE = 0.1


class Exported:
    """The exported network."""

    name = candidates.NETWORK
    provider = "CPUExecutionProvider"

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options, providers=[self.provider])

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """(batch, 1, z, y, x) -> logits."""
        (out,) = self._session.run(None, {"image": inputs})
        return out


def gathered(weights: Path, folder: Path) -> tuple[list[Candidate], list[bool]]:
    """Candidates of all blocks, and which of them are clots."""
    network = Exported(weights)
    found: list[Candidate] = []
    true: list[bool] = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path) as stored:
            blocks, labels = stored["hu"], stored["labels"]
        for hu, truth in zip(blocks.astype(np.float32), labels, strict=True):
            vessel = truth == VESSEL
            if vessel.sum() < 200:
                continue
            blood = float(np.percentile(hu[vessel], 75))
            where = _closed(hu < -450) | ndimage.binary_dilation(
                vessel | (truth == CLOT), iterations=2
            )
            chances = probabilities(
                hu,
                where,
                network,
                candidates.PATCH,
                candidates.VALUE_RANGE,  # type: ignore[arg-type]
            )
            clots, _ = ndimage.label(truth == CLOT)
            for one in find_candidates(hu, chances, where, blood):
                found.append(one)
                true.append(_is_clot(one, clots))
    return found, true


def _closed(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    radius = 8
    grown = ndimage.distance_transform_edt(~np.pad(mask, radius, mode="edge")) <= radius
    closed = ndimage.distance_transform_edt(grown) > radius
    inner = (slice(radius, -radius),) * 3
    return closed[inner] | mask


def _is_clot(one: Candidate, clots: NDArray[np.int32]) -> bool:
    here = clots[one.box][one.mask]
    inside = here[here > 0]
    if not inside.size:
        return False
    if inside.size >= _COMMON * one.mask.sum():
        return True
    number = int(np.bincount(inside).argmax())
    return bool((inside == number).sum() >= _COMMON * (clots == number).sum())


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


def told(weights: NDArray[np.float64], offset: float) -> str:
    """As they stand in `certainty.py`."""
    numbers = ", ".join(f"{value:.3f}" for value in weights)
    return f"NAMES = {NAMES}\nWEIGHTS = np.array([{numbers}])\nOFFSET = {offset:.3f}\n"
