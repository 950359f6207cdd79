"""How sure a candidate is a nodule, from the logits of both networks and its size.

A logistic of their weighted sum, whose weights are thresholds of `model.yaml`, so that a site may
set its own; `node/evaluation/lung_nodules_certainty.py` fits them. A small nodule gives smaller
logits than a large one that is as likely: the weight of the size makes up for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from models.lung_nodules.again import Again
from models.lung_nodules.refining import Look

#: Logits beyond this say nothing more.
MOST = 12.0
#: Sizes are told apart from this mean diameter, mm.
MIDDLE_MM = 8.0
#: Weights, in the order of `features_of`.
WEIGHTS = ("certainty_constant", "certainty_detector", "certainty_refiner", "certainty_size")


def features_of(
    look: Look, mean_mm: float, again: Again | None = None
) -> tuple[float, float, float, float]:
    """1, the logits of detector and refiner, and how often the mean diameter doubles 8 mm.

    Args:
        again: further looks at it; the logits are then their means. The first look does not count
            among them: it is the highest of several, and it made the candidate one.
    """
    detector, refiner = look.candidate.logit, look.logit
    if again is not None:
        detector, refiner = float(np.mean(again.detector)), float(np.mean(again.refiner))
    detector = max(-MOST, min(MOST, detector))
    refiner = max(-MOST, min(MOST, refiner))
    return 1.0, detector, refiner, math.log2(max(mean_mm, 1.0) / MIDDLE_MM)


def certainty_of(
    look: Look, mean_mm: float, thresholds: Mapping[str, float], again: Again | None = None
) -> float:
    """Probability in 0..1."""
    value = sum(
        thresholds[name] * feature
        for name, feature in zip(WEIGHTS, features_of(look, mean_mm, again), strict=True)
    )
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, value))))
