"""From tissues to what a scanner records: contrast phase, texture, slices, noise, artefacts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, gaussian_filter, map_coordinates

from models.phantoms.anatomy import Trunk
from models.phantoms.muscles import smooth_noise
from models.phantoms.shapes import Field
from models.phantoms.tissue import BODIES, BONES, MUSCLES, Labels, Tissue
from models.phantoms.vertebral_bodies import render


class Phase(Enum):
    """When the contrast agent was imaged."""

    NATIVE = "native"
    ARTERIAL = "arterial"
    PORTAL = "portal"


_ENHANCEMENT: dict[Phase, dict[Tissue, float]] = {
    Phase.NATIVE: {},
    Phase.ARTERIAL: {
        Tissue.ARTERY: 270, Tissue.THORACIC_VESSEL: 240, Tissue.HEART: 170, Tissue.VEIN: 20,
        Tissue.KIDNEY: 130, Tissue.SPLEEN: 80, Tissue.PANCREAS: 60, Tissue.LIVER: 15,
        Tissue.BOWEL_WALL: 45, Tissue.MESENTERIC_VESSEL: 90, Tissue.LUNG_VESSEL: 160,
    },
    Phase.PORTAL: {
        Tissue.ARTERY: 110, Tissue.THORACIC_VESSEL: 110, Tissue.HEART: 100, Tissue.VEIN: 110,
        Tissue.KIDNEY: 150, Tissue.SPLEEN: 70, Tissue.PANCREAS: 55, Tissue.LIVER: 55,
        Tissue.BOWEL_WALL: 40, Tissue.MESENTERIC_VESSEL: 95, Tissue.LUNG_VESSEL: 90,
        Tissue.PELVIC_ORGAN: 40,
    },
}  # fmt: skip
"""Rise over the native value, HU."""

_NATIVE: dict[Tissue, float] = {
    Tissue.AIR: -1000, Tissue.TABLE: -150, Tissue.CLOTHES: -500, Tissue.SKIN: 15,
    Tissue.SUBCUTANEOUS_FAT: -106, Tissue.VISCERAL_FAT: -100, Tissue.MEDIASTINAL_FAT: -95,
    Tissue.INTERMUSCULAR_FAT: -85, Tissue.ARM_FAT: -106, Tissue.LINEA_ALBA: 25,
    Tissue.LIVER: 58, Tissue.SPLEEN: 48, Tissue.KIDNEY: 32, Tissue.KIDNEY_SINUS: -70,
    Tissue.ARTERY: 42, Tissue.VEIN: 40, Tissue.HEART: 42, Tissue.THORACIC_VESSEL: 42,
    Tissue.BOWEL_WALL: 38, Tissue.BOWEL_GAS: -950, Tissue.BOWEL_FLUID: 18,
    Tissue.BOWEL_CONTRAST: 220, Tissue.STOOL: 10, Tissue.BLADDER: 6, Tissue.LUNG: -840,
    Tissue.LUNG_VESSEL: 0, Tissue.DIAPHRAGM: 45, Tissue.PANCREAS: 38, Tissue.PELVIC_ORGAN: 45,
    Tissue.GALLBLADDER: 10, Tissue.MESENTERIC_VESSEL: 25, Tissue.ASCITES: 12,
    Tissue.CARTILAGE: 110, Tissue.CANAL: 22, Tissue.DISC: 80, Tissue.METAL: 3000,
    Tissue.BREAST: 10, Tissue.ARM_SKIN: 15,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Pose:
    """How the patient lies: rotation about z, sideways and upwards shift, bending.

    Attributes:
        turn: radians. shift_mm: (y, x) of the patient's origin in the gantry.
        table_mm: z of mid-L3 in the gantry's frame.
        bend_mm: (2, 9, 9) displacements (y, x) on a coarse net over the field.
    """

    turn: float
    shift_mm: tuple[float, float]
    table_mm: float
    bend_mm: Field


@dataclass(frozen=True, slots=True)
class Grid:
    """The recorded grid: z of the slices in the gantry (mm), matrix, pixel and thickness, mm."""

    z: NDArray[np.float64]
    matrix: int
    pixel_mm: float
    thickness_mm: float


def tissue_table(trunk: Trunk, phase: Phase, rng: np.random.Generator) -> Field:
    """(256,) mean HU of every tissue for one patient and phase."""
    hu = np.full(256, 40.0)
    for tissue, value in _NATIVE.items():
        hu[tissue] = value
    muscle = float(np.clip(rng.normal(58 - 90 * trunk.person.marbling, 6), 22, 68))
    for tissue in (*MUSCLES, Tissue.ARM_MUSCLE, Tissue.INTERCOSTAL):
        if tissue not in (Tissue.INTERMUSCULAR_FAT, Tissue.LINEA_ALBA):
            hu[tissue] = muscle + float(rng.normal(0, 3)) + (0 if phase is Phase.NATIVE else 7)
    for tissue in (Tissue.LIVER, Tissue.SPLEEN, Tissue.PANCREAS, Tissue.STOOL, Tissue.BOWEL_FLUID):
        hu[tissue] += float(rng.normal(0, 8))
    hu[Tissue.BOWEL_CONTRAST] *= float(rng.uniform(0.5, 1.7))
    strength = float(rng.normal(1, 0.15))
    for tissue, rise in _ENHANCEMENT[phase].items():
        hu[tissue] += rise * strength
    marrow = trunk.person.bone_hu
    hu[list(BONES)] = marrow + 20
    hu[list(BODIES)] = marrow + rng.normal(0, 6, len(BODIES))
    hu[Tissue.ARCH] = marrow + 160
    hu[Tissue.RIB] = marrow + 90
    return hu.astype(np.float32)


def attenuation(trunk: Trunk, phase: Phase, rng: np.random.Generator) -> Field:
    """(z, y, x) HU of the trunk on its working grid, before the scanner."""
    labels = trunk.canvas.labels
    table = tissue_table(trunk, phase, rng)
    hu = table[labels]
    bone = np.isin(labels, list(BONES))
    cross = np.zeros((3, 3, 3), np.bool_)
    cross[1, 1, :] = cross[1, :, 1] = True
    hu[bone & ~binary_erosion(bone, cross)] += np.float32(rng.uniform(250, 450))
    if trunk.shapes:
        render(hu, trunk.canvas, (trunk.frame, trunk.shapes), table, np.random.default_rng(42))
    if trunk.has_screws:
        hu[labels == Tissue.METAL] = table[Tissue.METAL]
    dz, dy, dx = trunk.canvas.steps
    shading = smooth_noise(labels.shape, (60 / dz, 60 / dy, 60 / dx), rng)
    grain = smooth_noise(labels.shape, (8 / dz, 5 / dy, 5 / dx), rng)
    solid = hu > -300
    out: Field = hu + solid * (shading * np.float32(2.0) + grain * np.float32(3.0))
    return out


def placed(points: NDArray[np.float64], pose: Pose) -> NDArray[np.float64]:
    """(..., 3) patient's (x, y, z) as the gantry's (x, y, z), mm: what `record` undoes."""
    px, py = points[..., 0], points[..., 1]
    y, x = py.copy(), px.copy()
    for _ in range(6):
        net = [np.clip(v / 60 + 4, 0, 8) for v in (y, x)]
        y = py - map_coordinates(pose.bend_mm[0], net, order=1)
        x = px - map_coordinates(pose.bend_mm[1], net, order=1)
    c, s = np.cos(pose.turn), np.sin(pose.turn)
    rows, columns = c * y + s * x + pose.shift_mm[0], c * x - s * y + pose.shift_mm[1]
    return np.stack([columns, rows, points[..., 2] + pose.table_mm], axis=-1)


def record(trunk: Trunk, hu: Field, grid: Grid, pose: Pose) -> tuple[Field, Labels]:
    """Sample attenuation (mean over the slice) and labels (at the middle) on the scanner's grid."""
    canvas, n = trunk.canvas, grid.matrix
    half = (np.arange(n, dtype=np.float32) - (n - 1) / 2) * np.float32(grid.pixel_mm)
    y, x = np.meshgrid(half - pose.shift_mm[0], half - pose.shift_mm[1], indexing="ij")
    c, s = np.float32(np.cos(pose.turn)), np.float32(np.sin(pose.turn))
    y, x = c * y - s * x, c * x + s * y
    net = [np.clip((v / np.float32(60) + 4), 0, 8) for v in (y, x)]
    y = y + map_coordinates(pose.bend_mm[0], net, order=1)
    x = x + map_coordinates(pose.bend_mm[1], net, order=1)
    dz, dy, dx = canvas.steps
    rows, columns = (y - canvas.y[0]) / dy, (x - canvas.x[0]) / dx
    images = np.empty((len(grid.z), n, n), np.float32)
    labels = np.zeros((len(grid.z), n, n), np.uint8)
    last = canvas.z.size - 1
    for k, z in enumerate(grid.z - pose.table_mm):
        at = (z - float(canvas.z[0])) / dz
        half_width = max(grid.thickness_mm / dz / 2, 0.5)
        first, stop = int(np.floor(at - half_width)), int(np.ceil(at + half_width))
        near = np.arange(max(first, 0), min(stop, last) + 1)
        weight = np.clip(half_width + 0.5 - np.abs(near - at), 0, 1)
        if near.size == 0 or weight.sum() < 1e-6:
            images[k] = -1000.0
            continue
        mean = np.tensordot(weight / weight.sum(), hu[near], 1).astype(np.float32)
        map_coordinates(mean, [rows, columns], images[k], order=1, cval=-1000.0)
        middle = int(np.clip(round(at), 0, last))
        map_coordinates(canvas.labels[middle], [rows, columns], labels[k], order=0, cval=0)
    return images, labels


