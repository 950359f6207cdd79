"""Where nodules may be: the detector over windows that hold lung, and its peaks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from models.grid import Axis, Floats, Grid, sample_volume
from models.lung_nodules.cubes import Axes, Point, toned
from models.thorax.lungs import Lungs
from node.domain.imaging import Network

NETWORK = "detector"
#: Edge of a window, voxels; the answer comes on cells of two voxels.
WINDOW, STRIDE = 64, 2
#: Voxels of the two passes, mm: for nodules, and twice as coarse for masses, which then look as
#: nodules do. Of the second only what is a mass counts, mm.
STEP_MM, COARSE_STEP_MM, MASS_FROM_MM = 1.0, 2.0, 26.0
#: Cells at the border of a window whose answer is not used where a neighbour sees them better.
RIM = 4
#: Windows a call.
BATCH = 4
#: Tissue round the lungs that is looked at too, mm.
MARGIN_MM = 6.0
#: A window with a smaller part of lung is not looked at.
LEAST_LUNG = 0.004
#: Candidates lie in the room of a lung, or so near to it, mm.
BESIDE_MM = 3.0
#: What is joined to the pleura or the mediastinum has its middle outside of the room by up to this
#: part of its diameter: half of it where the border of a nodule still touches the lung; less for
#: masses, which else are told in the heart and the liver. A mass that lies farther out, up to the
#: third of these, gives way to whatever is found nearer to the lung.
NODULE_BESIDE, MASS_BESIDE, FAR_MASS_BESIDE = 0.5, 0.2, 0.4
#: Diameters that the detector may state, mm.
SMALLEST_MM, LARGEST_MM = 2.0, 130.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A place where a nodule may be.

    Attributes:
        centre: (3,) position among the samples of the grid. diameter_mm: about.
        logit: of the detector. step_mm: of the voxels that it saw.
        is_far: a mass whose middle lies farther outside of the lungs than `MASS_BESIDE` lets it.
    """

    centre: Point
    diameter_mm: float
    logit: float
    step_mm: float = STEP_MM
    is_far: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Heat:
    """The detector's answer over the lungs.

    Attributes:
        logit, size: (z, y, x) cells. axes: of the voxels among the grid's samples.
        step_mm: of a voxel.
    """

    logit: Floats
    size: Floats
    axes: Axes
    step_mm: float

    def to_grid(self, cells: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 3) cells as positions among the samples of the grid."""
        voxels = cells * STRIDE + (STRIDE - 1) / 2
        starts = np.array([axis.start for axis in self.axes])
        steps = np.array([axis.step for axis in self.axes])
        return np.asarray(voxels * steps + starts, np.float64)


def find_candidates(
    grid: Grid, lungs: Lungs, network: Network, least_logit: float
) -> list[Candidate]:
    """Places of nodules and masses, the surest first."""
    near = heat_of(grid, lungs, network)
    fine = candidates_of(near, lungs, least_logit, beside=NODULE_BESIDE)
    coarse = heat_of(grid, lungs, network, COARSE_STEP_MM)
    masses = masses_of(coarse, lungs, least_logit)
    return sorted([*fine, *masses], key=lambda candidate: -candidate.logit)


def masses_of(coarse: Heat, lungs: Lungs, least_logit: float) -> list[Candidate]:
    """Peaks of the coarse heat that are large enough for a mass, those far outside marked so.

    What lies far outside is looked for apart, for it must not take the place of what lies nearer.
    """
    near = candidates_of(coarse, lungs, least_logit, beside=MASS_BESIDE)
    known = {tuple(candidate.centre) for candidate in near}
    far = [
        replace(candidate, is_far=True)
        for candidate in candidates_of(coarse, lungs, least_logit, beside=FAR_MASS_BESIDE)
        if tuple(candidate.centre) not in known
    ]
    return [candidate for candidate in [*near, *far] if candidate.diameter_mm >= MASS_FROM_MM]


def heat_of(grid: Grid, lungs: Lungs, network: Network, step_mm: float = STEP_MM) -> Heat:
    """Run the detector over the lungs, at voxels of `step_mm`."""
    axes, room = _frame(grid, lungs, step_mm)
    image = toned(sample_volume(grid.hu, axes))
    # Beyond the first and last slice there is nothing; what is there is what the ends are.
    _hold_ends(image, axes[0], grid.shape[0])
    cells = tuple(size // STRIDE for size in image.shape)
    logit = np.full(cells, -12.0, np.float32)
    size = np.zeros(cells, np.float32)
    for group in _grouped(_windows(image.shape, room)):
        batch = np.stack(
            [image[tuple(slice(s, s + WINDOW) for s in start)][None] for start in group]
        )
        answers = network.run(batch)
        for start, answer in zip(group, answers, strict=True):
            _place(logit, size, answer, (start, image.shape))
    return Heat(logit=logit, size=size, axes=axes, step_mm=step_mm)


def candidates_of(
    heat: Heat, lungs: Lungs, least_logit: float, beside: float = 0.0
) -> list[Candidate]:
    """Peaks of the heat in the lungs, the surest first; none within another's nodule.

    Args:
        beside: the middle of a nodule lies outside of the lungs by at most this part of its
            diameter (of `MASS_FROM_MM`, where it is that of a mass seen from too near), or by
            `BESIDE_MM`.
    """
    smooth = ndimage.gaussian_filter(heat.logit, 0.6)
    peaks = (smooth == ndimage.maximum_filter(smooth, 3)) & (smooth > least_logit)
    cells = np.argwhere(peaks)
    if not len(cells):
        return []
    places = heat.to_grid(cells.astype(np.float64))
    outside_mm = _outside_mm(lungs, places)
    found: list[Candidate] = []
    steps = np.array([axis.step for axis in heat.axes])
    for index in np.argsort(-smooth[tuple(cells.T)]):
        cell = tuple(cells[index])
        diameter = float(np.clip(2.0 ** heat.size[cell] * heat.step_mm, SMALLEST_MM, LARGEST_MM))
        size = diameter if heat.step_mm > STEP_MM else min(diameter, MASS_FROM_MM)
        if outside_mm[index] > max(BESIDE_MM, beside * size):
            continue
        away = [
            float(np.linalg.norm((places[index] - other.centre) / steps)) * heat.step_mm
            for other in found
        ]
        if any(
            gap < max(0.5 * max(diameter, other.diameter_mm), 3.0)
            for gap, other in zip(away, found, strict=True)
        ):
            continue
        found.append(
            Candidate(
                centre=places[index],
                diameter_mm=diameter,
                logit=float(smooth[cell]),
                step_mm=heat.step_mm,
            )
        )
    return found


def _outside_mm(lungs: Lungs, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far (n, 3) positions of the grid lie outside of the room of the lungs, mm."""
    both, step_mm = lungs.both, lungs.volume.step_mm
    index = np.rint(lungs.volume.from_grid(places)).astype(np.int64)
    inside = np.clip(index, 0, np.array(both.shape) - 1)
    away = np.zeros(len(places))
    is_outside = ~both[tuple(inside.T)]
    if is_outside.any():
        rim = np.argwhere(both & ~ndimage.binary_erosion(both))
        away[is_outside], _ = cKDTree(rim).query(inside[is_outside])
    beyond = np.abs(index - inside).max(axis=1) * step_mm
    return np.asarray(away * step_mm + beyond, np.float64)


