"""How much of the trunk's outline is cut by the field of view.

A field of view ends at the border of the image, at the circle of the reconstruction, or where
the scanner wrote padding. What lies beyond was not imaged, and an area measured there is short
by an unknown amount.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from models.grid import Mask
from models.morphology import dilated, eroded, holes_filled, largest_component, parts_of
from node.domain.imaging import Voxels

#: Above this, a pixel at the edge of the field holds tissue (fat is about -100, air -1000).
TISSUE_HU = -300.0
#: Skin is denser than the fat beneath it; below `FAT_HU` a pixel is part air.
SKIN_HU, UNDER_SKIN_HU, FAT_HU = -50.0, -65.0, -150.0
#: Skin and the first fat beneath it lie within this depth.
SKIN_MM = 5.0
#: The trunk found by the network reaches the field's edge up to this distance.
REACH_MM = 6.0
#: Share of the area outside a circle that must be flat for the field to be that circle.
_CIRCLE_SHARE = 0.97
#: A reconstruction circle about fills the image; a smaller round edge is a round patient.
_SMALLEST_RADIUS = 0.45
#: Constant values at or below this are filling, not measured air.
_FILLING_HU = -1000.0
#: Share of tissue along the edge of padding from which the padding cuts the body.
_TISSUE_AT_EDGE = 0.05
#: Image corners beyond the circle hold 21 % of a square; below 2 % there is no circle to find.
_SMALLEST_OUTSIDE = 0.02


def imaged(plane: Voxels, padding: Mask | None) -> Mask:
    """Which pixels of a (row, column) slice in HU were really imaged.

    Args:
        padding: pixels that the scanner declared as padding, or None.
    """
    rows, columns = plane.shape
    corners = plane[[0, 0, -1, -1], [0, -1, 0, -1]]
    filling = np.zeros(plane.shape, np.bool_)
    if corners.min() == corners.max() and corners[0] <= _FILLING_HU:
        filling = plane == corners[0]
    if padding is not None:
        filling |= padding
    outside = _touching_border(filling)
    if outside.mean() < _SMALLEST_OUTSIDE:
        return ~outside if padding is not None and padding.any() else np.ones_like(outside)
    circle = _circle(outside)
    if circle is not None:
        return circle
    if padding is not None and padding.any() and not _is_air(plane, padding):
        return ~_touching_border(padding)
    # Air clipped to one value is no edge: the field ends at the border of the image.
    return np.ones((rows, columns), np.bool_)


def cut_fraction(trunk: Mask, plane: Voxels, field: Mask, pixel_mm: tuple[float, float]) -> float:
    """Part (0..1) of the trunk's outline that the edge of the field of view cuts off.

    Where the skin itself is still seen at the edge, the trunk touches it and nothing is cut.

    Args:
        trunk: (row, column) mask of the trunk, without arms.
        field: what was imaged, from `imaged`.
        pixel_mm: (between rows, between columns).
    """
    reach = max(1, round(REACH_MM / min(pixel_mm)))
    near = dilated(trunk, reach) & (plane > TISSUE_HU) & field
    whole = largest_component(holes_filled((trunk & field) | near))
    outline = whole & ~eroded(whole, beyond=False)
    length = int(outline.sum())
    if length == 0:
        return 0.0
    # Beyond the image counts as not imaged, hence the border value.
    edge = field & ~ndimage.binary_erosion(field, np.ones((3, 3), np.bool_), border_value=0)
    lost = outline & edge & (plane > FAT_HU) & ~_skin(plane, field, min(pixel_mm))
    return float(lost.sum()) / length


def _skin(plane: Voxels, field: Mask, pixel_mm: float) -> Mask:
    """Pixels as dense as skin with fat straight beneath; a cut through fat or muscle has not."""
    clipped = np.clip(plane, -200, 200).astype(np.float32)
    weight = ndimage.uniform_filter(field.astype(np.float32), 3, mode="nearest")
    mean = ndimage.uniform_filter(np.where(field, clipped, 0.0), 3, mode="nearest")
    smooth = mean / np.maximum(weight, 1e-3)
    depth = max(1, round(SKIN_MM / pixel_mm))
    size = 2 * depth + 1
    beneath = ndimage.minimum_filter(
        np.where(field & (clipped > FAT_HU), smooth, np.inf), size=size, mode="nearest"
    )
    return np.asarray((clipped > SKIN_HU) & (beneath < UNDER_SKIN_HU), np.bool_)


def _touching_border(mask: Mask) -> Mask:
    """The parts of a mask that reach the border of the image."""
    labels = parts_of(mask)
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    return np.asarray(np.isin(labels, border[border > 0]), np.bool_)


def _circle(outside: Mask) -> Mask | None:
    """The round field whose outside is just this mask, or None where it is not round."""
    rows, columns = outside.shape
    row, column = np.ogrid[:rows, :columns]
    centre = ((rows - 1) / 2, (columns - 1) / 2)
    square = (row - centre[0]) ** 2 + (column - centre[1]) ** 2
    radius = float(np.sqrt(np.percentile(square[outside], 0.5)))
    if radius < _SMALLEST_RADIUS * min(rows, columns):
        return None
    round_field = np.asarray(square < radius**2, np.bool_)
    return round_field if outside[~round_field].mean() > _CIRCLE_SHARE else None


def _is_air(plane: Voxels, padding: Mask) -> bool:
    """Is declared padding just clipped air that follows the skin?

    Next to cut tissue stands padding with nothing between; around whole skin a thin rim of
    half-filled pixels lies between air and tissue.
    """
    rim = dilated(padding) & ~padding
    return not rim.any() or float((plane[rim] > FAT_HU).mean()) < _TISSUE_AT_EDGE
