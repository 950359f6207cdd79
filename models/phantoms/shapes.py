"""A grid in the patient's own frame, and the shapes that are painted into it.

The frame: x to the left, y to posterior, z to the head, mm, origin in the middle of the body
of L3. Shapes are evaluated only inside their bounding boxes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator

from models.phantoms.tissue import Labels, Tissue

Box = tuple[slice, slice, slice]
Field = NDArray[np.float32]
Corner = Sequence[float] | NDArray[np.float64]


def along(knots: Sequence[float], values: Sequence[float], z: ArrayLike) -> Field:
    """Monotone cubic through (knots, values), held constant beyond its ends; float32."""
    order = np.argsort(knots)
    heights = np.asarray(knots, np.float64)[order]
    curve = PchipInterpolator(heights, np.asarray(values, np.float64)[order])
    return np.asarray(curve(np.clip(z, heights[0], heights[-1])), np.float32)


def table(allowed: Iterable[Tissue]) -> NDArray[np.bool_]:
    """(256,) bool lookup of a set of tissues."""
    lookup = np.zeros(256, np.bool_)
    lookup[list(allowed)] = True
    return lookup


@dataclass(frozen=True, slots=True)
class Canvas:
    """Axis-aligned grid and its labels.

    Attributes:
        z, y, x: coordinates of voxel centres, mm, float32, increasing, evenly spaced.
        labels: (z, y, x) uint8 `Tissue`, painted in place.
    """

    z: Field
    y: Field
    x: Field
    labels: Labels

    @classmethod
    def empty(cls, low: Sequence[float], high: Sequence[float], steps: Sequence[float]) -> Canvas:
        """An empty grid between (z, y, x) corners with (z, y, x) steps, mm."""
        axes = [
            np.arange(start, stop, step).astype(np.float32)
            for start, stop, step in zip(low, high, steps, strict=True)
        ]
        return cls(axes[0], axes[1], axes[2], np.zeros([len(axis) for axis in axes], np.uint8))

    @property
    def steps(self) -> tuple[float, float, float]:
        """(z, y, x) spacing, mm."""
        return (
            float(self.z[1] - self.z[0]),
            float(self.y[1] - self.y[0]),
            float(self.x[1] - self.x[0]),
        )

    def box(self, low: Corner, high: Corner) -> Box:
        """Index box that covers (z, y, x) corners in mm; may be empty."""
        found = []
        for axis, start, stop in zip((self.z, self.y, self.x), low, high, strict=True):
            first, last = np.searchsorted(axis, (start, stop))
            found.append(slice(max(int(first) - 1, 0), min(int(last) + 1, len(axis))))
        return found[0], found[1], found[2]

    def coordinates(self, box: Box) -> tuple[Field, Field, Field]:
        """(z, y, x) of a box, each shaped to broadcast."""
        return (
            self.z[box[0]][:, None, None],
            self.y[box[1]][None, :, None],
            self.x[box[2]][None, None, :],
        )

    def paint(
        self,
        shape: tuple[Box, NDArray[np.bool_]],
        tissue: Tissue,
        onto: NDArray[np.bool_] | None = None,
    ) -> None:
        """Give the voxels of a shape a label, only where `onto` allows the present one."""
        box, inside = shape
        region = self.labels[box]
        if onto is not None:
            inside = inside & onto[region]
        region[inside] = tissue


@dataclass(frozen=True, slots=True)
class Sweep:
    """An ellipse swept along z.

    Attributes:
        knots: z of the control points, mm. cx, cy: centres. rx, ry: half axes, mm.
        angle: rotation of the ellipse about z, radians (positive turns x towards y).
        power: 2 is an ellipse, larger is squarer.
    """

    knots: Sequence[float]
    cx: Sequence[float]
    cy: Sequence[float]
    rx: Sequence[float]
    ry: Sequence[float]
    angle: Sequence[float] | float = 0.0
    power: float = 2.0

    def mirrored(self) -> Sweep:
        """The same shape on the other side of the midline."""
        angle = -np.asarray(self.angle, np.float64)
        turned: Sequence[float] | float = float(angle) if angle.ndim == 0 else list(angle)
        return Sweep(
            self.knots, [-c for c in self.cx], self.cy, self.rx, self.ry, turned, self.power
        )

    def on(self, canvas: Canvas, spine: tuple[Field, Field] | None = None) -> tuple[Box, Field]:
        """Normalised radius (1 on the surface) in the bounding box.

        Args:
            spine: (x, y) offset of the centre for every z of the canvas, added to cx and cy.
        """
        low, high = min(self.knots), max(self.knots)
        rows = (canvas.z >= low) & (canvas.z <= high)
        z = canvas.z[rows]
        empty: Box = (slice(0, 0), slice(0, 0), slice(0, 0))
        if z.size == 0:
            return empty, np.zeros((0, 0, 0), np.float32)
        cx, cy = along(self.knots, self.cx, z), along(self.knots, self.cy, z)
        if spine is not None:
            cx, cy = cx + spine[0][rows], cy + spine[1][rows]
        rx, ry = along(self.knots, self.rx, z), along(self.knots, self.ry, z)
        tilt = (
            np.full(z.shape, self.angle, np.float32)
            if isinstance(self.angle, float | int)
            else along(self.knots, self.angle, z)
        )
        reach = np.maximum(rx, ry) if np.any(tilt) else rx
        deep = np.maximum(rx, ry) if np.any(tilt) else ry
        box = canvas.box(
            (float(z[0]), float(np.min(cy - deep)), float(np.min(cx - reach))),
            (float(z[-1]), float(np.max(cy + deep)), float(np.max(cx + reach))),
        )
        first = int(np.argmax(rows))
        box = (slice(first, first + z.size), box[1], box[2])
        _, y, x = canvas.coordinates(box)
        dx, dy = x - cx[:, None, None], y - cy[:, None, None]
        if np.any(tilt):
            c, s = np.cos(tilt)[:, None, None], np.sin(tilt)[:, None, None]
            dx, dy = dx * c + dy * s, dy * c - dx * s
        dx, dy = dx / rx[:, None, None], dy / ry[:, None, None]
        if self.power == 2.0:
            return box, np.sqrt(dx * dx + dy * dy)
        return box, (np.abs(dx) ** self.power + np.abs(dy) ** self.power) ** (1 / self.power)


def ellipsoid(
    canvas: Canvas, centre: Sequence[float], radii: Sequence[float], tilt: float = 0.0
) -> tuple[Box, Field]:
    """Normalised radius of an ellipsoid in its box; (z, y, x) order, `tilt` about y, radians."""
    reach = max(radii) if tilt else 0.0
    spread = [max(r, reach) for r in radii]
    box = canvas.box(
        [c - r for c, r in zip(centre, spread, strict=True)],
        [c + r for c, r in zip(centre, spread, strict=True)],
    )
    z, y, x = canvas.coordinates(box)
    dz, dy, dx = z - np.float32(centre[0]), y - np.float32(centre[1]), x - np.float32(centre[2])
    if tilt:
        c, s = np.float32(np.cos(tilt)), np.float32(np.sin(tilt))
        dz, dx = dz * c + dx * s, dx * c - dz * s
    r = [np.float32(value) for value in radii]
    return box, np.sqrt((dz / r[0]) ** 2 + (dy / r[1]) ** 2 + (dx / r[2]) ** 2)


def tube(canvas: Canvas, path: NDArray[np.float64], radii: ArrayLike) -> tuple[Box, Field]:
    """Depth inside a tube, mm (positive inside), in its box.

    Args:
        path: (n, 3) points (z, y, x), mm. radii: per point or one for all, mm.
    """
    width = np.broadcast_to(np.asarray(radii, np.float64), (len(path),))
    segment = np.linalg.norm(np.diff(path, axis=0), axis=1)
    length = np.concatenate([[0.0], np.cumsum(segment)])
    count = max(2, int(length[-1] / max(2.0, 0.4 * float(width.min()))) + 1)
    at = np.linspace(0, length[-1], count)
    points = np.stack([np.interp(at, length, path[:, k]) for k in range(3)], axis=1)
    sizes = np.interp(at, length, width)
    margin = float(width.max()) + 1
    box = canvas.box(points.min(0) - margin, points.max(0) + margin)
    shape = [axis.stop - axis.start for axis in box]
    depth = np.full([max(n, 0) for n in shape], -99.0, np.float32)
    for point, size in zip(points, sizes, strict=True):
        part = canvas.box(point - size - 1, point + size + 1)
        local = tuple(
            slice(a.start - b.start, max(a.stop - b.start, a.start - b.start))
            for a, b in zip(part, box, strict=True)
        )
        target = depth[local]
        if target.size == 0:
            continue
        z, y, x = canvas.coordinates(part)
        p = point.astype(np.float32)
        inside = np.float32(size) - np.sqrt((z - p[0]) ** 2 + (y - p[1]) ** 2 + (x - p[2]) ** 2)
        np.maximum(target, inside, out=target)
    return box, depth
