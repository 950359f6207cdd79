"""Spine, ribs, sternum, pelvis and hips."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.phantoms.envelope import Envelope, latissimus
from models.phantoms.frame import Body, Frame
from models.phantoms.lateral_curve import behind
from models.phantoms.shapes import Box, Canvas, Field, Sweep, ellipsoid, tube
from models.phantoms.tissue import BODIES, Labels, Tissue
from models.phantoms.variety import NONE, Variety
from models.phantoms.vertebral_bodies import paint_labels
from models.phantoms.vertebral_shape import Shape

_HALF_WIDTH = (26.0, 25.0, 24.0, 22.5, 21.5, 20.5, 19.0, 17.5, 16.5, 16.0, 15.0, 14.5)
_HALF_DEPTH = (17.5, 17.5, 17.5, 17.0, 16.5, 16.0, 15.5, 15.0, 14.5, 14.5, 14.0, 13.5)
_PROCESS = (38.0, 40.0, 44.0, 41.0, 36.0, 24.0, 26.0, 30.0, 31.0, 32.0, 32.0, 32.0)
"""Bodies' half axes and reach of the transverse processes, L5 to T6, mm."""

HALVES = (_HALF_WIDTH, _HALF_DEPTH)
"""Half widths and half depths of the bodies, L5 to T6, mm."""

_LUMBAR = 5


@dataclass(frozen=True, slots=True)
class _Local:
    """Coordinates (mm) in one vertebra's own frame, over a box; x without its sign."""

    box: Box
    x: Field
    y: Field
    z: Field

    def rod(
        self, start: tuple[float, float, float], stop: tuple[float, float, float], radius: float
    ) -> NDArray[np.bool_]:
        """Inside a rod between two (x, y, z) points, on both sides of the body."""
        a, b = np.asarray(start, np.float32), np.asarray(stop, np.float32)
        d = b - a
        px, py, pz = self.x - a[0], self.y - a[1], self.z - a[2]
        t = np.clip((px * d[0] + py * d[1] + pz * d[2]) / float(d @ d), 0, 1)
        inside: NDArray[np.bool_] = (px - t * d[0]) ** 2 + (py - t * d[1]) ** 2 + (
            pz - t * d[2]
        ) ** 2 < radius**2
        return inside


def _local(canvas: Canvas, frame: Frame, body: Body) -> _Local:
    middle = int(np.clip(np.searchsorted(canvas.z, body.z), 0, canvas.z.size - 1))
    cx, cy = float(frame.spine_x[middle]), float(frame.spine_y[middle])
    s = frame.person.scale
    box = canvas.box(
        (body.z - 48 * s, cy - 30 * s, cx - 60 * s), (body.z + 34 * s, cy + 82 * s, cx + 60 * s)
    )
    z, y, x = canvas.coordinates(box)
    sx, sy = float(frame.slope_x[middle]), float(frame.slope_y[middle])
    sy = float(np.clip(sy, -0.7, 0.7))
    dx, dy, dz = x - cx, y - cy, z - np.float32(body.z)
    norm = np.float32(np.sqrt(1 + sx * sx + sy * sy))
    left, back = dx - sx * dz, dy - sy * dz
    turn = frame.turned_at(middle)
    if turn:
        c, sine = np.float32(np.cos(turn)), np.float32(np.sin(turn))
        left, back = c * left + sine * back, c * back - sine * left
    return _Local(box, np.abs(left), back, (dz + sx * dx + sy * dy) / norm)


def _worn(frame: Frame, rng: np.random.Generator) -> tuple[float, float]:
    """Depth of the endplates' bowls, mm, and size of the spurs of one plain body."""
    hollow = float(rng.uniform(0.5, 2.2)) * frame.person.scale
    return hollow, float(rng.uniform(0, 0.12)) * (frame.person.age > 50)


def _paint_body(canvas: Canvas, frame: Frame, k: int, rng: np.random.Generator) -> None:
    body, s = frame.bodies[k], frame.person.scale
    at = _local(canvas, frame, body)
    rx, ry = _HALF_WIDTH[k] * s, _HALF_DEPTH[k] * s
    waist = 1 - 0.12 * np.clip(1 - (2 * at.z / body.height) ** 2, 0, 1)
    r2 = (at.x / (rx * waist)) ** 2 + (at.y / (ry * waist)) ** 2
    hollow, spur = _worn(frame, rng)
    rim = 1 + spur * np.clip(np.abs(2 * at.z / body.height) - 0.7, 0, 1) * 3
    inside = (r2 < rim) & (np.abs(at.z) < body.height / 2 - hollow * np.clip(1 - r2, 0, 1))
    inside &= at.y < ry * 0.86
    canvas.paint((at.box, inside), body.tissue)


