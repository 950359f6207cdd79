"""A simulated CT of the trunk with exact truth: `simulate_trunk`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.phantoms.acquisition import Grid, Phase, Pose, attenuation, expose, record
from models.phantoms.anatomy import BOTTOM_MM, TOP_MM, Trunk, paint_trunk
from models.phantoms.fractures import SpineOptions
from models.phantoms.header_words import HeaderWords
from models.phantoms.person import Person
from models.phantoms.spine_truth import BodyTruth, bodies_of
from models.phantoms.tissue import COMPARTMENT_OF, Compartment, Labels, Tissue
from node.domain.extent import Extent
from node.domain.imaging import Volume
from node.domain.study import InstanceUID, Plane, SeriesUID, StudyUID

PADDING_HU = -1024
MUSCLE_HU = (-29, 150)
INTERMUSCULAR_HU = (-190, -30)
SUBCUTANEOUS_HU = (-190, -30)
VISCERAL_HU = (-150, -50)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkOptions:
    """How the simulated patient is scanned; None means drawn from the seed.

    Attributes:
        matrix: rows and columns. pixel_mm: pixel spacing (drawn from 0.6 to 0.98, large
            enough for the patient unless `truncated`; grows when the matrix is small).
        slice_mm: distance and thickness of the slices.
        reach_mm: lowest and highest slice, from mid-L3.
        phase: of the contrast agent. noise_hu: standard deviation in the middle.
        working_mm: (between slices, in-plane) of the grid on which anatomy is painted.
        posed: turned, shifted and bent a little. truncated: the field cuts the patient.
        spine: vertebral bodies in detail; None leaves them plain.
        varied: organs, ribs and sacrum depart more from the usual.
    """

    matrix: int = 512
    pixel_mm: float | None = None
    slice_mm: float = 5.0
    reach_mm: tuple[float, float] = (-150.0, 165.0)
    phase: Phase | None = None
    noise_hu: float | None = None
    working_mm: tuple[float, float] | None = None
    posed: bool = True
    truncated: bool = False
    spine: SpineOptions | None = None
    varied: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Areas:
    """Areas on one slice, cm2."""

    muscle: float
    intermuscular_fat: float
    subcutaneous_fat: float
    visceral_fat: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkTruth:
    """What is known of a phantom exactly.

    Attributes:
        l3_z_mm: z (LPS) of the middle of the body of L3; None when not in the stack.
        l3_slice: index of the slice next to it.
        centroids_mm: (x, y, z) LPS of each vertebral body whose middle lies in the stack.
        areas: on that slice by HU rules within the true compartments, as a flawless
            reader of these voxels would measure.
        tissue_areas: on that slice by the painted tissue, whatever its HU.
        trunk_cut: share of the skin's outline outside the field of view on that slice.
        bodies: of a spine in detail, L5 to T6.
    """

    l3_z_mm: float | None
    l3_slice: int | None
    centroids_mm: dict[Tissue, tuple[float, float, float]]
    areas: Areas | None
    tissue_areas: Areas | None
    trunk_cut: float
    bodies: tuple[BodyTruth, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Phantom:
    """A simulated series.

    Attributes:
        volume: int16 HU; LPS affine; slices from feet to head.
        labels: `Tissue` on the same grid; AIR where padded.
        pose: of the patient in the gantry. options: as asked, with everything drawn.
    """

    seed: int
    volume: Volume
    labels: Labels
    person: Person
    phase: Phase
    truth: TrunkTruth
    pose: Pose
    options: TrunkOptions

    @property
    def header(self) -> HeaderWords:
        """What the headers call it."""
        return HeaderWords(
            patient="Phantom^Trunk", study="Simulated abdomen", series="Simulated trunk",
            body_part="ABDOMEN",
        )  # fmt: skip


def phantom_uid(seed: int, role: str) -> str:
    """A UID that depends on the seed and the role alone (2.25 root, PS3.5 B.2)."""
    digest = hashlib.sha256(f"{seed}:{role}".encode("ascii")).digest()
    return f"2.25.{int.from_bytes(digest[:15], 'big')}"


def simulate_trunk(seed: int, options: TrunkOptions | None = None) -> Phantom:
    """Paint, scan and measure the trunk of `seed`.

    Seeds below 1,000,000 are for training, the others for tests. The same seed and options
    give the same bytes.
    """
    asked = options or TrunkOptions()
    rng = np.random.default_rng([seed, 100])
    phase = asked.phase or list(Phase)[int(rng.choice(3, p=[0.4, 0.15, 0.45]))]
    noise = asked.noise_hu if asked.noise_hu is not None else float(rng.uniform(6, 20))
    working = asked.working_mm or _working(asked)
    margin = 3 * asked.slice_mm + 45
    reach = (asked.reach_mm[0] - margin, asked.reach_mm[1] + margin)
    steps = (working[0], working[1], working[1])
    trunk = paint_trunk(seed, steps, reach, asked.spine, varied=asked.varied)
    pixel = asked.pixel_mm or _pixel(trunk, asked, rng)
    pose = _pose(trunk, asked.posed, rng)
    scale = trunk.person.scale
    low = max(asked.reach_mm[0], BOTTOM_MM * scale + asked.slice_mm)
    high = min(asked.reach_mm[1], TOP_MM * scale - asked.slice_mm)
    z = pose.table_mm + np.arange(low, high, asked.slice_mm)
    grid = Grid(z, asked.matrix, pixel, asked.slice_mm)
    images, labels = record(trunk, attenuation(trunk, phase, rng), grid, pose)
    expose(images, grid, noise, rng)
    circle = outside_circle(grid)
    voxels = np.clip(np.rint(images), -1024, 3071).astype(np.int16)
    voxels[:, circle] = PADDING_HU
    cut = _cut(labels, circle)
    labels[:, circle] = Tissue.AIR
    volume = volume_of(seed, voxels, grid, circle)
    done = TrunkOptions(
        matrix=asked.matrix, pixel_mm=pixel, slice_mm=asked.slice_mm, reach_mm=(low, high),
        phase=phase, noise_hu=noise, working_mm=working, posed=asked.posed,
        truncated=asked.truncated, spine=asked.spine, varied=asked.varied,
    )  # fmt: skip
    return Phantom(
        seed=seed,
        volume=volume,
        labels=labels,
        person=trunk.person,
        phase=phase,
        truth=_truth(trunk, volume, labels, pose, cut),
        pose=pose,
        options=done,
    )


def _working(options: TrunkOptions) -> tuple[float, float]:
    pixel = options.pixel_mm or 0.8 * 512 / options.matrix
    return float(np.clip(options.slice_mm, 1.5, 3.0)), float(np.clip(1.6 * pixel, 1.3, 2.0))


def _pixel(trunk: Trunk, options: TrunkOptions, rng: np.random.Generator) -> float:
    lateral = trunk.person.fat_mm[1]
    width = 2 * (float(trunk.frame.half_width.max()) + 1.3 * lateral)
    share = rng.uniform(0.72, 0.9) if options.truncated else rng.uniform(1.08, 1.25)
    wanted = width * share / options.matrix
    lowest = 0.6 * 512 / options.matrix if not options.truncated else 0.3 * 512 / options.matrix
    return float(np.clip(wanted, lowest, 0.98 * 512 / options.matrix))


def _pose(trunk: Trunk, posed: bool, rng: np.random.Generator) -> Pose:
    middle = float(np.median(trunk.frame.widest))
    table = float(rng.uniform(-900, 200))
    if not posed:
        return Pose(0.0, (-middle, 0.0), round(table, 1), np.zeros((2, 9, 9), np.float32))
    bend = rng.normal(0, 2.2, (2, 9, 9)).astype(np.float32)
    return Pose(
        turn=float(rng.normal(0, 0.05)),
        shift_mm=(-middle + float(rng.normal(0, 7)), float(rng.normal(0, 7))),
        table_mm=round(table, 1),
        bend_mm=bend,
    )


def outside_circle(grid: Grid) -> NDArray[np.bool_]:
    """(rows, columns) True outside the circle of reconstruction."""
    half = np.arange(grid.matrix) - (grid.matrix - 1) / 2
    out: NDArray[np.bool_] = half[:, None] ** 2 + half[None, :] ** 2 > (grid.matrix / 2) ** 2
    return out


def _body(labels: Labels) -> NDArray[np.bool_]:
    compartments = COMPARTMENT_OF[labels]
    out: NDArray[np.bool_] = (compartments != Compartment.OUTSIDE) & (
        compartments != Compartment.LIMB
    )
    return out


def _cut(labels: Labels, circle: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Per slice the share of trunk pixels on or beyond the border of the field."""
    body = _body(labels)
    edge = circle.copy()
    edge[0, :] = edge[-1, :] = edge[:, 0] = edge[:, -1] = True
    lost = (body & edge).sum((1, 2))
    share: NDArray[np.float64] = lost / np.maximum(body.sum((1, 2)), 1)
    return share


