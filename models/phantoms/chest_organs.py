"""What lies below the diaphragm in a scan of the chest, and the table under the patient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.phantoms.chest_core import Chamber, basis
from models.phantoms.chest_lungs import spine_depth
from models.phantoms.chest_tissue import ChestTissue as T
from models.phantoms.shapes import Field
from models.phantoms.vessel_tree import share

if TYPE_CHECKING:
    from models.phantoms.chest_render import Brush


def paint_abdomen(brush: Brush, lung: Field) -> None:
    """Fat of the mediastinum and the abdomen, diaphragm, liver, spleen, stomach, kidneys."""
    canvas, scene = brush.canvas, brush.scene
    frame, s = scene.anatomy.frame, np.float32(scene.anatomy.frame.scale)
    z, y, x = canvas.coordinates((slice(None),) * 3)
    dome = frame.diaphragm(y[0], x[0])[None]
    clamp = np.minimum(canvas.z, 392 * s)
    cage = frame.cage_depth(clamp, y, x)
    rise = z - dome
    inside = np.minimum(cage, lung * -1 + 3)
    fat = 4 * scene.noise(8).on(canvas.axes, 7.0)
    brush.lay(share(inside, brush.voxel), T.MEDIASTINAL_FAT, brush.mean[T.MEDIASTINAL_FAT] + fat)
    column = np.minimum(spine_depth(frame, z, y, x) - 1.5, cage + 2)
    behind = y - (frame.spine(canvas.z)[0] + 4 * s).reshape(-1, 1, 1)
    brush.lay(share(np.minimum(column, behind), brush.voxel), T.MUSCLE)
    below = np.minimum(cage, -rise)
    if not (below > 0).any():
        return
    brush.lay(share(below, brush.voxel), T.DIAPHRAGM)
    cavity = np.minimum(cage - 2, -rise - 3)
    brush.lay(share(cavity, brush.voxel), T.ABDOMINAL_FAT, brush.mean[T.ABDOMINAL_FAT] + fat)
    shape = basis((0.3, 0.0, 1.0), (1.0, 0.0, 0.0))
    turned = basis((1.0, 0.1, -0.3), (0.0, 1.0, 0.0))
    size = scene.findings.organs
    organs = (
        (T.LIVER, (112, -8, -72), (96, 104, 100), np.eye(3), -0.5),
        (T.LIVER, (138, -62, -6), (66, 40, 46), shape, 1.5),
        (T.SPLEEN, (128, 26, 104), (54 * size, 24 * size, 46 * size), turned, 1.0),
        (T.STOMACH, (110, -26, 60), (52, 36 * size, 40), turned, 2.0),
        (T.KIDNEY, (64, 30, -62), (54, 28, 27), np.eye(3), 4.0),
        (T.KIDNEY, (76, 30, 64), (54, 28, 27), np.eye(3), 4.0),
    )
    texture = scene.noise(9).on(canvas.axes, 6.0)
    for tissue, centre, half, axes, rim in organs:
        organ = Chamber(tissue, np.array(centre) * float(s), axes, np.array(half) * float(s))
        where = np.minimum(organ.depth(z, y, x), cavity - np.float32(rim))
        brush.lay(share(where, brush.voxel), tissue, brush.mean[tissue] + 3 * texture)
        if tissue is T.STOMACH:
            gas = np.minimum(where - 4, -(y + 34 * s) - 8 * size)
            brush.lay(share(gas, brush.voxel), T.STOMACH_GAS)
    vessels = scene.noise(10).on(canvas.axes, 11.0)
    liver = canvas.labels == T.LIVER
    if liver.any() and scene.attenuation.mean[T.AORTA] > 90:
        lines = np.clip(0.16 - np.abs(vessels), 0, 0.1) * 10
        rise_hu = 0.25 * (scene.attenuation.mean[T.AORTA] - 90)
        canvas.hu[...] += np.where(liver, lines * np.float32(rise_hu), 0)


def paint_table(brush: Brush, skin: Field) -> None:
    """Tray and mattress under the patient, and sheets of cloth."""
    canvas, scene = brush.canvas, brush.scene
    _, y, x = canvas.coordinates((slice(None),) * 3)
    tray = scene.findings.tray
    top = tray.top - tray.curve * x * x
    shell = 1.3 - np.abs(y - top)
    low = top + tray.thick * np.clip(1 - (x / tray.half) ** 4, 0, 1)
    shell = np.maximum(shell, 1.2 - np.abs(y - low))
    shell = np.minimum(np.broadcast_to(shell, skin.shape), tray.half - np.abs(x))
    brush.lay(share(shell, brush.voxel), T.TABLE)
    foam = np.minimum(np.minimum(y - top + 9, top - y - 1), tray.half * 0.9 - np.abs(x))
    foam = np.minimum(np.broadcast_to(foam, skin.shape), -skin - 1)
    brush.lay(share(foam, brush.voxel) * np.float32(0.9), T.CLOTHES, -930.0)
    if tray.cloth:
        lift = 2 + np.minimum(4 * np.abs(scene.noise(11).on(canvas.axes, 32.0)), 18)
        sheet = np.minimum(-skin - lift + 0.9, skin + lift + 0.9)
        brush.lay(share(sheet, brush.voxel) * np.float32(0.6), T.CLOTHES)
