"""May the vertebrae be named, and where is the middle of L3? Rules only, no network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from models.body_composition.levels import NAMED, Body, LevelMap
from models.grid import Grid
from models.refusal import Refusal

#: What must be in view of an anchor, ml; whole ones hold many times as much.
SACRUM_ML, HIP_BONES_ML, RIBS_ML, LUNGS_ML = 10.0, 20.0, 4.0, 30.0
#: A body smaller than this part of its neighbours' mean is not trusted for its own middle.
WEAK_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class MidL3:
    """The middle of the third lumbar vertebra.

    Attributes:
        index: canonical slice whose centre lies closest to it.
        height_mm: z of the middle itself, LPS mm.
        body: the vertebra, None where it was interpolated between its neighbours.
        anchors: what the name rests on, in words.
        how: how the middle was found, in words.
    """

    index: int
    height_mm: float
    body: Body | None
    anchors: tuple[str, ...]
    how: str


def locate_l3(levels: LevelMap, grid: Grid, thresholds: Mapping[str, float]) -> MidL3 | Refusal:
    """Mid-L3, or why it cannot be stated."""
    fault = (
        _absent(levels)
        or _order(levels)
        or _distances(levels, thresholds)
        or _unsure(levels)
        or _whole(levels)
    )
    if fault is not None:
        return fault
    anchors = anchors_in_view(levels)
    if not anchors:
        seen = ", ".join(body.name for body in reversed(levels.named))
        return Refusal(
            "L3 cannot be named with certainty: neither the sacrum nor the lowest ribs are joined "
            f"to it by vertebrae in view (seen: {seen}); a level is never guessed"
        )
    return _middle(levels, grid, anchors)


def anchors_in_view(levels: LevelMap) -> tuple[str, ...]:
    """The anchors from which an unbroken row of bodies leads to L3, in words."""
    found = []
    # L3 itself may be replaced by its neighbours, so it is not asked for here.
    below = all(name in levels.bodies for name in ("sacrum", "L5", "L4"))
    if below and levels.ml["sacrum"] >= SACRUM_ML and levels.ml["hip_bones"] >= HIP_BONES_ML:
        found.append("sacrum and hip bones")
    above = all(name in levels.bodies for name in ("L2", "L1", "T12"))
    if above and levels.ml["ribs"] >= RIBS_ML and levels.ml["lungs"] >= LUNGS_ML:
        found.append("lowest ribs and lungs")
    return tuple(found)


def _absent(levels: LevelMap) -> Refusal | None:
    bodies = levels.named
    if not bodies:
        return Refusal("no lumbar vertebra is seen in this series, so L3 cannot be found")
    lowest, highest = bodies[0], bodies[-1]
    if NAMED.index(lowest.name) > NAMED.index("L3"):
        return Refusal(
            f"L3 is not within this series: the lowest vertebra seen is {lowest.name}, "
            + ("cut by the first slice" if lowest.cut else "near the first slice")
        )
    if NAMED.index(highest.name) < NAMED.index("L3"):
        return Refusal(
            f"L3 is not within this series: the highest vertebra seen is {highest.name}, "
            + ("cut by the last slice" if highest.cut else "near the last slice")
        )
    if "L3" not in levels.bodies and not {"L2", "L4"} <= levels.bodies.keys():
        return Refusal("L3 was not recognised and not both of its neighbours were")
    return None


def _order(levels: LevelMap) -> Refusal | None:
    bodies = levels.named
    if "sacrum" in levels.bodies:
        bodies = [levels.bodies["sacrum"], *bodies]
    heights = [body.centre_mm[2] for body in bodies]
    if len(heights) > 1 and all(upper < lower for lower, upper in pairwise(heights)):
        return Refusal(
            "the vertebrae stand upside down: head and feet are exchanged in the geometry"
        )
    if any(upper <= lower for lower, upper in pairwise(heights)):
        return Refusal("the vertebrae were recognised in an impossible order; L3 is never guessed")
    return None


def _distances(levels: LevelMap, thresholds: Mapping[str, float]) -> Refusal | None:
    """Distances between neighbours with consecutive names; a cut body has no true middle."""
    steps = []
    for lower, upper in pairwise(levels.named):
        if NAMED.index(upper.name) != NAMED.index(lower.name) + 1 or lower.cut or upper.cut:
            continue
        step = float(np.linalg.norm(np.subtract(upper.centre_mm, lower.centre_mm)))
        if not thresholds["neighbour_min_mm"] <= step <= thresholds["neighbour_max_mm"]:
            return Refusal(
                f"{upper.name} and {lower.name} were recognised {step:.0f} mm apart, which no two "
                "neighbours are; L3 is never guessed"
            )
        steps.append(step)
    if steps and float(np.mean(steps)) < thresholds["adult_neighbour_mm"]:
        return Refusal(
            f"the vertebrae are {float(np.mean(steps)):.0f} mm apart, which no adult's are: a "
            "child, or the slice distance in the headers is wrong"
        )
    return None


def _unsure(levels: LevelMap) -> Refusal | None:
    if not levels.unsure:
        return None
    return Refusal(
        "the vertebrae were recognised half-way between the bodies and the discs that the image "
        "shows, or beside those that are counted from the sacrum; L3 is never guessed"
    )


def _whole(levels: LevelMap) -> Refusal | None:
    body = levels.bodies.get("L3")
    if body is not None and body.cut:
        end = "first" if levels.named[0] is body else "last"
        return Refusal(f"L3 lies only partly within this series: the {end} slice cuts it")
    return None


def _middle(levels: LevelMap, grid: Grid, anchors: tuple[str, ...]) -> MidL3:
    body = levels.bodies.get("L3")
    others = [levels.bodies[name] for name in ("L2", "L4") if name in levels.bodies]
    complete = [other for other in others if not other.cut]
    weak = body is None or (
        len(complete) == 2 and body.ml < WEAK_SHARE * float(np.mean([o.ml for o in complete]))
    )
    if weak and len(others) == 2:
        at = np.mean([other.centre for other in others], axis=0)
        how = "between the middles of L2 and L4, since L3 itself was recognised in part only"
        body = None
    else:
        assert body is not None  # `_absent` asks for both neighbours where L3 is missing
        at, how = np.asarray(body.centre), "centroid of the vertebral body of L3"
    heights = [
        abs(grid.height_mm(index, at[1], at[2]) - grid.height_mm(at[0], at[1], at[2]))
        for index in range(grid.shape[0])
    ]
    return MidL3(
        index=int(np.argmin(heights)),
        height_mm=grid.height_mm(at[0], at[1], at[2]),
        body=body,
        anchors=anchors,
        how=how,
    )
