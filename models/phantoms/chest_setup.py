"""How a chest is scanned, and everything that the options leave open drawn from the seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

import numpy as np

from models.phantoms.chest_anatomy import ChestAnatomy, build_chest
from models.phantoms.chest_contrast import draw_attenuation
from models.phantoms.chest_exposure import Optics
from models.phantoms.chest_findings import Tray, draw_findings
from models.phantoms.chest_render import Scene
from models.phantoms.chest_wall import Wall, build_wall


class ContrastPhase(Enum):
    """When the contrast agent was imaged."""

    NATIVE = "native"
    PULMONARY = "pulmonary arterial"  # 15-25 s, CT pulmonary angiography
    ROUTINE = "routine"  # 50-75 s, staging scans; veins as bright as arteries


class Kernel(Enum):
    """Reconstruction kernel."""

    SOFT = "soft"
    LUNG = "lung"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChestOptions:
    """How the chest is scanned; None means drawn from the seed.

    Attributes:
        matrix: rows and columns. pixel_mm: in-plane spacing (to fit the patient).
        slice_mm: distance of slices. thickness_mm: of one slice (default: the distance).
        reach_mm: lowest and highest slice in the patient's frame (default: all of the lungs
            with a margin).
        phase, kernel. strength: of the contrast relative to a good scan (0.5 poor).
        noise_hu: standard deviation in soft tissue. arms_up. truncated: the field cuts the patient.
        findings: effusion, emphysema, scars and so on are drawn; False gives clean lungs.
        motion: breathing and beating blur; None drawn, 0.0 none, 1.0 typical.
    """

    matrix: int = 512
    pixel_mm: float | None = None
    slice_mm: float = 1.0
    thickness_mm: float | None = None
    reach_mm: tuple[float, float] | None = None
    phase: ContrastPhase | None = None
    kernel: Kernel | None = None
    strength: float | None = None
    noise_hu: float | None = None
    arms_up: bool | None = None
    truncated: bool = False
    findings: bool = True
    motion: float | None = None


@lru_cache(maxsize=3)
def _wall(seed: int, arms_up: bool) -> Wall:
    return build_wall(build_chest(seed).frame, arms_up, np.random.default_rng([seed, 210]))


@dataclass(frozen=True)
class Setup:
    """A scene with everything drawn that the options left open.

    Attributes:
        options: as asked, with everything drawn. optics: of the scanner.
        shift: (z, y, x) of the patient's origin in the gantry, mm.
    """

    scene: Scene
    options: ChestOptions
    optics: Optics
    shift: tuple[float, float, float]


@lru_cache(maxsize=4)
def prepare(seed: int, asked: ChestOptions) -> Setup:
    """The scene of `seed` and how it is scanned; kept for the last four."""
    anatomy = build_chest(seed)
    rng = np.random.default_rng([seed, 300])
    draw = rng.random(12)
    phase = asked.phase or list(ContrastPhase)[int(np.searchsorted([0.35, 0.65], draw[0]))]
    kernel = asked.kernel or (Kernel.LUNG if draw[1] < 0.4 else Kernel.SOFT)
    arms_up = asked.arms_up if asked.arms_up is not None else bool(draw[2] < 0.85)
    strength = asked.strength
    if strength is None:
        strength = float(0.35 + 0.4 * draw[4]) if draw[3] < 0.15 else float(0.85 + 0.35 * draw[4])
    sharp = kernel is Kernel.LUNG
    noise = asked.noise_hu
    if noise is None:
        noise = float((7 + 15 * draw[5] ** 1.3) * (1.7 + 1.6 * draw[6] if sharp else 1.0))
        noise *= float(np.clip(np.sqrt(1.5 / (asked.thickness_mm or asked.slice_mm)), 0.6, 1.4))
    motion = asked.motion if asked.motion is not None else float(draw[7] ** 1.5 * 1.6)
    wall = _wall(seed, arms_up)
    tray = _tray(wall, rng)
    findings = draw_findings(anatomy, arms_up, tray, asked.findings)
    attenuation = draw_attenuation(
        anatomy.frame, phase.value, strength, np.random.default_rng([seed, 301])
    )
    optics = Optics(
        half_per_mm=float(0.60 + 0.35 * draw[8] if sharp else 0.32 + 0.12 * draw[8]),
        boost=float(0.1 + 0.3 * draw[9] if sharp else 0.06 * draw[9]),
        noise_hu=noise,
        grain=float(0.15 + 0.4 * draw[10]),
        motion=motion,
        streak=attenuation.streak,
    )
    s = anatomy.frame.scale
    low = max(anatomy.frame.low + 6, (90 - 4 - 22 * draw[11]) * s)
    pixel = asked.pixel_mm or _pixel(wall, anatomy, asked, rng)
    done = replace(
        asked, pixel_mm=pixel, thickness_mm=asked.thickness_mm or asked.slice_mm,
        reach_mm=asked.reach_mm or (low, (406 + 6 + 18 * draw[10]) * s), phase=phase,
        kernel=kernel, strength=strength, noise_hu=noise, arms_up=arms_up, motion=motion,
    )  # fmt: skip
    rows = np.nonzero((wall.skin.values > 0).any((0, 2)))[0]
    middle = wall.skin.origin[1] + wall.skin.step * float(rows[[0, -1]].mean())
    shift = (
        round(float(rng.uniform(-900, 200)), 1),
        -middle + float(rng.normal(0, 7)),
        float(rng.normal(0, 6)),
    )
    scene = Scene(anatomy, wall, attenuation, findings)
    return Setup(scene, done, optics, shift)


def _tray(wall: Wall, rng: np.random.Generator) -> Tray:
    rows = np.nonzero((wall.skin.values > 0).any((0, 2)))[0]
    lowest = wall.skin.origin[1] + wall.skin.step * float(rows[-1])
    return Tray(
        top=lowest + float(rng.uniform(3, 16)),
        curve=float(rng.choice([0.0, rng.uniform(0.0004, 0.0014)])),
        thick=float(rng.uniform(14, 60)),
        half=float(rng.uniform(190, 265)),
        cloth=bool(rng.random() < 0.6),
    )


def _pixel(
    wall: Wall, anatomy: ChestAnatomy, asked: ChestOptions, rng: np.random.Generator
) -> float:
    share = float(rng.uniform(1.02, 1.2))
    below = int((330 * anatomy.frame.scale - wall.skin.origin[0]) / wall.skin.step)
    columns = np.nonzero((wall.skin.values[:below] > 0).any((0, 1)))[0]
    width = float(columns[-1] - columns[0]) * wall.skin.step * share
    if asked.truncated:
        width = 2 * 140 * anatomy.frame.scale * anatomy.frame.wide * float(rng.uniform(1.02, 1.1))
    return round(float(np.clip(width, 250, 500)) / asked.matrix, 4)
