"""Muscles beside the spine and round the pelvis, and the fat between and in muscles."""

from __future__ import annotations

import numpy as np

from models.phantoms.envelope import Envelope, erector_sweeps
from models.phantoms.frame import Frame
from models.phantoms.shapes import Canvas, Field, Sweep, table
from models.phantoms.tissue import MUSCLES, Tissue

_SOFT = table(
    [Tissue.VISCERAL_FAT, Tissue.WALL_MUSCLE, Tissue.ERECTOR, Tissue.PELVIC_MUSCLE,
     Tissue.INTERMUSCULAR_FAT]
)  # fmt: skip


def paint_pelvic_muscles(canvas: Canvas, frame: Frame, envelope: Envelope) -> None:
    """Everything round the pelvic cavity below the iliac crests becomes muscle."""
    s = frame.person.scale
    top = int(np.searchsorted(canvas.z, -42 * s))
    cavity = Sweep(
        [s * v for v in (-285, -262, -235, -205, -175, -140, -105, -70, -48, -38)],
        [0.0] * 10,
        [s * v for v in (30, 26, 14, 4, -4, -16, -34, -44, -48, -48)],
        [s * v for v in (8, 26, 46, 58, 66, 78, 92, 108, 128, 190)],
        [s * v for v in (10, 30, 52, 66, 74, 80, 84, 100, 125, 170)],
        power=2.5,
    )
    box, q = cavity.on(canvas)
    inner = np.zeros(canvas.labels[:top].shape, np.bool_)
    stop = min(box[0].stop, top)
    inner[box[0].start : stop, box[1], box[2]] = q[: stop - box[0].start] < 1
    region = canvas.labels[:top]
    region[(region == Tissue.VISCERAL_FAT) & ~inner] = Tissue.PELVIC_MUSCLE
    z = canvas.z[:top, None, None]
    # Behind the sacrum and over the coccyx only fat covers the bone.
    x = np.abs(canvas.x[None, None, :])
    y = canvas.y[None, :, None]
    bare = (z < -150 * s) & (x < 9 * s) & (y > frame.spine_y[:top, None, None])
    region[bare & (region == Tissue.PELVIC_MUSCLE)] = Tissue.SUBCUTANEOUS_FAT
    wall = (region == Tissue.WALL_MUSCLE) & (envelope.bearing[:top] > 1.0) & (z < -60 * s)
    region[wall] = Tissue.PELVIC_MUSCLE
    for sign in (-1, 1):
        fossa = Sweep(
            [s * v for v in (-300, -280, -255, -235)],
            [sign * s * v for v in (26, 30, 34, 40)],
            [s * v for v in (66, 64, 62, 62)],
            [s * v for v in (20, 22, 17, 6)],
            [s * v for v in (32, 30, 22, 8)],
        )
        groin = Sweep(
            [s * v for v in (-320, -280, -230, -195)],
            [sign * s * v for v in (62, 60, 56, 60)],
            [s * v for v in (-52, -54, -56, -58)],
            [s * v for v in (26, 26, 20, 8)],
            [s * v for v in (22, 18, 13, 6)],
        )
        for sweep in (fossa, groin):
            part, ratio = sweep.on(canvas)
            canvas.paint((part, ratio < 1), Tissue.SUBCUTANEOUS_FAT, table([Tissue.PELVIC_MUSCLE]))
    _paint_gluteal_planes(canvas, frame, envelope, top)


def _paint_gluteal_planes(canvas: Canvas, frame: Frame, envelope: Envelope, top: int) -> None:
    s = frame.person.scale
    thick = (1.2 + 0.1 * min(frame.person.fat_mm[2], 25)) * s
    depth = envelope.fascia[:top]
    bearing = envelope.bearing[:top]
    course = 8 * s + 22 * s * np.clip(bearing - 1.6, 0, 1.2)
    plane = (np.abs(depth - course) < thick) & (bearing > 1.75) & (bearing < 2.8)
    deep = (np.abs(depth - course - 20 * s) < 0.6 * thick) & (bearing > 1.3) & (bearing < 2.5)
    region = canvas.labels[:top]
    region[(plane | deep) & (region == Tissue.PELVIC_MUSCLE)] = Tissue.INTERMUSCULAR_FAT


def _psoas(frame: Frame, rng: np.random.Generator) -> Sweep:
    s = frame.person.scale
    m = np.sqrt(frame.person.muscle * float(np.clip(rng.normal(1, 0.2), 0.5, 1.6)))
    return Sweep(
        [s * v for v in (-310, -285, -245, -205, -170, -135, -100, -74, -38, 0, 38, 66, 88)],
        [s * v for v in (100, 102, 92, 86, 82, 74, 58, 47, 40, 36, 31, 27, 23)],
        [s * v for v in (-2, -12, -32, -38, -30, -20, -8, -1, 2, 4, 9, 14, 18)],
        [s * m * v for v in (8, 11, 16, 19, 20, 21, 21, 20.5, 18, 14, 9.5, 6, 2)],
        [s * m * v for v in (8, 10, 14, 15, 16, 18, 21, 22, 20.5, 17, 12, 8, 3)],
        angle=[0.0, 0.2, 0.5, 0.6, 0.6, 0.5, 0.3, 0.2, 0.15, 0.1, 0.05, 0.0, 0.0],
        power=2.3,
    )


def _quadratus(frame: Frame, rng: np.random.Generator) -> Sweep:
    s = frame.person.scale
    m = np.sqrt(frame.person.muscle * float(np.clip(rng.normal(1, 0.2), 0.5, 1.6)))
    return Sweep(
        [s * v for v in (-52, -38, -10, 20, 55, 85)],
        [s * v for v in (74, 70, 63, 57, 50, 42)],
        [s * v for v in (40, 34, 25, 22, 24, 28)],
        [s * m * v for v in (14, 20, 21, 19, 15, 8)],
        [s * m * v for v in (7, 10, 10.5, 9.5, 7.5, 4)],
        angle=[-0.5, -0.45, -0.4, -0.4, -0.4, -0.4],
    )