def _frame(grid: Grid, lungs: Lungs, step_mm: float) -> tuple[Axes, NDArray[np.bool_]]:
    """Axes of an image of the lungs, at least one window large, and the lungs on it."""
    both = lungs.both
    box = ndimage.find_objects(both.astype(np.uint8))[0]
    low = np.array([[part.start for part in box], [part.stop - 1 for part in box]], np.float64)
    ends = lungs.volume.to_grid(low)
    axes = []
    for axis in range(3):
        spacing = grid.spacing_mm[axis]
        first, last = sorted(ends[:, axis])
        length = (last - first) * spacing + 2 * MARGIN_MM
        count = max(WINDOW, int(np.ceil(length / step_mm / STRIDE)) * STRIDE)
        axes.append(Axis.centred((first + last) / 2, step_mm / spacing, count))
    frame = (axes[0], axes[1], axes[2])
    lines = []
    for axis in range(3):
        own, coarse = frame[axis], lungs.volume.axes[axis]
        at = np.rint((own.positions() - coarse.start) / coarse.step).astype(np.int64)
        lines.append(np.clip(at, 0, both.shape[axis] - 1))
    return frame, np.asarray(both[np.ix_(*lines)], np.bool_)


def _hold_ends(image: Floats, axis: Axis, length: int) -> None:
    at = axis.positions()
    inside = np.flatnonzero((at > -0.5) & (at < length - 0.5))
    if inside.size:
        image[: inside[0]] = image[inside[0]]
        image[inside[-1] + 1 :] = image[inside[-1]]


def _windows(shape: tuple[int, ...], room: NDArray[np.bool_]) -> Iterator[tuple[int, int, int]]:
    step = WINDOW - 2 * RIM * STRIDE
    starts = [
        np.unique(
            np.linspace(0, size - WINDOW, max(1, int(np.ceil((size - WINDOW) / step)) + 1))
            .round()
            .astype(int)
            // STRIDE
            * STRIDE
        )
        for size in shape
    ]
    for z in starts[0]:
        for y in starts[1]:
            for x in starts[2]:
                part = room[z : z + WINDOW, y : y + WINDOW, x : x + WINDOW]
                if part.mean() > LEAST_LUNG:
                    yield int(z), int(y), int(x)


def _grouped(
    windows: Iterator[tuple[int, int, int]],
) -> Iterator[list[tuple[int, int, int]]]:
    group: list[tuple[int, int, int]] = []
    for window in windows:
        group.append(window)
        if len(group) == BATCH:
            yield group
            group = []
    if group:
        yield group


def _place(
    logit: Floats,
    size: Floats,
    answer: Floats,
    where: tuple[tuple[int, int, int], tuple[int, ...]],
) -> None:
    """The larger logit of overlapping windows counts; their rims only where nothing else is."""
    start, shape = where
    inner, target = [], []
    for at, whole in zip(start, shape, strict=True):
        first = 0 if at == 0 else RIM
        cells = WINDOW // STRIDE
        last = cells if at + WINDOW >= whole - 1 else cells - RIM
        inner.append(slice(first, last))
        target.append(slice(at // STRIDE + first, at // STRIDE + last))
    heat = answer[0][tuple(inner)]
    old = logit[tuple(target)]
    better = heat > old
    old[better] = heat[better]
    size[tuple(target)][better] = answer[1][tuple(inner)][better]
