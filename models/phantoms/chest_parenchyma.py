"""How the lung and the pleural space look: texture, emphysema, fluid, collapse, scars, calcium."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.phantoms.chest_findings import Effusion
from models.phantoms.chest_lattice import Axes
from models.phantoms.chest_tissue import ChestTissue as T
from models.phantoms.shapes import Field
from models.phantoms.vessel_tree import Samples, share

if TYPE_CHECKING:
    from models.phantoms.chest_render import Brush, Scene


def _open(axes: Axes) -> tuple[Field, Field, Field]:
    return axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]


def parenchyma(scene: Scene, axes: Axes, lung: Field) -> Field:
    """(z, y, x) HU of lung without its vessels and airways."""
    frame, a, findings = scene.anatomy.frame, scene.attenuation, scene.findings
    z, y, _ = _open(axes)
    _, _, back, middle = (v.reshape(-1, 1, 1) for v in frame.cage(axes[0]))
    ramp = a.lung + a.gradient * (y - middle)
    # Septa and vessels too small to be drawn: a fine net that is brighter than what it encloses.
    net = scene.noise(20).on(axes, 1.7)
    value = ramp + a.texture * (net * (0.75 + 0.35 * np.abs(net)) - 0.3)
    value += 0.7 * a.texture * scene.noise(21).on(axes, 5.0)
    value += 9 * scene.noise(22).on(axes, 28.0)
    deep, rise = findings.dependent
    under = back - y - 4 * scene.noise(23).on(axes, 18.0)
    mass = np.exp(-np.maximum(under, 0) / np.float32(0.5 * deep))
    value += np.float32(rise) * mass * np.clip((frame.carina[0] + 60 - z) / 120, 0.15, 1)
    value += np.float32(25) * np.exp(-np.maximum(lung, 0) / np.float32(1.6))
    lobular, septal = findings.emphysema
    if lobular > 0:
        high = np.clip((z - frame.heart[0] + 60) / 130, 0.12, 1)
        holes = scene.noise(24).on(axes, 5.0) + 0.9 * scene.noise(25).on(axes, 22.0)
        level = 2.4 - 2.3 * np.float32(lobular) * high
        loss = np.clip((holes - level) / 0.7, 0, 1) * np.clip(lung / 3, 0, 1)
        value += loss * (np.float32(-970) - value)
        value -= np.float32(35 * lobular) * high
    if septal > 0:
        blebs = scene.noise(26).on(axes, 9.0)
        hole = np.clip((blebs - np.float32(2.2 - 1.8 * septal)) / 0.25, 0, 1)
        hole = hole * np.clip((14 - lung) / 3, 0, 1)
        hole = hole * np.clip((z - frame.carina[0] + 40) / 50, 0, 1)
        value += hole * (np.float32(-985) - value)
    out: Field = np.clip(value, -990, -100).astype(np.float32)
    return out


def _fluid(scene: Scene, effusion: Effusion, axes: Axes) -> Field:
    """mm below the surface of the fluid; negative above it."""
    z, y, x = _open(axes)
    frame = scene.anatomy.frame
    back = frame.cage(axes[0])[2].reshape(-1, 1, 1)
    base = 95 * frame.scale
    left = np.clip(1 - (z - base) / np.float32(effusion.tall), 0, 1)
    level = back - np.float32(effusion.deep) * left**0.7 + 1.2 * scene.noise(27).on(axes, 30.0)
    meniscus = np.clip(np.abs(x) / (110 * frame.scale) - 0.6, 0, 1) * 10 * left
    out: Field = np.where(
        np.sign(x) == effusion.side, np.where(left > 0, y - level + meniscus, -99), -99
    ).astype(np.float32)
    return out


def fluid_share(scene: Scene, axes: Axes, lung: Field) -> Field:
    """(z, y, x) part of each voxel that is pleural fluid: no vessel runs there."""
    total = np.zeros(lung.shape, np.float32)
    voxel = float(axes[2][1] - axes[2][0])
    for effusion in scene.findings.effusions:
        fluid = np.minimum(_fluid(scene, effusion, axes), lung + 1)
        np.maximum(total, share(fluid, voxel), out=total)
    return total


def paint_space(brush: Brush, lung: Field) -> None:
    """Effusion with the collapse above it, and collapsed plates."""
    scene, canvas = brush.scene, brush.canvas
    for effusion in scene.findings.effusions:
        fluid = _fluid(scene, effusion, canvas.axes)
        edge = 3 * scene.noise(28).on(canvas.axes, 9.0)
        squeezed = np.minimum(fluid + effusion.collapse + edge, lung)
        value = brush.mean[T.ATELECTASIS] + 6 * scene.noise(29).on(canvas.axes, 5.0)
        soft = np.clip(squeezed / 5, 0, 1)
        brush.lay(soft * share(lung, brush.voxel), T.ATELECTASIS, value)
        pool = np.minimum(fluid, lung + 0.5)
        brush.lay(share(pool, brush.voxel), T.EFFUSION)
    for plate in scene.findings.plates:
        reach = float(plate.half.max()) + 3
        box = brush.usable(canvas.box(plate.centre - reach, plate.centre + reach))
        if box is None:
            continue
        inside = plate.depth(*canvas.coordinates(box))
        inside = inside + np.float32(0.5) * scene.noise(30).on(brush.axes_of(box), 8.0)
        part = share(np.minimum(inside, lung[box]), brush.voxel) * np.float32(0.85)
        brush.lay(part, T.ATELECTASIS, None, box)


def paint_late(brush: Brush, lung: Field) -> None:
    """Scars, granulomas and calcium in vessel walls."""
    scene = brush.scene
    for strand in scene.findings.strands:
        samples = Samples(strand.points, strand.radius_mm, np.zeros(len(strand.points), np.intp))
        found = brush.balls(_dense(samples), 3.0)
        if found is None:
            continue
        box, inside = found
        inside = inside + np.float32(0.35) * scene.noise(31).on(brush.axes_of(box), 2.5)
        part = share(np.minimum(inside, lung[box] + 0.5), brush.voxel)
        brush.lay(part, T.SCAR, strand.hu, box)
    for centre, radius, hu in scene.findings.granulomas:
        samples = Samples(centre[None], np.array([radius]), np.zeros(1, np.intp))
        found = brush.balls(samples)
        if found is not None:
            box, inside = found
            lumps = np.float32(0.3) * scene.noise(32).on(brush.axes_of(box), 2.0)
            brush.lay(share(inside + lumps, brush.voxel), T.GRANULOMA, hu, box)


def _dense(samples: Samples) -> Samples:
    """More balls between the given ones."""
    at = np.arange(len(samples.points))
    fine = np.linspace(0, at[-1], 12 * len(at))
    points = np.stack([np.interp(fine, at, samples.points[:, a]) for a in range(3)], 1)
    return Samples(points, np.interp(fine, at, samples.radius_mm), np.zeros(fine.size, np.intp))
