"""One series to its `Anatomy`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.anatomy.density import by_density
from models.anatomy.names import FIRST_UNNAMED, vertebra_value
from models.anatomy.organs import rejoined
from models.anatomy.sampling import Axes, Sight, see
from models.anatomy.structures import BODIES, Structure
from models.anatomy.tidy import tidy
from models.anatomy.vertebrae import Parted, Spine, find_spine
from models.grid import Grid
from node.domain.anatomy import Anatomy, Vertebra
from node.domain.imaging import Network


def anatomy_of(grid: Grid, network: Network, model_digest: str) -> Anatomy:
    """See a whole series: structures with sides, vertebrae one by one with their levels."""
    sight = rejoined(by_density(see(grid, network)))
    spine = find_spine(grid, sight)
    cleaned = tidy(sight, midline(sight))
    labels, names = cleaned.labels, dict(cleaned.names)
    affine = affine_of(grid, sight.fine)
    vertebrae = []
    for index, body in enumerate(spine.bodies):
        likely = spine.level(index)
        level = likely if spine.is_certain else ""
        value = vertebra_value(level) if level else FIRST_UNNAMED + index
        labels.reshape(-1)[body.mask] = value
        names[value] = f"vertebra_{level}" if level else f"vertebra_unnamed_{index + 1}"
        vertebrae.append(_vertebra(body, (level, likely, value), affine))
    return Anatomy(
        labels=labels,
        affine=affine,
        names=dict(sorted(names.items())),
        vertebrae=tuple(vertebrae),
        anchors=spine.anchors if spine.is_certain else (),
        doubts=_doubts(spine),
        model_digest=model_digest,
    )


def _doubts(spine: Spine) -> tuple[str, ...]:
    if spine.doubts or spine.anchors or not spine.bodies:
        return spine.doubts
    return ("neither the sacrum nor the lowest ribs are joined to the vertebrae in view",)


def _vertebra(body: Parted, called: tuple[str, str, int], affine: NDArray[np.float64]) -> Vertebra:
    level, likely, value = called
    point = affine @ np.array([*body.centre, 1.0])
    return Vertebra(
        level=level,
        likely=likely,
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
