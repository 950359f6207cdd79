"""`python -m node.evaluation.lung_nodules_certainty`: weights of the certainty of lung nodules.

On simulated chests of training seeds, half of them with scars and granulomas, each once with
nodules as they are evaluated and once with twelve small ones, every candidate is looked at;
logistic regression of "is it a nodule" on both logits and the size gives the weights, to be
written into `model.yaml`. Run it after training.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from models.grid import canonical
from models.lung_nodules.candidates import find_candidates
from models.lung_nodules.certainty import WEIGHTS, features_of
from models.lung_nodules.pipeline import MOST_CANDIDATES
from models.lung_nodules.refining import looks_of
from models.lung_nodules.shape import shape_of
from models.phantoms.chest import ChestOptions, ChestPhantom, simulate_chest
from models.phantoms.chest_tissue import ChestTissue
from models.thorax.lungs import Lungs, find_lungs
from node.domain.imaging import Volume
from node.evaluation.card import tell
from node.evaluation.lung_nodules_chests import MATRIX
from node.evaluation.lung_nodules_tally import WITHIN_MM
from node.evaluation.nodule_cases import Case, with_nodules
from node.evaluation.product import Product, open_product

PACKAGE = Path(__file__).resolve().parents[2] / "models" / "lung_nodules"
FIRST_SEED, SLICES_MM = 900_000, (1.0, 1.5, 2.5)
#: Seeds of chests with scars and granulomas lie so far from the others.
WITH_FINDINGS = 100
#: The second set of nodules of each chest: seeds so far apart, how many, how large, mm.
APART, SMALL_ONES, SMALL_MM = -100_000, 12, (4.0, 14.0)
#: Strength of the prior that pulls the weights of both logits to a half, the others to none.
RIDGE = 0.005
PRIOR = (0.0, 0.5, 0.5, 0.0)

Features = NDArray[np.float64]


def fit(features: Features, true: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights of (n, 4) features that make the logistic of their sum the share that is true."""
    prior = np.array(PRIOR)

    def cost(weights: NDArray[np.float64]) -> float:
        score = features @ weights
        away = RIDGE * ((weights - prior)[1:] ** 2).sum()
        return float(np.mean(np.logaddexp(0, score) - true * score) + away)

    return np.asarray(minimize(cost, prior, method="L-BFGS-B").x, np.float64)


def marks_of(
    product: Product, case: Case, labels: NDArray[np.uint8]
) -> Iterator[tuple[tuple[float, ...], bool]]:
    """Features of every candidate of a case, and whether it is a nodule; granulomas left out."""
    grid = canonical(_volume(case))
    lungs = find_lungs(grid)
    if not isinstance(lungs, Lungs):
        return
    networks, thresholds = product.networks, product.manifest.thresholds
    candidates = find_candidates(grid, lungs, networks["detector"], thresholds["candidate_logit"])
    for look in looks_of(grid, candidates[:MOST_CANDIDATES], networks["refiner"]):
        shape = shape_of(grid, look)
        if shape is None or shape.mean_mm < thresholds["smallest_mm"]:
            continue
        place = np.array(shape.centre_mm)
        is_nodule = any(
            np.linalg.norm(case.centre_mm(truth) - place) < max(WITHIN_MM, truth.mean_mm / 2)
            for truth in case.truth
        )
        granuloma = (labels[shape.box][shape.mask] == ChestTissue.GRANULOMA).any()
        if is_nodule or not granuloma:
            yield features_of(look, shape.mean_mm), is_nodule


def _volume(case: Case) -> Volume:
    return Volume(
        study_uid="",  # type: ignore[arg-type]
        series_uid="",  # type: ignore[arg-type]
        frame_of_reference_uid="",
        voxels=case.array.voxels,
        affine=case.array.affine,
        unit="HU",
        planes=(),
    )


def cases_of(phantom: ChestPhantom) -> Iterator[Case]:
    """The chest with nodules as they are evaluated, and with small ones."""
    seed = phantom.seed
    for case in (
        with_nodules(phantom.volume, "simulated", seed),
        with_nodules(phantom.volume, "simulated", seed + APART, SMALL_ONES, SMALL_MM),
    ):
        if case is not None:
            yield case


def main() -> int:
    """Gather, fit, print lines for `model.yaml` and what thresholds would give."""
    parser = argparse.ArgumentParser(prog="python -m node.evaluation.lung_nodules_certainty")
    parser.add_argument("--first-seed", type=int, default=FIRST_SEED)
    parser.add_argument("--chests", type=int, default=6)
    parser.add_argument(
        "--matrix", type=int, default=MATRIX, help="rows and columns; fewer only to try it out"
    )
    asked = parser.parse_args()
    product = open_product(PACKAGE, golden=False)
    features: list[tuple[float, ...]] = []
    true: list[bool] = []
    scans = 0
    for number in range(asked.chests):
        place, ill = divmod(number, 2)
        options = ChestOptions(
            slice_mm=SLICES_MM[place % 3], matrix=asked.matrix, findings=bool(ill)
        )
        phantom = simulate_chest(asked.first_seed + place + WITH_FINDINGS * ill, options)
        for case in cases_of(phantom):
            scans += 1
            for one, is_nodule in marks_of(product, case, phantom.labels):
                features.append(one)
                true.append(is_nodule)
            tell(f"chest {number}: {len(true)} marks, {sum(true)} of them nodules")
    table, right = np.array(features), np.array(true)
    weights = fit(table, right)
    for name, weight in zip(WEIGHTS, weights, strict=True):
        tell(f"  {name}: {weight:.3f}")
    certainty = 1 / (1 + np.exp(-(table @ weights)))
    for threshold in (0.2, 0.3, 0.4, 0.5, 0.6):
        above = certainty >= threshold
        tell(
            f"from {100 * threshold:.0f} %: {(above & right).sum()} of {right.sum()} nodules among "
            f"the candidates, {(above & ~right).sum() / max(scans, 1):.2f} others a scan"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
