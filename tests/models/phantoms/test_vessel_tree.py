"""Trees reach every point that they must supply, and tubes have the volume that they should."""

from __future__ import annotations

import numpy as np
import pytest

from models.phantoms.chest_tissue import Lobe
from models.phantoms.vessel_tree import Branch, Level, Samples, Tree, depth, grow, share


def _line(radius: float, length: float = 20.0) -> Samples:
    z = np.arange(0, length, 0.15)
    points = np.stack([z + 5, np.full_like(z, 7.03), np.full_like(z, 6.91)], 1)
    return Samples(points, np.full(z.size, radius), np.zeros(z.size, np.intp))


def _axes(step: float, size: float = 30.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    z = np.arange(0, size, step, dtype=np.float32)
    y = np.arange(0, 14, step, dtype=np.float32)
    return z, y, y.copy()


@pytest.mark.parametrize(("radius", "tolerance"), [(3.0, 0.04), (1.2, 0.08), (0.35, 0.3)])
def test_a_painted_tube_has_its_cross_section(radius: float, tolerance: float) -> None:
    filled = share(depth(_line(radius), _axes(0.7)), 0.7)
    middle = filled[15:28]
    area = float(middle.sum(dtype=np.float64)) / len(middle) * 0.7**2
    assert area == pytest.approx(np.pi * radius**2, rel=tolerance)


def test_depth_on_a_part_of_a_grid_is_the_part_of_the_depth() -> None:
    z, y, x = _axes(0.7)
    whole = depth(_line(1.5), (z, y, x))
    part = depth(_line(1.5), (z[10:25], y[4:16], x[3:15]))
    inside = whole[10:25, 4:16, 3:15] > -1
    assert inside.any()
    assert np.allclose(part[inside], whole[10:25, 4:16, 3:15][inside], atol=1e-3)


def test_growth_supplies_every_point_once_and_parents_come_first() -> None:
    rng = np.random.default_rng(5)
    cloud = rng.uniform(10, 60, (200, 3))
    sprouts = grow(np.zeros(3), np.array([1.0, 1.0, 1.0]), cloud, rng)
    leaves = [s for s in sprouts if s.supplied == 1]
    assert len(leaves) == len(cloud)
    assert sprouts[0].supplied == len(cloud)
    for k, sprout in enumerate(sprouts[1:], 1):
        assert sprout.parent is not None
        assert sprout.parent < k
        assert sprout.supplied < sprouts[sprout.parent].supplied
    ends = np.array([leaf.end for leaf in leaves])
    nearest = np.linalg.norm(cloud[:, None] - ends[None], axis=2).min(1)
    assert float(np.median(nearest)) < 5.0


def test_ways_through_a_tree() -> None:
    points = np.array([[0.0, 0, 0], [5.0, 0, 0]])
    radius = np.array([2.0, 1.9])
    branches = [Branch(points, radius, Level.CENTRAL, Lobe.MEDIASTINUM, None, "trunk")]
    branches += [Branch(points + 5, radius / 2, Level.LOBAR, Lobe.LEFT_UPPER, 0) for _ in range(2)]
    branches.append(Branch(points + 10, radius / 4, Level.SEGMENTAL, Lobe.LEFT_UPPER, 2))
    tree = Tree(tuple(branches))
    assert tree.children == ((1, 2), (), (3,), ())
    assert tree.to_root(3) == [3, 2, 0]
    assert tree.beyond(0) == [1, 2, 3]
    assert tree.of_level(Level.LOBAR) == [1, 2]
    assert tree.branches[0].length_mm == pytest.approx(5.0)
