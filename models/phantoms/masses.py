"""Masses of 30 to 80 mm at hilum, mediastinum and chest wall, with or without collapse behind them.

`draw_mass` places one in a chest; the result paints itself (`lesions=` of `simulate_chest`). It
grows through lung, its vessels and airways and mediastinal fat, and stops at bone, muscle, heart
and great vessels. Its truth is `phantom.lesions["mass"]`, that of airless lung behind it
`phantom.lesions["collapse"]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from models.phantoms.chest_anatomy import ChestAnatomy
from models.phantoms.chest_canvas import ChestCanvas
from models.phantoms.chest_lattice import Axes, Noise
from models.phantoms.chest_tissue import ChestTissue as T
from models.phantoms.chest_tissue import Lobe
from models.phantoms.nodules import Density, Nodule, draw_nodule
from models.phantoms.shapes import Box, Field

Point = NDArray[np.float64]

#: Airless lung with its blood, and tumour, HU without contrast medium.
COLLAPSE_HU, MASS_HU = (25.0, 60.0), (25.0, 65.0)
#: The middle of a large one is less dense by up to so much (necrosis), HU.
NECROSIS_HU = 25.0
_LOBES = {
    Lobe.RIGHT_UPPER: T.RIGHT_UPPER_LOBE,
    Lobe.RIGHT_MIDDLE: T.RIGHT_MIDDLE_LOBE,
    Lobe.RIGHT_LOWER: T.RIGHT_LOWER_LOBE,
    Lobe.LEFT_UPPER: T.LEFT_UPPER_LOBE,
    Lobe.LEFT_LOWER: T.LEFT_LOWER_LOBE,
}
_GIVES_WAY = (
    *_LOBES.values(), T.FISSURE, T.AIRWAY, T.AIRWAY_WALL, T.PULMONARY_ARTERY, T.PULMONARY_VEIN,
    T.MEDIASTINAL_FAT, T.LYMPH_NODE, T.SCAR, T.GRANULOMA, T.BULLA, T.ATELECTASIS, T.EFFUSION,
)  # fmt: skip
#: In what collapses, vessels stay and airways may hold air.
_COLLAPSES = (*_LOBES.values(), T.FISSURE, T.SCAR, T.BULLA)


class Site(StrEnum):
    """What a mass is joined to."""

    HILUM = "hilum"
    MEDIASTINUM = "mediastinum"
    CHEST_WALL = "chest wall"


@dataclass(frozen=True, kw_only=True)
class Mass:
    """One mass, a callable that paints itself.

    Attributes:
        centre: z, y, x, mm of the patient's frame. form: round it. hu, necrosis: of its tissue.
        collapse_mm: lung of its lobe is airless so far from its surface; 0 for none.
        lobe: that it blocks. grain: unevenness of the border of what is airless.
    """

    site: Site
    centre: Point
    form: Nodule
    hu: float
    necrosis: float
    collapse_mm: float
    collapse_hu: float
    lobe: Lobe
    grain: Noise

    def __call__(self, canvas: ChestCanvas) -> None:
        """Paint what of it lies on the canvas."""
        reach = self.form.reach_mm + 2
        box = canvas.box(self.centre - reach, self.centre + reach)
        if any(part.stop <= part.start for part in box):
            return
        if self.collapse_mm > 0:
            self._collapse(canvas)
        deep = self._depth(canvas, box)
        share = np.clip(deep / canvas.voxel_mm + 0.5, 0, 1)
        share[~np.isin(canvas.labels[box], _GIVES_WAY)] = 0
        inner = np.clip(deep / max(float(self.form.radii_mm.mean()), 1.0) - 0.35, 0, 1)
        canvas.blend("mass", box, share, np.float32(self.hu) - np.float32(self.necrosis) * inner)

    def _depth(self, canvas: ChestCanvas, box: Box) -> Field:
        """mm inside the form, along the ray from its middle."""
        z, y, x = canvas.coordinates(box)
        offset = np.stack(
            np.broadcast_arrays(*(a - np.float32(c) for a, c in zip((z, y, x), self.centre,
                                                                   strict=True))), -1
        )  # fmt: skip
        distance = np.sqrt((offset**2).sum(-1))
        direction = offset / np.maximum(distance, 1e-3)[..., None]
        near = distance < self.form.reach_mm + 2
        out = np.full(distance.shape, -9.0, np.float32)
        out[near] = self.form.radius(direction[near]) - distance[near]
        return out

    def _collapse(self, canvas: ChestCanvas) -> None:
        reach = self.form.reach_mm + self.collapse_mm + 8
        box = canvas.box(self.centre - reach, self.centre + reach)
        axes: Axes = (canvas.z[box[0]], canvas.y[box[1]], canvas.x[box[2]])
        z, y, x = canvas.coordinates(box)
        away = np.sqrt(
            (z - self.centre[0]) ** 2 + (y - self.centre[1]) ** 2 + (x - self.centre[2]) ** 2
        )
        border = float(self.form.radii_mm.mean()) + self.collapse_mm
        deep = border - away + 5 * self.grain.on(axes, 18.0)
        labels = canvas.labels[box]
        blocked = (labels == _LOBES[self.lobe]) | (
            np.isin(labels, _COLLAPSES[len(_LOBES) :]) & (np.sign(x) == np.sign(self.centre[2]))
        )
        share = np.where(blocked, np.clip(deep / canvas.voxel_mm + 0.5, 0, 1), 0)
        canvas.blend("collapse", box, share.astype(np.float32), self.collapse_hu)


def draw_mass(
    anatomy: ChestAnatomy,
    seed: int,
    site: Site,
    diameter_mm: float,
    *,
    collapse_mm: float = 0.0,
) -> Mass:
    """A mass of about this diameter in a chest; the same arguments give the same mass.

    Args:
        collapse_mm: so far round it the lung of its lobe holds no air.
    """
    rng = np.random.default_rng([seed, 41, list(Site).index(site)])
    radius = diameter_mm / 2
    centre = _place(anatomy, site, radius, rng)
    (lobe,) = anatomy.frame.lobe_of(centre[None])
    return Mass(
        site=site,
        centre=centre,
        form=draw_nodule(rng, diameter_mm, Density.SOLID),
        hu=float(rng.uniform(*MASS_HU)),
        necrosis=float(rng.uniform(0, NECROSIS_HU)) if diameter_mm > 45 else 0.0,
        collapse_mm=collapse_mm,
        collapse_hu=float(rng.uniform(*COLLAPSE_HU)),
        lobe=lobe,
        grain=Noise((seed, 42)),
    )


def _place(anatomy: ChestAnatomy, site: Site, radius: float, rng: np.random.Generator) -> Point:
    """z, y, x mm: of the mass at least about a third bulges into lung."""
    frame = anatomy.frame
    reach = np.array([75.0, 130.0, 150.0]) * frame.scale
    middle = np.array([frame.carina[0], frame.carina[1], 0.0])
    points = rng.uniform(middle - reach, middle + reach, (60_000, 3))
    inside = anatomy.lungs.depth.at(points)
    columns = (points[:, a].astype(np.float32).reshape(-1, 1, 1) for a in range(3))
    wall = frame.cage_depth(*columns)[:, 0, 0]
    if site is Site.CHEST_WALL:
        allowed = (inside > 0.1 * radius) & (wall < 0.7 * radius)
    else:
        # At the middle of the chest, not at its wall; a hilum lies lower than the great vessels.
        allowed = (np.abs(inside - 0.15 * radius) < 0.25 * radius) & (wall > radius)
        level = (points[:, 0] - frame.carina[0]) / frame.scale
        allowed &= (level < 0) & (level > -50) if site is Site.HILUM else level > 5
    found = points[allowed]
    if not len(found):
        raise ValueError(f"no room for a mass of {2 * radius:.0f} mm at the {site.value}")
    return np.asarray(found[int(rng.integers(len(found)))], np.float64)
