"""Ground glass that the network left out is measured; vessels and the chest wall are not."""

from __future__ import annotations

import numpy as np
import pytest

from models.grid import Axis, Floats, Grid
from models.lung_nodules.candidates import Candidate
from models.lung_nodules.edge import sharpened
from models.lung_nodules.refining import PATCH, Look
from models.lung_nodules.shape import shape_of

SIZE, SPACING = (50, 90, 90), (1.2, 0.75, 0.75)
MIDDLE = np.array([25.0, 45.0, 45.0])
LUNG, TISSUE = -860.0, 30.0


def places() -> tuple[Floats, Floats, Floats]:
    """z, y, x of each voxel from the middle, mm."""
    lines = [(np.arange(n) - m) * s for n, m, s in zip(SIZE, MIDDLE, SPACING, strict=True)]
    z, y, x = np.meshgrid(*lines, indexing="ij")
    return z.astype(np.float32), y.astype(np.float32), x.astype(np.float32)


def cover(distance: Floats) -> Floats:
    """Share of a voxel within a surface, from its distance to it, mm (inside is negative)."""
    return np.asarray(np.clip(0.5 - distance / 1.6, 0, 1), np.float32)


def ball(radius: float) -> Floats:
    z, y, x = places()
    return cover(np.sqrt(z**2 + y**2 + x**2) - radius)


def filled(*parts: tuple[Floats, float]) -> Grid:
    """Noisy lung with parts of an attenuation, the later ones over the earlier."""
    rng = np.random.default_rng(3)
    hu = np.full(SIZE, LUNG, np.float32)
    for share, value in parts:
        hu += share * (np.float32(value) - hu)
    hu += rng.normal(0, 25, SIZE).astype(np.float32)
    affine = np.diag([SPACING[2], SPACING[1], SPACING[0], 1.0])[:, [2, 1, 0, 3]]
    return Grid(
        hu=hu, spacing_mm=SPACING, affine=affine, order=(0, 1, 2), flipped=(False, False, False)
    )


def looked(radius: float, step_mm: float = 0.7) -> Look:
    """The network draws a ball of a radius round the middle."""
    first, second, third = (
        Axis.centred(float(m), step_mm / s, PATCH) for m, s in zip(MIDDLE, SPACING, strict=True)
    )
    line = (np.arange(PATCH) - (PATCH - 1) / 2) * step_mm
    z, y, x = np.meshgrid(line, line, line, indexing="ij")
    share = np.clip(0.5 - (np.sqrt(z**2 + y**2 + x**2) - radius) / step_mm, 0, 1)
    return Look(
        candidate=Candidate(centre=MIDDLE, diameter_mm=2 * radius, logit=3.0),
        share=share.astype(np.float32),
        axes=(first, second, third),
        step_mm=step_mm,
        logit=3.0,
    )


def mean_mm(grid: Grid, look: Look) -> float:
    shape = shape_of(grid, look)
    assert shape is not None
    return shape.mean_mm


@pytest.mark.parametrize("veil", [-690.0, -500.0])
def test_a_veil_round_a_solid_core_belongs_to_the_nodule(veil: float) -> None:
    grid = filled((ball(9.0), veil), (ball(4.0), TISSUE))
    drawn = looked(4.0)
    sharp = sharpened(grid, drawn)
    assert mean_mm(grid, drawn) == pytest.approx(8.0, abs=0.6)
    assert mean_mm(grid, sharp) == pytest.approx(18.0, abs=1.2)
    assert sharp.volume_mm3 == pytest.approx(4 / 3 * np.pi * 9.0**3, rel=0.2)


def test_ground_glass_drawn_too_small_reaches_its_edge() -> None:
    grid = filled((ball(6.0), -560.0))
    assert mean_mm(grid, sharpened(grid, looked(4.8))) == pytest.approx(12.0, abs=0.8)


def test_a_solid_nodule_of_a_near_look_stays_as_the_network_drew_it() -> None:
    grid = filled((ball(5.0), TISSUE))
    look = looked(5.0)
    assert sharpened(grid, look) is look


def test_vessels_that_touch_a_solid_nodule_are_no_veil() -> None:
    z, y, x = places()
    vessels = [cover(np.sqrt(a**2 + b**2) - 1.6) for a, b in ((z, y), (z, x))]
    grid = filled(*((vessel, TISSUE) for vessel in vessels), (ball(5.0), TISSUE))
    look = looked(5.0)
    assert mean_mm(grid, sharpened(grid, look)) == pytest.approx(10.0, abs=0.5)


def test_a_solid_nodule_of_a_wide_look_reaches_half_its_height() -> None:
    grid = filled((ball(9.0), TISSUE))
    sharp = sharpened(grid, looked(8.5, 1.4))
    assert mean_mm(grid, sharp) == pytest.approx(18.0, abs=0.5)


@pytest.mark.parametrize(("value", "step_mm"), [(-560.0, 0.7), (TISSUE, 1.4)])
def test_the_chest_wall_is_not_taken_in(value: float, step_mm: float) -> None:
    _, y, _ = places()
    wall = cover(y + 6.0)
    grid = filled((ball(9.0), value), (wall, TISSUE))
    cut = looked(8.5, step_mm)
    line = cut.axes[1].positions()
    share = cut.share * ((line - MIDDLE[1]) * SPACING[1] > -6.0)[None, :, None]
    look = Look(
        candidate=cut.candidate, share=share, axes=cut.axes, step_mm=step_mm, logit=cut.logit
    )
    shape = shape_of(grid, sharpened(grid, look))
    assert shape is not None
    rows = np.flatnonzero(shape.mask.any(axis=(0, 2))) + shape.box[1].start
    assert (rows[0] - MIDDLE[1]) * SPACING[1] > -7.6


def test_beside_air_without_lung_sound_lung_is_no_veil() -> None:
    """A pneumothorax, a bulla, or nothing beyond the end of a turned copy."""
    z, _, _ = places()
    grid = filled((cover(6.0 - z), -1000.0), (ball(2.3), TISSUE))
    assert mean_mm(grid, sharpened(grid, looked(2.3))) == pytest.approx(4.6, abs=0.5)


def test_a_veil_without_an_edge_in_view_is_not_taken_in() -> None:
    _, _, x = places()
    grid = filled((cover(-7.0 - x), -700.0), (ball(3.0), TISSUE))
    look = looked(3.0)
    assert mean_mm(grid, sharpened(grid, look)) == pytest.approx(6.0, abs=0.5)


def test_where_no_lung_is_seen_nothing_is_changed() -> None:
    grid = filled((np.ones(SIZE, np.float32), TISSUE))
    look = looked(5.0)
    assert sharpened(grid, look) is look


def test_a_mass_is_left_as_it_is() -> None:
    grid = filled((ball(16.0), TISSUE))
    look = looked(14.0, 2.8)
    assert sharpened(grid, look) is look
