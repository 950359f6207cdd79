"""Clots in the arteries of a drawn window: along a branch and its children, or lodged at a fork."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from models.phantoms.clots import CLOT_HU, Clot, Course, Form, Level, clot_mask, draw_clot
from models.pulmonary_embolism.train.branches import (
    AXIS,
    HALF,
    SIZE,
    STEP_MM,
    Branch,
    Floats,
    depth_of,
    filled,
)

_FINE = (np.arange(2 * SIZE) - (2 * SIZE - 1) / 2) * STEP_MM / 2


def _chain(branches: list[Branch], first: int, rng: np.random.Generator) -> Course:
    """From a branch down one of its children, and perhaps further."""
    points, radii = [branches[first].points], [branches[first].radii]
    now = first
    for _ in range(2):
        children = [k for k, b in enumerate(branches) if b.parent == now]
        if not children or rng.random() < 0.35:
            break
        now = int(rng.choice(children))
        points.append(branches[now].points[1:])
        radii.append(branches[now].radii[1:])
    radius = float(branches[first].radii.mean())
    level = (
        Level.CENTRAL if radius > 6.5 else Level.LOBAR if radius > 4 else
        Level.SEGMENTAL if radius > 2 else Level.SUBSEGMENTAL
    )  # fmt: skip
    return Course(points=np.concatenate(points), radii=np.concatenate(radii), level=level, side="x")


def _clots(arteries: list[list[Branch]], rng: np.random.Generator) -> list[Clot]:
    if rng.random() < 0.3:
        return []
    out = []
    for _ in range(int(rng.choice([1, 2, 3, 4], p=[0.35, 0.35, 0.2, 0.1]))):
        tree = arteries[int(rng.integers(len(arteries)))]
        near = [
            k for k, b in enumerate(tree)
            if np.abs(b.points[len(b.points) // 2]).max() < HALF - 3 and b.radii.mean() > 1.0
        ]  # fmt: skip
        if not near:
            continue
        weights = np.asarray([min(4.0, tree[k].radii.mean()) for k in near])
        first = int(rng.choice(near, p=weights / weights.sum()))
        course = _chain(tree, first, rng)
        form = (Form.OCCLUSIVE, Form.WEB, None)[int(rng.choice(3, p=[0.22, 0.18, 0.6]))]
        clot = draw_clot(course, rng, form)
        at = np.interp(
            (clot.start_mm + clot.stop_mm) / 2,
            np.linspace(0, course.length_mm, len(course.points)),
            np.arange(len(course.points)),
        )
        if np.abs(course.points[round(float(at))]).max() < HALF - 2:
            out.append(clot)
    return out


def _clot_share(clot: Clot) -> Floats:
    """Share of each voxel that the clot takes."""
    fine = np.zeros((2 * SIZE,) * 3, np.bool_)
    box, mask = clot_mask(clot, (_FINE, _FINE, _FINE))
    fine[box] = mask
    n = SIZE
    return fine.reshape(n, 2, n, 2, n, 2).mean((1, 3, 5), dtype=np.float32)


def _lodged(arteries: list[list[Branch]], share: Floats, rng: np.random.Generator) -> Floats | None:
    """A clot that rides on a fork, or stops up all that a ball round it holds."""
    tree = arteries[int(rng.integers(len(arteries)))]
    ends = [b for b in tree if b.radii.mean() > 1.2 and np.abs(b.points[-1]).max() < HALF - 4]
    if not ends:
        return None
    branch = ends[int(rng.integers(len(ends)))]
    at = branch.points[int(rng.integers(len(branch.points))) if rng.random() < 0.5 else -1]
    reach = max(2.0, float(branch.radii[-1])) * float(rng.uniform(1.5, 4.5))
    z, y, x = (AXIS - at[k] for k in range(3))
    away = np.sqrt(z[:, None, None] ** 2 + y[None, :, None] ** 2 + x[None, None, :] ** 2)
    return np.asarray(share * filled((reach - away).astype(np.float32)), np.float32)


def parts_of(
    arteries: list[list[Branch]], rng: np.random.Generator
) -> Iterator[tuple[Floats, float, bool]]:
    """Of each clot: the share of each voxel that it takes, its HU, does it fill the lumen?"""
    clots = _clots(arteries, rng)
    for clot in clots:
        fills = clot.form is Form.OCCLUSIVE and clot.level is not Level.CENTRAL
        yield np.minimum(_clot_share(clot), 1.0), clot.hu + float(rng.normal(0, 6)), fills
    if clots and rng.random() < 0.4:
        wide = np.zeros((SIZE,) * 3, np.float32)
        for tree in arteries:
            wide = np.maximum(wide, filled(depth_of(tree, float(rng.uniform(0, 0.4)))))
        part = _lodged(arteries, wide, rng)
        if part is not None:
            yield part, float(rng.uniform(*CLOT_HU)), True