def expose(images: Field, grid: Grid, noise_hu: float, rng: np.random.Generator) -> None:
    """Kernel blur, correlated noise and streaks, in place."""
    soft = float(rng.uniform(0.35, 0.8)) / grid.pixel_mm
    grain = float(rng.uniform(0.3, 0.9)) / grid.pixel_mm
    n = grid.matrix
    ramp = (np.arange(n, dtype=np.float32) - n / 2) / n
    bowl = np.exp(-4 * (ramp[:, None] ** 2 + ramp[None, :] ** 2)).astype(np.float32)
    for image in images:
        metal = image > 2200
        image[:] = gaussian_filter(image, soft)
        white = rng.standard_normal((n, n), np.float32)
        noise = gaussian_filter(white, grain)
        noise *= np.float32(noise_hu / max(float(noise.std()), 1e-6))
        # Photon starvation: wide, dense sections get more noise, in rows.
        load = float(np.clip((image > 200).mean() * 25, 0, 1.5))
        rows = gaussian_filter(rng.standard_normal((n, 1), np.float32), (1.0, 0))
        np.add(image, bowl * (noise + rows * np.float32(3 * load)), out=image)
        if metal.any():
            _streak(image, metal, rng)


def _streak(image: Field, metal: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Bright and dark rays that leave a piece of metal."""
    y0, x0 = (float(v) for v in np.argwhere(metal).mean(0))
    y, x = np.ogrid[: image.shape[0], : image.shape[1]]
    distance = np.hypot(y - y0, x - x0) + 6
    angle = np.arctan2(y - y0, x - x0)
    rays = sum(np.sin(k * angle + rng.uniform(0, 6.3)) * rng.normal() for k in (2, 3, 5, 9, 14, 22))
    image += np.asarray(rays * 2600 / distance, np.float32)
