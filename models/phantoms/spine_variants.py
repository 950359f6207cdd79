"""Spines as they are met beside the usual one, drawn from a seed: what a package must stand."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum

import numpy as np

from models.phantoms.fractures import (
    LOSSES,
    Change,
    Deformity,
    Junction,
    Lesion,
    SpineOptions,
    Spot,
)
from models.phantoms.tissue import BODIES, Tissue


class Variant(StrEnum):
    """What departs from the usual."""

    USUAL = "usual"
    SCOLIOSIS = "scoliosis"
    SIX_LUMBAR = "lumbarised S1"
    FOUR_LUMBAR = "sacralised L5"
    METAL = "screws and rods"
    OSTEOPHYTES = "bridging osteophytes"
    METASTASES = "metastases"
    COLLAPSE = "metastases with collapse"


#: From L5 to T9: bodies that are in view of an abdomen.
_IN_VIEW = BODIES[:9]


def draw_variant(variant: Variant, seed: int) -> SpineOptions:
    """The spine of `seed` with one variant; nothing has lost height but in `COLLAPSE`."""
    rng = np.random.default_rng([seed, 45])
    if variant is Variant.SCOLIOSIS:
        cobb = float(rng.uniform(15, 40)) * float(rng.choice((-1, 1)))
        return SpineOptions(cobb_degrees=cobb, turn_degrees=0.45 * abs(cobb))
    if variant is Variant.SIX_LUMBAR:
        return SpineOptions(junction=Junction.SIX)
    if variant is Variant.FOUR_LUMBAR:
        return SpineOptions(junction=Junction.FOUR)
    if variant is Variant.METAL:
        first, count = int(rng.integers(0, 3)), int(rng.integers(2, 5))
        return SpineOptions(screws=BODIES[first : first + count])
    if variant is Variant.OSTEOPHYTES:
        return _worn(rng)
    if variant in (Variant.METASTASES, Variant.COLLAPSE):
        return _metastatic(rng, collapsed=variant is Variant.COLLAPSE)
    return SpineOptions()


def _worn(rng: np.random.Generator) -> SpineOptions:
    """Spurs of most bodies; over half of the discs they meet."""
    spurs = tuple(
        Change(body=body, spur_mm=float(rng.uniform(3, 7)))
        for body in _IN_VIEW
        if rng.random() < 0.8
    )
    bridged = tuple(body for body in _IN_VIEW if rng.random() < 0.55)
    return SpineOptions(changes=spurs, bridged=bridged)


def _metastatic(rng: np.random.Generator, *, collapsed: bool) -> SpineOptions:
    """Balls in three to six bodies; with `collapsed` one or two of those have lost height."""
    chosen = [_IN_VIEW[k] for k in rng.permutation(len(_IN_VIEW))[: int(rng.integers(3, 7))]]
    # Lytic ones, sclerotic ones, or both in one person.
    share = float(rng.choice((0.0, 0.5, 1.0))) if not collapsed else 0.7
    changes = []
    for body in chosen:
        spots = tuple(
            Spot(
                lesion=Lesion.LYTIC if rng.random() < share else Lesion.SCLEROTIC,
                middle=(
                    float(rng.uniform(-0.6, 0.6)),
                    float(rng.uniform(-0.6, 0.5)),
                    float(rng.uniform(-0.5, 0.5)),
                ),
                radius_mm=float(rng.uniform(4, 11)),
            )
            for _ in range(int(rng.integers(1, 4)))
        )
        changes.append(Change(body=body, spots=spots))
    if collapsed:
        for k in range(int(rng.integers(1, 3))):
            grade = int(rng.integers(2, 4))
            form = (Deformity.WEDGE, Deformity.CRUSH)[int(rng.integers(2))]
            loss = float(rng.uniform(*LOSSES[grade]))
            changes[k] = replace(changes[k], deformity=form, loss=loss)
    return SpineOptions(changes=tuple(sorted(changes, key=lambda one: _place(one.body))))


def _place(body: Tissue) -> int:
    return BODIES.index(body)
