"""The lung nodule package on moved copies of real scans: as they are, and with nodules put in.

Nodules are put into a scan once, then the scan is moved several times: so each is measured under
other turns, sizes, slices and noise, and its true size is the drawn one times the copy's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.lung_nodules import vocabulary as say
from models.phantoms.insertion import Inserted, diameters
from node.domain.finding import Finding, Status
from node.evaluation.card import tell
from node.evaluation.filing import CtArray
from node.evaluation.lung_nodules_chests import Chest
from node.evaluation.lung_nodules_tally import ASKED_MM, Hit, certainty_of, value_of
from node.evaluation.moved import Frame, frame_of, moved
from node.evaluation.nodule_cases import Case
from node.evaluation.product import Look
from node.evaluation.table import Row, mean_row, share_row

#: Of moved copies: distances of slices, and pixels, mm; the first seed that nothing was decided on.
SLICES_MM, PIXEL_MM, FIRST_MOVED = (1.0, 1.5, 2.0, 2.5), 0.8, 100
#: Pixels of copies of a scan that is coarse itself: the widest that the package takes.
COARSE_PIXEL_MM = 1.2
#: A nodule of which less than this part lies within a copy is neither right nor wrong in it.
WHOLE = 0.98
#: The raster on which diameters of a copy are read, mm at most, and its part of the diameter.
_FINE_MM, _FINE_SHARE = 0.35, 0.03
#: Copies that a nodule must be found in to say how steady its measures are.
_FEWEST = 2


def plain_rows(
    look: Callable[[CtArray], Look],
    array: CtArray,
    seeds: Sequence[int],
    *,
    side: str = "",
    pixel_mm: float = PIXEL_MM,
) -> Iterator[Row]:
    """What is said of copies of a scan in which nobody drew a nodule.

    Args:
        side: where there is a mass or a collapsed lobe, "right" or "left"; "" where there is none.
    """
    data = f"moved copies of {array.name}"
    marks: list[float] = []
    told = other = refused = 0
    for seed in seeds:
        copy = moved(array, seed, slices_mm=SLICES_MM, pixel_mm=pixel_mm)
        findings = look(copy).findings
        possible = [f for f in findings.findings if is_possible(f)]
        right = [f for f in possible if side and f.laterality == say.SIDES[side]]
        marks.append(float(len(findings.findings) - len(possible)))
        told += bool(right)
        other += len(possible) - len(right)
        refused += findings.status is Status.NOT_ELIGIBLE
        words = ", ".join(
            f"{f.tracking_identifier} of {value_of(f, say.DIAMETER):.1f} mm, "
            f"{100 * certainty_of(f):.0f} %"
            for f in findings.findings
        )
        words = words or findings.status.value
        tell(f"{copy.name}: {words}")
    yield mean_row("nodules and masses reported a copy, where none is", data, marks, "{:.2f}")
    if side:
        yield share_row(f"possible mass told, on the {side}", data, told, len(marks))
    yield Row(metric="other possible masses", data=data, value=f"{other}", n=len(marks))
    yield share_row("refused", data, refused, len(marks))


def is_possible(finding: Finding) -> bool:
    """Is it told as a possible mass?"""
    return finding.tracking_identifier.startswith("Possible")


def moved_case(case: Case, seed: int, site: str = "") -> tuple[Chest, list[int]]:
    """A scan with nodules, moved with them.

    Args:
        site: of the chest.

    Returns:
        The chest, whose truth is of the copy and whose `granulomas` are the voxels of nodules
        that its ends cut; and the numbers of the nodules that it holds as a whole.
    """
    frame = frame_of(case.array, seed, slices_mm=SLICES_MM, pixel_mm=PIXEL_MM)
    truth: list[Inserted] = []
    numbers: list[int] = []
    cut: list[NDArray[np.float64]] = []
    for number, nodule in enumerate(case.truth):
        placed = _placed(nodule, frame, case.array)
        if placed is not None:
            truth.append(placed)
            numbers.append(number)
        else:
            cut += [_there(frame, place) for place in _voxels(nodule)]
    array = moved(case.array, seed, slices_mm=SLICES_MM, pixel_mm=PIXEL_MM)
    copy = replace(case, array=array, truth=tuple(truth))
    chest = Chest(case=copy, granulomas=np.array(cut, np.float64).reshape(-1, 3), site=site)
    return chest, numbers


def _there(frame: Frame, place: NDArray[np.float64]) -> NDArray[np.float64]:
    """A position among the voxels of the scan as one among those of the copy."""
    return np.asarray((np.linalg.inv(frame.index) @ np.r_[place, 1.0])[:3], np.float64)


def _voxels(nodule: Inserted) -> NDArray[np.float64]:
    """(n, 3) positions in the scan that a nodule takes, every second one of each axis."""
    inside = np.argwhere(nodule.coverage[::2, ::2, ::2] > 0.5) * 2.0
    return np.asarray(inside + [part.start for part in nodule.box], np.float64)


def _placed(nodule: Inserted, frame: Frame, array: CtArray) -> Inserted | None:
    """The truth of a nodule in a copy; None where the copy does not hold it as a whole."""
    size = float(np.prod(frame.move.sizes))
    inverse = np.linalg.inv(frame.index)
    used = np.argwhere(nodule.coverage > 0) + [part.start for part in nodule.box]
    ends = used @ inverse[:3, :3].T + inverse[:3, 3]
    low, high = (
        np.floor(ends.min(axis=0)).astype(int) - 1,
        np.ceil(ends.max(axis=0)).astype(int) + 2,
    )
    low, high = np.maximum(low, 0), np.minimum(high, frame.shape)
    if (high <= low).any():
        return None
    box = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    lines = [np.arange(part.start, part.stop, dtype=np.float64) for part in box]
    coverage = _coverage(nodule, frame.index, lines)
    steps = np.linalg.norm(frame.affine[:3, :3], axis=0)
    spacing = np.linalg.norm(array.affine[:3, :3], axis=0)
    shown = float(coverage.sum() * steps.prod())
    if shown < WHOLE * float(nodule.coverage.sum() * spacing.prod()) * size:
        return None
    # Both are read on the same raster, so that what it takes away goes out of their quotient.
    before = _axes(nodule, np.eye(4), nodule.box, spacing)
    after = _axes(nodule, frame.index, box, steps)
    factors = [b / max(a, 1e-3) for a, b in zip(before, after, strict=True)]
    return replace(
        nodule,
        centre=_there(frame, nodule.centre),
        long_mm=nodule.long_mm * factors[0],
        short_mm=nodule.short_mm * factors[1],
        volume_mm3=nodule.volume_mm3 * size,
        solid_mm=nodule.solid_mm * float(np.mean(factors)),
        box=box,
        coverage=coverage,
    )


def _coverage(
    nodule: Inserted, index: NDArray[np.float64], lines: Sequence[NDArray[np.float64]]
) -> NDArray[np.float32]:
    """Share of the voxels at positions along three axes, which `index` leads to the scan."""
    at = np.stack(np.meshgrid(*lines, indexing="ij"), axis=-1)
    at = at @ index[:3, :3].T + index[:3, 3] - [part.start for part in nodule.box]
    found = ndimage.map_coordinates(
        np.pad(nodule.coverage, 1), np.moveaxis(at, -1, 0) + 1.0, order=1, mode="constant"
    )
    return np.asarray(found, np.float32)


def _axes(
    nodule: Inserted,
    index: NDArray[np.float64],
    box: tuple[slice, slice, slice],
    steps: NDArray[np.float64],
) -> tuple[float, float]:
    """Long and short axis in the axial plane of largest area, mm."""
    fine_mm = max(_FINE_MM, _FINE_SHARE * nodule.mean_mm)
    lines = [
        np.arange(part.start - 0.5, part.stop - 0.5, min(1.0, fine_mm / step))
        for part, step in zip(box, steps, strict=True)
    ]
    body = _coverage(nodule, index, lines) > 0.5
    plane = body[int(body.sum(axis=(1, 2)).argmax())]
    if not plane.any():
        return 0.0, 0.0
    return diameters(plane, np.minimum(steps, fine_mm)[1:])


@dataclass(slots=True)
class Steadiness:
    """What was said of each nodule in its copies: (scan, number of the nodule) to its hits."""

    hits: dict[tuple[str, int], list[Hit]] = field(default_factory=dict)

    def add(self, scan: str, numbers: Sequence[int], hits: Sequence[Hit]) -> None:
        """Hits of one copy, in the order of its truth."""
        for number, hit in zip(numbers, hits, strict=True):
            self.hits.setdefault((scan, number), []).append(hit)

    def rows(self, data: str, threshold: float) -> Iterator[Row]:
        """Nodules found in some copies only, and how far the measures of one lie apart."""
        asked = [
            own for hits in self.hits.values()
            if len(own := [h for h in hits if h.truth.mean_mm >= ASKED_MM]) >= _FEWEST
        ]  # fmt: skip
        seen = [[h for h in own if h.certainty >= threshold] for own in asked]
        every = sum(len(some) == len(own) for some, own in zip(seen, asked, strict=True))
        none = sum(not some for some in seen)
        yield share_row("nodules from 6 mm found in each of their copies", data, every, len(asked))
        yield share_row("nodules from 6 mm found in none of their copies", data, none, len(asked))
        twice = [some for some in seen if len(some) >= _FEWEST]
        away = [
            float(np.std([h.value(say.DIAMETER) - h.truth.mean_mm for h in some], ddof=1))
            for some in twice
        ]
        volume = [
            float(np.std([100 * h.value(say.VOLUME) / h.truth.volume_mm3 for h in some], ddof=1))
            for some in twice
        ]
        yield mean_row(
            "standard deviation of one nodule's diameter error among its copies, mm", data,
            away, "{:.2f}",
        )  # fmt: skip
        yield mean_row(
            "standard deviation of one nodule's volume error among its copies, %", data,
            volume, "{:.1f}",
        )  # fmt: skip
