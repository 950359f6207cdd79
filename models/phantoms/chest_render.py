"""Paints labels and clean attenuation of a chest, or of any part of it, on any grid.

Surfaces are depths in mm; `share` turns the depth at the middle of a voxel into the part of it that
is filled, so that edges and thin things have the partial volume that they should.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.phantoms import chest_bones
from models.phantoms.chest_anatomy import ChestAnatomy
from models.phantoms.chest_canvas import ChestCanvas
from models.phantoms.chest_contrast import BLOOD, Attenuation
from models.phantoms.chest_core import Chamber, Duct
from models.phantoms.chest_findings import Findings
from models.phantoms.chest_lattice import Axes, Noise
from models.phantoms.chest_lungs import duct_samples
from models.phantoms.chest_organs import paint_abdomen, paint_table
from models.phantoms.chest_parenchyma import fluid_share, paint_late, paint_space, parenchyma
from models.phantoms.chest_tissue import ChestTissue as T
from models.phantoms.chest_wall import Wall
from models.phantoms.shapes import Box, Field
from models.phantoms.vessel_tree import Samples, depth, share

LEFT = (T.MYOCARDIUM, T.LEFT_VENTRICLE)


@dataclass(frozen=True)
class Scene:
    """What is rendered: one chest in one posture and phase."""

    anatomy: ChestAnatomy
    wall: Wall
    attenuation: Attenuation
    findings: Findings

    def noise(self, role: int) -> Noise:
        """Smooth noise of this chest for one purpose."""
        return Noise((self.anatomy.seed, 250 + role))


class Brush:
    """Blends tissues into a canvas by share."""

    def __init__(self, canvas: ChestCanvas, scene: Scene) -> None:
        self.canvas = canvas
        self.scene = scene
        self.mean = scene.attenuation.mean
        self.voxel = canvas.voxel_mm

    def lay(
        self, part: Field, tissue: T, hu: Field | float | None = None, box: Box | None = None
    ) -> None:
        """Blend `part` (0 to 1) of a tissue in; `hu` overrides its mean."""
        if not part.size or not part.any():
            return
        where = box or (slice(None),) * 3
        region = self.canvas.hu[where]
        region += part * ((self.mean[tissue] if hu is None else hu) - region)
        self.canvas.labels[where][part > 0.5] = tissue

    def box_of(self, samples: Samples, margin: float) -> Box | None:
        """Index box round balls, None when they lie outside the canvas."""
        if not len(samples.points):
            return None
        r = samples.radius_mm[:, None] + margin
        low, high = (samples.points - r).min(0), (samples.points + r).max(0)
        return self.usable(self.canvas.box(low, high))

    @staticmethod
    def usable(box: Box) -> Box | None:
        """None for an empty box."""
        return box if all(axis.stop > axis.start for axis in box) else None

    def axes_of(self, box: Box) -> Axes:
        """z, y, x of a box."""
        c = self.canvas
        return c.z[box[0]], c.y[box[1]], c.x[box[2]]

    def balls(self, samples: Samples, margin: float = 2.0) -> tuple[Box, Field] | None:
        """(box, depth) of balls."""
        box = self.box_of(samples, margin)
        if box is None:
            return None
        return box, depth(samples, self.axes_of(box))


def _bounds(field: Field, least: float) -> Box | None:
    """Box round the voxels above `least`; None when there are none."""
    above = field > least
    if not above.any():
        return None
    box = []
    for axis in range(3):
        found = np.nonzero(above.any(tuple(k for k in range(3) if k != axis)))[0]
        box.append(slice(int(found[0]), int(found[-1]) + 1))
    low = [max(b.stop - b.start, 2) for b in box]
    stops = [min(b.start + n, size) for b, n, size in zip(box, low, field.shape, strict=True)]
    starts = [max(s - n, 0) for s, n in zip(stops, low, strict=True)]
    return slice(starts[0], stops[0]), slice(starts[1], stops[1]), slice(starts[2], stops[2])


def render(scene: Scene, axes: Axes) -> ChestCanvas:
    """The clean picture on the grid of z, y, x axes (mm, evenly spaced, at least two each)."""
    canvas = ChestCanvas.blank(axes)
    skin = scene.wall.skin.on(axes)
    if float(skin.min()) < 1:
        paint_table(Brush(canvas, scene), skin)
    body = _bounds(skin, -2.0)
    if body is None:
        return canvas
    brush = Brush(canvas.view(body), scene)
    _wall(brush, skin[body])
    lung = scene.anatomy.lungs.depth.on(brush.canvas.axes)
    paint_abdomen(brush, lung)
    _bones(brush)
    _core(brush)
    space = _bounds(lung, -3.0)
    if space is not None:
        _lungs(Brush(brush.canvas.view(space), scene), lung[space])
    _trees(brush, lung)
    if space is not None:
        paint_late(Brush(brush.canvas.view(space), scene), lung[space])
    calcium = brush.balls(scene.findings.plaques)
    if calcium is not None:
        region = brush.canvas.hu[calcium[0]]
        region += share(calcium[1], brush.voxel) * np.float32(0.8) * (np.float32(750) - region)
    return canvas


def _wall(brush: Brush, skin: Field) -> None:
    scene, canvas = brush.scene, brush.canvas
    if float(skin.min()) < 3:
        brush.lay(share(skin, brush.voxel), T.SKIN)
        brush.lay(share(skin - np.float32(1.6), brush.voxel), T.SUBCUTANEOUS_FAT)
    else:
        canvas.hu[:] = brush.mean[T.SUBCUTANEOUS_FAT]
        canvas.labels[:] = T.SUBCUTANEOUS_FAT
    fat = canvas.labels == T.SUBCUTANEOUS_FAT
    if fat.any():
        wires = scene.noise(0).on(canvas.axes, (6.0, 2.5, 2.5))
        strands = np.clip(np.abs(wires) - 1.7, 0, 1) * np.float32(45)
        canvas.hu[...] += np.where(fat, strands + 3 * scene.noise(1).on(canvas.axes, 9.0), 0)
    for gland in scene.wall.breasts:
        z, y, x = canvas.coordinates((slice(None),) * 3)
        inside = gland.depth(z, y, x)
        if inside.max() > -4:
            lobules = scene.noise(2).on(canvas.axes, 7.0)
            part = share(np.minimum(inside + 5 * lobules, skin - 4), brush.voxel)
            brush.lay(part * np.float32(0.85), T.BREAST)
    muscle = scene.wall.muscle.on(canvas.axes)
    part = share(muscle, brush.voxel)
    if part.any():
        streaks = scene.noise(3).on(canvas.axes, (16.0, 3.0, 4.0))
        marbling = 0.4 * scene.anatomy.person.marbling
        level = np.float32(2.3 - 5 * marbling)
        fatty = np.clip((streaks - level) * 2.5, 0, 0.85)
        value = brush.mean[T.MUSCLE] + 4 * streaks
        value += fatty * (brush.mean[T.INTERMUSCULAR_FAT] - value)
        brush.lay(part, T.MUSCLE, value)
        canvas.labels[(part > 0.5) & (fatty > 0.5)] = T.INTERMUSCULAR_FAT


def _bones(brush: Brush) -> None:
    scene, canvas = brush.scene, brush.canvas
    a = scene.attenuation
    grain = scene.noise(4)
    for bone in scene.findings.skeleton:
        found = brush.balls(bone.samples)
        if found is None:
            continue
        box, inside = found
        if bone.cortex_mm == 0.0:
            calcium = np.clip(grain.on(brush.axes_of(box), 4.0) - 1.2, 0, 2)
            rind = np.clip(1 - np.abs(inside - 0.8) / 1.4, 0, 1)
            age = np.clip((scene.anatomy.person.age - 35) / 40, 0, 1)
            value = brush.mean[T.CARTILAGE] + np.float32(220 * age) * (calcium + rind)
        else:
            value = a.marrow * 0.7 + 40 + 28 * grain.on(brush.axes_of(box), 1.8)
            rim = np.clip((bone.cortex_mm - inside) / brush.voxel + 0.5, 0, 1)
            value = value + rim * (a.cortex - value)
        brush.lay(share(inside, brush.voxel), bone.tissue, value, box)
    frame = scene.anatomy.frame
    sy, sx = frame.spine(canvas.z)
    reach = 30 * frame.scale
    found_box = Brush.usable(
        canvas.box(
            (canvas.z[0] - 1, sy.min() - reach, sx.min() - reach),
            (canvas.z[-1] + 1, sy.max() + reach, sx.max() + reach),
        )
    )
    if found_box is None:
        return
    box = found_box
    z, y, x = canvas.coordinates(box)
    body, disc, canal = chest_bones.body_depth(frame, z, y, x)
    brush.lay(share(disc, brush.voxel), T.DISC, None, box)
    trabeculae = grain.on(brush.axes_of(box), (1.6, 2.2, 2.2))
    value = a.marrow + 30 + (12 + 0.10 * a.marrow) * trabeculae
    rim = np.clip((0.9 - body) / brush.voxel + 0.5, 0, 1)
    value = value + rim * (0.55 * a.cortex - value)
    brush.lay(share(body, brush.voxel), T.VERTEBRA, value, box)
    brush.lay(share(canal, brush.voxel), T.CANAL, None, box)


def _blood(brush: Brush, tissue: T, box: Box) -> Field | float:
    """Mean of blood with its swirls in a box."""
    amount = brush.scene.attenuation.mixing[tissue]
    if amount < 1:
        return float(brush.mean[tissue])
    swirl = 0.7 * brush.scene.noise(5).on(brush.axes_of(box), 20.0)
    out: Field = brush.mean[tissue] + amount * np.tanh(swirl)
    return out


def _chamber(brush: Brush, chamber: Chamber, grow: float = 0.0) -> tuple[Box, Field] | None:
    reach = float(chamber.half.max()) + grow + 3
    box = Brush.usable(brush.canvas.box(chamber.centre - reach, chamber.centre + reach))
    if box is None:
        return None
    return box, chamber.depth(*brush.canvas.coordinates(box), grow=grow)


def _pericardium(brush: Brush) -> None:
    """A thin line round the heart that fades towards the great vessels."""
    hulls, frame = brush.scene.anatomy.core.pericardium, brush.scene.anatomy.frame
    reach = max(float(hull.half.max()) for hull in hulls) + 3
    low = np.min([hull.centre for hull in hulls], 0) - reach
    high = np.max([hull.centre for hull in hulls], 0) + reach
    box = Brush.usable(brush.canvas.box(low, high))
    if box is None:
        return
    z, y, x = brush.canvas.coordinates(box)
    inside: Field = np.maximum(hulls[0].depth(z, y, x), hulls[1].depth(z, y, x))
    fade = np.clip((np.float32(frame.heart[0] + 34 * frame.scale) - z) / 12, 0, 1)
    rind: Field = np.float32(0.8) - np.abs(inside + np.float32(1))
    line: Field = (share(rind, brush.voxel) * np.float32(0.8) * fade).astype(np.float32)
    brush.lay(line, T.PERICARDIUM, None, box)


def _heart(brush: Brush) -> None:
    core = brush.scene.anatomy.core
    right = [c for c in core.chambers if c.tissue not in LEFT]
    _pericardium(brush)
    for chamber in right:
        found = _chamber(brush, chamber, 2.6)
        if found is not None:
            brush.lay(share(found[1], brush.voxel), T.MYOCARDIUM, None, found[0])
    for chamber in right:
        found = _chamber(brush, chamber)
        if found is not None:
            value = _blood(brush, chamber.tissue, found[0])
            brush.lay(share(found[1], brush.voxel), chamber.tissue, value, found[0])
    for chamber in core.chambers:
        found = _chamber(brush, chamber) if chamber.tissue in LEFT else None
        if found is None:
            continue
        box, inside = found
        folds = brush.scene.noise(6).on(brush.axes_of(box), 7.0)
        if chamber.tissue is T.LEFT_VENTRICLE:
            inside = inside - np.clip(folds, 0, 2) * np.float32(2.0)
            value = _blood(brush, chamber.tissue, box)
        else:
            value = brush.mean[T.MYOCARDIUM] + 4 * folds
        brush.lay(share(inside, brush.voxel), chamber.tissue, value, box)


def _duct(brush: Brush, duct: Duct) -> None:
    if duct.wall_mm:
        found = brush.balls(duct_samples([duct], duct.wall_mm))
        if found is not None:
            brush.lay(share(found[1], brush.voxel), duct.tissue, 45.0, found[0])
    found = brush.balls(duct_samples([duct]))
    if found is None:
        return
    box, inside = found
    blood = duct.tissue in BLOOD
    value = _blood(brush, duct.tissue, box) if blood else float(brush.mean[duct.tissue])
    brush.lay(share(inside, brush.voxel), duct.tissue, value, box)
    if duct.tissue is T.OESOPHAGUS and brush.scene.findings.gullet_gas > 0:
        gas = brush.scene.noise(7).on(brush.axes_of(box), (22.0, 9.0, 9.0))
        hole = inside - 3.6 - 3 * np.clip(1.2 - brush.scene.findings.gullet_gas - gas, 0, 3)
        brush.lay(share(hole, brush.voxel), T.OESOPHAGEAL_GAS, None, box)


def _core(brush: Brush) -> None:
    """Heart, great vessels, gullet and nodes."""
    _heart(brush)
    for node in brush.scene.findings.nodes:
        found = _chamber(brush, node)
        if found is not None:
            hilum = share(found[1] - float(node.half.min()) * 0.62, brush.voxel)
            value = brush.mean[T.LYMPH_NODE] - hilum * np.float32(90)
            brush.lay(share(found[1], brush.voxel), T.LYMPH_NODE, value, found[0])
    for duct in brush.scene.anatomy.core.ducts:
        _duct(brush, duct)


def _lungs(brush: Brush, lung: Field) -> None:
    scene, canvas = brush.scene, brush.canvas
    part = share(lung, brush.voxel)
    if not part.any():
        return
    frame = scene.anatomy.frame
    z, y, x = canvas.coordinates((slice(None),) * 3)
    value = parenchyma(scene, canvas.axes, lung)
    major, minor = frame.fissures(z, y, x)
    right = np.broadcast_to(x < 0, lung.shape)
    lobes = np.where(
        right,
        np.where(major > 0, np.where(minor > 0, T.RIGHT_UPPER_LOBE, T.RIGHT_MIDDLE_LOBE),
                 T.RIGHT_LOWER_LOBE),
        np.where(major > 0, T.LEFT_UPPER_LOBE, T.LEFT_LOWER_LOBE),
    ).astype(np.uint8)  # fmt: skip
    gap = np.where(right & (major > 0), np.minimum(np.abs(major), np.abs(minor)), np.abs(major))
    seam = share(np.float32(0.30) - gap, brush.voxel) * scene.findings.seams
    value += seam * (np.float32(-60) - value) * np.float32(0.55)
    canvas.hu[...] += part * (value - canvas.hu)
    inside = part > 0.5
    canvas.labels[inside] = lobes[inside]
    canvas.labels[inside & (gap < 0.45)] = T.FISSURE
    paint_space(brush, lung)


def _trees(brush: Brush, lung: Field) -> None:
    scene, canvas = brush.scene, brush.canvas
    trees = scene.anatomy.trees
    free = None if not scene.findings.effusions else 1 - fluid_share(scene, canvas.axes, lung)
    outside = np.ones(canvas.hu.shape, np.float32)
    for tree, tissue in ((trees.veins, T.PULMONARY_VEIN), (trees.arteries, T.PULMONARY_ARTERY)):
        inside = depth(tree.samples, canvas.axes)
        box = _bounds(inside, -brush.voxel)
        if box is not None:
            value = _blood(brush, tissue, box)
            part = share(inside[box], brush.voxel)
            brush.lay(part if free is None else part * free[box], tissue, value, box)
            outside[box] *= 1 - part
    lumen = scene.findings.airway_samples
    wall = scene.findings.wall_samples
    found = brush.balls(wall)
    if found is None:
        return
    box, outer = found
    rim, inner = share(outer, brush.voxel), share(depth(lumen, brush.axes_of(box)), brush.voxel)
    # A bronchus is pressed flat by a vessel that it meets: air in blood would look like a clot.
    left = outside[box] if free is None else outside[box] * free[box]
    rim, inner = rim * left, inner * left
    brush.lay(rim, T.AIRWAY_WALL, None, box)
    brush.lay(inner, T.AIRWAY, None, box)
    trachea = scene.anatomy.frame.carina[0]
    region = canvas.labels[box]
    high = (canvas.z[box[0]] > trachea)[:, None, None]
    region[(region == T.AIRWAY) & high] = T.TRACHEA