def _arch_of(
    canvas: Canvas, frame: Frame, k: int, rng: np.random.Generator, other: Body | None = None
) -> None:
    """Pedicles, laminae and processes of the body of index `k`, or of another one of its form."""
    body, s = other or frame.bodies[k], frame.person.scale
    at = _local(canvas, frame, body)
    ry, reach = _HALF_DEPTH[k] * s, _PROCESS[k] * s * float(rng.normal(1, 0.08))
    lumbar = k < _LUMBAR
    side = (13.5 if lumbar else 10.5) * s
    solid = at.rod((side, ry * 0.7, 5 * s), (side + s, ry + 13 * s, 3 * s), 4.6 * s)
    drop = 4 * s if lumbar else 12 * s
    if lumbar:
        tip = (reach, ry + 15 * s, 4 * s)
        thick = 3.6 * s
    else:
        tip = (reach, ry + 27 * s, 8 * s)
        thick = 4.4 * s
    solid |= at.rod((side + 2 * s, ry + 9 * s, 3 * s), tip, thick)
    # Facets, then laminae that meet behind the canal, then the spinous process.
    for height in (body.height * 0.5, -body.height * 0.55):
        solid |= at.rod(
            (side + 2 * s, ry + 15 * s, height),
            (side + 1 * s, ry + 17 * s, height - 5 * s),
            5.6 * s,
        )
    for height in (-1.0, -5.0, -9.0):
        solid |= at.rod(
            (side + s, ry + 14 * s, height * s), (0, ry + 23 * s, (height - 3) * s), 3.6 * s
        )
    end = ry + (46 if lumbar else 42) * s * float(rng.normal(1, 0.06))
    sink = at.z + drop * (at.y - ry - 22 * s) / (24 * s)
    spinous = (at.x < 3.4 * s) & (at.y > ry + 20 * s) & (at.y < end)
    solid |= spinous & (np.abs(sink + 8 * s) < (9.5 if lumbar else 5.5) * s)
    if k == 0 and frame.person.sacralised:
        solid |= at.rod((side, ry * 0.4, -6 * s), (reach + 8 * s, ry + 4 * s, -10 * s), 12 * s)
    canvas.paint((at.box, solid & (at.y > ry * 0.5)), Tissue.ARCH)


def paint_spine(
    canvas: Canvas,
    frame: Frame,
    rng: np.random.Generator,
    shapes: tuple[Shape, ...] = (),
    variety: Variety = NONE,
) -> None:
    """Discs, sacrum, arches, bodies and the canal.

    Args:
        shapes: of the bodies, where they are painted in detail; () for plain ones.
        variety: of the sacrum.
    """
    s = frame.person.scale
    heights = [b.z for b in frame.bodies]
    disc = Sweep(
        [(frame.below.z if frame.below else heights[0]) - 24 * s, *heights],
        [0.0] * 13,
        [0.0] * 13,
        [s * 0.96 * v for v in (_HALF_WIDTH[0], *_HALF_WIDTH)],
        [s * 0.94 * v for v in (_HALF_DEPTH[0], *_HALF_DEPTH)],
    )
    box, q = disc.on(canvas, frame.spine)
    canvas.paint((box, q < 1), Tissue.DISC)
    _paint_sacrum(canvas, frame, rng, variety)
    if frame.below is not None:
        _arch_of(canvas, frame, 0, np.random.default_rng(43), frame.below)
    for k in range(len(frame.bodies)):
        _arch_of(canvas, frame, k, rng)
    for k in range(len(frame.bodies)):
        # The same draws either way: canal, ribs and all that follows are the same.
        if shapes:
            _worn(frame, rng)
        else:
            _paint_body(canvas, frame, k, rng)
    if shapes:
        paint_labels(canvas, frame, shapes)
    width = float(rng.normal(1, 0.08)) * s
    knots = [s * v for v in (-165, -120, -95, -74, 0, 74, 140, 290)]
    canal = Sweep(
        knots,
        [0.0] * 8,
        [s * v for v in (8, 17, 24, 24.5, 24.5, 23, 21, 20)],
        [width * v for v in (5, 9, 12, 12, 11, 10.5, 8.5, 8)],
        [width * v for v in (3, 5, 7, 8, 7.5, 7.5, 7, 7)],
    )
    box, q = canal.on(canvas, behind(frame, 24.0 * s))
    canvas.paint((box, q < 1), Tissue.CANAL)


