"""How sure: a logistic regression on what is known of a candidate, fitted on simulated studies."""

from __future__ import annotations

import numpy as np

from models.pulmonary_embolism.candidates import Candidate

#: Order of `Candidate.features`.
NAMES = ("peak", "mean", "size", "ratio", "blood", "lung", "round", "enclosed", "radius")
#: Fitted by `models.pulmonary_embolism.train`, stage "certainty", on candidates of whole simulated
#: chests of training seeds that no network saw.
WEIGHTS = np.array([-0.732, 4.731, 0.325, 0.485, 3.512, 5.325, -1.242, 0.987, 1.800])
OFFSET = -5.970

#: An acute or old clot is 30 to 90 HU; with noise and blood in its pores up to so much.
HARDEST_HU, SOFTEST_HU = 130.0, -20.0
#: And always darker than this share of the blood.
MOST_RATIO = 0.62


def allowed(candidate: Candidate) -> bool:
    """Do the rules allow it at all?"""
    return SOFTEST_HU <= candidate.hu <= HARDEST_HU and candidate.ratio <= MOST_RATIO


def certainty_of(candidate: Candidate) -> float:
    """Per cent; 0 where a rule excludes it."""
    if not allowed(candidate):
        return 0.0
    score = float(candidate.features @ WEIGHTS + OFFSET)
    return float(100.0 / (1.0 + np.exp(-score)))
