"""Fit of the certainty: marks on simulated chests of training seeds against the truth there.

`python -m node.evaluation.lung_nodules --rounds -1 --first-seed 900000 --chests 8` writes the marks
(certainty, is it a nodule) to `evaluate-out/lung_nodules/marks.json`; this reads them and prints
the thresholds of `model.yaml` that make the certainty the share that is right (Platt 1999). The
order of the candidates stays as it is.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from models.registry import read_manifest

NAMES = ("certainty_constant", "certainty_detector", "certainty_refiner")
#: Strength of the prior that pulls the slope to 1 and the shift to 0.
_RIDGE = 0.02
PACKAGE = Path(__file__).parents[1]


def fit(marks: Sequence[tuple[float, bool]]) -> tuple[float, float]:
    """Shift and slope of the log odds of marks with a certainty in 0..1."""
    certainty = np.clip([mark[0] for mark in marks], 1e-5, 1 - 1e-5)
    odds = np.log(certainty / (1 - certainty))
    true = np.array([mark[1] for mark in marks], np.float64)

    def cost(values: np.ndarray) -> float:
        score = values[0] + values[1] * odds
        prior = _RIDGE * (values[0] ** 2 + (values[1] - 1) ** 2)
        return float(np.mean(np.logaddexp(0, score) - true * score) + prior)

    best = minimize(cost, np.array([0.0, 1.0]), method="L-BFGS-B").x
    return float(best[0]), float(best[1])


def calibrated(
    thresholds: Mapping[str, float], marks: Sequence[tuple[float, bool]]
) -> dict[str, float]:
    """The thresholds of the certainty, with the odds of the marks put right."""
    shift, slope = fit(marks)
    constant, detector, refiner = (thresholds[name] for name in NAMES)
    values = (shift + slope * constant, slope * detector, slope * refiner)
    return dict(zip(NAMES, values, strict=True))


def main() -> None:
    """Print the thresholds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--marks", type=Path, default=Path("evaluate-out/lung_nodules/marks.json"))
    asked = parser.parse_args()
    marks = [(float(value), bool(true)) for value, true in json.loads(asked.marks.read_text())]
    for name, value in calibrated(read_manifest(PACKAGE).thresholds, marks).items():
        sys.stdout.write(f"  {name}: {value:.3f}\n")


if __name__ == "__main__":
    main()
