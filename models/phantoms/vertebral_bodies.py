"""Vertebral bodies in detail: which forms a spine has, their labels, their attenuation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from models.phantoms.fractures import Deformity, Lesion, SpineOptions, Spot
from models.phantoms.frame import Body, Frame
from models.phantoms.shapes import Box, Canvas, Field
from models.phantoms.tissue import BODIES, Tissue
from models.phantoms.vertebral_shape import BACK, Shape

#: Higher in front than behind, as a part of the height, L5 to T6: the physiological form.
_TILT = (0.10, 0.04, 0.02, 0.0, -0.03, -0.05, -0.05, -0.04, -0.04, -0.04, -0.04, -0.03)
_CEMENT_HU = 1700.0
#: Of metastases: dense bone, and soft tissue in the place of bone.
_SPOT_HU = {Lesion.SCLEROTIC: 620.0, Lesion.LYTIC: 45.0}


@dataclass(frozen=True, slots=True)
class Own:
    """Coordinates (mm) in one body's own frame, over a box, and the way back.

    Attributes:
        x, y, z: to the left, to posterior, along the spine. slope: (x, y) of the spine there.
        centre: (x, y, z) in the patient's frame. turn: about z, radians.
    """

    box: Box
    x: Field
    y: Field
    z: Field
    slope: tuple[float, float]
    centre: tuple[float, float, float]
    turn: float = 0.0

    def outward(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 3) own (x, y, z) as the patient's (x, y, z), mm."""
        sx, sy = self.slope
        norm = np.sqrt(1 + sx * sx + sy * sy)
        x, y, z = np.moveaxis(points, -1, 0)
        c, s = np.cos(self.turn), np.sin(self.turn)
        x, y = c * x - s * y, s * x + c * y
        dz = (z * norm - sx * x - sy * y) / norm**2
        found = np.stack([x + sx * dz, y + sy * dz, dz], axis=-1)
        return np.asarray(found + np.array(self.centre), np.float64)


def own_frame(canvas: Canvas, frame: Frame, body: Body) -> Own:
    """Coordinates around one body: its axis follows the spine's course."""
    middle = int(np.clip(np.searchsorted(canvas.z, body.z), 0, canvas.z.size - 1))
    cx, cy = float(frame.spine_x[middle]), float(frame.spine_y[middle])
    s = frame.person.scale
    box = canvas.box(
        (body.z - 34 * s, cy - 30 * s, cx - 36 * s), (body.z + 34 * s, cy + 30 * s, cx + 36 * s)
    )
    z, y, x = canvas.coordinates(box)
    sx = float(frame.slope_x[middle])
    sy = float(np.clip(frame.slope_y[middle], -0.7, 0.7))
    dx, dy, dz = x - np.float32(cx), y - np.float32(cy), z - np.float32(body.z)
    norm = np.float32(np.sqrt(1 + sx * sx + sy * sy))
    left, back = dx - sx * dz + 0 * dy, dy - sy * dz + 0 * dx
    turn = frame.turned_at(middle)
    if turn:
        c, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        left, back = c * left + sine * back, c * back - sine * left
    return Own(
        box=box,
        x=np.asarray(left, np.float32),
        y=np.asarray(back, np.float32),
        z=np.asarray((dz + sx * dx + sy * dy) / norm, np.float32),
        slope=(sx, sy),
        centre=(cx, cy, body.z),
        turn=turn,
    )


def detailed(
    frame: Frame,
    options: SpineOptions,
    halves: tuple[tuple[float, ...], tuple[float, ...]],
    seed: int,
) -> tuple[Frame, tuple[Shape, ...]]:
    """The form of each body, and the frame with its bodies settled where some are crushed.

    Args:
        halves: half widths and half depths, L5 upwards, of an adult of scale 1, mm.
    """
    rng = np.random.default_rng([seed, 41])
    s = frame.person.scale
    shapes = []
    for k, body in enumerate(frame.bodies):
        shapes.append(
            Shape(
                half_width=halves[0][k] * s,
                half_depth=halves[1][k] * s,
                height=body.height,
                tilt=_TILT[k] + float(rng.normal(0, 0.015)),
                hollow=float(rng.uniform(0.4, 1.6)) * s,
                change=options.of(body.tissue),
            )
        )
    reach = [_reach(shape) for shape in shapes]
    centres = [0.0] * len(shapes)
    for k in range(3, len(shapes)):
        centres[k] = centres[k - 1] + reach[k - 1][1] + frame.bodies[k - 1].disc + reach[k][0]
    for k in (1, 0):
        centres[k] = centres[k + 1] - reach[k + 1][0] - frame.bodies[k].disc - reach[k][1]
    bodies = tuple(
        replace(body, z=z, height=sum(each))
        for body, z, each in zip(frame.bodies, centres, reach, strict=True)
    )
    return replace(frame, bodies=bodies), tuple(shapes)


