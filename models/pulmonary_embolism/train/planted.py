"""Clots put into the vessels of a recorded window, anew each time that it is shown.

A simulated chest holds a handful of clots, always the same ones. Here a stretch of one of its
vessels, most often a thin one, gets a clot that fills it or a part of it; a wide one gets a web
most often, which chests hardly hold: between the tissue beside
the vessel and its blood, clot takes the place of blood, and a voxel keeps the share that it had.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.special import erf

from models.phantoms.clots import CLOT_HU, Form
from models.pulmonary_embolism.train.branches import STEP_MM, Floats
from models.pulmonary_embolism.train.imitators import CLOT, VESSEL, Labels
from models.pulmonary_embolism.train.scenes import CLOT_SHARE

_FORMS = (Form.OCCLUSIVE, Form.FLOATING, Form.ECCENTRIC, Form.WEB)
#: Chances of the forms, and which vessels get them, by their depth (mm, to the nearest voxel
#: outside): thin ones, and wide ones at hila and in the mediastinum.
_THIN = ((0.36, 0.3, 0.2, 0.14), (1.6, 4.5))
_WIDE = ((0.05, 0.15, 0.15, 0.65), (4.5, 14.0))
_WIDE_SHARE, _TRIES = 0.3, 6
#: Half the length of a clot: of the radius, and mm.
_HALF, _HALF_MM = ((1.2, 4.0), (1.0, 2.6)), ((3.0, 10.0), (6.0, 18.0))
#: Of a web, mm: how thick it is, and how much the scanner blurs it (standard deviation).
_WEB_MM, _WEB_BLUR_MM = (0.9, 1.6), (0.45, 0.75)
#: So deep in a vessel nothing of its wall is seen, mm.
_DEEP_MM = 3.5
#: A clot must be darker than what was there by so much in so many voxels, or nobody could see it.
_SEEN_HU, _SEEN_VOXELS = 50.0, 12
#: Blood at least so bright, HU.
_LEAST_BLOOD_HU = 140.0


def plant(hu: Floats, labels: Labels, rng: np.random.Generator) -> int:
    """Up to three clots; changes both.

    Args:
        hu: (z, y, x) as scanned, without other additions yet. labels: of the same window.

    Returns:
        How many clots were put in.
    """
    vessels = labels == VESSEL
    if vessels.sum() < 60:
        return 0
    blood = float(np.percentile(hu[vessels], 90))
    if blood < _LEAST_BLOOD_HU:
        return 0
    depth = np.asarray(ndimage.distance_transform_edt(vessels), np.float32) * STEP_MM
    ridge = vessels & (depth == ndimage.maximum_filter(depth, 3))
    inner = np.zeros_like(ridge)
    inner[4:-4, 4:-4, 4:-4] = True
    places = [
        np.argwhere(ridge & inner & (depth >= low) & (depth < high))
        for _, (low, high) in (_THIN, _WIDE)
    ]
    drawn = 0
    for _ in range(int(rng.choice([1, 2, 3], p=[0.5, 0.3, 0.2]))):
        wide = bool(len(places[1])) and rng.random() < _WIDE_SHARE
        if not len(places[wide]):
            continue
        for _ in range(_TRIES):
            place = places[wide][int(rng.integers(len(places[wide])))]
            if _one(hu, labels, (place, depth, blood), wide, rng):
                drawn += 1
                break
    return drawn


def _one(
    hu: Floats, labels: Labels, at: tuple[NDArray[np.intp], Floats, float], wide: bool,
    rng: np.random.Generator,
) -> bool:  # fmt: skip
    place, depth, blood = at
    # The distance to the nearest voxel outside is about half a voxel too long.
    radius = max(0.7, float(depth[tuple(place)]) - 0.5 * STEP_MM)
    half = float(np.clip(rng.uniform(*_HALF[wide]) * radius, *_HALF_MM[wide]))
    box, own, away = _stretch(labels == VESSEL, place, half)
    # A stretch that runs into a much wider vessel is no clot of this one.
    if (labels[box] == CLOT).any() or float(depth[box][own].max()) > 1.6 * radius + 1.5 * STEP_MM:
        return False
    here = hu[box]
    form = _FORMS[int(rng.choice(len(_FORMS), p=(_THIN, _WIDE)[wide][0]))]
    soft = float(rng.uniform(1.0, 1.8)) * STEP_MM
    share = np.clip((half - np.linalg.norm(away, axis=-1)) / soft + 0.5, 0, 1)
    share = (share * _across(form, radius, (away, depth[box]), rng, soft)).astype(np.float32)
    # Edges of the vessel are partly tissue; those of its neighbours stay.
    other = (labels[box] == VESSEL) & ~own
    share *= ndimage.binary_dilation(own, iterations=2) & ~ndimage.binary_dilation(other)
    floor = np.minimum(ndimage.minimum_filter(here, 7), 0.0)
    part = np.clip((here - floor) / (blood - floor), 0, 1)
    value = min(float(rng.uniform(*CLOT_HU)), blood - 70.0)
    drop = (share * part * (blood - value)).astype(np.float32)
    if wide:
        # The wall and the tissue beside it are no darker than the clot itself.
        drop = np.minimum(drop, np.maximum(here - value, 0))
    clot = own & (share >= CLOT_SHARE)
    if (drop[clot] > _SEEN_HU).sum() < _SEEN_VOXELS:
        return False
    here -= drop - _grain(here, depth[box]) * np.minimum(drop / (blood - floor), 1)
    labels[box][clot] = CLOT
    return True


def _grain(here: Floats, depth: Floats) -> Floats:
    """Noise in the middle of wide vessels: a clot there has as much of it as the blood."""
    grain = here - ndimage.gaussian_filter(here, 1.0, truncate=2)
    return np.asarray(np.clip(grain, -80, 80) * (depth >= _DEEP_MM), np.float32)


Box = tuple[slice, ...]


def _stretch(
    vessels: NDArray[np.bool_], place: NDArray[np.intp], half_mm: float
) -> tuple[Box, NDArray[np.bool_], Floats]:
    """Box, what of the vessels in a ball is joined to its middle, and mm from the middle."""
    reach = int(np.ceil(half_mm / STEP_MM)) + 3
    box = tuple(
        slice(max(0, int(k) - reach), min(n, int(k) + reach + 1))
        for k, n in zip(place, vessels.shape, strict=True)
    )
    sides = [(np.arange(b.start, b.stop) - k) * STEP_MM for b, k in zip(box, place, strict=True)]
    away = np.stack(np.meshgrid(*sides, indexing="ij"), -1).astype(np.float32)
    ball = (away**2).sum(-1) <= (half_mm + STEP_MM) ** 2
    parts, _ = ndimage.label(vessels[box] & ball)
    number = parts[tuple(int(k) - b.start for k, b in zip(place, box, strict=True))]
    return box, np.asarray(parts == number, np.bool_), away


def _across(
    form: Form, radius: float, where: tuple[Floats, Floats], rng: np.random.Generator, soft: float
) -> Floats:
    """Share of the lumen that a form takes, of each voxel."""
    away, depth = where
    if form is Form.OCCLUSIVE:
        return np.ones(depth.shape, np.float32)
    if form is Form.FLOATING:
        inside = depth - 0.5 * STEP_MM - radius * (1 - float(rng.uniform(0.45, 0.8)))
    else:
        towards = rng.normal(size=3)
        along = away @ (towards / np.linalg.norm(towards))
        if form is Form.ECCENTRIC:
            inside = along - radius * (1 - 2 * float(rng.uniform(0.45, 0.95)))
        else:
            # Thinner than the blur of a scanner, it takes a part of a voxel even in its middle.
            reach = 0.5 * float(rng.uniform(*_WEB_MM))
            blur = np.sqrt(2) * float(rng.uniform(*_WEB_BLUR_MM))
            sides = erf((reach - along) / blur) + erf((reach + along) / blur)
            return np.asarray(0.5 * sides, np.float32)
    return np.asarray(np.clip(inside / soft + 0.5, 0, 1), np.float32)
