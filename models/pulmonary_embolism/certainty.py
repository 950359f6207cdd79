"""How sure: a logistic regression on what is known of a candidate, fitted on simulated studies."""

from __future__ import annotations

import numpy as np

from models.pulmonary_embolism.candidates import Candidate

#: Order of `Candidate.features`.
NAMES = ("peak", "mean", "size", "ratio", "blood", "lung", "round", "enclosed", "radius")
#: Fitted by `models.pulmonary_embolism.train`, stage "certainty", on candidates of whole simulated
#: chests of training seeds that no network saw, as the network of 0.2.0 found them. A fit on those
#: of the present one found no more clots in chests left out of it (24 of 26, nothing false).
WEIGHTS = np.array([4.990, 5.806, -0.010, -5.284, 1.118, 0.082, 1.988, -2.704, 0.886])
OFFSET = -7.205

#: An acute or old clot is 30 to 90 HU; with noise and blood in its pores up to so much.
HARDEST_HU, SOFTEST_HU = 130.0, -20.0
#: And always darker than this share of the blood: veins that fill later than arteries are darker
#: too, though less.
MOST_RATIO = 0.5
#: Blood must touch it somewhere: what no opacified vessel meets is no clot that can be seen. Share
#: of its surroundings, or, where a long one meets blood only at its ends, ml.
LEAST_BLOOD, LEAST_BLOOD_ML = 0.04, 0.007


def allowed(candidate: Candidate) -> bool:
    """Do the rules allow it at all?"""
    return (
        SOFTEST_HU <= candidate.hu <= HARDEST_HU
        and candidate.ratio <= MOST_RATIO
        and (candidate.blood >= LEAST_BLOOD or candidate.blood_ml >= LEAST_BLOOD_ML)
    )


def certainty_of(candidate: Candidate) -> float:
    """Per cent; 0 where a rule excludes it."""
    if not allowed(candidate):
        return 0.0
    score = float(candidate.features @ WEIGHTS + OFFSET)
    return float(100.0 / (1.0 + np.exp(-score)))
