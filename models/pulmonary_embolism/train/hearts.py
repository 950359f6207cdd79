"""Training of `central`: heart and great vessels of simulated chests at 2.5 mm.

Labels of each chest are painted once from its surfaces and kept on disk; attenuation is drawn anew
for every window, in every phase of the contrast medium and beyond what a phase allows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, gaussian_filter, map_coordinates

from models.phantoms.chest_core import build_core
from models.phantoms.chest_frame import ChestFrame, build_chest_frame
from models.phantoms.chest_lungs import build_lungs, duct_samples, lattice_axes, spine_depth
from models.phantoms.chest_tissue import ChestTissue as T
from models.phantoms.chest_trees import (
    airway_stems,
    artery_stems,
    central_samples,
    vein_stems,
)
from models.phantoms.person import draw_person
from models.phantoms.vessel_tree import Samples, Tree, depth
from models.pulmonary_embolism.train.networks import CENTRAL_RANGE, central_network
from models.recipe.averaging import Average
from models.recipe.fitting import Plan, fit
from models.recipe.precision import fast

STEP_MM = 2.5
PATCH = 64
BATCH = 2
#: `ChestTissue` of the classes 1 and up, in the order of `anatomy.CLASSES`.
OF_CLASS = (
    T.PULMONARY_ARTERY, T.RIGHT_VENTRICLE, T.LEFT_VENTRICLE, T.RIGHT_ATRIUM, T.LEFT_ATRIUM,
    T.AORTA, T.SUPERIOR_VENA_CAVA, T.PULMONARY_VEIN,
)  # fmt: skip
_CLASS = np.zeros(256, np.uint8)
for _number, _tissue in enumerate(OF_CLASS, start=1):
    _CLASS[_tissue] = _number
_CLASS[T.INFERIOR_VENA_CAVA] = 7
WEIGHTS = torch.tensor([0.3, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.5, 1.5])
#: Muscle and fat of the wall.
_WALL, _ROOM = T.MUSCLE, T.MEDIASTINAL_FAT
Floats = NDArray[np.float32]


def paint(seed: int) -> NDArray[np.uint8]:
    """(z, y, x) `ChestTissue` of the chest of a seed, without anything inside the lobes."""
    person = draw_person(np.random.default_rng([seed, 1]))
    rngs = [np.random.default_rng([seed, k]) for k in range(202, 207)]
    frame = build_chest_frame(person, rngs[0])
    core = build_core(frame, rngs[1])
    stems = (
        airway_stems(frame, rngs[2]),
        artery_stems(frame, core, rngs[2]),
        vein_stems(frame, rngs[2]),
    )
    lungs = build_lungs(frame, core, central_samples(stems, frame.scale), rngs[3])
    axes = _axes(frame)
    z, y, x = axes[0][:, None, None], axes[1][None, :, None], axes[2][None, None, :]
    cage = frame.cage_depth(z, y, x)
    labels = np.full(cage.shape, T.AIR, np.uint8)
    labels[cage > -28 - 0.6 * max(person.bmi - 22, 0)] = T.SUBCUTANEOUS_FAT
    labels[cage > -18] = _WALL
    labels[cage > 0] = _ROOM
    labels[(cage > 0) & (z < frame.diaphragm(y, x))] = T.LIVER
    spine = spine_depth(frame, z, y, x)
    labels[spine > 0] = _WALL
    labels[spine > 4] = T.VERTEBRA
    labels[lungs.depth.on(axes) > 0] = T.RIGHT_LOWER_LOBE
    for hull in core.pericardium:
        inside = (hull.depth(z, y, x) > 0) & (labels != T.RIGHT_LOWER_LOBE)
        labels[inside & (labels != T.LIVER)] = _ROOM
    rest = [c for c in core.chambers if c.tissue not in (T.MYOCARDIUM, T.LEFT_VENTRICLE)]
    for chamber in rest:
        labels[chamber.depth(z, y, x, 2.6) > 0] = T.MYOCARDIUM
    for chamber in (*rest, *core.chambers[:2]):
        labels[chamber.depth(z, y, x) > 0] = chamber.tissue
    for duct in core.ducts:
        labels[depth(duct_samples([duct]), axes) > 0] = duct.tissue
    for stem, tissue in zip(
        (stems[2], stems[1], stems[0]),
        (T.PULMONARY_VEIN, T.PULMONARY_ARTERY, T.AIRWAY),
        strict=True,
    ):
        labels[depth(_balls(Tree(tuple(stem.branches))), axes) > 0] = tissue
    return labels


def _axes(frame: ChestFrame) -> tuple[Floats, Floats, Floats]:
    return tuple(
        np.arange(axis[0] - 10, axis[-1] + 10, STEP_MM).astype(np.float32)
        for axis in lattice_axes(frame)
    )  # type: ignore[return-value]


def _balls(tree: Tree) -> Samples:
    return tree.samples


def fill(folder: Path, seeds: range) -> None:
    """Paint and file the chests that are not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        path = folder / f"{seed:07d}.npz"
        if not path.exists():
            part = path.with_suffix(".part")
            with part.open("wb") as file:
                np.savez_compressed(file, labels=paint(seed))
            part.rename(path)


