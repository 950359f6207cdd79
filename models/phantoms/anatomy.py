"""Labels of one whole trunk on its working grid, in the order in which parts are painted."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from models.phantoms import envelope as wrap
from models.phantoms import (
    left_flank,
    lumbosacral,
    muscles,
    organs,
    skeleton,
    spine_additions,
    surroundings,
    varied_organs,
)
from models.phantoms.fractures import SpineOptions
from models.phantoms.frame import Frame, build_frame
from models.phantoms.lateral_curve import curved, excursion_mm
from models.phantoms.person import Person, draw_person
from models.phantoms.shapes import Canvas
from models.phantoms.tissue import Labels
from models.phantoms.variety import NONE, draw_variety, leaning, worn
from models.phantoms.vertebral_bodies import detailed
from models.phantoms.vertebral_shape import Shape

TOP_MM, BOTTOM_MM = 270.0, -300.0
"""Reach of the simulated trunk for a person of scale 1: about T6 to below the hips."""


@dataclass(frozen=True, slots=True)
class Trunk:
    """One simulated trunk.

    Attributes:
        canvas: grid in the patient's own frame and its labels.
        person: who. frame: course of the spine and outlines.
        ribs: on the canvas' grid, the number of the rib where the label is `RIB`, 0 for the
            sternum; without meaning elsewhere.
        shapes: of the vertebral bodies, L5 to T6, where these are in detail; else (). With a
            transitional vertebra both these and the frame's bodies are one more or one less below.
        has_screws: with metal in vertebral bodies that are in detail.
    """

    canvas: Canvas
    person: Person
    frame: Frame
    ribs: Labels
    shapes: tuple[Shape, ...] = ()
    has_screws: bool = False


def paint_trunk(
    seed: int,
    steps_mm: tuple[float, float, float],
    reach_mm: tuple[float, float] = (-1000.0, 1000.0),
    spine: SpineOptions | None = None,
    *,
    varied: bool = False,
) -> Trunk:
    """The anatomy of `seed` on a grid of (z, y, x) `steps_mm`.

    The same seed is the same person; details of texture follow the grid. `reach_mm` limits the
    grid along z (mm from mid-L3). With `spine`, vertebral bodies are in detail; `varied` lets
    organs, ribs and sacrum depart more from the usual (`variety`); without them every label is as
    if that did not exist.
    """
    rng = np.random.default_rng([seed, 1])
    person = draw_person(rng)
    if spine is not None:
        person = _with_spine(person, spine)
    s = person.scale
    low, high = max(BOTTOM_MM * s, reach_mm[0]), min(TOP_MM * s, reach_mm[1])
    z = np.arange(low, high, steps_mm[0]).astype(np.float32)
    frame = build_frame(z, person, np.random.default_rng([seed, 2]))
    variety = draw_variety(seed) if varied else NONE
    if varied:
        frame = worn(leaning(frame, variety, z), seed)
    shapes: tuple[Shape, ...] = ()
    if spine is not None:
        frame = lumbosacral.lowered(curved(frame, spine, z), spine, z)
        frame, shapes = detailed(frame, spine, skeleton.HALVES, seed)
        frame = lumbosacral.counted(frame, spine)
    fat = 1.5 * max(person.fat_mm)
    wide = float(frame.half_width.max()) + 1.5 * person.fat_mm[1] + 16 + 85 * s
    canvas = Canvas.empty(
        (float(z[0]), float(frame.front.min()) - 1.4 * fat - 70, -wide),
        (float(z[-1]) + steps_mm[0] / 2, float(frame.back.max()) + fat + 95, wide),
        steps_mm,
    )
    canvas = Canvas(z, canvas.y, canvas.x, canvas.labels[: z.size])
    parts = [np.random.default_rng([seed, k]) for k in range(3, 12)]
    envelope = wrap.build_envelope(canvas, frame, parts[0])
    organs.paint_thorax(canvas, frame, parts[1])
    muscles.paint_pelvic_muscles(canvas, frame, envelope)
    muscles.paint_back(canvas, frame, envelope, parts[2])
    skeleton.paint_spine(canvas, frame, parts[3], shapes, variety)
    apart = frame, shapes
    if spine is not None:
        apart = lumbosacral.joined(canvas, frame, shapes, spine)
        spine_additions.paint_bridges(canvas, frame, shapes, spine, seed)
    ribs = skeleton.paint_ribs(canvas, frame, envelope, parts[3], variety)
    skeleton.paint_pelvis(canvas, frame, parts[4], variety)
    if varied:
        organs.paint_solid_varied(canvas, frame, parts[5])
        left_flank.paint_left_flank(canvas, frame, np.random.default_rng([seed, 53]))
    else:
        organs.paint_solid(canvas, frame, parts[5])
    kept = canvas.labels == varied_organs.KEPT
    organs.paint_bowel(canvas, frame, parts[6])
    varied_organs.release(canvas, kept)
    organs.paint_ascites(canvas, envelope, parts[6])
    muscles.paint_marbling(canvas, frame, parts[7])
    surroundings.paint_breasts(canvas, frame, parts[8])
    surroundings.paint_metal(canvas, frame, parts[8])
    has_screws = spine is not None and bool(spine.screws)
    if spine is not None and has_screws:
        spine_additions.paint_screws(canvas, frame, shapes, spine)
    surroundings.paint_arms(canvas, frame, parts[8])
    surroundings.paint_table(canvas, envelope.skin, parts[8])
    return Trunk(canvas, person, apart[0], ribs, apart[1], has_screws)


def _with_spine(person: Person, spine: SpineOptions) -> Person:
    """The person with what the spine's options say of them."""
    return replace(
        person,
        bone_hu=person.bone_hu if spine.marrow_hu is None else spine.marrow_hu,
        scoliosis_mm=excursion_mm(person, spine) if spine.cobb_degrees else person.scoliosis_mm,
        sacralised=person.sacralised if spine.junction is None else False,
    )
