"""Do head and feet, right and left lie where the header says? The organs tell."""

from __future__ import annotations

import numpy as np

from models.refusal import Refusal
from node.domain.anatomy import Anatomy

#: So much of the lungs is seen surely.
LEAST_LUNG_ML = 25.0
#: What lies below the lungs in any field of view, and so much of it is seen surely.
BELOW = (("liver", ("liver",), 100.0), ("kidneys", ("kidney_right", "kidney_left"), 30.0))
#: The middle of the lungs is lower by so much where the header is contradicted.
LOWER_MM = 10.0
#: A smaller spleen is nobody's doubt, however little of the liver is in view. A spleen must be so
#: many times as large as a liver that is cut.
LARGE_SPLEEN_ML, OF_A_CUT_LIVER = 250.0, 1.5


def refuse_turned(anatomy: Anatomy) -> Refusal | None:
    """A reason where the lungs lie below what is below them in every patient, or None."""
    lungs = _middle_mm(anatomy, LEAST_LUNG_ML, "lung_right", "lung_left")
    for word, names, least_ml in BELOW:
        other = _middle_mm(anatomy, least_ml, *names)
        if lungs is not None and other is not None and lungs < other - LOWER_MM:
            return Refusal(
                f"the lungs lie below the {word}: head and feet, or front and back, are exchanged "
                "in the header, and nothing can be named by its place"
            )
    return None


def mirror_doubt(anatomy: Anatomy) -> str:
    """What is to be told where the organ on the left is the larger one; "" where it is not.

    The network draws what lies on the right as liver and what lies on the left as spleen. A
    patient's organs may be mirrored, and a spleen may outgrow a liver: a doubt, no refusal.
    """
    liver, spleen = (
        float(anatomy.mask(name).sum()) * anatomy.voxel_ml for name in ("liver", "spleen")
    )
    factor = OF_A_CUT_LIVER if "liver" in anatomy.cut else 1.0
    if spleen < LARGE_SPLEEN_ML or spleen <= factor * liver:
        return ""
    return (
        f"more of the patient was drawn as spleen ({spleen:.0f} ml, on the left) than as liver "
        f"({liver:.0f} ml, on the right): left and right may be exchanged in the header, or the "
        "organs lie mirrored, and then sides and names are wrong"
    )


def _middle_mm(anatomy: Anatomy, least_ml: float, *names: str) -> float | None:
    """Height of the middle of structures along the slices, mm; None where too little is seen."""
    counts = anatomy.mask(*names).sum(axis=(1, 2)).astype(np.float64)
    if counts.sum() * anatomy.voxel_ml < least_ml:
        return None
    step = float(np.linalg.norm(anatomy.affine[:3, 0]))
    return float(counts @ np.arange(len(counts)) / counts.sum()) * step
