"""What lies beside vessels at the hilum, is as dense as a clot, and is none.

Sheaths of connective tissue that fill the gaps between vessels and bronchi, lymph nodes in their
forks, veins without contrast medium that end at bright ones, blood that is not yet mixed. On any
grid of `STEP_MM`, so that both drawn windows and simulated chests can be dressed with them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import (
    binary_dilation,
    binary_opening,
    distance_transform_edt,
    gaussian_filter,
    minimum_filter,
    zoom,
)

from models.pulmonary_embolism.train.branches import (
    AXIS,
    SIZE,
    STEP_MM,
    Floats,
    depth_of,
    filled,
    grow,
)

#: Labels of a window. An imitator is no class: it is `OTHER` that weighs more in the training.
OTHER, VESSEL, AIRWAY, CLOT, IMITATOR = range(5)
#: What is denser is tissue already, HU; sheaths lie in lung and fat.
_SOFT_HU = 0.0
#: Soft tissue of the mediastinum, HU, and its least share around a dark vein.
_MEDIASTINUM_HU, _NEAR = (-150.0, 130.0), 0.12
#: Contrast medium adds to what is denser, HU.
_OPACIFIED_HU = 60.0
#: A window with so many voxels of wide vessels shows a hilum; the least notch, voxels.
_WIDE_VOXELS, _NOTCH = 300, 30
Labels = NDArray[np.uint8]


def smooth(rng: np.random.Generator, cells: int, shape: tuple[int, ...]) -> Floats:
    """Smooth noise about N(0, 1), `cells` bumps along the first axis."""
    steps = [max(2, round(cells * size / shape[0])) for size in shape]
    small = rng.normal(size=steps).astype(np.float32)
    factors = [size / step for size, step in zip(shape, steps, strict=True)]
    return np.asarray(zoom(small, factors, order=1, grid_mode=True, mode="nearest"), np.float32)


def sheath(occupied: Floats, rng: np.random.Generator) -> Floats:
    """Share of each voxel that tissue around and between vessels and bronchi takes.

    A blurred image of them is highest in their forks and gaps: from a level on it is tissue. Only
    here and there, as fibrosis, fat and nodes are.

    Args:
        occupied: share of each voxel that vessels and airways with their walls take.
    """
    reach = float(rng.uniform(1.5, 4.5)) / STEP_MM
    level = float(rng.uniform(0.22, 0.5))
    near = gaussian_filter(occupied, reach, truncate=2.5)
    where = smooth(rng, max(2, round(occupied.shape[0] / 10)), occupied.shape)
    level_here = level - 0.1 * where + float(rng.choice([0.0, rng.uniform(0.0, 0.15)]))
    return np.asarray(np.clip((near - level_here) * 2.2 * reach + 0.5, 0, 1), np.float32)


def tissue(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """HU of a sheath: soft tissue, now and then with fat in it."""
    middle = float(rng.uniform(-10, 95)) if rng.random() < 0.75 else float(rng.uniform(-100, 10))
    cells = max(3, round(shape[0] / 4))
    return np.asarray(middle + smooth(rng, cells, shape) * float(rng.uniform(0, 22)), np.float32)


def dressed(
    hu: Floats, occupied: NDArray[np.bool_], free: NDArray[np.bool_], rng: np.random.Generator
) -> Floats:
    """A recorded image with sheaths in its lung and fat.

    Args:
        hu: as scanned. occupied: vessels and airways. free: where a sheath may lie; edges of
            vessels, which are partly lung, must be part of it.
    """
    share = sheath(gaussian_filter(occupied.astype(np.float32), 0.5), rng)
    share *= np.clip((_SOFT_HU - hu) / 60.0, 0, 1) * free
    grain = rng.normal(size=hu.shape).astype(np.float32) * float(rng.uniform(4, 22))
    return np.asarray(hu + share * (tissue(rng, hu.shape) + grain - hu), np.float32)


def beside_nodes(hu: Floats, labels: Labels, rng: np.random.Generator) -> None:
    """Lymph nodes squeezed between vessels and bronchi, most of them in forks; changes both.

    Args:
        hu: (z, y, x) as scanned. labels: of the same window; nodes become `IMITATOR`.
    """
    vessels = labels == VESSEL
    if rng.random() < 0.5:
        # At a hilum vessels are wide.
        wide = binary_opening(vessels, iterations=2)
        vessels = wide if wide.sum() > _WIDE_VOXELS else vessels
    crowd = gaussian_filter(vessels.astype(np.float32), float(rng.uniform(1.5, 4)), truncate=2.5)
    crowd[labels != OTHER] = 0.0
    places = np.flatnonzero(crowd > float(rng.uniform(0.1, 0.4)))
    if places.size < 10:
        places = np.flatnonzero(crowd > 0.04)
    if not places.size:
        return
    for _ in range(int(rng.choice([1, 2, 3, 5], p=[0.4, 0.3, 0.2, 0.1]))):
        at = np.array(np.unravel_index(int(rng.choice(places)), hu.shape))
        small = float(rng.uniform(2.0, 6.0))
        half = small * rng.uniform(1.0, 2.0, 3)
        reach = int(np.ceil((half.max() + 2.0) / STEP_MM))
        box = tuple(
            slice(max(0, int(k) - reach), min(n, int(k) + reach + 1))
            for k, n in zip(at, hu.shape, strict=True)
        )
        sides = [(np.arange(b.start, b.stop) - k) * STEP_MM for b, k in zip(box, at, strict=True)]
        grid = np.stack(np.meshgrid(*sides, indexing="ij"), -1)
        turn = np.linalg.qr(rng.normal(size=(3, 3)))[0]
        depth = (1 - np.linalg.norm((grid @ turn) / half, axis=-1)) * float(half.min())
        lumps = smooth(rng, 4, depth.shape) * float(rng.uniform(0, 0.8))
        value = float(rng.uniform(15, 125)) if rng.random() < 0.85 else float(rng.uniform(-60, 20))
        share = filled((depth + lumps).astype(np.float32))
        _squeeze(hu[box], labels[box], share, value + smooth(rng, 4, depth.shape) * 8, rng)


def in_notches(hu: Floats, labels: Labels, rng: np.random.Generator) -> None:
    """Tissue that fills notches between and beside vessels up to a smooth surface; changes both.

    A closing of the vessels by a ball tells the notches; only those near one or two places are
    filled, as a node or a pad of fat and lymph is.
    """
    vessels = labels == VESSEL
    if not vessels.any():
        return
    reach = float(rng.uniform(2.5, 7.0)) / STEP_MM
    grown = np.pad(distance_transform_edt(~vessels) <= reach, 1)
    closed = distance_transform_edt(grown)[1:-1, 1:-1, 1:-1] > reach
    notches = closed & (labels == OTHER)
    if notches.sum() < _NOTCH:
        return
    places = np.argwhere(notches & (distance_transform_edt(closed & ~vessels) > 1.2))
    if not len(places):
        return
    near = np.zeros(hu.shape, np.float32)
    for _ in range(int(rng.integers(1, 3))):
        at = places[int(rng.integers(len(places)))]
        half = float(rng.uniform(4.0, 11.0)) / STEP_MM
        z, y, x = (np.arange(n) - k for n, k in zip(hu.shape, at, strict=True))
        away = np.sqrt(z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2)
        near = np.maximum(near, np.clip((half - away) / 1.5 + 0.5, 0, 1).astype(np.float32))
    share = near * gaussian_filter(closed.astype(np.float32), 0.5, truncate=2)
    value = float(rng.uniform(20, 125)) + smooth(rng, 5, hu.shape) * float(rng.uniform(0, 12))
    _squeeze(hu, labels, share, value, rng)


def dark_vein(hu: Floats, labels: Labels, rng: np.random.Generator) -> None:
    """A vein without contrast medium beside the lung, as the azygos arch; changes both.

    It may end at a bright vessel, which then flows back into it. Windows without a mediastinum
    stay as they are.
    """
    low, high = _MEDIASTINUM_HU
    soft = (labels == OTHER) & (hu > low) & (hu < high)
    places = np.flatnonzero(soft & binary_dilation(labels == VESSEL, iterations=5))
    if places.size < 500 or hu.shape != (SIZE,) * 3:
        return
    start = np.array([AXIS[k] for k in np.unravel_index(int(rng.choice(places)), hu.shape)])
    way = rng.normal(size=3)
    way /= np.linalg.norm(way)
    share = filled(depth_of(grow(start, way, float(rng.uniform(2.2, 5.5)), rng, 2.2)[:3]))
    share *= gaussian_filter(soft.astype(np.float32), 3, truncate=2) > _NEAR
    value = np.full(hu.shape, rng.uniform(20, 100), np.float32)
    bright = hu[labels == VESSEL]
    if bright.size and rng.random() < 0.5:
        ramp = np.clip((AXIS - rng.uniform(-20, 20)) / rng.uniform(3, 15), 0, 1)
        flows = np.moveaxis(np.broadcast_to(ramp, hu.shape), 2, int(rng.integers(3)))
        value += flows.astype(np.float32) * (float(np.percentile(bright, 80)) - value)
    _squeeze(hu, labels, share, value, rng)


def _squeeze(
    hu: Floats, labels: Labels, share: Floats, value: Floats, rng: np.random.Generator
) -> None:
    """Paint tissue into the room that vessels, airways and clots leave.

    A voxel that a vessel fills in part keeps that part: the rest of it, which was lung or fat, is
    tissue then.
    """
    vessels = labels == VESSEL
    share = share * ((labels == OTHER) | vessels | (labels == IMITATOR))
    # Nor does a thin gap of lung stay between tissue and the wall of a vessel.
    share[binary_dilation(share > 0.5) & vessels] = 1.0
    value = value + rng.normal(size=hu.shape).astype(np.float32) * float(rng.uniform(4, 18))
    fresh = value
    if vessels.any():
        blood = max(150.0, float(np.percentile(hu[vessels], 75)))
        floor = np.minimum(np.minimum(minimum_filter(hu, 5), value), blood - 50.0)
        part = np.clip((hu - floor) / (blood - floor), 0, 1)
        near = binary_dilation(vessels)
        fresh = np.where(near, np.minimum(hu + (1 - part) * (value - floor), blood), value)
        fresh[near] = np.maximum(fresh[near], np.minimum(hu, blood)[near])
        share[vessels & (hu > blood)] = 0.0
    hu += share * (fresh - hu)
    labels[(share > 0.5) & (labels == OTHER)] = IMITATOR


def unmixed(hu: Floats, labels: Labels, rng: np.random.Generator) -> None:
    """Blood whose contrast medium has not mixed yet, never as dark or sharp as a clot is."""
    streams = (smooth(rng, 3, hu.shape) - 0.3) * float(rng.uniform(0.1, 0.5))
    factor = np.clip(1 + streams, 0.55, 1.15)
    where = (labels == VESSEL) & (hu > _OPACIFIED_HU)
    hu[where] = _OPACIFIED_HU + (hu[where] - _OPACIFIED_HU) * factor[where]


def enhanced(hu: Floats, factor: float) -> None:
    """Scale what contrast medium adds; `hu` changes."""
    bright = hu > _OPACIFIED_HU
    hu[bright] = _OPACIFIED_HU + (hu[bright] - _OPACIFIED_HU) * np.float32(factor)
