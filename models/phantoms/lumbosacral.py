"""Transitional vertebrae: a sixth lumbar body above the sacrum, or a fifth that is a part of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.phantoms.fractures import Junction, SpineOptions
from models.phantoms.frame import Body, Frame
from models.phantoms.shapes import Canvas, Field, along, tube
from models.phantoms.tissue import Tissue
from models.phantoms.vertebral_bodies import own_frame, paint_labels
from models.phantoms.vertebral_shape import Shape

#: Height of a lumbarised S1 and its discs, mm at scale 1.
_HEIGHT_MM, _DISC_MM = 25.0, 9.0
#: Between these heights below mid-L3 the course of the spine goes on as far again, mm.
_FROM_MM, _TO_MM = -140.0, -66.0
#: Reach and thickness of the bone between a sacralised L5 and the wings of the sacrum, mm.
_WING_MM, _WING_THICK_MM = 46.0, 12.0


def lowered(frame: Frame, spine: SpineOptions, z: Field) -> Frame:
    """The frame with room for a sixth body: what is the sacrum's course begins further below."""
    if spine.junction is not Junction.SIX:
        return frame
    s = frame.person.scale
    room = (_HEIGHT_MM + _DISC_MM) * s
    higher = z + along([_FROM_MM * s, _TO_MM * s], [room, 0.0], z)
    spine_y = np.interp(higher, z, frame.spine_y).astype(np.float32)
    return replace(frame, spine_y=spine_y, slope_y=np.gradient(spine_y, z).astype(np.float32))


def counted(frame: Frame, spine: SpineOptions) -> Frame:
    """The frame with the sixth body, a sacral one by its name, in its place; where there is one."""
    if spine.junction is not Junction.SIX:
        return frame
    s, lowest = frame.person.scale, frame.bodies[0]
    z = lowest.z - lowest.height / 2 - (_DISC_MM + _HEIGHT_MM / 2) * s
    own = Body(Tissue.SACRUM, z, _HEIGHT_MM * s, _DISC_MM * s)
    return replace(frame, below=own)


def joined(
    canvas: Canvas, frame: Frame, shapes: tuple[Shape, ...], spine: SpineOptions
) -> tuple[Frame, tuple[Shape, ...]]:
    """Paint what is transitional; the bodies that stand apart, and their forms."""
    if spine.junction is Junction.FOUR:
        _fuse(canvas, frame)
        return replace(frame, bodies=frame.bodies[1:]), shapes[1:]
    if frame.below is None:
        return frame, shapes
    sixth = replace(shapes[0], height=frame.below.height, change=None)
    only = replace(frame, bodies=(frame.below,))
    paint_labels(canvas, only, (sixth,))
    return replace(frame, bodies=(frame.below, *frame.bodies)), (sixth, *shapes)


def _fuse(canvas: Canvas, frame: Frame) -> None:
    """L5, the disc below it and the gaps to the wings become sacrum."""
    lowest, s = frame.bodies[0], frame.person.scale
    labels = canvas.labels[: int(np.searchsorted(canvas.z, lowest.z + lowest.height / 2)) + 1]
    labels[labels == lowest.tissue] = Tissue.SACRUM
    under = labels[: int(np.searchsorted(canvas.z, lowest.z))]
    under[under == Tissue.DISC] = Tissue.SACRUM
    own = own_frame(canvas, frame, lowest)
    free = np.ones(256, np.bool_)
    free[[Tissue.CANAL, Tissue.HIP_BONE, Tissue.L4]] = False
    for side in (-1, 1):
        path = own.outward(
            np.array(
                [[side * 14 * s, 0.0, -2 * s], [side * _WING_MM * s, 14 * s, -lowest.height * 0.7]]
            )
        )
        box, depth = tube(canvas, path[:, ::-1], _WING_THICK_MM * s)
        canvas.paint((box, depth > 0), Tissue.SACRUM, free)
