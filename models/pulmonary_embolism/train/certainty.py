"""Fit of the certainty: candidates in whole simulated chests against the true clots there.

Candidates that a rule excludes take no part: the product never asks how sure it is of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from scipy import ndimage
from scipy.optimize import minimize

from models.grid import canonical
from models.phantoms.vessel_tree import Level
from models.pulmonary_embolism import anatomy, candidates
from models.pulmonary_embolism.again import Again, look_again
from models.pulmonary_embolism.anatomy import find_anatomy, search_mask
from models.pulmonary_embolism.candidates import Candidate, find_candidates
from models.pulmonary_embolism.certainty import NAMES, allowed
from models.pulmonary_embolism.gate import measure_contrast
from models.pulmonary_embolism.region import find_region
from models.pulmonary_embolism.space import Space, doubled, space_of
from models.pulmonary_embolism.windows import probabilities
from node.domain.extent import Extent
from node.domain.imaging import Volume
from node.domain.study import InstanceUID, Plane, SeriesUID, StudyUID

NETWORKS = (anatomy.NETWORK, candidates.NETWORK)
#: Strength of the prior that pulls the weights to 0.
_RIDGE = 0.3
#: Candidates of a usual chest; share of a clot that must be covered.
_USUAL, _COVERED = 4, 0.5
#: A candidate and what the looks at it saw.
Seen = tuple[Candidate, Again]


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
    """Candidates of the studies in a folder, and which of them are clots.

    Args:
        folder: studies as `node.evaluation.pulmonary_embolism --studies` keeps them: `voxels`
            (slice, row, column) HU, `affine`, and box, mask and words of each clot. Of seeds that
            no network learned from.
    """
    networks = {name: Exported(weights / f"{name}.onnx", name) for name in NETWORKS}
    return [_chest(path, networks) for path in sorted(folder.glob("*.npz"))]


@dataclass(frozen=True, slots=True)
class Chest:
    """One simulated chest.

    Attributes:
        count: of its clots, segmental and larger. found: candidates that the rules allow, and what
            the looks at them saw. at: the clot, from 1, that each lies at; 0 for none; negative for
            a clot that is not counted. more: further clots that each covers by half or more: clots
            that hang together are drawn as one.
    """

    name: str
    count: int
    found: tuple[Seen, ...]
    at: tuple[int, ...]
    more: tuple[frozenset[int], ...]


def _chest(path: Path, networks: dict[str, Exported]) -> Chest:
    with np.load(path) as stored:
        parts = dict(stored)
    voxels = parts["voxels"].astype(np.int16)
    volume = Volume(
        study_uid=StudyUID("1.2.3"),
        series_uid=SeriesUID("1.2.3.4"),
        frame_of_reference_uid="1.2.3.5",
        voxels=voxels,
        affine=parts["affine"].astype(np.float64),
        unit="HU",
        planes=_planes(parts["affine"].astype(np.float64), len(voxels)),
    )
    truth = np.zeros(voxels.shape, np.int16)
    stems = sorted(name.removesuffix("_mask") for name in parts if name.endswith("_mask"))
    for number, stem in enumerate(stems, start=1):
        mask = parts[f"{stem}_mask"].astype(np.bool_)
        low = parts[f"{stem}_low"].astype(int)
        box = tuple(slice(a, a + n) for a, n in zip(low, mask.shape, strict=True))
        small = str(parts[f"{stem}_words"][0]) == Level.SUBSEGMENTAL.value
        truth[box][mask] = -number if small else number
    grid = canonical(volume)
    back = tuple(slice(None, None, -1 if turned else 1) for turned in grid.flipped)
    space = space_of(grid)
    at = [
        np.clip(np.rint(along.start + along.step * np.arange(n)), 0, size - 1).astype(int)
        for along, n, size in zip(space.axes, space.hu.shape, grid.shape, strict=True)
    ]
    clots = truth.transpose(grid.order)[back][np.ix_(*at)]
    found = tuple(_candidates(space, networks))
    count = int((np.unique(truth) > 0).sum())
    return Chest(
        path.stem, count, found,
        tuple(clot_of(one, clots) for one, _ in found),
        tuple(covered(one, clots) for one, _ in found),
    )  # fmt: skip


def _planes(affine: NDArray[np.float64], count: int) -> tuple[Plane, ...]:
    places = [affine[:3, 3] + k * affine[:3, 0] for k in range(count)]
    return tuple(
        Plane(
            sop_instance_uid=InstanceUID(f"1.2.3.{k + 1}"),
            frame_number=None,
            position_mm=(float(x), float(y), float(z)),
            extent=Extent(Path("/nowhere")),
        )
        for k, (x, y, z) in enumerate(places)
    )


def _candidates(space: Space, networks: dict[str, Exported]) -> Sequence[Seen]:
    """As the pipeline finds them; none where it refuses for want of contrast medium."""
    region = find_region(space.coarse)
    contrast = measure_contrast(space.coarse, region)
    parts = find_anatomy(space.coarse, region, networks[anatomy.NETWORK])
    blood = parts.trunk_hu if parts.trunk_hu is not None else contrast.hilar_hu
    if blood is None:
        return ()
    where = doubled(search_mask(space.coarse, region, parts), space.hu.shape)
    chances = probabilities(
        space.hu, where, networks[candidates.NETWORK], candidates.PATCH, candidates.VALUE_RANGE
    )
    network = networks[candidates.NETWORK]
    return [
        (one, look_again(space, where, one, network))
        for one in find_candidates(space.hu, chances, where, blood)
        if allowed(one)
    ]


def clot_of(one: Candidate, clots: NDArray[np.int16]) -> int:
    """Number of the clot that a candidate touches or comes next to, or 0.

    Args:
        clots: (slice, row, column) on the fine grid, 0 where there is none.
    """
    wide = ndimage.binary_dilation(one.mask, np.ones((3, 3, 3)))
    here = clots[one.box][wide]
    numbers, counts = np.unique(here[here != 0], return_counts=True)
    return int(numbers[counts.argmax()]) if numbers.size else 0


def covered(one: Candidate, clots: NDArray[np.int16]) -> frozenset[int]:
    """Numbers of the clots of which it covers half or more."""
    wide = ndimage.binary_dilation(one.mask)
    numbers, counts = np.unique(clots[one.box][wide], return_counts=True)
    return frozenset(
        int(number)
        for number, count in zip(numbers, counts, strict=True)
        if number > 0 and count >= _COVERED * int((clots == number).sum())
    )


def known_of(seen: Seen) -> NDArray[np.float64]:
    """In the order of `certainty.NAMES`."""
    return np.concatenate([seen[0].features, seen[1].features])


def fit(
    found: Sequence[Seen], true: Sequence[bool], shares: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float64], float]:
    """Weights of what is known, and offset, by ridge logistic regression.

    Args:
        shares: weight of each candidate; alike where not given.
    """
    x = np.stack([known_of(one) for one in found])
    y = np.array(true, np.float64)
    shares = np.ones(len(y)) if shares is None else shares
    shares = shares / shares.sum()
    middle, spread = x.mean(axis=0), x.std(axis=0) + 1e-6
    z = (x - middle) / spread

    def cost(values: NDArray[np.float64]) -> float:
        score = z @ values[:-1] + values[-1]
        return float(
            shares @ (np.logaddexp(0, score) - y * score) + _RIDGE * (values[:-1] ** 2).mean()
        )

    best = minimize(cost, np.zeros(x.shape[1] + 1), method="L-BFGS-B").x
    weights = best[:-1] / spread
    return weights, float(best[-1] - weights @ middle)


LIMITS = (10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 93, 95, 97, 98, 99)
Row = tuple[float, float, float]


def trade(chests: Sequence[Chest], weights: NDArray[np.float64], offset: float) -> list[Row]:
    """At each limit of certainty (per cent): share of clots found, false marks a chest."""
    return _rows(chests, [(weights, offset)] * len(chests))


def crossed(chests: Sequence[Chest]) -> list[Row]:
    """The same, the certainty of each chest fitted on all the others."""
    fits = []
    for left_out in range(len(chests)):
        others = [chest for k, chest in enumerate(chests) if k != left_out]
        fits.append(fit(*pooled(others)))
    return _rows(chests, fits)


def pooled(chests: Sequence[Chest]) -> tuple[list[Seen], list[bool], NDArray[np.float64]]:
    """All candidates, which of them are clots, of whatever size, and how much each weighs.

    A chest full of noise has dozens of candidates that are all false for one reason: it weighs as
    the root of their number.
    """
    found = [one for chest in chests for one in chest.found]
    shares = [1 / np.sqrt(max(1.0, len(c.found) / _USUAL)) for c in chests for _ in c.found]
    return found, [at != 0 for chest in chests for at in chest.at], np.array(shares)


def _rows(chests: Sequence[Chest], fits: Sequence[tuple[NDArray[np.float64], float]]) -> list[Row]:
    rows = []
    total = sum(chest.count for chest in chests)
    for limit in LIMITS:
        hits, false = 0, 0
        for chest, (weights, offset) in zip(chests, fits, strict=True):
            sure = [
                (at, more)
                for one, at, more in zip(chest.found, chest.at, chest.more, strict=True)
                if 100 / (1 + np.exp(-(known_of(one) @ weights + offset))) >= limit
            ]
            hits += len({n for at, more in sure for n in (at, *more) if n > 0})
            false += sum(at == 0 for at, _ in sure)
        rows.append((float(limit), hits / max(total, 1), false / max(len(chests), 1)))
    return rows


def told(weights: NDArray[np.float64], offset: float) -> str:
    """As they stand in `certainty.py`."""
    numbers = ", ".join(f"{value:.3f}" for value in weights)
    return f"NAMES = {NAMES}\nWEIGHTS = np.array([{numbers}])\nOFFSET = {offset:.3f}\n"
