"""Contents of the cavities: lungs, heart, solid organs, vessels, bowel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.phantoms import varied_organs as varied
from models.phantoms.envelope import CAVITY, Envelope, diaphragm_height
from models.phantoms.frame import Frame
from models.phantoms.muscles import smooth_noise
from models.phantoms.shapes import Canvas, Sweep, along, ellipsoid, table, tube
from models.phantoms.tissue import Tissue

_Path = list[tuple[float, float, float]]


@dataclass(frozen=True, slots=True)
class Gut:
    """How one stretch of bowel is filled: gas share, content, wall in mm."""

    gas: float
    content: Tissue
    wall: float


def paint_thorax(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> NDArray[np.float32]:
    """Lungs, heart and mediastinum above the diaphragm; gives the diaphragm's height (y, x)."""
    s = frame.person.scale
    height = diaphragm_height(canvas, frame, rng)
    z = canvas.z[:, None, None]
    low = int(np.searchsorted(canvas.z, 55 * s))
    region = canvas.labels[low:]
    cavity = region == Tissue.VISCERAL_FAT
    above = z[low:] > height[None]
    region[cavity & above] = Tissue.LUNG
    muscle = cavity & ~above & (z[low:] > height[None] - max(2.5, 1.2 * canvas.steps[0]))
    region[muscle] = Tissue.DIAPHRAGM
    lung = table([Tissue.LUNG])
    wide = float(rng.normal(1, 0.12)) * s
    knots = [s * v for v in (60, 120, 165, 200, 290)]
    middle = Sweep(
        knots,
        [s * v for v in (0, 0, 6, 8, 6)],
        [s * v for v in (-22, -24, -34, -38, -38)],
        [wide * v for v in (20, 22, 32, 34, 34)],
        [s * v for v in (26, 28, 44, 60, 70)],
        power=2.5,
    )
    box, q = middle.on(canvas, frame.spine)
    canvas.paint((box, q < 1), Tissue.MEDIASTINAL_FAT, lung)
    heart_z = float(np.median(height[height > 0])) + 62 * s
    chest = table([Tissue.LUNG, Tissue.MEDIASTINAL_FAT])
    front = float(np.interp(190 * s, canvas.z, frame.front))
    centre = (max(heart_z, 205 * s), front + 62 * s, 24 * s)
    big = float(rng.normal(1, 0.1)) * s
    for grow, tissue in ((1.12, Tissue.MEDIASTINAL_FAT), (1.0, Tissue.HEART)):
        box, q = ellipsoid(canvas, centre, [big * grow * v for v in (52, 46, 62)], tilt=0.35)
        canvas.paint((box, q < 1), tissue, chest)
    _paint_lung_vessels(canvas, frame, rng)
    return height