def _paint_sacrum(canvas: Canvas, frame: Frame, rng: np.random.Generator, variety: Variety) -> None:
    s = frame.person.scale
    wide = s * (1.04 if frame.person.sex == "F" else 1.0) * float(rng.normal(1, 0.04))
    wide *= variety.sacrum_wide
    lowest = frame.below or frame.bodies[0]
    gap = (2.0 if frame.person.sacralised else 10.0) * s
    top = lowest.z - lowest.height / 2 - gap
    middle = int(np.clip(np.searchsorted(canvas.z, top), 0, canvas.z.size - 1))
    cy = float(frame.spine_y[middle])
    slope = float(np.clip(frame.slope_y[middle], -1.1, -0.25))
    knots = [s * v for v in (-224, -205, -180, -160, -140, -122, -104, -85, -68)]
    for wing in (False, True):
        shape = Sweep(
            knots,
            [0.0] * 9,
            [s * v * wing for v in (0, 0, 0, 0, 4, 8, 14, 26, 30)],
            [wide * v for v in ((6, 10, 20, 38, 48, 54, 55, 52, 45) if wing
                                else (6, 9, 14, 20, 24, 26, 27, 27, 27))],
            [s * v for v in ((4, 5, 6, 9, 13, 16, 17, 14, 10) if wing
                             else (4, 5, 8, 12, 15, 17, 18, 18, 18))],
            power=2.6,
        )  # fmt: skip
        box, q = shape.on(canvas, frame.spine)
        z, y, _ = canvas.coordinates(box)
        below = (z - np.float32(top)) + np.float32(slope) * np.minimum(
            y - np.float32(cy), 12 * s
        ) < 0
        canvas.paint((box, (q < 1) & below), Tissue.SACRUM)
    crest = Sweep(
        [s * v for v in (-165, -140, -118, -100)],
        [0.0] * 4,
        [s * v for v in (16, 24, 32, 36)],
        [4 * s] * 4,
        [s * v for v in (6, 9, 9, 8)],
    )
    box, q = crest.on(canvas, frame.spine)
    canvas.paint((box, q < 1), Tissue.SACRUM)
    for height, side in ((-112, 21), (-132, 19), (-152, 16)):
        for sign in (-1, 1):
            at = int(np.clip(np.searchsorted(canvas.z, height * s), 0, canvas.z.size - 1))
            y0, x0 = float(frame.spine_y[at]), float(frame.spine_x[at]) + sign * side * s
            path = np.array([[height * s, y0 - 16 * s, x0], [height * s, y0 + 14 * s, x0]])
            hole, depth = tube(canvas, path, 3.6 * s)
            canvas.paint((hole, depth > 0), Tissue.VISCERAL_FAT)


def paint_intercostals(labels: Labels, step_mm: float) -> None:
    """Wall muscle with a rib within 26 mm above and another below it becomes intercostal."""
    cage = (labels == Tissue.RIB) | (labels == Tissue.CARTILAGE)
    reach = max(1, round(26 / step_mm))
    above, below = np.zeros_like(cage), np.zeros_like(cage)
    for k in range(1, reach + 1):
        above[:-k] |= cage[k:]
        below[k:] |= cage[:-k]
    labels[(labels == Tissue.WALL_MUSCLE) & above & below] = Tissue.INTERCOSTAL


@dataclass(frozen=True, slots=True)
class _Shell:
    """Voxels near the middle of the chest wall: z, bearing from behind, distance, mm."""

    z: Field
    phi: Field
    shell: Field


