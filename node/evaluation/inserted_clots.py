"""Clots put into the opacified vessels of a real scan: the vessel stays, its blood goes.

Along a vessel, between two distances from a seed voxel, nothing stays brighter than a clot. What is
darker at its edge, lung and soft tissue alike, stays as it was, and so does the noise of the blood.
The clot is then a little wider than the lumen was, as occlusive ones are (Wittram et al.,
Radiographics 2004;24:1219).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Mask = NDArray[np.bool_]
#: Radius of the vessels that are used, mm: segmental to lobar.
RADII_MM = (2.3, 6.0)
#: Length of a clot in diameters of its vessel.
LENGTHS = (2.0, 5.0)
CLOT_HU = (35.0, 85.0)
#: Soft tissue beside vessels, and the part of the way from there to blood from which on a voxel
#: belongs to the lumen.
_TISSUE_HU, _LUMEN = 60.0, 0.4
#: The noise of the blood stays in the clot, HU at most.
_NOISE_HU = 40.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Inserted:
    """A copy of a scan with clots.

    Attributes:
        voxels: (slice, row, column) int16. clots: where each is, the same grid.
        radii_mm: of the vessel at each.
    """

    voxels: NDArray[np.int16]
    clots: tuple[Mask, ...]
    radii_mm: tuple[float, ...]


def insert_clots(
    voxels: NDArray[np.int16],
    spacing_mm: tuple[float, float, float],
    inside: Mask,
    count: int,
    rng: np.random.Generator,
) -> Inserted:
    """Occlusive clots in vessels of the lungs.

    Args:
        inside: where vessels may be used: the room of the lungs.
    """
    hu = voxels.astype(np.float32)
    blood = float(np.percentile(hu[inside & (hu > 150)], 85))
    # Full voxels only: the depth in them is the radius of the open lumen.
    lumen = (hu > _TISSUE_HU + _LUMEN * (blood - _TISSUE_HU)) & ndimage.binary_dilation(
        inside, iterations=2
    )
    depth = ndimage.distance_transform_edt(lumen, spacing_mm)
    ridge = (depth == ndimage.maximum_filter(depth, 3)) & inside
    low, high = RADII_MM
    seeds = np.argwhere(ridge & (depth >= low) & (depth <= high) & (hu > 0.8 * blood))
    clots: list[Mask] = []
    radii: list[float] = []
    used = np.zeros(hu.shape, np.bool_)
    for index in rng.permutation(len(seeds)):
        if len(clots) == count:
            break
        seed = tuple(int(v) for v in seeds[index])
        radius = float(depth[seed])
        part = _stretch(lumen, seed, 2 * radius * float(rng.uniform(*LENGTHS)), spacing_mm)
        wide = depth[part]
        # A stretch that runs into a much wider vessel is no clot of this one.
        if not part.any() or used[part].any() or float(wide.max()) > 1.5 * radius + 0.5:
            continue
        used |= ndimage.binary_dilation(part, iterations=6)
        clots.append(part)
        radii.append(radius)
        _fill(hu, part, lumen, (blood, float(rng.uniform(*CLOT_HU))))
    return Inserted(voxels=np.rint(hu).astype(np.int16), clots=tuple(clots), radii_mm=tuple(radii))


def _stretch(
    lumen: Mask, seed: tuple[int, ...], reach_mm: float, spacing_mm: tuple[float, float, float]
) -> Mask:
    """What of the lumen is joined to the seed inside a ball around it."""
    half = [int(np.ceil(reach_mm / step)) + 1 for step in spacing_mm]
    box = tuple(slice(max(0, at - n), at + n + 1) for at, n in zip(seed, half, strict=True))
    here = lumen[box]
    away = [
        (np.arange(side.start, side.start + size) - at) * step
        for side, size, at, step in zip(box, here.shape, seed, spacing_mm, strict=True)
    ]
    ball = (
        away[0][:, None, None] ** 2 + away[1][None, :, None] ** 2 + away[2][None, None, :] ** 2
    ) <= (reach_mm / 2) ** 2
    parts, _ = ndimage.label(here & ball)
    own = parts[tuple(at - side.start for at, side in zip(seed, box, strict=True))]
    whole = np.zeros_like(lumen)
    whole[box] = (parts == own) & (own > 0)
    return whole


def _fill(hu: NDArray[np.float32], part: Mask, lumen: Mask, change: tuple[float, float]) -> None:
    """Blood to clot (HU of both), and what of the blood the edge of the vessel holds."""
    blood, clot = change
    own = ndimage.binary_dilation(part, iterations=2) & (part | ~lumen)
    core = hu[part] > 0.8 * blood
    middle = float(np.median(hu[part][core])) if core.any() else blood
    noise = np.where(part & (hu > 0.8 * blood), hu - middle, 0.0).clip(-_NOISE_HU, _NOISE_HU)
    hu[own] = np.minimum(hu, clot + noise)[own]
