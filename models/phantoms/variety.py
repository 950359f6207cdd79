"""How the anatomy of one person departs from the usual: bones' course, and where organs lie.

Without it a phantom is what it was; with it organs, ribs and sacrum vary about as much as in
patients, so that a network cannot tell an organ by its place alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from models.phantoms.frame import Body, Frame
from models.phantoms.shapes import along

#: Heights below mid-L3 (scale 1) between which the sacrum may lean, mm.
_SACRAL_Z = (-320.0, -215.0, -150.0, -95.0, -70.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Variety:
    """One person's departures.

    Attributes:
        sacrum_mm: how much further to posterior the sacrum runs in its middle and at its tip.
        sacrum_wide: factor of its width.
        hip_wide: factor of the pelvis' width. hip_back_mm: of the ilium's posterior end, to
            posterior.
        rib_inset_mm: depth of the middle of the ribs below the muscles' surface.
        rib_thick: factor of the ribs' section. rib_fall: factor of how far they descend.
    """

    sacrum_mm: tuple[float, float]
    sacrum_wide: float
    hip_wide: float
    hip_back_mm: float
    rib_inset_mm: float
    rib_thick: float
    rib_fall: float


#: Nobody departs: the same labels as without.
NONE = Variety(
    sacrum_mm=(0.0, 0.0), sacrum_wide=1.0, hip_wide=1.0, hip_back_mm=0.0, rib_inset_mm=5.6,
    rib_thick=1.0, rib_fall=1.0,
)  # fmt: skip


def draw_variety(seed: int) -> Variety:
    """The departures of `seed`."""
    rng = np.random.default_rng([seed, 51])
    return Variety(
        sacrum_mm=(float(rng.normal(0, 8)), float(rng.normal(0, 16))),
        sacrum_wide=float(np.clip(rng.normal(1.02, 0.07), 0.85, 1.2)),
        hip_wide=float(np.clip(rng.normal(1, 0.04), 0.9, 1.1)),
        hip_back_mm=float(rng.normal(0, 5)),
        rib_inset_mm=float(rng.uniform(2.8, 8.5)),
        rib_thick=float(rng.uniform(0.8, 1.25)),
        rib_fall=float(rng.normal(1, 0.12)),
    )


def leaning(
    frame: Frame, variety: Variety, z: np.ndarray[tuple[int], np.dtype[np.float32]]
) -> Frame:
    """The frame with the sacrum's own course; from L5 upwards it is unchanged."""
    s = frame.person.scale
    middle, tip = variety.sacrum_mm
    shift = along([s * k for k in _SACRAL_Z], [tip * s, tip * s, middle * s, 0.0, 0.0], z)
    spine_y = (frame.spine_y + shift).astype(np.float32)
    return replace(frame, spine_y=spine_y, slope_y=np.gradient(spine_y, z).astype(np.float32))


def worn(frame: Frame, seed: int) -> Frame:
    """The frame with discs that have lost height to the bodies, in every other person.

    What a disc loses its two neighbours gain, so that nothing moves that lies beside them.
    """
    rng = np.random.default_rng([seed, 52])
    if rng.random() < 0.5:
        return frame
    least = float(rng.uniform(0.25, 0.9))
    bodies = frame.bodies
    lost = [body.disc * (1 - float(rng.uniform(least, 1.0))) for body in bodies]
    thinner = []
    for k, body in enumerate(bodies):
        under = lost[k - 1] / 2 if k else 0.0
        over = lost[k] / 2
        thinner.append(
            Body(
                tissue=body.tissue,
                z=body.z + (over - under) / 2,
                height=body.height + over + under,
                disc=body.disc - lost[k],
            )
        )
    return replace(frame, bodies=tuple(thinner))