def _reach(shape: Shape) -> tuple[float, float]:
    """From the middle to both ends, below and above, as far as neighbours rest on them, mm."""
    half = shape.height / 2
    change = shape.change
    if change is None or change.deformity is not Deformity.CRUSH:
        return half, half
    y = np.array([0.8 * BACK * shape.half_depth], np.float32)
    top, bottom = shape.endplates(np.zeros_like(y), y)
    return -float(bottom[0]) + shape.hollow * 0.5, float(top[0]) + shape.hollow * 0.5


def paint_labels(canvas: Canvas, frame: Frame, shapes: tuple[Shape, ...]) -> None:
    """Labels of the bodies: a voxel whose middle lies inside."""
    for body, shape in zip(frame.bodies, shapes, strict=True):
        own = own_frame(canvas, frame, body)
        top, bottom = shape.endplates(own.x, own.y)
        inside = (own.z < top) & (own.z > bottom) & (shape.inward(own.x, own.y, own.z) > 0)
        canvas.paint((own.box, inside), body.tissue)


def render(
    hu: Field,
    canvas: Canvas,
    spine: tuple[Frame, tuple[Shape, ...]],
    table: NDArray[np.float32],
    rng: np.random.Generator,
) -> dict[Tissue, float]:
    """Give the bodies and what is around them their attenuation, with partial volumes, in place.

    Args:
        hu: (z, y, x) on the canvas. table: (256,) mean HU of every tissue.

    Returns:
        Trabecular HU of each body, before noise.
    """
    frame, shapes = spine
    found: dict[Tissue, float] = {}
    density = float(np.clip((frame.person.bone_hu - 40) / 180, 0.25, 1.1))
    cortex = float(rng.uniform(520, 760)) * (0.7 + 0.3 * density)
    around = {int(t) for t in (*BODIES, Tissue.DISC)}
    for body, shape in zip(frame.bodies, shapes, strict=True):
        own = own_frame(canvas, frame, body)
        part = hu[own.box]
        labels = canvas.labels[own.box]
        ours = np.isin(labels, list(around))
        top, bottom = shape.endplates(own.x, own.y)
        dz, dy, dx = canvas.steps
        ends = np.minimum(top - own.z, own.z - bottom)
        walls = shape.inward(own.x, own.y, own.z)
        # Beside a body lies fat, above and below it the disc.
        base = part.copy()
        beside = ours & (ends > -0.5 * dz)
        base[beside] = table[Tissue.VISCERAL_FAT]
        base[beside & (ends < dz) & (walls > -dx)] = table[Tissue.DISC]
        trabecular = float(table[body.tissue])
        found[body.tissue] = trabecular
        thick = float(rng.uniform(0.6, 1.1)) * (0.75 + 0.25 * density)
        outer = _share(ends, dz) * _share(walls, (dy + dx) / 2)
        inner = _share(ends - thick, dz) * _share(walls - 0.7 * thick, (dy + dx) / 2)
        inside = _inside(shape, own, trabecular, top)
        mixed = base * (1 - outer) + cortex * (outer - inner) + inside * inner
        for spot in shape.change.spots if shape.change else ():
            # Where it reaches a wall or an endplate the cortex is gone too.
            ball = _in_spot(spot, shape, own)
            mixed[ball] = (base * (1 - outer) + np.float32(_SPOT_HU[spot.lesion]) * outer)[ball]
        touched = (outer > 0) | beside
        part[touched] = mixed[touched]
    return found


def _in_spot(spot: Spot, shape: Shape, own: Own) -> NDArray[np.bool_]:
    x, y, z = spot.middle
    away = (
        (own.x - x * shape.half_width) ** 2
        + (own.y - y * shape.half_depth) ** 2
        + (own.z - z * shape.height / 2) ** 2
    )
    return np.asarray(away < spot.radius_mm**2, np.bool_)


def _share(distance: Field, step: float) -> Field:
    """Part of a voxel that lies inside a border at this distance."""
    return np.asarray(np.clip(distance / step + 0.5, 0, 1), np.float32)


def _inside(shape: Shape, own: Own, trabecular: float, top: Field) -> Field:
    """Attenuation of the spongy bone, with what is wrong in it."""
    out = np.full(own.z.shape, trabecular, np.float32)
    # The basivertebral vein enters in the middle of the wall behind.
    vein = (own.x / 4.0) ** 2 + (own.z / 2.5) ** 2 < 1
    out[vein & (own.y > 0.25 * shape.half_depth)] = 30.0
    change = shape.change
    if change is None:
        return out
    if change.acute and change.deformity is not None:
        band = np.exp(-(((top - own.z - 5.0) / 2.5) ** 2))
        out += np.float32(140.0) * np.asarray(band, np.float32)
    if change.lesion is not None:
        value = 520.0 if change.lesion is Lesion.SCLEROTIC else 35.0
        radius = 0.28 * shape.height
        ball = (own.x + 6) ** 2 + (own.y + 3) ** 2 + own.z**2 < radius**2
        out[ball] = value
    if change.cement:
        blob = ((own.x - 3) / 13) ** 2 + (own.y / 9) ** 2 + (own.z / 7) ** 2 < 1
        out[blob] = _CEMENT_HU
    return out
