"""How sure a candidate is a nodule, from the logits of both networks and its size.

A logistic of their weighted sum, whose weights are thresholds of `model.yaml`, so that a site may
set its own; `node/evaluation/lung_nodules_certainty.py` fits them. A small nodule gives smaller
logits than a large one that is as likely: the weight of the size makes up for it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from models.lung_nodules.refining import Look

#: Logits beyond this say nothing more.
MOST = 12.0
#: Sizes are told apart from this mean diameter, mm.
MIDDLE_MM = 8.0
#: Weights, in the order of `features_of`.
WEIGHTS = ("certainty_constant", "certainty_detector", "certainty_refiner", "certainty_size")


def features_of(look: Look, mean_mm: float) -> tuple[float, float, float, float]:
    """1, the logits of detector and refiner, and how often the mean diameter doubles 8 mm."""
    detector = max(-MOST, min(MOST, look.candidate.logit))
    refiner = max(-MOST, min(MOST, look.logit))
    return 1.0, detector, refiner, math.log2(max(mean_mm, 1.0) / MIDDLE_MM)


def certainty_of(look: Look, mean_mm: float, thresholds: Mapping[str, float]) -> float:
    """Probability in 0..1."""
    value = sum(
        thresholds[name] * feature
        for name, feature in zip(WEIGHTS, features_of(look, mean_mm), strict=True)
    )
    return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, value))))
