"""Kidneys, liver and spleen whose place, form and neighbours vary as they do in patients."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.phantoms.envelope import CAVITY
from models.phantoms.frame import Frame
from models.phantoms.shapes import Box, Canvas, Field, table, tube
from models.phantoms.tissue import Tissue

_FAT = table([Tissue.VISCERAL_FAT])
#: While organs are painted, fat round a kidney carries this label: nothing else is painted there.
KEPT = Tissue.BREAST

_CAVITY = table([Tissue.VISCERAL_FAT, KEPT, Tissue.KIDNEY, Tissue.KIDNEY_SINUS, Tissue.LIVER,
                 Tissue.SPLEEN, Tissue.VEIN, Tissue.ARTERY, Tissue.GALLBLADDER])  # fmt: skip
"""What fills the belly while liver and spleen are painted."""


def oriented(
    canvas: Canvas,
    centre: tuple[float, float, float],
    radii: tuple[float, float, float],
    turn: tuple[float, float, float],
) -> tuple[Box, Field]:
    """Normalised radius of an ellipsoid in its box, and its own first two axes.

    Args:
        centre, radii: (z, y, x), mm. turn: about z, y and x, radians.
    """
    reach = max(radii)
    box = canvas.box([c - reach for c in centre], [c + reach for c in centre])
    dz, dy, dx = (
        axis - np.float32(at) for axis, at in zip(canvas.coordinates(box), centre, strict=True)
    )
    matrix = _rotation(turn)
    own = [
        (np.float32(row[0]) * dz + np.float32(row[1]) * dy + np.float32(row[2]) * dx)
        / np.float32(radius)
        for row, radius in zip(matrix, radii, strict=True)
    ]
    return box, np.sqrt(own[0] ** 2 + own[1] ** 2 + own[2] ** 2).astype(np.float32)


def _rotation(turn: tuple[float, float, float]) -> NDArray[np.float64]:
    """(3, 3) rows: the own axes in (z, y, x)."""
    (cz, sz), (cy, sy), (cx, sx) = ((float(np.cos(a)), float(np.sin(a))) for a in turn)
    about_z = np.array([[1, 0, 0], [0, cz, -sz], [0, sz, cz]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[cx, -sx, 0], [sx, cx, 0], [0, 0, 1]])
    return np.asarray(about_x @ about_y @ about_z, np.float64)


def paint_kidneys(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> None:
    """Both kidneys: high or low, near the spine or far from it, in much fat or in little."""
    for sign in (-1, 1):
        if rng.random() < 0.03:
            continue
        _paint_kidney(canvas, frame, sign, rng)


def _paint_kidney(canvas: Canvas, frame: Frame, sign: int, rng: np.random.Generator) -> None:
    s = frame.person.scale
    size = float(np.clip(rng.normal(1, 0.13), 0.65, 1.4)) * s
    shift = 0.15 * frame.person.belly_mm[1]
    up = ((48 if sign < 0 else 62) + float(rng.normal(0, 22))) * s
    aside = float(np.clip(rng.normal(64, 9), 46, 86))
    at = int(np.clip(np.searchsorted(canvas.z, up), 0, canvas.z.size - 1))
    centre = (
        up,
        float(frame.spine_y[at]) + float(rng.uniform(-14, 24)) * s,
        float(frame.spine_x[at]) + sign * (aside * s + shift),
    )
    turn = (
        sign * float(rng.uniform(-0.9, 0.5)),
        sign * float(rng.uniform(-0.45, 0.05)),
        float(rng.normal(-0.12, 0.18)),
    )
    radii = (54 * size, float(rng.uniform(22, 29)) * size, float(rng.uniform(26, 33)) * size)
    whole, q = oriented(canvas, centre, radii, turn)
    canvas.paint((whole, q < 1), Tissue.KIDNEY, _FAT)
    ours = (q < 1.02) & (canvas.labels[whole] == Tissue.KIDNEY)
    _paint_hilum(canvas, (centre, radii, turn), sign, rng)
    if rng.random() < 0.2:
        _paint_cyst(canvas, (whole, ours), rng)
    # Fat parts a kidney from liver and spleen, in the leanest too.
    gap = max(2.0, float(rng.uniform(-4, 16)))
    wide, halo = oriented(canvas, centre, (radii[0] + gap, radii[1] + gap, radii[2] + gap), turn)
    canvas.paint((wide, halo < 1), KEPT, _FAT)


def _paint_hilum(
    canvas: Canvas,
    kidney: tuple[
        tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]
    ],
    sign: int,
    rng: np.random.Generator,
) -> None:
    """Sinus, and the vessels and ureter that leave it towards the spine."""
    centre, radii, turn = kidney
    matrix = _rotation(turn)
    # Inwards: the own third axis, towards the spine.
    inwards = -sign * matrix[2]
    middle = np.array(centre)
    wide = float(rng.uniform(0.25, 0.5))
    place = middle + inwards * radii[2] * float(rng.uniform(0.25, 0.5))
    sinus = (radii[0] * wide, radii[1] * wide, radii[2] * float(rng.uniform(0.35, 0.6)))
    box, q = oriented(canvas, (place[0], place[1], place[2]), sinus, turn)
    canvas.paint((box, q < 1), Tissue.KIDNEY_SINUS, table([Tissue.KIDNEY]))
    # The notch where it opens is fat outside the kidney.
    notch = middle + inwards * radii[2] * float(rng.uniform(0.95, 1.15))
    deep = (radii[0] * wide * 0.8, radii[1] * 0.6, radii[2] * 0.35)
    box, q = oriented(canvas, (notch[0], notch[1], notch[2]), deep, turn)
    canvas.paint((box, q < 1), Tissue.VISCERAL_FAT, table([Tissue.KIDNEY, Tissue.KIDNEY_SINUS]))
    for _ in range(2):
        start = place + rng.normal(0, 3, 3)
        stop = middle + inwards * (radii[2] + float(rng.uniform(15, 35))) + rng.normal(0, 6, 3)
        box, depth = tube(canvas, np.array([start, stop]), float(rng.uniform(2, 4.5)))
        canvas.paint((box, depth > 0), Tissue.VEIN, _FAT)


def _paint_cyst(
    canvas: Canvas, kidney: tuple[Box, NDArray[np.bool_]], rng: np.random.Generator
) -> None:
    box, ours = kidney
    places = np.argwhere(ours)
    if not len(places):
        return
    for _ in range(int(rng.integers(1, 4))):
        index = places[int(rng.integers(len(places)))]
        at = [
            float(axis[part.start + int(k)])
            for axis, part, k in zip((canvas.z, canvas.y, canvas.x), box, index, strict=True)
        ]
        radius = float(np.clip(rng.lognormal(2.3, 0.45), 4, 28))
        ball = (radius, radius, radius)
        where, q = oriented(canvas, (at[0], at[1], at[2]), ball, (0.0, 0.0, 0.0))
        canvas.paint(
            (where, q < 1), Tissue.GALLBLADDER,
            table([Tissue.KIDNEY, Tissue.KIDNEY_SINUS, Tissue.VISCERAL_FAT]),
        )  # fmt: skip


def paint_spleen(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> None:
    """A spleen that lies along the wall like a slice of melon, thick in its middle."""
    s = frame.person.scale
    size = float(np.clip(rng.lognormal(0, 0.22), 0.6, 1.9)) * s
    centre = (
        (106 + float(rng.normal(0, 14))) * s,
        (32 + float(rng.normal(0, 12))) * s,
        (92 + float(rng.normal(0, 9))) * s,
    )
    radii = (
        float(rng.uniform(50, 72)) * size, float(rng.uniform(48, 68)) * size, 64 * size,
    )  # fmt: skip
    turn = (float(rng.normal(0, 0.25)), float(rng.normal(-0.2, 0.2)), float(rng.normal(0.4, 0.3)))
    _paint_along_wall(
        canvas, oriented(canvas, centre, radii, turn),
        float(rng.uniform(30, 52)) * size, Tissue.SPLEEN,
    )  # fmt: skip


def _paint_along_wall(
    canvas: Canvas, window: tuple[Box, Field], thick: float, tissue: Tissue
) -> None:
    """What lies in a window no deeper below wall or diaphragm than `thick` mm, less at its rim."""
    box, q = window
    if not q.size:
        return
    cavity = _CAVITY[canvas.labels[box]]
    depth = ndimage.distance_transform_edt(np.pad(cavity, 1, mode="edge"), sampling=canvas.steps)
    inside = (q < 1) & (depth[1:-1, 1:-1, 1:-1] < thick * (1 - q**3))
    canvas.paint((box, inside), tissue, CAVITY)


def paint_liver(canvas: Canvas, frame: Frame, rng: np.random.Generator) -> None:
    """Right lobe, its tongue downwards, left lobe, and what lies along the back of the wall."""
    s = frame.person.scale
    big = float(np.clip(rng.normal(1, 0.12), 0.7, 1.35)) * s
    front = float(np.interp(110 * s, canvas.z, frame.front))
    up = float(rng.normal(118, 9)) * s

    def blob(
        centre: tuple[float, float, float], radii: tuple[float, float, float], tilt: float
    ) -> None:
        turn = (float(rng.normal(0, 0.15)), tilt, float(rng.normal(0, 0.12)))
        box, q = oriented(canvas, centre, radii, turn)
        canvas.paint((box, q < 1), Tissue.LIVER, CAVITY)

    blob((up, float(rng.normal(-8, 8)) * s, float(rng.normal(-78, 6)) * s),
         (float(rng.normal(88, 8)) * big, float(rng.normal(90, 8)) * big,
          float(rng.normal(74, 7)) * big), 0.25)  # fmt: skip
    low = float(rng.normal(38, 26))
    blob(((low + 40) * s, float(rng.normal(-10, 12)) * s, float(rng.normal(-96, 6)) * s),
         (70 * big, 55 * big, float(rng.uniform(24, 42)) * big), 0.1)  # fmt: skip
    lobe = float(rng.uniform(0.6, 1.25))
    blob((float(rng.normal(130, 10)) * s, 0.62 * front, float(rng.normal(-8, 10)) * s),
         (42 * big * lobe, 50 * big, 88 * big * lobe), -0.2)  # fmt: skip
    back = ((up + 10 * s), 42 * s, -80 * s)
    window = oriented(canvas, back, (75 * big, 60 * big, 75 * big), (0.0, 0.15, 0.0))
    _paint_along_wall(canvas, window, float(rng.uniform(20, 75)) * s, Tissue.LIVER)


def release(canvas: Canvas, kept: NDArray[np.bool_]) -> None:
    """Turn the fat that was kept free round the kidneys into fat again.

    Args:
        kept: (z, y, x) where it was before anything that may carry the same label was painted.
    """
    canvas.labels[kept & (canvas.labels == KEPT)] = Tissue.VISCERAL_FAT