def _paint_rib_necks(
    canvas: Canvas, frame: Frame, heads: dict[int, float], numbers: Labels
) -> None:
    """The stretch of each rib between its vertebra and the wall of the chest."""
    s = frame.person.scale
    for k in range(5, 12):
        head = heads[k] + 5 * s
        at = int(np.clip(np.searchsorted(canvas.z, head), 0, canvas.z.size - 1))
        x0, y0 = float(frame.spine_x[at]), float(frame.spine_y[at])
        for sign in (-1, 1):
            path = np.array(
                [[head, y0 + 10 * s, x0 + sign * 19 * s],
                 [head - 4 * s, y0 + 26 * s, x0 + sign * 36 * s]]
            )  # fmt: skip
            box, inside = tube(canvas, path, 4.2 * s)
            canvas.paint((box, inside > 0), Tissue.RIB)
            numbers[box][inside > 0] = 17 - k


def paint_ribs(
    canvas: Canvas,
    frame: Frame,
    envelope: Envelope,
    rng: np.random.Generator,
    variety: Variety = NONE,
) -> Labels:
    """Ribs 4 to 12 with their cartilages, and the sternum, in the wall of the chest.

    Returns:
        (z, y, x) uint8: number of the rib painted there. It means something only where the label
        is still `RIB` once everything is painted; 0 there is sternum.
    """
    s = frame.person.scale
    lowest = int(np.searchsorted(canvas.z, 5 * s))
    phi = np.float32(np.pi) - envelope.bearing[lowest:]
    depth = envelope.base[lowest:]
    labels = canvas.labels[lowest:]
    inset = variety.rib_inset_mm
    inward = np.interp(phi, [0.2, 0.35, 0.6, 3.2], [24, 14, inset, inset]).astype(np.float32) * s
    inward += latissimus(canvas, frame, envelope.bearing)[lowest:]
    shell = np.abs(depth - inward)
    near = np.nonzero((shell < 5.2 * s * max(1.0, variety.rib_thick)) & (phi > 0.2) & (depth > 0))
    chest = _Shell(canvas.z[lowest:][near[0]], phi[near], shell[near])
    painted = labels[near]
    which = np.zeros(painted.shape, np.uint8)
    heads = {BODIES.index(b.tissue): b.z for b in frame.bodies}
    spread = float(rng.normal(1, 0.06))
    total = float(rng.normal(122, 8)) * s
    for rib in range(12, 3, -1):
        k = 17 - rib
        head = heads.get(k, heads[11] + (k - 11) * 24.5 * s) + 5 * s
        tip = {12: 0.95 * frame.person.last_rib, 11: 1.55, 10: 2.2, 9: 2.35, 8: 2.5}.get(rib, 2.6)
        tip *= spread if rib < 12 else 1.0
        fall = total * (0.75 if rib == 12 else 0.92 if rib == 11 else 1.0)
        course = head - fall * variety.rib_fall * (np.clip(chest.phi, 0, tip) / 2.3) ** 1.15
        thick = (5.8 if rib < 11 else 4.6) * s * variety.rib_thick
        away = chest.shell / (0.5 * thick + 0.4)
        bone = ((chest.z - course) / (1.25 * thick)) ** 2 + away**2 < 1
        painted[bone & (chest.phi < tip)] = Tissue.RIB
        which[bone & (chest.phi < tip)] = rib
        if rib < 11:
            rise = course + (chest.phi - tip) * 105 * s
            gristle = (chest.phi >= tip) & (chest.phi < tip + 0.48)
            gristle &= ((chest.z - rise) / (1.6 * thick)) ** 2 + (
                chest.shell / (0.7 * thick)
            ) ** 2 < 1
            painted[gristle] = Tissue.CARTILAGE
    labels[near] = painted
    numbers = np.zeros_like(canvas.labels)
    numbers[lowest:][near] = which
    _paint_rib_necks(canvas, frame, heads, numbers)
    x = np.abs(canvas.x[None, None, :] - 0.5 * frame.spine_x[lowest:, None, None])
    bone = (np.abs(depth - 8 * s) < 5 * s) & (phi > 2.6) & (x < 17 * s)
    z = canvas.z[lowest:, None, None]
    bone &= z > 178 * s
    bone |= (np.abs(depth - 8 * s) < 3 * s) & (phi > 2.8) & (x < 8 * s) & (z > 152 * s)
    sternum = bone & (labels != Tissue.AIR)
    labels[sternum] = Tissue.RIB
    numbers[lowest:][sternum] = 0
    paint_intercostals(labels, canvas.steps[0])
    return numbers


