"""Drawn strips of the middle plane of a spine, with the exact share of the body in the middle.

Bodies are `models.phantoms.vertebral_shape.Shape`, cut at x = 0; everything around them is drawn
at random, more widely than patients vary, so that patients lie within it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from models.phantoms.fractures import Change, Deformity
from models.phantoms.tissue import Tissue
from models.phantoms.vertebral_shape import BACK, Shape

Field = NDArray[np.float32]

EDGE, FINE = 64, 2
"""Pixels of 1 mm at an edge, and points to a mm."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A body on the strip: its middle (back, up), mm, and by how much it leans, radians."""

    shape: Shape
    back: float
    up: float
    lean: float
    is_sacrum: bool = False


@dataclass(frozen=True, slots=True)
class Bone:
    """Attenuation of the bone of one strip, HU; thickness of endplates, mm."""

    trabecular: float
    cortex: float
    endplate_mm: float


def draw_strip(rng: np.random.Generator) -> tuple[Field, NDArray[np.uint8]]:
    """One strip.

    Returns:
        (64, 64) HU, and (2, 64, 64) uint8 shares (0 to 255): of the middle body, of the others.
    """
    line = (np.arange(EDGE * FINE) - (EDGE * FINE - 1) / 2).astype(np.float32) / FINE
    up, back = np.meshgrid(-line, line, indexing="ij")
    bodies = _bodies(rng)
    hu = _around(rng, up, back, bodies[0])
    bone = Bone(
        trabecular=float(rng.uniform(0, 330)),
        cortex=float(rng.uniform(260, 1000)),
        endplate_mm=float(rng.uniform(0.4, 1.5)),
    )
    shares = np.zeros((2, *hu.shape), np.float32)
    _discs(rng, hu, (up, back), bodies)
    _behind(rng, hu, (up, back), bodies)
    for number, body in enumerate(bodies):
        share = _paint(rng, hu, (up, back), body, bone)
        shares[0 if number == 0 else 1] = np.maximum(shares[0 if number == 0 else 1], share)
    hu = _scanned(rng, hu)
    small = shares.reshape(2, EDGE, FINE, EDGE, FINE).mean(axis=(2, 4))
    return hu, np.asarray(np.round(small * 255), np.uint8)


def _shape(rng: np.random.Generator, size: float, half_depth: float) -> Shape:
    change = None
    kind = rng.random()
    deformity, loss = None, 0.0
    if kind < 0.5:
        # What is broken in is harder to see than what is narrow or low: it is drawn more often.
        deformity = tuple(Deformity)[int(rng.choice(3, p=(0.35, 0.45, 0.2)))]
        loss = float(rng.uniform(0.05, 0.65))
    if kind < 0.8:
        change = Change(
            body=Tissue.L3,
            deformity=deformity,
            loss=loss,
            spur_mm=float(rng.choice((0.0, rng.uniform(1, 8)))),
            node_mm=float(rng.choice((0.0, 0.0, rng.uniform(2, 6)))),
        )
    return Shape(
        half_width=22.0,
        half_depth=half_depth * float(rng.normal(1, 0.03)),
        height=size * float(rng.normal(1, 0.03)),
        tilt=float(rng.normal(0, 0.07)),
        hollow=float(rng.uniform(0.0, 2.4)),
        change=change,
    )


def _bodies(rng: np.random.Generator) -> list[Placed]:
    """The middle body first, then its neighbours, two on either side."""
    size, half_depth = float(rng.uniform(16, 33)), float(rng.uniform(11.5, 20.5))
    disc = float(np.clip(rng.normal(0.27, 0.1), 0.08, 0.5)) * size
    bend = float(rng.normal(0, 0.09))
    middle = Placed(
        shape=_shape(rng, size, half_depth),
        back=float(rng.normal(0, 4.0)),
        up=float(np.clip(rng.normal(0, 3.5), -0.4 * size, 0.4 * size)),
        lean=float(rng.normal(0, 0.15)),
    )
    found = [middle]
    for way in (1, -1):
        last, angle = middle, middle.lean
        for number in (1, 2):
            shape = _shape(rng, size * (1 - 0.03 * way), half_depth)
            gap = disc * float(rng.uniform(0.6, 1.4))
            sacrum = way == -1 and number == 1 and rng.random() < 0.15
            angle = angle + way * (bend + float(rng.normal(0, 0.03))) - (0.35 if sacrum else 0.0)
            reach = (last.shape.height + shape.height) / 2 + gap
            mean = (last.lean + angle) / 2
            back = last.back + way * reach * np.sin(mean) + float(rng.normal(0, 0.7))
            last = Placed(shape, float(back), last.up + way * reach * np.cos(mean), angle, sacrum)
            found.append(last)
            if sacrum:
                break
    return found