def volume_of(
    seed: int, voxels: NDArray[np.int16], grid: Grid, circle: NDArray[np.bool_]
) -> Volume:
    step = grid.pixel_mm
    corner = -(grid.matrix - 1) / 2 * step
    affine = np.array(
        [[0.0, 0.0, step, corner], [0.0, step, 0.0, corner],
         [grid.thickness_mm, 0.0, 0.0, float(grid.z[0])], [0.0, 0.0, 0.0, 1.0]]
    )  # fmt: skip
    planes = tuple(
        Plane(
            sop_instance_uid=InstanceUID(phantom_uid(seed, f"instance {k}")),
            frame_number=None,
            position_mm=(corner, corner, float(z)),
            extent=Extent(Path(f"{k + 1:04d}.dcm")),
            instance_number=k + 1,
        )
        for k, z in enumerate(grid.z)
    )
    return Volume(
        study_uid=StudyUID(phantom_uid(seed, "study")),
        series_uid=SeriesUID(phantom_uid(seed, "series")),
        frame_of_reference_uid=phantom_uid(seed, "frame of reference"),
        voxels=voxels,
        affine=affine,
        unit="HU",
        planes=planes,
        padding=np.broadcast_to(circle, voxels.shape).copy(),
    )


def _within(hu: NDArray[np.int16], limits: tuple[int, int]) -> NDArray[np.bool_]:
    out: NDArray[np.bool_] = (hu >= limits[0]) & (hu <= limits[1])
    return out


