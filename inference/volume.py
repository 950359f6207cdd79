"""One series -> one volume in HU on a true grid, or the reason why it is none.

Everything that would make a measurement wrong without looking wrong is refused here: missing
slices, two images at one place, uneven distances, values that are not HU. The messages are
read by radiologists; slices are counted from 1 in the order of the volume.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from inference.attributes import Frames, quiet_pydicom
from inference.codecs import PixelFile, PixelFormat
from inference.geometry import SAME_POSITION_MM
from inference.lost_pictures import refuse_lost_pictures
from inference.reading import DecodedFrames, SeriesReader
from inference.rescale import apply_rescale, read_rescale, rescale_in_place
from inference.voxel_memory import empty_int16
from node.domain.errors import PixelDataError, VolumeError
from node.domain.extent import Extent
from node.domain.imaging import Volume, Voxels
from node.domain.study import Plane, Series, SeriesGeometry

#: Largest volume that is loaded: 2 GB as int16, a 1024 x 1024 CT of 950 slices.
MAX_VOXELS = 1_000_000_000
#: A gap this many times the median distance is a missing slice.
MISSING_SLICE_FACTOR = 1.5
#: How far a slice may lie off the regular grid: this fraction of the distance of the slices,
#: and never less than a tenth of a millimetre, which is rounding.
GRID_TOLERANCE = 0.1
GRID_TOLERANCE_MM = 0.1
#: (slice, row, column) -> an array of this shape.
VoxelMemory = Callable[[tuple[int, ...]], NDArray[np.int16]]
_SHARED_POSITION = "shares its position with another image that is different"


def load_plane(plane: Plane, transfer_syntax_uid: str, *, is_ct: bool) -> NDArray[np.float32]:
    """One image by itself: (row, column) float32 in HU for CT, else as its header scales it.

    Raises:
        VolumeError, PixelDataError: as `load_volume`.
    """
    pixels = PixelFile(plane.extent, transfer_syntax_uid)
    (raw,) = pixels.frames([(plane.frame_number or 1) - 1])
    frame = Frames(pixels.values).frame(plane.frame_number)
    rescale = read_rescale(frame, pixels.format, is_ct=is_ct)
    values, _ = apply_rescale(raw, pixels.format, rescale)
    return np.asarray(values, np.float32)


def load_volume(
    series: Series, decoded: DecodedFrames | None = None, memory: VoxelMemory = empty_int16
) -> Volume:
    """Read and check the pixels of a described series.

    Args:
        decoded: compressed images of it that were decoded before.
        memory: gives an array of int16 of a shape for the voxels.

    Returns:
        (slice, row, column) int16, or float32 where int16 would not be exact, in HU for CT and
        in the image's own unit else. An image that is there twice, identical, is used once.

    Raises:
        VolumeError: the series is no regular stack, or its values are not HU.
        PixelDataError: the pixel data are missing, cut off or cannot be decoded.
    """
    try:
        with quiet_pydicom():
            return _load(series, decoded, memory)
    except VolumeError as error:
        error.study_uid, error.series_uid = series.study_uid, series.series_uid
        raise


def place_volume(series: Series) -> Volume:
    """What `load_volume` gives, without voxels: its planes and its affine.

    Raises:
        VolumeError: the series is no regular stack.
    """
    return _volume(series, _place(series), _Slots(np.empty((0, 0, 0), np.int16), []))


@dataclass(slots=True)
class _Slots:
    """The volume while it is filled; slot i is slice i."""

    voxels: Voxels
    filled: list[bool]
    padding: NDArray[np.bool_] | None = None
    unit: str = ""

    def put(self, slot: int, values: Voxels, padding: NDArray[np.bool_] | None) -> bool:
        """Store one slice; False where another, different image is already there."""
        if self.filled[slot]:
            return np.array_equal(self.voxels[slot], values)
        if values.dtype != np.int16 and self.voxels.dtype == np.int16:
            self.voxels = self.voxels.astype(np.float32)
        self.voxels[slot] = values
        self.mark(slot, padding)
        return True

    def mark(self, slot: int, padding: NDArray[np.bool_] | None) -> None:
        """The values of a slice are in place."""
        self.filled[slot] = True
        if padding is not None:
            if self.padding is None:
                self.padding = np.zeros(self.voxels.shape, dtype=np.bool_)
            self.padding[slot] = padding


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a volume lies. `slots`: the slice of each plane; `planes`: that of each slice."""

    slots: Sequence[int]
    planes: tuple[Plane, ...]
    affine: NDArray[np.float64]
    shape: tuple[int, int, int]


