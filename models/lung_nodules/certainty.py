"""How sure a candidate is a nodule, from the logits of both networks.

A logistic of their weighted sum, whose weights are thresholds of `model.yaml`, so that a site may
set its own. The card shows how often it was right; two scans are too few to calibrate it by.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from models.lung_nodules.refining import Look

#: Logits beyond this say nothing more.
MOST = 12.0


def certainty_of(look: Look, thresholds: Mapping[str, float]) -> float:
    """Probability in 0..1."""
    detector = max(-MOST, min(MOST, look.candidate.logit))
    refiner = max(-MOST, min(MOST, look.logit))
    value = (
        thresholds["certainty_constant"]
        + thresholds["certainty_detector"] * detector
        + thresholds["certainty_refiner"] * refiner
    )
    return 1.0 / (1.0 + math.exp(-value))
