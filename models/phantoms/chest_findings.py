"""What is not normal in one chest, and what differs between scans: drawn once per seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.phantoms import chest_bones
from models.phantoms.chest_anatomy import ChestAnatomy
from models.phantoms.chest_bones import Bone
from models.phantoms.chest_core import Chamber, basis, smooth_path
from models.phantoms.chest_tissue import ChestTissue as T
from models.phantoms.vessel_tree import Branch, Points, Samples


@dataclass(frozen=True, slots=True)
class Tray:
    """The table: top y, curvature 1/mm, thickness, half width, mm; cloth on the patient."""

    top: float
    curve: float
    thick: float
    half: float
    cloth: bool


@dataclass(frozen=True, slots=True)
class Effusion:
    """Fluid behind one lung: side (-1 right), depth at the base, height, collapse above it, mm."""

    side: int
    deep: float
    tall: float
    collapse: float


@dataclass(frozen=True, slots=True)
class Strand:
    """A scar or band: (n, 3) z, y, x points, radius (n,) mm, HU."""

    points: Points
    radius_mm: NDArray[np.float64]
    hu: float


@dataclass(frozen=True)
class Findings:
    """One chest's findings.

    Attributes:
        skeleton: bones as balls. nodes: lymph nodes. gullet_gas: 0 none to 1 wide.
        seams: how well fissures show, 0 to 1. organs: size of spleen and stomach.
        effusions. emphysema: severity in the lobules and under the pleura, 0 to 1.
        strands: scars and bands. granulomas: calcified, (centre, radius, HU).
        plates: collapsed sheets at the bases. dependent: depth (mm) and rise (HU) of the density
            at the back. plaques: calcium in the aortic wall and the coronary arteries.
        airway_samples, wall_samples: lumen and outer surface of all airways as balls.
        ectasis: lobes with widened bronchi.
    """

    skeleton: tuple[Bone, ...]
    nodes: tuple[Chamber, ...]
    gullet_gas: float
    seams: float
    organs: float
    tray: Tray
    effusions: tuple[Effusion, ...]
    emphysema: tuple[float, float]
    strands: tuple[Strand, ...]
    granulomas: tuple[tuple[Points, float, float], ...]
    plates: tuple[Chamber, ...]
    dependent: tuple[float, float]
    plaques: Samples
    airway_samples: Samples
    wall_samples: Samples
    ectasis: tuple[str, ...]


def draw_findings(anatomy: ChestAnatomy, arms_up: bool, tray: Tray, abnormal: bool) -> Findings:
    """Findings of one chest; `abnormal` False leaves only what everybody has."""
    rng = np.random.default_rng([anatomy.seed, 230])
    frame, age = anatomy.frame, anatomy.person.age
    skeleton = (
        *chest_bones.girdle(frame, arms_up),
        *chest_bones.ribs(frame, np.random.default_rng([anatomy.seed, 231])),
        chest_bones.arches(frame),
    )
    odd = float(abnormal)
    smoker = odd * float(rng.random() < 0.3) * float(rng.beta(1.3, 2.2))
    effusions = []
    for side in (-1, 1):
        draw = rng.random(4)
        if draw[0] < 0.10 * odd:
            effusions.append(Effusion(side, 6 + 50 * draw[1] ** 1.5, 60 + 130 * draw[2],
                                      4 + 26 * draw[3]))  # fmt: skip
    ectasis = ("right lower", "left lower") if rng.random() < 0.07 * odd else ()
    wide = float(rng.uniform(1.4, 2.2))
    lumen, outer = _airways(anatomy, ectasis, wide)
    return Findings(
        skeleton=skeleton,
        nodes=_nodes(anatomy, rng, abnormal),
        gullet_gas=float(rng.choice([0.0, rng.uniform(0.2, 1)])),
        seams=float(rng.uniform(0.45, 1.0)),
        organs=float(np.clip(rng.lognormal(0, 0.2), 0.7, 1.5)),
        tray=tray,
        effusions=tuple(effusions),
        emphysema=(smoker, smoker * float(rng.uniform(0, 1))),
        strands=_strands(anatomy, rng, int(rng.poisson(2.0 + age / 30) * odd)),
        granulomas=_granulomas(anatomy, rng, int(rng.poisson(0.6) * odd)),
        plates=_plates(anatomy, rng, int(rng.poisson(0.8) * odd)),
        dependent=(float(rng.uniform(4, 22)), float(rng.uniform(10, 150)) * (0.3 + 0.7 * odd)),
        plaques=_plaques(anatomy, rng),
        airway_samples=lumen,
        wall_samples=outer,
        ectasis=ectasis,
    )


def _airways(
    anatomy: ChestAnatomy, ectasis: tuple[str, ...], wide: float
) -> tuple[Samples, Samples]:
    tree, trees = anatomy.airways, anatomy.trees

    def lumen(branch: Branch) -> NDArray[np.float64]:
        grown = branch.lobe.value in ectasis and not branch.name
        return branch.radius_mm * (wide if grown else 1.0)

    def outer(branch: Branch) -> NDArray[np.float64]:
        inner = lumen(branch)
        return inner + trees.wall_mm(branch.radius_mm) * (0.9 if branch.name == "trachea" else 1.0)

    everything = range(len(tree))
    return tree.sampled(everything, lumen), tree.sampled(everything, outer)


def _nodes(anatomy: ChestAnatomy, rng: np.random.Generator, abnormal: bool) -> tuple[Chamber, ...]:
    """Lymph nodes of the usual stations, short axis 3-9 mm (to 18 mm when enlarged)."""
    frame = anatomy.frame
    s, c = frame.scale, np.array(frame.carina)
    big = float(rng.choice([1.0, rng.uniform(1.2, 2.2)], p=[0.85, 0.15])) if abnormal else 1.0
    stations = [
        (24, -8, -16), (10, -10, -16), (38, -6, -16), (2, -22, 12), (-6, -36, 6), (-12, 2, 2),
        (-20, 4, -4), (14, -34, 20), (4, -30, 30), (-34, 0, -36), (-30, 2, 46), (30, -46, 2),
    ]  # fmt: skip
    found = []
    for place in stations:
        for _ in range(int(rng.integers(0, 3))):
            centre = c + (np.array(place) + rng.normal(0, 3.0, 3)) * s
            short = float(np.clip(rng.lognormal(0.72, 0.35) * big, 1.2, 9)) * s
            half = short * np.array([rng.uniform(1.1, 2.2), rng.uniform(1, 1.6), 1.0])
            axes = basis((1.0, *rng.normal(0, 0.4, 2)), (0.0, *rng.normal(0, 1, 2)))
            found.append(Chamber(T.LYMPH_NODE, centre, axes, half))
    for side in (-1, 1):
        for _ in range(int(rng.integers(2, 6))):
            centre = np.array([rng.uniform(325, 368), rng.uniform(-25, 25), side
                               * rng.uniform(112, 135)]) * s  # fmt: skip
            half = np.array([rng.uniform(4, 8), rng.uniform(2, 4), rng.uniform(2, 4)]) * s
            found.append(Chamber(T.LYMPH_NODE, centre, np.eye(3), half))
    return tuple(found)


def lung_point(anatomy: ChestAnatomy, rng: np.random.Generator, low: float, high: float) -> Points:
    """A random z, y, x between `low` and `high` mm below the pleura."""
    field = anatomy.lungs.depth
    size = field.step * np.array(field.values.shape)
    for _ in range(4000):
        point: Points = np.array(field.origin) + rng.random(3) * size
        if low < float(field.at(point[None])[0]) < high:
            return point
    return np.array([anatomy.frame.carina[0], anatomy.frame.carina[1], 70.0])


def _strands(anatomy: ChestAnatomy, rng: np.random.Generator, count: int) -> tuple[Strand, ...]:
    found = []
    for _ in range(count):
        start = lung_point(anatomy, rng, 0.2, 4.0)
        if rng.random() < 0.4:
            # Scars gather at the apices.
            for _ in range(40):
                start = lung_point(anatomy, rng, 0.2, 4.0)
                if start[0] > anatomy.frame.carina[0] + 35:
                    break
        inward = np.array(
            [anatomy.frame.carina[0], anatomy.frame.carina[1], 50 * np.sign(start[2])]
        )
        way = inward - start
        way = way / np.linalg.norm(way) + rng.normal(0, 0.5, 3)
        length = float(rng.uniform(8, 32))
        knots = (
            start + np.outer(np.linspace(-0.12, 1, 4), way * length) + rng.normal(0, 1.6, (4, 3))
        )
        wide = float(rng.uniform(0.4, 1.5))
        radius = wide * np.linspace(1.5, 0.6, 14)
        found.append(Strand(smooth_path(knots, 14), radius, float(rng.uniform(-150, 30))))
    return tuple(found)


def _granulomas(
    anatomy: ChestAnatomy, rng: np.random.Generator, count: int
) -> tuple[tuple[Points, float, float], ...]:
    return tuple(
        (lung_point(anatomy, rng, 2.0, 14.0), float(rng.uniform(1.0, 3.2)),
         float(rng.uniform(250, 900)))
        for _ in range(count)
    )  # fmt: skip


def _plates(anatomy: ChestAnatomy, rng: np.random.Generator, count: int) -> tuple[Chamber, ...]:
    found = []
    dome = max(anatomy.frame.dome)
    for _ in range(count):
        centre = lung_point(anatomy, rng, 0.5, 9.0)
        for _ in range(60):
            if centre[0] < dome + 18 and centre[1] > anatomy.frame.heart[1] - 20:
                break
            centre = lung_point(anatomy, rng, 0.5, 9.0)
        axes = basis((1.0, *rng.normal(0, 0.3, 2)), (0.0, 1.0, 0.2))
        half = np.array([rng.uniform(0.7, 2.2), rng.uniform(9, 26), rng.uniform(12, 34)])
        found.append(Chamber(T.ATELECTASIS, centre, axes, half))
    return tuple(found)


def _plaques(anatomy: ChestAnatomy, rng: np.random.Generator) -> Samples:
    """Calcium, more of it with age."""
    age = anatomy.person.age
    aorta = anatomy.core.ducts[0]
    count = int(rng.poisson(max(age - 48, 0) * 0.5 * float(rng.lognormal(0, 0.7))))
    points, radii = [], []
    for _ in range(min(count, 60)):
        k = int(rng.integers(24, len(aorta.points) - 1))
        way = aorta.points[k + 1] - aorta.points[k]
        across = np.cross(way, rng.normal(0, 1, 3))
        across = across / np.linalg.norm(across)
        centre = aorta.points[k] + across * (aorta.radius_mm[k] + 0.6)
        other = np.cross(way / np.linalg.norm(way), across)
        for _ in range(int(rng.integers(2, 9))):
            points.append(centre + other * rng.normal(0, 1.6) + way * rng.normal(0, 0.5))
            radii.append(float(rng.uniform(0.5, 1.3)))
    s, h = anatomy.frame.scale, np.array(anatomy.frame.heart)
    calcified = rng.random() < (age - 42) / 45
    for path in (((22, -26, 6), (12, -40, 22), (-6, -46, 42)), ((22, -22, -8), (6, -34, -26),
                 (-16, -30, -34)), ((22, -18, 12), (14, 2, 42), (0, 14, 52))):  # fmt: skip
        knots = smooth_path(h + np.array(path) * s * anatomy.frame.heart_size, 40)
        for point in knots:
            if calcified and rng.random() < 0.25:
                points.append(point + rng.normal(0, 0.5, 3))
                radii.append(float(rng.uniform(0.5, 1.2)))
    if not points:
        return Samples(np.zeros((0, 3)), np.zeros(0), np.zeros(0, np.intp))
    return Samples(np.array(points), np.array(radii), np.zeros(len(points), np.intp))