def measure_areas(hu: NDArray[np.int16], labels: Labels, pixel_cm2: float) -> tuple[Areas, Areas]:
    """(by HU rules within the compartments, by painted tissue) on one slice."""
    place = COMPARTMENT_OF[labels]
    muscle, under = place == Compartment.MUSCLE, place == Compartment.SUBCUTANEOUS
    inside = place == Compartment.VISCERAL
    rules = Areas(
        muscle=float((muscle & _within(hu, MUSCLE_HU)).sum() * pixel_cm2),
        intermuscular_fat=float((muscle & _within(hu, INTERMUSCULAR_HU)).sum() * pixel_cm2),
        subcutaneous_fat=float((under & _within(hu, SUBCUTANEOUS_HU)).sum() * pixel_cm2),
        visceral_fat=float((inside & _within(hu, VISCERAL_HU)).sum() * pixel_cm2),
    )
    lean = muscle & (labels != Tissue.INTERMUSCULAR_FAT)
    painted = Areas(
        muscle=float(lean.sum() * pixel_cm2),
        intermuscular_fat=float((labels == Tissue.INTERMUSCULAR_FAT).sum() * pixel_cm2),
        subcutaneous_fat=float((labels == Tissue.SUBCUTANEOUS_FAT).sum() * pixel_cm2),
        visceral_fat=float((labels == Tissue.VISCERAL_FAT).sum() * pixel_cm2),
    )
    return rules, painted


def _truth(
    trunk: Trunk, volume: Volume, labels: Labels, pose: Pose, cut: NDArray[np.float64]
) -> TrunkTruth:
    z = volume.affine[2, 3] + np.arange(len(labels)) * volume.spacing_mm[0]
    half = volume.spacing_mm[0] / 2
    centroids: dict[Tissue, tuple[float, float, float]] = {}
    for body in trunk.frame.bodies:
        height = body.z + pose.table_mm
        if not z[0] - half <= height <= z[-1] + half:
            continue
        where = np.argwhere(labels[int(np.argmin(np.abs(z - height)))] == body.tissue)
        if where.size:
            row, column = where.mean(0)
            x, y = (volume.affine @ np.array([0.0, row, column, 1.0]))[:2]
            centroids[body.tissue] = (float(x), float(y), float(height))
    if Tissue.L3 not in centroids:
        return TrunkTruth(
            l3_z_mm=None, l3_slice=None, centroids_mm=centroids, areas=None, tissue_areas=None,
            trunk_cut=float(cut.max()), bodies=bodies_of(trunk, pose),
        )  # fmt: skip
    at = int(np.argmin(np.abs(z - centroids[Tissue.L3][2])))
    pixel_cm2 = volume.spacing_mm[1] * volume.spacing_mm[2] / 100
    rules, painted = measure_areas(np.asarray(volume.voxels[at], np.int16), labels[at], pixel_cm2)
    return TrunkTruth(
        l3_z_mm=centroids[Tissue.L3][2],
        l3_slice=at,
        centroids_mm=centroids,
        areas=rules,
        tissue_areas=painted,
        trunk_cut=float(cut[at]),
        bodies=bodies_of(trunk, pose),
    )