def _place(series: Series) -> _Place:
    geometry, spacing = _checked(series)
    slots = _slots_of(series.planes, geometry)
    first = {slot: plane for plane, slot in reversed(list(zip(series.planes, slots, strict=True)))}
    kept = tuple(first[slot] for slot in range(slots[-1] + 1))
    affine = _affine(kept, geometry, spacing, series.slice_thickness_mm)
    shape = (len(kept), geometry.rows or 0, geometry.columns or 0)
    if shape[0] * shape[1] * shape[2] > MAX_VOXELS:
        raise VolumeError(f"the series is larger than is loaded ({shape[0]} images)")
    return _Place(slots=slots, planes=kept, affine=affine, shape=shape)


def _load(series: Series, decoded: DecodedFrames | None, memory: VoxelMemory) -> Volume:
    place = _place(series)
    filling = _Slots(memory(place.shape), [False] * place.shape[0])
    _fill(filling, series, place.slots, decoded)
    if series.modality == "CT":
        refuse_lost_pictures(filling.voxels, filling.padding)
    return _volume(series, place, filling)


def _volume(series: Series, place: _Place, filling: _Slots) -> Volume:
    return Volume(
        study_uid=series.study_uid,
        series_uid=series.series_uid,
        frame_of_reference_uid=series.frame_of_reference_uid,
        voxels=filling.voxels,
        affine=place.affine,
        unit=filling.unit,
        planes=place.planes,
        padding=filling.padding,
    )


def _checked(series: Series) -> tuple[SeriesGeometry, tuple[float, float]]:
    """What the headers already exclude."""
    geometry = series.geometry
    if geometry is None or series.geometry_fault:
        raise VolumeError(
            series.geometry_fault or "the images carry no position and orientation in the patient"
        )
    if series.unreadable:
        raise VolumeError(
            f"{series.unreadable} of {len(series.instances)} images cannot be read, "
            "so slices are missing"
        )
    if not series.has_pixels:
        raise PixelDataError("the images hold no pixel data")
    if geometry.pixel_spacing_mm is None:
        raise VolumeError("the images state no pixel spacing, so nothing can be measured")
    return geometry, geometry.pixel_spacing_mm


def _slots_of(planes: Sequence[Plane], geometry: SeriesGeometry) -> list[int]:
    """The slice that each plane fills; planes at one position fill the same one."""
    along = np.array([plane.position_mm for plane in planes]) @ np.array(geometry.normal)
    slots, last = [0], along[0]
    for distance in along[1:]:
        new = distance - last > SAME_POSITION_MM
        slots.append(slots[-1] + int(new))
        last = distance if new else last
    return slots


def _affine(
    planes: Sequence[Plane],
    geometry: SeriesGeometry,
    spacing: tuple[float, float],
    thickness: float | None,
) -> NDArray[np.float64]:
    """(slice, row, column, 1) -> (x, y, z, 1) mm, from the positions themselves.

    A tilted gantry makes it a sheared affine, which is the truth.
    """
    positions = np.array([plane.position_mm for plane in planes], dtype=np.float64)
    affine = np.eye(4)
    if len(planes) == 1:
        step, origin = np.array(geometry.normal) * (thickness or 1.0), positions[0]
    else:
        _even(positions @ np.array(geometry.normal))
        index = np.arange(len(planes), dtype=np.float64)
        # From the first image to the last, as ITK does: their positions are then exact, and
        # rounding in the headers of the others does not move them.
        step = (positions[-1] - positions[0]) / (len(planes) - 1)
        origin = positions[0]
        off = np.linalg.norm(positions - (origin + index[:, None] * step), axis=1)
        worst = int(np.argmax(off))
        allowed = max(GRID_TOLERANCE * float(np.linalg.norm(step)), GRID_TOLERANCE_MM)
        if off[worst] > allowed:
            raise VolumeError(
                f"the slices lie on no regular grid: slice {worst + 1} of {len(planes)} is "
                f"{off[worst]:.2f} mm off, with slices every {np.linalg.norm(step):.2f} mm"
            )
    affine[:3, 0] = step
    affine[:3, 1] = np.array(geometry.column_cosines) * spacing[0]
    affine[:3, 2] = np.array(geometry.row_cosines) * spacing[1]
    affine[:3, 3] = origin
    return affine


