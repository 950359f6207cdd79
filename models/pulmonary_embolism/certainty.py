"""How sure: a logistic regression on what is known of a candidate, fitted on simulated studies."""

from __future__ import annotations

import numpy as np

from models.pulmonary_embolism.candidates import Candidate

#: Order of `Candidate.features`.
NAMES = ("peak", "mean", "size", "ratio", "blood", "lung", "round", "enclosed", "radius")
#: Fitted by `models.pulmonary_embolism.train`, stage "certainty", on candidates of simulated
#: studies of training seeds.
WEIGHTS = np.array([2.777, 4.117, -0.006, -4.136, 2.812, 4.115, 1.668, -1.329, 1.103])
OFFSET = -5.788

#: An acute or old clot is 30 to 90 HU; with noise and blood in its pores up to so much.
HARDEST_HU, SOFTEST_HU = 130.0, -20.0
#: And always darker than this share of the blood.
MOST_RATIO = 0.62
#: Blood must touch it somewhere: what no opacified vessel meets is no clot that can be seen.
LEAST_BLOOD = 0.04


def allowed(candidate: Candidate) -> bool:
    """Do the rules allow it at all?"""
    return (
        SOFTEST_HU <= candidate.hu <= HARDEST_HU
        and candidate.ratio <= MOST_RATIO
        and candidate.blood >= LEAST_BLOOD
    )


def certainty_of(candidate: Candidate) -> float:
    """Per cent; 0 where a rule excludes it."""
    if not allowed(candidate):
        return 0.0
    score = float(candidate.features @ WEIGHTS + OFFSET)
    return float(100.0 / (1.0 + np.exp(-score)))
