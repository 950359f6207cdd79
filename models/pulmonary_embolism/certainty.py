"""How sure: a logistic regression on what is known of a candidate and on what the looks at it saw.

Fitted on simulated studies by `models.pulmonary_embolism.train`, stage "certainty".
"""

from __future__ import annotations

import numpy as np

from models.pulmonary_embolism.again import Again
from models.pulmonary_embolism.candidates import Candidate

#: Order of `Candidate.features`, then of `Again.features`.
NAMES = (
    "peak", "mean", "size", "ratio", "blood", "lung", "round", "enclosed", "radius",
    "cover", "least_cover", "peak_again",
)  # fmt: skip
#: On candidates of whole simulated chests that no network saw; each chest weighs alike, however
#: many candidates it has.
WEIGHTS = np.array(
    [1.189, 3.636, 0.265, -2.496, 0.647, 1.272, 0.172, -0.754, 0.487, 1.695, 1.856, 1.308]
)
OFFSET = -6.565

#: An acute or old clot is 30 to 90 HU; with noise and blood in its pores up to so much.
HARDEST_HU, SOFTEST_HU = 130.0, -60.0
#: And always darker than this share of the blood: veins that fill later than arteries are darker
#: too, though less.
MOST_RATIO = 0.5
#: A small clot or a web holds the blur of the blood around it: where that is bright it may be
#: denser, if it is so much darker than the blood, HU, and than this share of it.
LEAST_FALL_HU, MOST_BLURRED_RATIO = 130.0, 0.6
#: Blood must touch it somewhere: what no opacified vessel meets is no clot that can be seen. Share
#: of its surroundings, or, where a long one meets blood only at its ends, ml.
LEAST_BLOOD, LEAST_BLOOD_ML = 0.04, 0.007


def allowed(candidate: Candidate) -> bool:
    """Do the rules allow it at all?"""
    dark = candidate.hu <= HARDEST_HU and candidate.ratio <= MOST_RATIO
    blurred = candidate.fall_hu >= LEAST_FALL_HU and candidate.ratio <= MOST_BLURRED_RATIO
    return (
        (dark or blurred)
        and candidate.hu >= SOFTEST_HU
        and (candidate.blood >= LEAST_BLOOD or candidate.blood_ml >= LEAST_BLOOD_ML)
    )


def certainty_of(candidate: Candidate, again: Again) -> float:
    """Per cent."""
    known = np.concatenate([candidate.features, again.features])
    score = float(known @ WEIGHTS + OFFSET)
    return float(100.0 / (1.0 + np.exp(-score)))