def _own(at: tuple[Field, Field], body: Placed) -> tuple[Field, Field]:
    """(y, z) in the frame of a body."""
    up, back = at[0] - np.float32(body.up), at[1] - np.float32(body.back)
    c, s = np.float32(np.cos(body.lean)), np.float32(np.sin(body.lean))
    return c * back - s * up, c * up + s * back


def _noise(rng: np.random.Generator, shape: tuple[int, ...], sigma: float) -> Field:
    field = ndimage.gaussian_filter(rng.standard_normal(shape, np.float32), sigma)
    return np.asarray(field / max(float(field.std()), 1e-6), np.float32)


_NEARBY = (-105.0, -105.0, -90.0, 20.0, 45.0, 60.0, 130.0, 240.0, -820.0)


def _around(rng: np.random.Generator, up: Field, back: Field, middle: Placed) -> Field:
    """Fat, vessels, gut or lung in front; fat and muscle behind."""
    first, second = (float(_NEARBY[int(rng.integers(len(_NEARBY)))]) for _ in range(2))
    border = _noise(rng, up.shape, float(rng.uniform(6, 20))) > float(rng.normal(0, 0.8))
    hu = np.where(border, np.float32(first), np.float32(second))
    # A layer of fat or ligament covers the front of most spines.
    layer = float(rng.choice((0.0, rng.uniform(1, 8))))
    y, _ = _own((up, back), middle)
    if layer:
        near = y > -middle.shape.half_depth - layer
        hu = np.where(near, np.float32(rng.uniform(-110, 60)), hu)
    behind = y > middle.shape.half_depth + 14
    muscle = _noise(rng, up.shape, 5) > 0
    hu = np.where(behind, np.where(muscle, np.float32(-90), np.float32(55)), hu)
    return np.asarray(hu, np.float32)


def _discs(
    rng: np.random.Generator, hu: Field, at: tuple[Field, Field], bodies: list[Placed]
) -> None:
    """Discs fill the column between the bodies; some hold gas, some are calcified."""
    value = float(rng.uniform(40, 130))
    for body in bodies:
        y, z = _own(at, body)
        depth = body.shape.half_depth
        column = (np.abs(y + 0.07 * depth) < 0.93 * depth) & (np.abs(z) < 0.9 * body.shape.height)
        rare = rng.random()
        here = value + float(rng.normal(0, 10))
        hu[column] = here
        if rare < 0.06:
            gas = column & (_noise(rng, y.shape, 3) > 1.2)
            hu[gas] = -600.0
        elif rare < 0.12:
            hu[column & (_noise(rng, y.shape, 2) > 1.3)] = float(rng.uniform(200, 600))
        # Beside the waist of a body lies fat or a vessel, not disc.
        inner = np.abs(z) < 0.36 * body.shape.height
        hu[column & inner] = float(rng.uniform(-110, 60))


def _behind(
    rng: np.random.Generator, hu: Field, at: tuple[Field, Field], bodies: list[Placed]
) -> None:
    """The canal, and arches and processes behind it."""
    wide, value = float(rng.uniform(12, 20)), float(rng.uniform(0, 50))
    bright = float(rng.uniform(150, 600))
    for body in bodies:
        y, z = _own(at, body)
        wall = BACK * body.shape.half_depth
        near = np.abs(z) < body.shape.height
        hu[(y > wall) & (y < wall + wide) & near] = value
        if rng.random() < 0.5:
            # Epidural fat, and the vein behind the middle of the body.
            fat = (y > wall) & (y < wall + 3) & (np.abs(z) < 0.3 * body.shape.height)
            hu[fat] = float(rng.uniform(-90, 60))
        centre = float(rng.normal(-4, 3))
        process = (y > wall + wide) & (np.abs(z - centre + 0.4 * (y - wall - wide)) < 7)
        hu[process & near] = bright * float(rng.uniform(0.5, 1.2))
        if rng.random() < 0.12:
            # A strip that is not quite in the middle meets the pedicle.
            pedicle = (y > wall - 2) & (y < wall + wide) & (np.abs(z - 4) < 6)
            hu[pedicle] = bright


