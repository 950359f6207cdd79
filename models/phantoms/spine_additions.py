"""What is added to a spine in detail: spurs that meet across a disc, screws and rods."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.phantoms.fractures import SpineOptions
from models.phantoms.frame import Frame
from models.phantoms.shapes import Canvas, tube
from models.phantoms.tissue import BODIES, Tissue
from models.phantoms.vertebral_bodies import Own, own_frame
from models.phantoms.vertebral_shape import Shape

#: Bearings of bridges from the left side (0) over the front (90), degrees.
_BEARINGS = (15.0, 50.0, 90.0, 130.0, 165.0)
_SCREW_MM, _ROD_MM = 3.1, 2.9


def paint_bridges(
    canvas: Canvas, frame: Frame, shapes: tuple[Shape, ...], spine: SpineOptions, seed: int
) -> None:
    """Bone from the rim of each bridged body to that of the next above, around the disc."""
    if not spine.bridged:
        return
    rng = np.random.default_rng([seed, 44])
    s = frame.person.scale
    free = np.ones(256, np.bool_)
    free[[*BODIES, Tissue.CANAL, Tissue.SACRUM]] = False
    owns = [own_frame(canvas, frame, body) for body in frame.bodies]
    for k in range(len(owns) - 1):
        if frame.bodies[k].tissue not in spine.bridged:
            continue
        for bearing in rng.permutation(_BEARINGS)[: int(rng.integers(2, 5))]:
            out, thick = float(rng.uniform(2.5, 6.0)) * s, float(rng.uniform(2.2, 3.6)) * s
            ends = [
                _rim(own, shape, bearing, way, far)
                for own, shape, way, far in (
                    (owns[k], shapes[k], 0.36, 0.0),
                    (owns[k], shapes[k], 0.55, out),
                    (owns[k + 1], shapes[k + 1], -0.55, out),
                    (owns[k + 1], shapes[k + 1], -0.36, 0.0),
                )
            ]
            box, depth = tube(canvas, np.array(ends)[:, ::-1], [thick, thick, thick, thick])
            canvas.paint((box, depth > 0), Tissue.ARCH, free)


def _rim(own: Own, shape: Shape, bearing: float, way: float, far: float) -> NDArray[np.float64]:
    """(x, y, z) of a place `far` mm outside a rim, `way` of the height from the middle."""
    c, sine = np.cos(np.radians(bearing)), np.sin(np.radians(bearing))
    point = (
        (shape.half_width * 0.94 + far) * c,
        -(shape.half_depth * 0.94 + far) * sine,
        way * shape.height,
    )
    return own.outward(np.array(point))


def paint_screws(
    canvas: Canvas, frame: Frame, shapes: tuple[Shape, ...], spine: SpineOptions
) -> None:
    """A screw through each pedicle of the bodies that hold one, and a rod along their heads."""
    s = frame.person.scale
    heads: dict[int, list[NDArray[np.float64]]] = {-1: [], 1: []}
    for body, shape in zip(frame.bodies, shapes, strict=True):
        if body.tissue not in spine.screws:
            continue
        own = own_frame(canvas, frame, body)
        for side in (-1, 1):
            # Through the pedicle, towards the middle, to the front quarter of the body.
            tip = own.outward(np.array([side * 9 * s, -0.45 * shape.half_depth, 2.0]))
            head = own.outward(np.array([side * 20 * s, shape.half_depth + 24 * s, 3.0]))
            _metal(canvas, [head, tip], _SCREW_MM)
            heads[side].append(head)
    for path in heads.values():
        if len(path) > 1:
            _metal(canvas, path, _ROD_MM)
            for head in path:
                _metal(canvas, [head, head + np.array([0.0, 4.0, 0.0])], 5.5)


def _metal(canvas: Canvas, path: list[NDArray[np.float64]], radius: float) -> None:
    """Points (x, y, z), mm."""
    box, depth = tube(canvas, np.array(path)[:, ::-1], radius)
    canvas.paint((box, depth > 0), Tissue.METAL)
