"""One series to its `Anatomy`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.anatomy.density import by_density
from models.anatomy.names import FIRST_UNNAMED, LEFT, PAIRED, RIGHT, sided, vertebra_value
from models.anatomy.organs import above_the_abdomen, rejoined
from models.anatomy.sampling import Axes, Sight, see
from models.anatomy.structures import BODIES, Structure
from models.anatomy.tidy import tidy
from models.anatomy.vertebrae import Parted, Spine, find_spine
from models.anatomy.view import cut_names, view_of, within
from models.grid import Grid, Mask
from node.domain.anatomy import Anatomy, Vertebra
from node.domain.imaging import Network


def anatomy_of(
    grid: Grid, network: Network, model_digest: str, padding: Mask | None = None
) -> Anatomy:
    """See a whole series: structures with sides, vertebrae one by one with their levels.

    Args:
        padding: (plane, row, column) of the source volume, or None.
    """
    sight = see(grid, network)
    seen = view_of(grid, padding).on(sight.fine)
    sight = above_the_abdomen(within(rejoined(by_density(sight)), seen))
    spine = find_spine(grid, sight)
    cleaned = tidy(sight, midline(sight))
    labels, names = cleaned.labels, dict(cleaned.names)
    count = len(spine.bodies)
    levels = [spine.level(index) if spine.is_certain else "" for index in range(count)]
    merge_ribs(labels, names, set(levels))
    affine = affine_of(grid, sight.fine)
    vertebrae = []
    for index, (body, level) in enumerate(zip(spine.bodies, levels, strict=True)):
        value = vertebra_value(level) if level else FIRST_UNNAMED + index
        labels.reshape(-1)[body.mask] = value
        names[value] = f"vertebra_{level}" if level else f"vertebra_unnamed_{index + 1}"
        vertebrae.append(_vertebra(body, (level, value), affine))
    return Anatomy(
        labels=labels,
        affine=affine,
        names=dict(sorted(names.items())),
        vertebrae=tuple(vertebrae),
        anchors=spine.anchors if spine.is_certain else (),
        doubts=_doubts(spine),
        model_digest=model_digest,
        cut=cut_names(labels, names, seen),
    )


def merge_ribs(labels: NDArray[np.uint8], names: dict[int, str], certain: set[str]) -> None:
    """Call ribs 11 and 12 only "ribs" where no level says which they are; in place.

    Args:
        certain: the levels that are stated.
    """
    for rib, level in ((Structure.RIB_11, "T11"), (Structure.RIB_12, "T12")):
        if level in certain:
            continue
        for value, plain, side in zip(
            PAIRED[rib][0], PAIRED[Structure.RIB][0], (RIGHT, LEFT), strict=True
        ):
            if names.pop(value, None) is not None:
                labels[labels == value] = plain
                names[plain] = sided(PAIRED[Structure.RIB][1], side)


def _doubts(spine: Spine) -> tuple[str, ...]:
    if spine.doubts or spine.anchors or not spine.bodies:
        return spine.doubts
    return ("neither the sacrum nor the lowest ribs are joined to the vertebrae in view",)


def _vertebra(body: Parted, called: tuple[str, int], affine: NDArray[np.float64]) -> Vertebra:
    level, value = called
    point = affine @ np.array([*body.centre, 1.0])
    return Vertebra(
        level=level,
        value=value,
        centre_mm=(float(point[0]), float(point[1]), float(point[2])),
    )


def affine_of(grid: Grid, axes: Axes) -> NDArray[np.float64]:
    """(4, 4) indices of a grid on the series' canonical axes -> LPS mm."""
    out = np.array(grid.affine, np.float64)
    steps = [axis.step for axis in axes]
    starts = np.array([*[axis.start for axis in axes], 1.0])
    out[:3, 3] = (grid.affine @ starts)[:3]
    out[:3, :3] = grid.affine[:3, :3] * steps
    return out


def midline(sight: Sight) -> NDArray[np.float64]:
    """(slice,) column of the patient's middle: the spine's, else that of the body."""
    spine = np.isin(
        sight.labels, [*[int(s) for s in BODIES], int(Structure.SACRUM), int(Structure.CANAL)]
    )
    columns = np.arange(sight.labels.shape[2])
    counts = spine.sum(axis=1)
    totals = counts.sum(axis=1)
    seen = np.flatnonzero(totals > 10)
    if seen.size:
        at = (counts[seen] * columns).sum(axis=1) / totals[seen]
        return np.asarray(np.interp(np.arange(len(spine)), seen, at), np.float64)
    body = (sight.labels != Structure.OUTSIDE).sum(axis=(0, 1))
    middle = float((body * columns).sum() / max(1, int(body.sum())))
    return np.full(len(spine), middle)
