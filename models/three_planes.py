"""Pictures of a lesion for its page: the key slice, and three planes through its middle.

As a radiologist displays a patient, whatever order the scanner wrote the images in: axial with
the front at the top, coronal and sagittal with the head at the top, the patient's right at the
left of the screen. True aspect by the distances of the voxels; the letters come from the affine.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from node.domain.finding import KeyImage, Overlay
from node.domain.imaging import Volume
from node.domain.study import Plane

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]
Scalar = TypeVar("Scalar", np.float32, np.bool_)

#: (centre, width), HU.
LUNG_WINDOW: Final = (-600.0, 1500.0)
VESSEL_WINDOW: Final = (100.0, 700.0)
#: Edge of the three small pictures, mm; a larger lesion gets more.
FIELD_MM: Final = 50.0
#: Part of a picture that the lesion may fill.
_FILL: Final = 0.6
#: Denser than this is the patient or the table, HU.
_BODY_HU: Final = -400.0
#: Axes of the patient, LPS, as (from, to): letters of the two ends.
_ENDS: Final = (("R", "L"), ("A", "P"), ("F", "H"))


class View(Enum):
    """Plane of a picture: its name; the patient axes down and across the screen (x, y, z)."""

    AXIAL = ("Axial", 1, 0)
    SAGITTAL = ("Sagittal", 2, 1)
    CORONAL = ("Coronal", 2, 0)

    @property
    def word(self) -> str:
        """For the caption."""
        return self.value[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """Where a lesion lies in a volume, and how it is shown.

    Attributes:
        mask: (slice, row, column) bool, a box of the volume that holds all of it; not empty.
        offset: index of the box's first voxel in the volume.
        tracking_uid: of its finding: puts the pictures onto one page.
        colour: sRGB of its contour. label: for the legend, "" for none.
    """

    mask: Mask
    offset: tuple[int, int, int] = (0, 0, 0)
    tracking_uid: str
    colour: tuple[int, int, int] = (255, 191, 64)
    label: str = ""

    @property
    def key_slice(self) -> int:
        """Index of the volume's slice on which its area is largest; the lowest of several."""
        return self.offset[0] + int(self.mask.sum(axis=(1, 2)).argmax())

    @property
    def middle(self) -> tuple[int, int, int]:
        """Index (slice, row, column) of its voxel that is nearest to its centre of mass."""
        voxels = np.argwhere(self.mask)
        nearest = int(((voxels - voxels.mean(axis=0)) ** 2).sum(axis=1).argmin())
        index = voxels[nearest] + np.asarray(self.offset)
        return int(index[0]), int(index[1]), int(index[2])


def pictures_of(
    volume: Volume, lesion: Lesion, *, window: tuple[float, float] = LUNG_WINDOW
) -> tuple[KeyImage, ...]:
    """The key slice whole with the contour, then the axial, sagittal and coronal plane close up.

    Args:
        volume: axial, coronal or sagittal; a slanted one is shown along its nearest axes.

    Returns:
        Four pictures with the tracking UID of the lesion, in the order that its page wants.
    """
    display = _Display(volume, lesion)
    views = (View.AXIAL, View.SAGITTAL, View.CORONAL)
    return (display.key_picture(window), *(display.close_up(view, window) for view in views))


