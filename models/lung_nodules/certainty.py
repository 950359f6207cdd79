"""How sure a candidate is a nodule: both networks' logits, calibrated on simulated scans.

Logistic regression (Platt) over the logits; its numbers are thresholds of `model.yaml`, so that
a site that measures its own may set them.
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