def _iliacus(frame: Frame) -> Sweep:
    s, m = frame.person.scale, np.sqrt(frame.person.muscle)
    return Sweep(
        [s * v for v in (-195, -165, -135, -105, -75, -50)],
        [s * v for v in (84, 86, 88, 90, 96, 104)],
        [s * v for v in (-22, -8, 8, 20, 22, 18)],
        [s * m * v for v in (14, 22, 36, 42, 34, 12)],
        [s * m * v for v in (12, 13, 13, 12, 9, 4)],
        angle=[-0.9, -0.95, -0.95, -0.95, -0.9, -0.8],
    )


def paint_back(canvas: Canvas, frame: Frame, envelope: Envelope, rng: np.random.Generator) -> None:
    """Erector spinae, quadratus lumborum, iliacus and psoas of both sides."""
    inside = table([Tissue.VISCERAL_FAT, Tissue.WALL_MUSCLE, Tissue.SUBCUTANEOUS_FAT,
                    Tissue.PELVIC_MUSCLE])  # fmt: skip
    for sweep in erector_sweeps(frame):
        box, q = sweep.on(canvas, frame.spine)
        canvas.paint((box, (q < 1) & (envelope.fascia[box] > 0)), Tissue.ERECTOR, inside)
    # The space between the columns and the arches is filled with short muscles.
    s = frame.person.scale
    knots = [s * v for v in (-150, -110, -74, 0, 107, 290)]
    core = Sweep(
        knots,
        [0.0] * 6,
        [s * v for v in (20, 40, 44, 42, 38, 33)],
        [s * v for v in (12, 26, 32, 32, 24, 20)],
        [s * v for v in (6, 16, 22, 22, 16, 12)],
    )
    box, q = core.on(canvas, frame.spine)
    canvas.paint((box, (q < 1) & (envelope.fascia[box] > 0)), Tissue.ERECTOR, inside)
    for build, tissue in ((_quadratus, Tissue.QUADRATUS), (_psoas, Tissue.PSOAS)):
        left = build(frame, rng)
        for sweep in (left, left.mirrored()):
            follows = tissue is Tissue.QUADRATUS
            offset = frame.spine if follows else (frame.spine_x, 0.35 * frame.spine_y)
            box, q = sweep.on(canvas, offset)
            canvas.paint((box, (q < 1) & (envelope.fascia[box] > 0)), tissue, _SOFT)
    hollow = _iliacus(frame)
    for sweep in (hollow, hollow.mirrored()):
        box, q = sweep.on(canvas)
        canvas.paint((box, q < 1), Tissue.PSOAS, table([Tissue.VISCERAL_FAT, Tissue.PELVIC_MUSCLE]))


def _interpolation(count: int, cells: int) -> Field:
    """(count, cells) weights of linear interpolation from `cells` even knots."""
    at = np.linspace(0, cells - 1, count)
    knot = np.arange(cells)
    weights: Field = np.clip(1 - np.abs(at[:, None] - knot[None, :]), 0, None).astype(np.float32)
    return weights


def smooth_noise(
    shape: tuple[int, ...], coarse: tuple[float, ...], rng: np.random.Generator
) -> Field:
    """Smooth standard-normal noise, (z, y, x); `coarse` = distance of knots in voxels per axis."""
    cells = [max(2, int(np.ceil(n / c)) + 1) for n, c in zip(shape, coarse, strict=True)]
    noise = rng.standard_normal(cells).astype(np.float32)
    z, y, x = (_interpolation(n, m) for n, m in zip(shape, cells, strict=True))
    wide: Field = np.matmul(np.matmul(y[None], np.tensordot(z, noise, 1)), x.T)
    wide /= np.float32(max(float(wide[::2, ::4, ::4].std()), 1e-6))
    return wide


def paint_marbling(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> None:
    """Streaks of fat in muscle, and a fat plane round each muscle of the back."""
    dz, dy, dx = canvas.steps
    noise = smooth_noise(canvas.labels.shape, (20 / dz, 3.2 / dy, 3.2 / dx), rng)
    fraction = float(np.clip(0.7 * frame.person.marbling, 0.004, 0.25))
    level = float(np.quantile(noise[::4, ::4, ::4], 1 - fraction))
    spare = np.float32(0.55)
    labels = canvas.labels
    muscle = table([m for m in MUSCLES if m is not Tissue.LINEA_ALBA])[labels]
    spared = table([Tissue.PSOAS, Tissue.RECTUS])[labels]
    limit = np.where(spared, level + spare, level)
    labels[muscle & (noise > limit)] = Tissue.INTERMUSCULAR_FAT
    # A cleft of fat between erector spinae and quadratus, and between the layers of the flank.
    cleft = float(0.4 + 0.05 * min(frame.person.fat_mm[2], 30))
    at = Sweep(
        [frame.person.scale * v for v in (-60, -38, 20, 60)],
        [frame.person.scale * v for v in (66, 64, 58, 52)],
        [frame.person.scale * v for v in (46, 36, 31, 32)],
        [frame.person.scale * 17.0] * 4,
        [cleft * frame.person.scale * 1.8] * 4,
        angle=-0.4,
    )
    for sweep in (at, at.mirrored()):
        box, q = sweep.on(canvas, frame.spine)
        canvas.paint(
            (box, q < 1), Tissue.INTERMUSCULAR_FAT, table([Tissue.ERECTOR, Tissue.QUADRATUS])
        )