def _even(along: NDArray[np.float64]) -> None:
    gaps = np.diff(along)
    usual = float(np.median(gaps))
    widest = int(np.argmax(gaps))
    if gaps[widest] > MISSING_SLICE_FACTOR * usual:
        raise VolumeError(
            f"slice gap {gaps[widest]:.1f} mm after slice {widest + 1} of {len(along)} "
            f"(others {usual:.1f} mm): a slice is missing"
        )
    narrowest = int(np.argmin(gaps))
    if gaps[narrowest] * MISSING_SLICE_FACTOR < usual:
        raise VolumeError(
            f"slices {narrowest + 1} and {narrowest + 2} lie only {gaps[narrowest]:.1f} mm apart "
            f"(others {usual:.1f} mm): the series holds images of another stack"
        )


def _fill(
    filling: _Slots, series: Series, slots: Sequence[int], decoded: DecodedFrames | None
) -> None:
    """Read file by file; a multi-frame file is opened once."""
    by_file: dict[Extent, list[int]] = {}
    for index, plane in enumerate(series.planes):
        by_file.setdefault(plane.extent, []).append(index)
    syntaxes = {instance.extent: instance.transfer_syntax_uid for instance in series.instances}
    reader = SeriesReader(is_ct=series.modality == "CT", decoded=decoded)
    try:
        for extent, indices in by_file.items():
            first = series.planes[indices[0]]
            places = [(index, slots[index]) for index in indices]
            try:
                if first.frame_number is not None or not _fill_single(
                    filling, reader, extent, places[0][1]
                ):
                    _fill_file(filling, series, (extent, syntaxes.get(extent, "")), places)
            except VolumeError as error:
                slice_number = f"slice {places[0][1] + 1} of {len(filling.filled)} "
                planes = slice_number if len(indices) == 1 else "the multi-frame image "
                raise type(error)(
                    planes + str(error), instance_uid=first.sop_instance_uid
                ) from error
    finally:
        reader.close()


def _fill_single(filling: _Slots, reader: SeriesReader, extent: Extent, slot: int) -> bool:
    """One image straight into its slice; False where it has to be decoded."""
    image = reader.open(extent)
    if image is None:
        return False
    form, shape = image.form, filling.voxels.shape[1:]
    _check_matrix(form, shape)
    filling.unit = image.unit
    in_place = (
        form.bits_allocated == 16 and filling.voxels.dtype == np.int16 and not filling.filled[slot]
    )
    raw = filling.voxels[slot].view(form.dtype) if in_place else np.empty(shape, form.dtype)
    image.read_into(raw)
    if in_place and (done := rescale_in_place(raw, form, image.rescale)) is not None:
        filling.mark(slot, done.padding)
        return True
    values, padding = apply_rescale(raw, form, image.rescale)
    if not filling.put(slot, values, padding):
        raise VolumeError(_SHARED_POSITION)
    return True


def _fill_file(
    filling: _Slots, series: Series, file: tuple[Extent, str], places: Sequence[tuple[int, int]]
) -> None:
    pixels = PixelFile(*file)
    source = Frames(pixels.values)
    form = pixels.format
    _check_matrix(form, filling.voxels.shape[1:])
    is_ct = series.modality == "CT"
    filling.unit = "HU" if is_ct else pixels.values.text("Units")
    numbers = [series.planes[index].frame_number for index, _ in places]
    frames = pixels.frames([(number or 1) - 1 for number in numbers])
    for (_, slot), number, raw in zip(places, numbers, frames, strict=True):
        rescale = read_rescale(source.frame(number), form, is_ct=is_ct)
        values, padding = apply_rescale(raw, form, rescale)
        if not filling.put(slot, values, padding):
            raise VolumeError(_SHARED_POSITION)


def _check_matrix(form: PixelFormat, shape: tuple[int, ...]) -> None:
    if (form.rows, form.columns) != shape:
        raise PixelDataError("changed its matrix since it was described")