def _paint_lung_vessels(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> None:
    s = frame.person.scale
    lung = table([Tissue.LUNG])
    for _ in range(46):
        side = rng.choice([-1.0, 1.0])
        start = np.array([rng.uniform(190, 260), 0.0, side * 38]) * s
        stop = start + np.array([rng.uniform(-130, 20), rng.normal(20, 45), side * 55]) * s
        middle = (start + stop) / 2 + rng.normal(0, 9, 3)
        box, depth = tube(canvas, np.array([start, middle, stop]), [3.2, 2.2, 1.2])
        canvas.paint((box, depth > 0), Tissue.LUNG_VESSEL, lung)


def _blob(
    canvas: Canvas, centre: list[float], radii: list[float], tilt: float, tissue: Tissue
) -> None:
    box, q = ellipsoid(canvas, centre, radii, tilt)
    canvas.paint((box, q < 1), tissue, CAVITY)


def paint_solid(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> None:
    """Kidneys, great vessels, liver, spleen, pancreas, gallbladder, pelvic organs."""
    paint_vessels(canvas, frame, rng)
    _paint_kidneys(canvas, frame, rng)
    _paint_liver_and_spleen(canvas, frame, rng)
    _paint_small_organs(canvas, frame, rng)


def paint_solid_varied(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> None:
    """The same organs, with kidneys, liver and spleen of more varied places and forms."""
    paint_vessels(canvas, frame, rng)
    varied.paint_kidneys(canvas, frame, rng)
    if rng.random() < 0.5:
        varied.paint_spleen(canvas, frame, rng)
        varied.paint_liver(canvas, frame, rng)
    else:
        varied.paint_liver(canvas, frame, rng)
        varied.paint_spleen(canvas, frame, rng)
    _paint_small_organs(canvas, frame, rng)


def _paint_kidneys(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> None:
    s = frame.person.scale
    side_shift = 0.15 * frame.person.belly_mm[1]
    for sign in (-1, 1):
        if rng.random() < 0.02:
            continue
        size = float(rng.normal(1, 0.09)) * s
        up = (58 if sign < 0 else 68) + float(rng.normal(0, 12))
        centre = [up * s, 22 * s + float(rng.normal(0, 4)), sign * (62 * s + side_shift)]
        lean = sign * 0.2
        box, q = ellipsoid(canvas, centre, [54 * size, 25 * size, 29 * size], lean)
        allowed = table([Tissue.VISCERAL_FAT])
        canvas.paint((box, q < 1), Tissue.KIDNEY, allowed)
        hilum = [centre[0], centre[1] - 7 * s, centre[2] - sign * 15 * size]
        box, q = ellipsoid(canvas, hilum, [24 * size, 11 * size, 17 * size], lean)
        canvas.paint((box, q < 1), Tissue.KIDNEY_SINUS, table([Tissue.KIDNEY]))


def _paint_liver_and_spleen(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> None:
    s = frame.person.scale
    big = float(rng.normal(1, 0.1)) * s
    front = float(np.interp(110 * s, canvas.z, frame.front))
    _blob(canvas, [118 * s, -8 * s, -78 * s], [90 * big, 92 * big, 74 * big], 0.25, Tissue.LIVER)
    low = float(rng.normal(40, 22))
    _blob(
        canvas, [low * s + 40, -10 * s, -96 * s], [70 * big, 55 * big, 34 * big], 0.1, Tissue.LIVER
    )
    _blob(
        canvas, [128 * s, 0.62 * front, -8 * s], [42 * big, 50 * big, 88 * big], -0.2, Tissue.LIVER
    )
    size = float(np.clip(rng.lognormal(0, 0.22), 0.6, 1.8)) * s
    _blob(
        canvas, [112 * s, 30 * s, 108 * s], [46 * size, 44 * size, 27 * size], -0.3, Tissue.SPLEEN
    )


def _paint_small_organs(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> None:
    s = frame.person.scale
    front = float(np.interp(110 * s, canvas.z, frame.front))
    if rng.random() < 0.8:
        _blob(
            canvas,
            [52 * s + float(rng.normal(0, 15)), 0.55 * front, -62 * s],
            [26 * s, 17 * s, 15 * s], 0.3, Tissue.GALLBLADDER,
        )  # fmt: skip
    path = np.array([[38, -38, -34], [52, -46, 0], [68, -32, 40], [82, -8, 78]]) * s
    path += rng.normal(0, 5, path.shape)
    box, depth = tube(canvas, path, [13 * s, 10 * s, 9 * s, 8 * s])
    canvas.paint((box, depth > 0), Tissue.PANCREAS, CAVITY)
    _paint_pelvic_organs(canvas, frame, rng)


def _paint_pelvic_organs(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> None:
    s = frame.person.scale
    fill = float(rng.uniform(0.4, 1.9)) * s
    centre = [-234 * s + 26 * fill, -10 * s - 10 * fill, 0.0]
    _blob(canvas, centre, [fill * r for r in (34, 32, 42)], 0.0, Tissue.BLADDER)
    if frame.person.sex == "F":
        _blob(
            canvas, [-195 * s, 22 * s, float(rng.normal(0, 10))], [26 * s, 24 * s, 32 * s], 0.1,
            Tissue.PELVIC_ORGAN,
        )  # fmt: skip
    else:
        _blob(canvas, [-246 * s, 2 * s, 0.0], [18 * s, 16 * s, 23 * s], 0.0, Tissue.PELVIC_ORGAN)


def paint_vessels(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> None:
    """Aorta, vena cava and iliac vessels."""
    s = frame.person.scale
    wide = s * float(rng.normal(0.93, 0.1)) * (1 + 0.003 * (frame.person.age - 50))
    chest = table([Tissue.MEDIASTINAL_FAT, Tissue.LUNG])

    def beside(points: _Path) -> NDArray[np.float64]:
        path = np.array(points) * s
        x = np.interp(path[:, 0], canvas.z, frame.spine_x)
        y = np.interp(path[:, 0], canvas.z, frame.spine_y)
        path[:, 1] += y
        path[:, 2] += x
        wobble = rng.normal(0, 2.0, path.shape)
        out: NDArray[np.float64] = path + wobble
        return out

    fork = float(rng.normal(-42, 8))
    aorta: _Path = [
        (290, -10, 26),
        (220, -14, 25),
        (150, -24, 16),
        (90, -29, 8),
        (30, -30, 8),
        (fork, -29, 6),
    ]
    box, depth = tube(canvas, beside(aorta), wide * np.array([12.5, 12, 11.5, 10.5, 9, 8.5]))
    canvas.paint((box, depth > 0), Tissue.ARTERY, CAVITY)
    canvas.paint((box, depth > 0), Tissue.THORACIC_VESSEL, chest)
    cava: _Path = [
        (175, -50, -30),
        (130, -40, -28),
        (60, -32, -20),
        (0, -29, -20),
        (fork - 12, -26, -14),
    ]
    box, depth = tube(
        canvas, beside(cava), s * float(rng.normal(1, 0.15)) * np.array([12, 11, 10.5, 10, 9])
    )
    canvas.paint((box, depth > 0), Tissue.VEIN, CAVITY)
    canvas.paint((box, depth > 0), Tissue.THORACIC_VESSEL, chest)
    for sign in (-1, 1):
        for back, tissue, r in ((0, Tissue.ARTERY, 5.5), (13, Tissue.VEIN, 6.5)):
            path = np.array(
                [[fork, -29 + back, 3 * sign], [-90, -22 + back, 34 * sign],
                 [-150, -18 + back, 56 * sign], [-205, -46 + back * 0.6, 62 * sign],
                 [-310, -58 + back * 0.8, 62 * sign]]
            ) * s  # fmt: skip
            box, depth = tube(canvas, path, r * s)
            fat = table([Tissue.VISCERAL_FAT, Tissue.SUBCUTANEOUS_FAT])
            canvas.paint((box, depth > 0), tissue, fat)


def fill_gut(
    canvas: Canvas, path: NDArray[np.float64], radii: NDArray[np.float64], gut: Gut
) -> None:
    """Paint one stretch of bowel, where there is fat so far.

    Args:
        path: (n, 3) points (z, y, x), mm. radii: per point, mm.
    """
    box, depth = tube(canvas, path, radii)
    if depth.size == 0:
        return
    canvas.paint((box, depth > 0), Tissue.BOWEL_WALL, CAVITY)
    fresh = canvas.labels[box] == Tissue.BOWEL_WALL
    inner = (depth > gut.wall) & fresh
    canvas.paint((box, inner), gut.content)
    if gut.gas > 0:
        y = canvas.y[box[1]][None, :, None]
        course = np.interp(canvas.z[box[0]], *_sorted(path)).astype(np.float32)[:, None, None]
        level = course + np.float32((gut.gas - 0.5) * 2 * float(np.mean(radii)))
        canvas.paint((box, inner & (y < level)), Tissue.BOWEL_GAS)


def _sorted(path: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    order = np.argsort(path[:, 0])
    return path[order, 0], path[order, 1]


def _wiggle(points: _Path, amount: float, rng: np.random.Generator) -> NDArray[np.float64]:
    coarse = np.array(points, np.float64)
    at = np.linspace(0, len(points) - 1, 5 * len(points))
    fine = np.stack([np.interp(at, np.arange(len(points)), coarse[:, k]) for k in range(3)], 1)
    out: NDArray[np.float64] = fine + rng.normal(0, amount, fine.shape) * [0.7, 1, 1]
    return out


def paint_bowel(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> None:
    """Stomach, colon, rectum and small bowel with their contents, then mesenteric vessels."""
    s = frame.person.scale
    front_at = along(list(canvas.z[::8]), list(frame.front[::8]), canvas.z)

    def front(z: float, inset: float) -> float:
        return float(np.interp(z * s, canvas.z, front_at)) / s + inset

    half = float(np.interp(0, canvas.z, frame.half_width)) / s
    oral = bool(rng.random() < 0.35)
    liquid = Tissue.BOWEL_CONTRAST if oral else Tissue.BOWEL_FLUID
    stomach = [
        (168.0, 4.0, 58.0), (140.0, -22.0, 76.0), (100.0, front(100, 36), 62.0),
        (72.0, front(72, 30), 26.0), (66.0, front(66, 34), -14.0), (56.0, -30.0, -34.0),
    ]  # fmt: skip
    full = float(rng.uniform(0.45, 1.2))
    path = _wiggle(stomach, 2, rng) * s
    radii = np.interp(np.linspace(0, 1, len(path)), [0, 0.4, 0.8, 1], [30, 32, 20, 11]) * s * full
    fill_gut(canvas, path, radii, Gut(float(rng.uniform(0, 0.7)), liquid, 3.5))
    sag = float(rng.normal(0, 30))
    calibre = float(rng.uniform(0.6, 1.25))
    flank = half - 32
    pieces: list[tuple[_Path, float]] = [
        ([(-105, -20, -74), (-70, -4, -0.94 * flank), (-10, 6, -flank),
          (30, 0, -0.92 * flank)], 25),
        (
            [(30, 0, -0.92 * flank), (28 + sag / 2, front(20, 40), -62),
             (20 + sag, front(20 + sag, 32), 0),
             (50 + sag / 2, front(50, 36), 58), (105, 10, 0.9 * flank)],
            19,
        ),
        ([(105, 10, 0.9 * flank), (40, 18, flank), (-40, 14, flank), (-85, 0, 0.86 * flank)], 15),
        ([(-85, 0, 0.86 * flank), (-125, -25, 60), (-150, -10, 10), (-165, 35, -8), (-205, 60, 0),
          (-245, 58, 0)], 16),
    ]  # fmt: skip
    for points, r in pieces:
        path = _wiggle(points, 3, rng) * s
        radii = r * s * calibre * np.clip(rng.normal(1, 0.17, len(path)), 0.55, 1.5)
        content = Tissue(int(rng.choice([Tissue.STOOL, Tissue.STOOL, liquid])))
        gas = float(np.clip(rng.normal(0.25, 0.4), 0, 1))
        fill_gut(canvas, path, radii, Gut(gas, content, float(rng.uniform(1.8, 3.5))))
    _paint_small_bowel(canvas, frame, liquid, rng)
    _speckle_stool(canvas, rng)


def _paint_small_bowel(
    canvas: Canvas, frame: Frame, liquid: Tissue, rng: np.random.Generator
) -> None:
    s, person = frame.person.scale, frame.person
    half = float(np.interp(0, canvas.z, frame.half_width)) - 30 * s
    loops = int(8 + 26 * person.organs + 10 * person.slim)
    for _ in range(loops):
        z0 = float(rng.uniform(-150, 78)) * s
        ahead = float(np.interp(z0, canvas.z, frame.front)) + 24 * s
        narrow = 0.62 if z0 < -70 * s else 0.85
        x0 = float(rng.uniform(-narrow, narrow)) * half
        y0 = float(rng.uniform(ahead, max(min(ahead + 90 * s, 6 * s), ahead + 1)))
        turn = rng.normal(0, 1, (6, 3)) * [8, 10, 20]
        path = np.array([z0, y0, x0]) + np.cumsum(turn, 0) * s
        r = float(rng.uniform(7, 14)) * s
        content = liquid if rng.random() < 0.75 else Tissue.BOWEL_FLUID
        gas = float(rng.uniform(0.3, 1)) if rng.random() < 0.2 else 0.0
        gut = Gut(gas, content, float(rng.uniform(1.5, 3.2)) if rng.random() < 0.7 else 9.0)
        fill_gut(canvas, path, np.full(6, r), gut)
    for _ in range(int(30 + 40 * rng.random())):
        z0 = float(rng.uniform(-130, 80)) * s
        ahead = float(np.interp(z0, canvas.z, frame.front)) + 26 * s
        start = np.array([z0 + 30 * s * rng.normal(), -34 * s, 12 * s * rng.normal()])
        stop = np.array(
            [
                z0,
                float(rng.uniform(min(ahead, -26 * s), -25 * s)),
                float(rng.uniform(-0.8, 0.8)) * half,
            ]
        )
        path = np.array([start, (start + stop) / 2 + rng.normal(0, 8, 3), stop])
        box, depth = tube(canvas, path, [3.2, 2.2, 1.3])
        canvas.paint((box, depth > 0), Tissue.MESENTERIC_VESSEL, CAVITY)


def _speckle_stool(canvas: Canvas, rng: np.random.Generator) -> None:
    """Gas bubbles in stool."""
    dz, dy, dx = canvas.steps
    stool = canvas.labels == Tissue.STOOL
    if not stool.any():
        return
    where = np.argwhere(stool)
    low, high = where.min(0), where.max(0) + 1
    box = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    shape = tuple(int(v) for v in high - low)
    noise = smooth_noise(shape, (5 / dz, 4 / dy, 4 / dx), rng)
    canvas.labels[box][stool[box] & (noise > float(rng.uniform(0.7, 1.6)))] = Tissue.BOWEL_GAS


def paint_ascites(canvas: Canvas, envelope: Envelope, rng: np.random.Generator) -> None:
    """In a few patients free fluid lies along the flanks."""
    if rng.random() > 0.05:
        return
    thick = float(rng.uniform(5, 22))
    rim = (
        (envelope.base < envelope.wall + thick)
        & (envelope.bearing > 0.9)
        & (envelope.bearing < 2.3)
    )
    canvas.labels[rim & (canvas.labels == Tissue.VISCERAL_FAT)] = Tissue.ASCITES
