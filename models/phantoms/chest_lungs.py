"""The space of the lungs on a coarse lattice, and the trees that grow into it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from models.phantoms.chest_core import Core, Duct
from models.phantoms.chest_frame import ChestFrame
from models.phantoms.chest_lattice import Axes, LatticeField
from models.phantoms.chest_tissue import ChestTissue as T
from models.phantoms.chest_tissue import Lobe
from models.phantoms.shapes import Canvas, Field
from models.phantoms.vessel_tree import Points, Samples, depth

LATTICE_MM = 2.5
FAR_MM = 14.0
"""Depth fields are cut here: nothing asks for more."""


def lattice_axes(frame: ChestFrame) -> Axes:
    """Axes of the coarse lattice: the cage with the shoulders' lower part."""
    s = frame.scale
    wide = 150 * s * max(frame.wide, 1.0)
    canvas = Canvas.empty(
        (frame.low, -125 * s * max(frame.deep, 1.0), -wide),
        (frame.high, 115 * s, wide),
        (LATTICE_MM,) * 3,
    )
    return canvas.z, canvas.y, canvas.x


def near_balls(samples: Samples, axes: Axes, margin: float) -> Field:
    """Depth (mm) of balls, true to `margin` mm outside their surface, on a coarse lattice."""
    wider = Samples(samples.points, samples.radius_mm + margin, samples.branch)
    out = depth(wider, axes) - np.float32(margin)
    cut: Field = np.maximum(out, np.float32(-margin))
    return cut


def duct_samples(ducts: list[Duct] | tuple[Duct, ...], pad: float = 0.0) -> Samples:
    """Balls of several ducts with `pad` mm round them; `branch` is the index of the duct."""
    points, radius, owner = [], [], []
    for k, duct in enumerate(ducts):
        at = np.concatenate(
            [[0.0], np.cumsum(np.linalg.norm(np.diff(duct.points, axis=0), axis=1))]
        )
        step = min(max(0.4, 0.12 * float(duct.radius_mm.mean())), 1.5)
        fine = np.linspace(0, at[-1], max(2, int(at[-1] / step) + 1))
        points.append(np.stack([np.interp(fine, at, duct.points[:, a]) for a in range(3)], 1))
        radius.append(np.interp(fine, at, duct.radius_mm) + pad)
        owner.append(np.full(fine.size, k))
    return Samples(np.concatenate(points), np.concatenate(radius), np.concatenate(owner))


@dataclass(frozen=True)
class Lungs:
    """Where lung can be.

    Attributes:
        depth: mm below the visceral pleura, negative outside, cut at +-`FAR_MM`.
        cage: mm inside the parietal pleura of the rib cage, cut the same way.
        volume_ml: of both lungs.
    """

    depth: LatticeField
    cage: LatticeField
    volume_ml: float


def spine_depth(frame: ChestFrame, z: Field, y: Field, x: Field) -> Field:
    """mm inside the spine with the soft tissue beside it."""
    s = np.float32(frame.scale)
    sy, sx = (v.reshape(-1, 1, 1) for v in frame.spine(z.reshape(-1)))
    dx, dy = np.abs(x - sx), y - sy
    body = 20.5 * s - np.sqrt(dx * dx * 0.92 + (dy * 1.08) ** 2)
    behind = np.where(dy > 0, 17 * s + 0.55 * dy - dx, -99)
    out: Field = np.maximum(body, behind).astype(np.float32)
    return out


def build_lungs(frame: ChestFrame, core: Core, central: Samples, rng: np.random.Generator) -> Lungs:
    """Cut spine, diaphragm and mediastinum out of the cage.

    Args:
        central: the airways and vessels between heart and hila, with their fat.
    """
    axes = lattice_axes(frame)
    z, y, x = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
    cage = np.minimum(frame.cage_depth(z, y, x), z - frame.diaphragm(y, x))
    cage = np.minimum(cage, np.float32(FAR_MM))
    lung = np.minimum(cage, -spine_depth(frame, z, y, x))
    np.minimum(lung, -mediastinum_depth(frame, core, central, axes), out=lung)
    rough = gaussian_filter(rng.standard_normal(lung.shape).astype(np.float32), 5)
    lung += rough / max(float(rough.std()), 1e-6) * np.float32(0.5)
    np.clip(lung, -FAR_MM, FAR_MM, out=lung)
    np.clip(cage, -FAR_MM, FAR_MM, out=cage)
    lung = gaussian_filter(lung, 0.6)
    origin = (float(axes[0][0]), float(axes[1][0]), float(axes[2][0]))
    inside = float((lung > 0).sum()) * LATTICE_MM**3 / 1000
    return Lungs(
        LatticeField(lung.astype(np.float32), origin, LATTICE_MM),
        LatticeField(cage.astype(np.float32), origin, LATTICE_MM),
        inside,
    )