def _paint(
    rng: np.random.Generator, hu: Field, at: tuple[Field, Field], body: Placed, bone: Bone
) -> Field:
    """Blend one body into the strip; its share of each point."""
    y, z = _own(at, body)
    shape = body.shape
    x = np.zeros_like(y)
    top, bottom = shape.endplates(x, y)
    if body.is_sacrum:
        bottom = np.full_like(bottom, -90.0)
    ends = np.minimum(top - z, z - bottom)
    walls = shape.inward(x, y, z)
    outer = _share(ends) * _share(walls)
    thick = bone.endplate_mm * float(rng.uniform(0.7, 1.3))
    inner = _share(ends - thick) * _share(walls - 0.7 * bone.endplate_mm)
    inside = (
        bone.trabecular
        + float(rng.normal(0, 15))
        + _noise(rng, y.shape, 1.5) * float(rng.uniform(3, 30))
    )
    kind = rng.random()
    if kind < 0.25:
        # Sclerosis below an endplate: worn discs, healing fractures.
        band = np.exp(-((ends - rng.uniform(0, 5)) ** 2) / 2 / rng.uniform(1.5, 4) ** 2)
        inside = inside + float(rng.uniform(60, 320)) * band
    elif kind < 0.35:
        spot = (y - rng.normal(0, 6)) ** 2 + (z - rng.normal(0, 5)) ** 2 < rng.uniform(3, 8) ** 2
        inside = np.where(spot, np.float32(rng.choice((20.0, 60.0, 450.0, 700.0))), inside)
    if rng.random() < 0.5:
        vein = (np.abs(z) < rng.uniform(1, 3)) & (y > rng.uniform(-0.2, 0.6) * shape.half_depth)
        inside = np.where(vein, np.float32(rng.uniform(-20, 80)), inside)
    hu[:] = hu * (1 - outer) + bone.cortex * (outer - inner) + inside * inner
    return np.asarray(outer, np.float32)


def _share(distance: Field) -> Field:
    return np.asarray(np.clip(distance * FINE + 0.5, 0, 1), np.float32)


def _scanned(rng: np.random.Generator, hu: Field) -> Field:
    """Kernel, slices and noise; then pixels of 1 mm."""
    slice_mm = float(
        rng.choice((rng.uniform(0.6, 1.5), rng.uniform(1.0, 3.2), rng.uniform(3, 5.2)))
    )
    slope = float(np.clip(rng.normal(0, 0.25), -0.7, 0.7))
    kernel = FINE * float(rng.uniform(0.35, 1.25))
    soft = ndimage.gaussian_filter(hu, kernel, mode="nearest")
    out = _sliced(rng, soft, slice_mm, slope)
    small = out.reshape(EDGE, FINE, EDGE, FINE).mean(axis=(1, 3)) + float(rng.normal(0, 8))
    if rng.random() < 0.06:
        # Beyond the first or the last slice there is nothing.
        cut = int(rng.integers(1, 14))
        small[: cut if rng.random() < 0.5 else 0] = -1024.0
    return np.asarray(small * float(rng.normal(1, 0.04)), np.float32)


def _sliced(rng: np.random.Generator, hu: Field, slice_mm: float, slope: float) -> Field:
    """The strip as slices at an angle to it show it: each a mean, with noise, and a line between.

    Args:
        slice_mm: distance of the slices. slope: by how much the strip leans against them, radians.
    """
    last = EDGE * FINE - 1
    step = FINE * slice_mm
    thick = step * float(rng.uniform(0.85, 1.4))
    mean = ndimage.uniform_filter1d(
        _turned(hu, slope), max(1, round(thick)), axis=0, mode="nearest"
    )
    at = np.arange(float(rng.uniform(-step, 0)), last + step, step)
    slices = ndimage.map_coordinates(
        mean, np.meshgrid(at, np.arange(last + 1), indexing="ij"), order=1, mode="nearest"
    )
    grain = rng.standard_normal(slices.shape, np.float32)
    grain = ndimage.gaussian_filter1d(grain, FINE * float(rng.uniform(0.4, 1.1)), axis=1)
    slices += grain * (float(rng.uniform(1, 28)) / max(float(grain.std()), 1e-6))
    rows = (np.arange(last + 1) - at[0]) / step
    between = ndimage.map_coordinates(
        slices, np.meshgrid(rows, np.arange(last + 1), indexing="ij"), order=1, mode="nearest"
    )
    return _turned(between, -slope)


def _turned(hu: Field, angle: float) -> Field:
    """The strip turned about its middle, radians."""
    middle = (EDGE * FINE - 1) / 2
    line = np.arange(EDGE * FINE) - middle
    up, back = np.meshgrid(line, line, indexing="ij")
    c, s = np.cos(angle), np.sin(angle)
    found = ndimage.map_coordinates(
        hu, [c * up - s * back + middle, s * up + c * back + middle], order=1, mode="nearest"
    )
    return np.asarray(found, np.float32)
