"""Windows out of whole simulated chests, for the second half of the training of `clots`.

They show what the random scenes lack: real order of arteries, veins and bronchi, hila, heart and
diaphragm. Made once and kept on disk: (z, y, x) int16 HU as scanned, and labels. Segmental arteries
hold most of the clots of whole chests, and small ones are shown as often as large ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cc3d
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from models.grid import Axis, sample_volume
from models.phantoms.chest import (
    Block,
    ChestOptions,
    ChestPhantom,
    ChestTissue,
    ContrastPhase,
    Kernel,
    build_chest,
    simulate_block,
    simulate_chest,
)
from models.phantoms.clots import Clot, ClotOptions, Form, draw_clot, draw_clots, lesion_of
from models.phantoms.vessel_tree import Level
from models.pulmonary_embolism.train.branches import SIZE, STEP_MM
from models.pulmonary_embolism.train.imitators import (
    AIRWAY,
    CLOT,
    VESSEL,
    beside_nodes,
    dark_vein,
    dressed,
    enhanced,
    in_notches,
    unmixed,
)
from models.pulmonary_embolism.train.planted import plant
from models.pulmonary_embolism.train.scenes import CLOT_SHARE, streaks

Window = tuple[NDArray[np.float32], NDArray[np.uint8]]
#: Blocks are this much larger than a window, so that a window can be cut anywhere in them.
EDGE = SIZE + 8
#: Rows and columns of a whole chest, enough for its lungs at STEP_MM.
MATRIX = 304
#: Of the other chests, which are resampled to STEP_MM as the product does it: matrix, slices, mm.
SCANNED_MATRIX, SCANNED_SLICE_MM = 320, (1.25, 1.5, 2.0, 3.0)
_SCANNED_SHARE = 0.65
#: Chances of each `Level` among the clots of a whole chest, and of the forms of central ones and of
#: lobar and segmental ones: what is small, floats, lies at a wall or is a web is missed most.
_LEVELS = (0.12, 0.22, 0.56, 0.1)
_FORMS = (Form.OCCLUSIVE, Form.FLOATING, Form.ECCENTRIC, Form.WEB)
_CENTRAL_CHANCES, _FORM_CHANCES = (0.12, 0.25, 0.28, 0.35), (0.3, 0.28, 0.22, 0.2)
#: Of the segmental ones so many are cut to a volume between these, mm3, but not below a length, mm.
_SHORT_SHARE, _SHORT_MM3, _SHORTEST_MM = 0.6, (50.0, 300.0), 3.0
#: A whole chest counts as so many blocks. Places of each kind kept, and chances of the kinds.
_CHEST_SHARE = 12.0
_SPOTS = 6000
#: Draws between two looks for new files.
_REFRESHED_EVERY = 400
_SPOT_CHANCES = (0.5, 0.42, 0.08)
#: Share of the windows that are turned and scaled: degrees about each axis, and size.
_TURNED, _TURN, _SIZES = 0.65, 13.0, (0.86, 1.16)
#: Share of the windows that get further clots in thin vessels.
_PLANTED = 0.45
_OF = np.zeros(256, np.uint8)
_OF[[ChestTissue.PULMONARY_ARTERY, ChestTissue.PULMONARY_VEIN]] = VESSEL
_OF[[ChestTissue.AIRWAY, ChestTissue.AIRWAY_WALL, ChestTissue.TRACHEA]] = AIRWAY


def _options(rng: np.random.Generator) -> ChestOptions:
    routine = rng.random() < 0.35
    return ChestOptions(
        phase=ContrastPhase.ROUTINE if routine else ContrastPhase.PULMONARY,
        kernel=Kernel.LUNG if rng.random() < 0.35 else Kernel.SOFT,
        strength=float(rng.uniform(0.85, 1.3) if routine else rng.uniform(0.55, 1.3)),
        noise_hu=float(rng.uniform(6, 34)),
        motion=float(rng.uniform(0, 1.6)),
        thickness_mm=float(rng.choice([1.0, 1.25, 2.0, 3.0])),
        arms_up=True,
    )


def _middle(clot: Clot) -> NDArray[np.float64]:
    course = clot.course
    steps = np.linalg.norm(np.diff(course.points, axis=0), axis=1)
    way = np.concatenate([[0.0], np.cumsum(steps)])
    at = np.random.default_rng(round(1e3 * clot.start_mm)).uniform(clot.start_mm, clot.stop_mm)
    return np.array([np.interp(at, way, course.points[:, k]) for k in range(3)])


def make(seed: int, count: int, folder: Path) -> Path:
    """`count` blocks of one chest with clots, most of them at a clot."""
    path = folder / f"{seed:07d}.npz"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 81])
    tree = build_chest(seed).arteries
    wide = [
        k for k in tree.of_level(Level.CENTRAL, Level.LOBAR, Level.SEGMENTAL)
        if tree.branches[k].radius_mm.mean() > 1.2
    ]  # fmt: skip
    hu, labels = [], []
    size = (EDGE * STEP_MM,) * 3
    base = _options(rng)
    for _ in range(count):
        clots = draw_clots(tree, ClotOptions(count=int(rng.integers(3, 7)), saddle=0.15), rng)
        at_clot = bool(clots) and rng.random() < 0.62
        if at_clot:
            centre = _middle(clots[int(rng.integers(len(clots)))])
        else:
            branch = tree.branches[int(rng.choice(wide))]
            centre = branch.points[int(rng.integers(len(branch.points)))]
        centre = centre + rng.normal(0, 9, 3)
        # The same arms and noise pattern cost least; the rest changes from block to block.
        options = replace(_options(rng), arms_up=base.arms_up)
        block = simulate_block(
            seed,
            Block(
                centre_mm=(float(centre[0]), float(centre[1]), float(centre[2])),
                size_mm=size,
                spacing_mm=(STEP_MM,) * 3,
            ),
            options,
            lesions=[lesion_of(clot, f"clot {k}") for k, clot in enumerate(clots)],
        )
        truth = _OF[block.labels]
        for lesion in block.lesions.values():
            truth[lesion.box][lesion.share >= CLOT_SHARE] = CLOT
        hu.append(np.clip(np.rint(block.hu), -1024, 3000).astype(np.int16)[:EDGE, :EDGE, :EDGE])
        labels.append(truth[:EDGE, :EDGE, :EDGE])
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez_compressed(file, hu=np.stack(hu), labels=np.stack(labels))
    part.rename(path)
    return path


def fill(folder: Path, seeds: range, count: int) -> None:
    """Blocks of many chests."""
    for seed in seeds:
        make(seed, count, folder)


def make_whole(seed: int, folder: Path, most_clots: int) -> Path:
    """A whole chest at STEP_MM, with up to so many clots.

    Some are scanned on that grid; the others on the grid of a scanner and resampled, as everything
    is that the product looks at.
    """
    path = folder / f"{seed:07d}.npz"
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, 82])
    count = int(rng.integers(most_clots // 2, most_clots + 1))
    tree = build_chest(seed).arteries
    wanted = ClotOptions(count=count, levels=_LEVELS, saddle=0.1)
    clots = [_formed(clot, rng) for clot in draw_clots(tree, wanted, rng)] if count else []
    named = [lesion_of(clot, f"clot {k}") for k, clot in enumerate(clots)]
    options = _options(rng)
    if rng.random() >= _SCANNED_SHARE:
        on_grid = replace(options, matrix=MATRIX, pixel_mm=STEP_MM, slice_mm=STEP_MM)
        hu, labels = _taken(simulate_chest(seed, on_grid, lesions=named))
    else:
        scanned = ChestOptions(
            matrix=SCANNED_MATRIX,
            slice_mm=float(rng.choice(SCANNED_SLICE_MM)),
            phase=options.phase,
            strength=options.strength if options.phase is ContrastPhase.ROUTINE else None,
        )
        hu, labels = _taken(simulate_chest(seed, scanned, lesions=named))
    size = tuple(slice(n // 2 * 2) for n in hu.shape)
    part = path.with_suffix(".part")
    with part.open("wb") as file:
        np.savez(file, hu=hu[size][None], labels=labels[size][None])
    part.rename(path)
    return path


def _formed(clot: Clot, rng: np.random.Generator) -> Clot:
    """A clot drawn anew, with the chances of its form and size from here."""
    if clot.form is Form.SADDLE or clot.level is Level.SUBSEGMENTAL:
        return clot
    chances = _CENTRAL_CHANCES if clot.level is Level.CENTRAL else _FORM_CHANCES
    fresh = draw_clot(clot.course, rng, _FORMS[int(rng.choice(len(_FORMS), p=chances))])
    if clot.level is not Level.SEGMENTAL or rng.random() >= _SHORT_SHARE:
        return fresh
    radius = float(np.median(fresh.course.radii))
    area = {
        Form.WEB: 2 * radius * fresh.thick_mm,
        Form.ECCENTRIC: np.pi * radius**2 * fresh.share,
    }.get(fresh.form, np.pi * (radius * fresh.share) ** 2)
    length = max(_SHORTEST_MM, float(rng.uniform(*_SHORT_MM3)) / float(area))
    return replace(fresh, stop_mm=min(fresh.stop_mm, fresh.start_mm + length))


def _taken(phantom: ChestPhantom) -> tuple[NDArray[np.int16], NDArray[np.uint8]]:
    """HU and labels of a chest at STEP_MM."""
    hu = np.asarray(phantom.volume.voxels, np.int16)
    labels = _OF[phantom.labels]
    share = np.zeros(hu.shape, np.float32)
    for lesion in phantom.lesions.values():
        np.maximum(share[lesion.box], lesion.share, out=share[lesion.box])
    spacing = phantom.volume.spacing_mm
    if any(abs(step - STEP_MM) > 1e-3 for step in spacing):
        axes = [
            Axis.centred((count - 1) / 2, STEP_MM / step, round(count * step / STEP_MM))
            for count, step in zip(hu.shape, spacing, strict=True)
        ]
        grid = (axes[0], axes[1], axes[2])
        near = [
            np.clip(np.rint(axis.positions()), 0, count - 1).astype(int)
            for axis, count in zip(axes, hu.shape, strict=True)
        ]
        hu = np.rint(sample_volume(hu, grid)).astype(np.int16)
        labels = labels[np.ix_(*near)]
        share = sample_volume(share, grid)
    labels[share >= CLOT_SHARE] = CLOT
    return np.maximum(hu, np.int16(-1024)), labels


def fill_whole(folder: Path, seeds: Iterable[int], most_clots: int) -> None:
    """Many whole chests."""
    for seed in seeds:
        make_whole(seed, folder, most_clots)


class Crops:
    """Windows of blocks and of whole chests: cut, turned, mirrored, dressed and blurred at random.

    New files are picked up as they come.
    """

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._seen: set[Path] = set()
        self._parts: list[Part] = []
        self._chances = np.zeros(0)
        self._draws = 0
        self._refresh()

    def __len__(self) -> int:
        return len(self._parts)

    def _refresh(self) -> None:
        paths = sorted(path for folder in self._folders for path in folder.glob("*.npz"))
        for path in [path for path in paths if path not in self._seen]:
            self._seen.add(path)
            with np.load(path) as stored:
                self._parts += [
                    Part.of(hu, labels)
                    for hu, labels in zip(stored["hu"], stored["labels"], strict=True)
                ]
        shares = np.array([part.share for part in self._parts], np.float64)
        self._chances = shares / max(float(shares.sum()), 1e-9)

    def __call__(self, rng: np.random.Generator) -> Window:
        """(hu, labels) of a window."""
        self._draws += 1
        if self._draws % _REFRESHED_EVERY == 0:
            self._refresh()
        part = self._parts[int(rng.choice(len(self._parts), p=self._chances))]
        box = part.box(rng)
        image, labels = turned(part, box, rng) if rng.random() < _TURNED else part.window(box)
        flips = tuple(slice(None, None, int(rng.choice([1, -1]))) for _ in range(3))
        image, labels = image[flips].copy(), labels[flips].copy()
        if rng.random() < _PLANTED:
            plant(image, labels, rng)
        _imitate(image, labels, rng)
        if rng.random() < 0.45:
            occupied = (labels == VESSEL) | (labels == AIRWAY)
            image = dressed(image, occupied, (labels != AIRWAY) & (labels != CLOT), rng)
        if rng.random() < 0.1:
            image += streaks(rng)
        if rng.random() < 0.5:
            along, across = rng.uniform(0.2, 0.8), rng.uniform(0.2, 0.55)
            image = gaussian_filter(image, (along, across, across), mode="nearest", truncate=3)
        image += rng.normal(size=image.shape).astype(np.float32) * float(rng.uniform(0, 14))
        return image, labels


def _imitate(
    image: NDArray[np.float32], labels: NDArray[np.uint8], rng: np.random.Generator
) -> None:
    """Other blood, nodes and dark veins at random; changes both."""
    if rng.random() < 0.4:
        enhanced(image, float(rng.uniform(0.6, 1.6)))
    if rng.random() < 0.25:
        unmixed(image, labels, rng)
    if rng.random() < 0.6:
        beside_nodes(image, labels, rng)
    if rng.random() < 0.3:
        in_notches(image, labels, rng)
    if rng.random() < 0.2:
        dark_vein(image, labels, rng)


@dataclass(frozen=True, slots=True)
class Part:
    """A block or a whole chest.

    Attributes:
        hu, labels: (z, y, x), int16 and uint8. spots: voxels (n, 3) around which windows of a
            whole chest are cut: in clots, in vessels and airways, in what is near them.
    """

    hu: NDArray[np.int16]
    labels: NDArray[np.uint8]
    spots: tuple[NDArray[np.int16], ...]

    @classmethod
    def of(cls, hu: NDArray[np.int16], labels: NDArray[np.uint8]) -> Part:
        """A chest without what no window shows; a block as it is."""
        if max(hu.shape) <= EDGE:
            return cls(hu, labels, ())
        used = ndimage.find_objects((labels > 0).astype(np.uint8))[0]
        kept = tuple(slice(max(0, side.start - 12), side.stop + 12) for side in used)
        hu, labels = hu[kept].copy(), labels[kept].copy()
        rng = np.random.default_rng(int(labels.sum()))
        spots = []
        clots = _evenly(labels == CLOT, rng)
        if clots.size:
            spots.append(clots)
        for wanted in ((labels == VESSEL) | (labels == AIRWAY), labels < 255):
            where = np.flatnonzero(wanted)
            if where.size:
                chosen = rng.choice(where, min(where.size, _SPOTS), replace=False)
                at = np.stack(np.unravel_index(chosen, labels.shape), 1)
                spots.append(at.astype(np.int16))
        return cls(hu, labels, tuple(spots))

    @property
    def share(self) -> float:
        """How often it is drawn, of a block."""
        return 1.0 if not self.spots else _CHEST_SHARE

    def window(self, box: tuple[slice, slice, slice]) -> Window:
        """(hu, labels) of a box, as recorded."""
        return self.hu[box].astype(np.float32), self.labels[box]

    def box(self, rng: np.random.Generator) -> tuple[slice, slice, slice]:
        """Where a window is cut."""
        most = np.array(self.hu.shape) - SIZE
        start = rng.integers(0, most + 1)
        if self.spots:
            chances = np.array(_SPOT_CHANCES[-len(self.spots) :])
            kind = self.spots[int(rng.choice(len(self.spots), p=chances / chances.sum()))]
            start = kind[int(rng.integers(len(kind)))] - SIZE // 2 + rng.integers(-16, 17, 3)
            start = np.clip(start, 0, most)
        first, second, third = (slice(int(at), int(at) + SIZE) for at in start)
        return first, second, third


def turned(part: Part, box: tuple[slice, slice, slice], rng: np.random.Generator) -> Window:
    """A window around the middle of a box, turned and scaled as the second look does it."""
    size = np.eye(3) * float(rng.uniform(*_SIZES))
    turn = Rotation.from_euler("zyx", rng.uniform(-_TURN, _TURN, 3), degrees=True).as_matrix()
    matrix = turn @ size
    reach = np.ceil(np.abs(matrix).sum(1) * SIZE / 2).astype(int) + 2
    middle = np.array([(side.start + side.stop - 1) / 2 for side in box])
    start = np.maximum(np.floor(middle).astype(int) - reach, 0)
    stop = np.minimum(np.ceil(middle).astype(int) + reach + 1, part.hu.shape)
    around = tuple(slice(int(a), int(b)) for a, b in zip(start, stop, strict=True))
    offset = middle - start - matrix @ np.full(3, (SIZE - 1) / 2)
    shape = (SIZE, SIZE, SIZE)
    image = ndimage.affine_transform(
        part.hu[around].astype(np.float32), matrix, offset, shape, order=1, mode="nearest"
    )
    labels = ndimage.affine_transform(
        part.labels[around], matrix, offset, shape, order=0, mode="nearest"
    )
    return image, labels


#: Spots of each clot, and of one of fewer voxels (300 mm3).
_SPOTS_OF_CLOT, _SPOTS_OF_SMALL, _SMALL_VOXELS = 300, 600, 150


def _evenly(clots: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int16]:
    """Voxels (n, 3) of clots: a small one is shown twice as often as a large one."""
    parts = cc3d.connected_components(np.ascontiguousarray(clots), connectivity=26)
    found = []
    for number, box in enumerate(ndimage.find_objects(parts.astype(np.int32)), start=1):
        at = np.argwhere(parts[box] == number) + [side.start for side in box]
        count = _SPOTS_OF_SMALL if len(at) < _SMALL_VOXELS else _SPOTS_OF_CLOT
        found.append(at[rng.integers(len(at), size=count)])
    return np.concatenate(found).astype(np.int16) if found else np.zeros((0, 3), np.int16)