def mediastinum_depth(frame: ChestFrame, core: Core, central: Samples, axes: Axes) -> Field:
    """mm inside what lies between the lungs, on the lattice."""
    s = np.float32(frame.scale)
    fat = float(2.5 + 0.22 * max(frame.person.bmi - 20, 0))
    z, y, x = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
    out = np.full((axes[0].size, axes[1].size, axes[2].size), -FAR_MM, np.float32)
    for duct in core.ducts:
        pad = {T.AORTA: 1.8, T.AZYGOS: 2.5, T.OESOPHAGUS: 3.0}.get(duct.tissue, 3.0) + 0.3 * fat
        np.maximum(out, near_balls(duct_samples([duct], pad), axes, FAR_MM), out=out)
    np.maximum(out, near_balls(central, axes, FAR_MM), out=out)
    for chamber in (*core.pericardium, *core.chambers):
        extra = fat * 0.7 + 1.5 if chamber.tissue is T.PERICARDIUM else 3.0
        np.maximum(out, chamber.depth(z, y, x, extra), out=out)
    # The core between the great vessels is filled; so is the space before the heart.
    carina = frame.carina
    spine = frame.spine(axes[0])[0].reshape(-1, 1, 1)
    front = frame.cage(axes[0])[1].reshape(-1, 1, 1)
    rise = (z - np.float32(carina[0])) / s
    half = np.interp(rise, [-140, -70, -20, 20, 75, 110], [14, 18, 20, 16, 24, 34])
    middle = np.interp(rise, [-120, -40, 60], [10, 3, 0]).astype(np.float32) * s
    ahead = np.maximum(front + 3, np.float32(carina[1]) - 62 * s)
    block = np.minimum(half.astype(np.float32) * s - np.abs(x - middle), y - ahead)
    np.maximum(out, np.minimum(block, spine - 8 * s - y), out=out)
    # Lungs meet before the aorta in a septum; behind the sternum lies a wedge of fat.
    septum = (1.6 + 0.25 * fat) * s + 0.30 * np.maximum(front + (6 + 1.2 * fat) - y, 0)
    line = np.interp(rise, [-130, -60, 20], [14, 2, -2]).astype(np.float32) * s
    wedge = np.minimum(septum - np.abs(x - line), spine - 20 * s - y)
    thymus = np.interp(rise, [10, 60, 90], [0, 12, 30]).astype(np.float32) * s
    wedge = np.maximum(wedge, np.minimum(thymus - np.abs(x), spine - 20 * s - y))
    np.maximum(out, wedge, out=out)
    smooth: Field = gaussian_filter(out, 1.3)
    return smooth


def clouds(
    frame: ChestFrame, lungs: Lungs, spacing: float, rng: np.random.Generator
) -> dict[Lobe, Points]:
    """Points to supply, jittered on a lattice of `spacing` mm, for each lobe."""
    field = lungs.depth
    low = np.array(field.origin)
    high = low + field.step * (np.array(field.values.shape) - 1)
    shift = rng.uniform(0, spacing, 3)
    axes = [np.arange(a + d, b, spacing) for a, b, d in zip(low, high, shift, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 3)
    points: Points = grid + rng.uniform(-0.42, 0.42, grid.shape) * spacing
    points = points[field.at(points) > 3.0]
    major, minor = frame.fissures(*(points[:, k].astype(np.float32) for k in range(3)))
    right = points[:, 2] < 0
    clear = (np.abs(major) > 2.2) & ~(right & (major > 0) & (np.abs(minor) < 2.2))
    points = points[clear]
    lobes = np.array(frame.lobe_of(points))
    return {lobe: points[lobes == lobe] for lobe in Lobe if lobe is not Lobe.MEDIASTINUM}