_WING = (
    # z, posterior end (x, y), anterior end (x, y), half thickness
    (-30, 98, 36, 106, 20, 3.5),
    (-50, 74, 52, 117, 2, 4.0),
    (-75, 57, 69, 125, -13, 4.2),
    (-100, 51, 77, 126, -19, 4.8),
    (-125, 52, 79, 119, -18, 6.0),
    (-150, 56, 70, 107, -12, 8.0),
    (-175, 62, 50, 100, -8, 11.0),
    (-198, 74, 28, 92, -4, 15.0),
)


def paint_pelvis(
    canvas: Canvas, frame: Frame, rng: np.random.Generator, variety: Variety = NONE
) -> None:
    """Both hip bones, the pubis and the proximal femora."""
    s = frame.person.scale
    wide = s * float(rng.normal(1.02 if frame.person.sex == "F" else 0.99, 0.03))
    wide *= variety.hip_wide
    lift = float(rng.normal(0, 9)) * s
    table = np.asarray(_WING, np.float32)
    heights = table[::-1, 0] * s + lift * np.linspace(0, 1, len(table), dtype=np.float32)
    columns = [np.interp(canvas.z, heights, table[::-1, k]).astype(np.float32) for k in range(1, 6)]
    rows = (canvas.z > heights[0]) & (canvas.z < heights[-1])
    first, last = int(np.argmax(rows)), int(rows.size - np.argmax(rows[::-1]))
    box = canvas.box((float(heights[0]), -60 * s, -150 * s), (float(heights[-1]), 110 * s, 150 * s))
    box = (slice(first, last), box[1], box[2])
    if rows.any():
        _, y, x = canvas.coordinates(box)
        ax, ay, bx, by, r = (c[first:last, None, None] * s for c in columns)
        ay = ay + np.float32(variety.hip_back_mm * s)
        ax, bx = ax * wide / s, bx * wide / s
        px, py = np.abs(x) - ax, y - ay
        dx, dy = bx - ax, by - ay
        t = np.clip((px * dx + py * dy) / (dx * dx + dy * dy), 0, 1)
        bow = 7 * s * np.sin(np.pi * t)
        norm = np.sqrt(dx * dx + dy * dy)
        ex, ey = px - t * dx - bow * dy / norm, py - t * dy + bow * dx / norm
        rim = r * (1 + 0.5 * np.clip(np.abs(2 * t - 1) - 0.6, 0, 1))
        canvas.paint((box, ex * ex + ey * ey < rim * rim), Tissue.HIP_BONE)
    for sign in (-1, 1):
        _paint_hip(canvas, s, sign * wide)


def _paint_hip(canvas: Canvas, s: float, side: float) -> None:
    """Acetabulum, rami, ischium and femur of one side; `side` = sign times width factor."""

    def rod(
        points: list[tuple[float, float, float]], radii: float | list[float], t: Tissue
    ) -> None:
        path = np.array([[z * s, y * s, x * side] for x, y, z in points])
        box, depth = tube(canvas, path, np.asarray(radii) * s)
        canvas.paint((box, depth > 0), t)

    head = (-222 * s, 6 * s, 89 * side)
    box, q = ellipsoid(canvas, head, (34 * s, 33 * s, 33 * s))
    _, _, x = canvas.coordinates(box)
    canvas.paint((box, (q < 1) & ((x - head[2]) * np.sign(side) < 9 * s)), Tissue.HIP_BONE)
    rod([(72, -14, -222), (45, -42, -236), (13, -60, -246)], [12, 8, 10], Tissue.HIP_BONE)
    rod([(11, -60, -246), (11, -56, -268)], 9, Tissue.HIP_BONE)
    rod([(14, -52, -268), (35, -20, -285), (54, 20, -298)], [7, 6, 9], Tissue.HIP_BONE)
    rod([(78, 30, -225), (68, 42, -262), (58, 38, -300)], [15, 13, 14], Tissue.HIP_BONE)
    box, q = ellipsoid(canvas, head, (27 * s, 27 * s, 27 * s))
    canvas.paint((box, q < 1), Tissue.DISC)
    box, q = ellipsoid(canvas, head, (24 * s, 24 * s, 24 * s))
    canvas.paint((box, q < 1), Tissue.FEMUR)
    rod([(89, 6, -222), (118, 12, -240)], [16, 17], Tissue.FEMUR)
    rod([(134, 20, -228), (136, 18, -262)], [13, 18], Tissue.FEMUR)
    rod([(128, 14, -255), (122, 6, -330)], [20, 15], Tissue.FEMUR)