class Hearts:
    """Windows of painted chests."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._rng = np.random.default_rng([seed, 79])
        self._kept: dict[Path, NDArray[np.uint8]] = {}

    def batch(self) -> tuple[torch.Tensor, torch.Tensor]:
        """(image (n, 1, z, y, x) in 0..1, classes (n, z, y, x) int64)."""
        pairs = [self._window() for _ in range(BATCH)]
        low, high = CENTRAL_RANGE
        hu = torch.from_numpy(np.stack([p[0] for p in pairs]))[:, None]
        classes = torch.from_numpy(np.stack([p[1] for p in pairs]).astype(np.int64))
        return ((hu - low) / (high - low)).clamp(0, 1), classes

    def _chest(self) -> NDArray[np.uint8]:
        files = sorted(self._folder.glob("*.npz"))
        path = files[int(self._rng.integers(len(files)))]
        if path not in self._kept:
            with np.load(path) as stored:
                self._kept[path] = stored["labels"]
        return self._kept[path]

    def _window(self) -> tuple[Floats, NDArray[np.uint8]]:
        rng = self._rng
        chest = self._chest()
        turn = _rotation(rng)
        middle = np.array(chest.shape) * [
            rng.uniform(0.2, 0.8), rng.uniform(0.3, 0.65), rng.uniform(0.35, 0.65)
        ]  # fmt: skip
        offset = middle - turn @ (np.full(3, PATCH) / 2)
        labels = affine_transform(
            chest, turn, offset, (PATCH,) * 3, order=0, mode="constant", cval=int(T.AIR)
        )
        labels = _bent(labels, rng)
        hu = attenuation(labels, rng)
        if rng.random() < 0.25:
            # The field of view, or the series, ends within the chest.
            axis, cut = int(rng.integers(3)), int(rng.integers(8, 26))
            part = [slice(None)] * 3
            part[axis] = slice(0, cut) if rng.random() < 0.5 else slice(PATCH - cut, None)
            hu[tuple(part)] = -1024
            labels[tuple(part)] = T.AIR
        return hu, _CLASS[labels]


def _rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    a, b, c = rng.normal(0, (0.1, 0.1, 0.16))
    about_z = np.array([[1, 0, 0], [0, np.cos(c), -np.sin(c)], [0, np.sin(c), np.cos(c)]])
    about_y = np.array([[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]])
    about_x = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    stretch = np.diag(np.exp(rng.normal(0, 0.1, 3)) * np.exp(rng.normal(0, 0.1)))
    return about_z @ about_y @ about_x @ stretch


def _bent(labels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    grid = np.stack(np.meshgrid(*[np.arange(PATCH)] * 3, indexing="ij")).astype(np.float32)
    for axis in range(3):
        grid[axis] += _field(rng, 5) * 2.4
    return map_coordinates(labels, grid, order=0, mode="nearest")


def _field(rng: np.random.Generator, cells: int) -> Floats:
    small = torch.from_numpy(rng.normal(size=(1, 1, cells, cells, cells)).astype(np.float32))
    return torch.nn.functional.interpolate(
        small, size=(PATCH,) * 3, mode="trilinear", align_corners=False
    ).numpy()[0, 0]


def attenuation(labels: NDArray[np.uint8], rng: np.random.Generator) -> Floats:
    """HU of labels: any phase, any mixture, with clots, a torn aorta, streaks, blur and noise."""
    hu = np.full(256, 40.0, np.float32)
    u = rng.uniform
    fat = u(-118, -80)
    hu[[T.SUBCUTANEOUS_FAT, T.MEDIASTINAL_FAT]] = fat
    hu[T.AIR] = -1000
    hu[T.RIGHT_LOWER_LOBE] = u(-930, -720)
    hu[T.AIRWAY] = hu[T.TRACHEA] = u(-990, -900)
    hu[T.MUSCLE], hu[T.LIVER], hu[T.OESOPHAGUS] = u(20, 75), u(20, 140), u(10, 70)
    hu[T.VERTEBRA] = u(90, 330)
    artery = u(130, 560)
    left = artery * u(0.2, 1.25)
    hu[T.MYOCARDIUM] = u(30, 60) + 0.22 * left * u(0, 1)
    hu[T.PULMONARY_ARTERY] = artery
    hu[T.RIGHT_VENTRICLE] = artery * u(0.6, 1.3)
    hu[T.RIGHT_ATRIUM] = artery * u(0.4, 1.5)
    hu[T.SUPERIOR_VENA_CAVA] = artery * u(0.2, 2.6)
    hu[T.INFERIOR_VENA_CAVA] = artery * u(0.08, 1.1)
    hu[T.AZYGOS] = artery * u(0.1, 1.1)
    for tissue in (T.LEFT_VENTRICLE, T.LEFT_ATRIUM, T.PULMONARY_VEIN, T.AORTA, T.ARCH_BRANCH):
        hu[tissue] = left * u(0.8, 1.1)
    out = hu[labels]
    swirl = _field(rng, 14)
    for tissue, most in (
        (T.RIGHT_ATRIUM, 0.4),
        (T.RIGHT_VENTRICLE, 0.2),
        (T.SUPERIOR_VENA_CAVA, 0.4),
    ):
        mask = labels == tissue
        out[mask] *= 1 + u(0, most) * swirl[mask]
    if rng.random() < 0.25:
        out[(labels == T.AORTA) & (_field(rng, 4) > u(-0.3, 0.8))] = u(20, 120)
    if rng.random() < 0.35:
        out[(labels == T.PULMONARY_ARTERY) & (_field(rng, 9) > u(0.2, 1.0))] = u(30, 90)
    lung = labels == T.RIGHT_LOWER_LOBE
    specks = np.maximum(rng.normal(size=labels.shape) - u(1.3, 2.2), 0) * u(200, 900)
    out += np.where(lung, specks, 0).astype(np.float32)
    fatty = labels == T.MEDIASTINAL_FAT
    out += np.where(fatty, np.maximum(_field(rng, 16), 0) * u(0, 90), 0)
    wall = labels == T.MUSCLE
    out = np.where(wall & (_field(rng, 12) > u(0.9, 1.5)), u(150, 600), out)
    if rng.random() < 0.25:
        out = np.where(lung & (_field(rng, 4) > u(0.5, 1.5)), u(0, 110), out)
    blur = u(0.3, 0.9)
    out = gaussian_filter(out.astype(np.float32), (blur * u(0.8, 1.6), blur, blur), truncate=3)
    out += rng.normal(size=out.shape) * u(3, 24)
    return out.astype(np.float32)


def loss_of(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Weighted cross-entropy plus soft Dice of the classes that are present."""
    entropy = torch.nn.functional.cross_entropy(logits, target, WEIGHTS)
    chances = logits.softmax(1)
    truth = torch.nn.functional.one_hot(target, len(WEIGHTS)).movedim(-1, 1).float()
    dims = (0, 2, 3, 4)
    count = truth.sum(dims)
    dice = (2 * (chances * truth).sum(dims) + 5) / (chances.sum(dims) + count + 5)
    return entropy + (1 - dice)[count > 0].mean()


def train(minutes: float, out: Path, seed: int = 9, start: Path | None = None) -> Path:
    """Train for a wall-clock budget; writes `central.pt` (averaged weights) and a log."""
    torch.manual_seed(seed)
    source = Hearts(out / "hearts", seed)
    network = central_network().to(memory_format=torch.channels_last_3d)
    if start is not None:
        network.load_state_dict(torch.load(start, weights_only=True))
    average = Average(network, central_network())
    plan = Plan(name="central", minutes=minutes, peak=4e-3 if start is None else 2e-3, warm_up=40)

    def loss() -> torch.Tensor:
        image, target = source.batch()
        with fast():
            logits = network(image.to(memory_format=torch.channels_last_3d))
        return loss_of(logits.float(), target)

    fit(network, average, plan, out, loss)
    average.settle(lambda: source.batch()[0])
    torch.save(average.twin.state_dict(), out / "central.pt")
    return out / "central.pt"