class _Display:
    """One lesion of one volume, on the axes of the patient."""

    def __init__(self, volume: Volume, lesion: Lesion) -> None:
        self._volume = volume
        self._lesion = lesion
        cosines = volume.affine[:3, :3] / np.linalg.norm(volume.affine[:3, :3], axis=0)
        #: Array axis that runs along each patient axis (x, y, z), and whether against it.
        self._axis = _nearest_axes(cosines)
        self._backwards = [bool(cosines[i, axis] < 0) for i, axis in enumerate(self._axis)]
        voxels = np.argwhere(lesion.mask)
        size = (np.ptp(voxels, axis=0) + 1) * np.asarray(volume.spacing_mm)
        self._field_mm = max(FIELD_MM, float(size.max()) / _FILL)

    def key_picture(self, window: tuple[float, float]) -> KeyImage:
        """The source image of the largest area, as it is displayed, without the air around."""
        index = self._lesion.key_slice
        view = self._source_view()
        pixels, mask = self._plane(view, index)
        part = _body(pixels, mask)
        plane = self._volume.planes[index]
        return self._picture(
            view, pixels[part], mask[part], window, _caption(plane, index, self._volume), plane
        )

    def close_up(self, view: View, window: tuple[float, float]) -> KeyImage:
        """One plane through the middle of the lesion, as large as the field."""
        normal = ({0, 1, 2} - set(view.value[1:])).pop()
        index = self._lesion.middle[self._axis[normal]]
        pixels, mask = self._plane(view, index)
        steps = self._steps(view)
        centre = [self._screen_index(axis) for axis in view.value[1:]]
        half = [max(1, round(self._field_mm / 2 / step)) for step in steps]
        pixels = _window(pixels, centre, half, np.float32(np.nan))
        mask = _window(mask, centre, half, np.bool_(False))
        return self._picture(view, pixels, mask, window, view.word, None)

    def _source_view(self) -> View:
        """The plane that the images of the series lie in."""
        normal = self._axis.index(0)
        return {0: View.SAGITTAL, 1: View.CORONAL, 2: View.AXIAL}[normal]

    def _plane(self, view: View, index: int) -> tuple[Floats, Mask]:
        """(down, across) pixels and mask of one plane across the volume, as displayed."""
        down, across = view.value[1:]
        normal = ({0, 1, 2} - {down, across}).pop()
        axis = self._axis[normal]
        pixels = np.take(self._volume.voxels, index, axis=axis)
        mask = np.zeros(pixels.shape, np.bool_)
        inside = index - self._lesion.offset[axis]
        if 0 <= inside < self._lesion.mask.shape[axis]:
            rest = [i for i in range(3) if i != axis]
            place = tuple(
                slice(self._lesion.offset[i], self._lesion.offset[i] + self._lesion.mask.shape[i])
                for i in rest
            )
            mask[place] = np.take(self._lesion.mask, inside, axis=axis)
        return (
            np.asarray(self._displayed(pixels, down, across), np.float32),
            np.asarray(self._displayed(mask, down, across), np.bool_),
        )

    def _displayed(self, plane: NDArray[np.generic], down: int, across: int) -> NDArray[np.generic]:
        if self._axis[down] > self._axis[across]:
            plane = plane.T
        rows, columns = (self._reversed(axis) for axis in (down, across))
        return plane[:: -1 if rows else 1, :: -1 if columns else 1]

    def _reversed(self, patient_axis: int) -> bool:
        """Does the screen run against the array? To the left, to posterior, to the feet."""
        return self._backwards[patient_axis] != (patient_axis == 2)

    def _screen_index(self, patient_axis: int) -> int:
        axis = self._axis[patient_axis]
        index = self._lesion.middle[axis]
        length = self._volume.voxels.shape[axis]
        return length - 1 - index if self._reversed(patient_axis) else index

    def _steps(self, view: View) -> tuple[float, float]:
        spacing = self._volume.spacing_mm
        down, across = view.value[1:]
        return spacing[self._axis[down]], spacing[self._axis[across]]

    def _picture(  # noqa: PLR0913, PLR0917 - one picture has these six
        self,
        view: View,
        pixels: Floats,
        mask: Mask,
        window: tuple[float, float],
        caption: str,
        plane: Plane | None,
    ) -> KeyImage:
        down, across = view.value[1:]
        top, bottom = _ENDS[down] if down != 2 else _ENDS[2][::-1]
        left, right = _ENDS[across]
        lesion = self._lesion
        shown = Overlay(mask=mask, colour=lesion.colour, label=lesion.label, filled=False)
        return KeyImage(
            pixels=np.ascontiguousarray(pixels),
            window=window,
            pixel_mm=self._steps(view),
            caption=caption,
            plane=plane,
            overlays=(shown,),
            edges=(left, right, top, bottom),
            tracking_uid=lesion.tracking_uid,
        )


def _nearest_axes(cosines: NDArray[np.float64]) -> list[int]:
    """For each patient axis x, y, z the array axis closest to it; each array axis once."""
    free = [0, 1, 2]
    chosen: dict[int, int] = {}
    for patient_axis in (2, 1, 0):
        best = max(free, key=lambda axis: abs(cosines[patient_axis, axis]))
        chosen[patient_axis] = best
        free.remove(best)
    return [chosen[0], chosen[1], chosen[2]]


def _caption(plane: Plane, index: int, volume: Volume) -> str:
    number = f"Image {plane.instance_number}" if plane.instance_number is not None else "Image"
    height = float((volume.affine @ np.array([index, 0.0, 0.0, 1.0]))[2])
    return f"{number}, z {height:.1f} mm"


def _body(pixels: Floats, mask: Mask) -> tuple[slice, slice]:
    """Rows and columns that hold the patient and the lesion."""
    dense = pixels > _BODY_HU
    kept = []
    for axis in (0, 1):
        filled = np.asarray(dense.mean(axis=1 - axis) > 0.03) | np.asarray(mask.any(axis=1 - axis))
        where = np.flatnonzero(filled)
        kept.append(slice(int(where[0]), int(where[-1]) + 1))
    return kept[0], kept[1]


def _window(
    plane: NDArray[Scalar], centre: list[int], half: list[int], beyond: Scalar
) -> NDArray[Scalar]:
    """A part around a point; `beyond` where it leaves the plane."""
    out = np.full((2 * half[0] + 1, 2 * half[1] + 1), beyond, plane.dtype)
    source, target = [], []
    for middle, reach, length in zip(centre, half, plane.shape, strict=True):
        first, last = max(0, middle - reach), min(length, middle + reach + 1)
        source.append(slice(first, last))
        target.append(slice(first - middle + reach, last - middle + reach))
    out[tuple(target)] = plane[tuple(source)]
    return out
