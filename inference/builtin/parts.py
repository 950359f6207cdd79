"""What a label map holds: each structure as a whole, each lesion as a part of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inference.builtin import words
from inference.builtin.shape import axes_mm
from inference.steps.labels import components
from models.manifest_results import LabelResult
from models.outline import outer_polygon
from node.domain.finding import Contour, Measurement
from node.domain.imaging import Volume
from node.domain.label_map import Labels

Box = tuple[slice, slice, slice]
#: Outlines of one thing on one image.
MOST_PIECES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One thing that was found.

    Attributes:
        box: where it lies in the volume. mask: (slice, row, column) bool inside the box.
        plane: index of the slice that shows most of it.
    """

    result: LabelResult
    box: Box
    mask: NDArray[np.bool_]
    voxels: int
    plane: int

    @property
    def on_plane(self) -> NDArray[np.bool_]:
        """(row, column) inside the box, on its slice."""
        return np.asarray(self.mask[self.plane - self.box[0].start], np.bool_)

    def is_cut(self, slices: int) -> bool:
        """Does it reach the ends of the volume, or the slice before, where networks see less?"""
        return bool(self.box[0].start <= 1 or self.box[0].stop >= slices - 1)


def parts_of(labels: Labels, results: tuple[LabelResult, ...], voxel_ml: float) -> Iterator[Part]:
    """In the order of `results:`; lesions the largest first, as many as the package reports."""
    boxes = ndimage.find_objects(labels)
    for result in results:
        found = boxes[result.value - 1] if result.value <= len(boxes) else None
        if found is None:
            continue
        box = _box(found)
        mask = np.asarray(labels[box] == result.value, np.bool_)
        if result.kind == "structure":
            if mask.sum() * voxel_ml >= result.least_ml:
                yield _part(result, box, mask)
        else:
            yield from _lesions(result, box, mask, voxel_ml)


def _lesions(
    result: LabelResult, box: Box, mask: NDArray[np.bool_], voxel_ml: float
) -> Iterator[Part]:
    numbered, count = components(mask, 26)
    sizes = np.bincount(numbered.ravel(), minlength=count + 1)[1:]
    inner = ndimage.find_objects(numbered)
    for index in np.argsort(-sizes, kind="stable")[: result.at_most]:
        if sizes[index] * voxel_ml < result.least_ml:
            return
        at = inner[index]
        outer = _box(
            slice(whole.start + part.start, whole.start + part.stop)
            for whole, part in zip(box, at, strict=True)
        )
        yield _part(result, outer, np.asarray(numbered[at] == index + 1, np.bool_))


def _box(slices: Iterable[slice]) -> Box:
    first, second, third = slices
    return first, second, third


def _part(result: LabelResult, box: Box, mask: NDArray[np.bool_]) -> Part:
    areas = mask.sum(axis=(1, 2))
    return Part(
        result=result,
        box=box,
        mask=mask,
        voxels=int(areas.sum()),
        plane=box[0].start + int(areas.argmax()),
    )


def numbered(parts: list[Part], shape: tuple[int, ...]) -> Labels:
    """(slice, row, column): the number of each part, from 1."""
    numbers: Labels = np.zeros(shape, np.uint16) if len(parts) > 255 else np.zeros(shape, np.uint8)
    for number, part in enumerate(parts, start=1):
        numbers[part.box][part.mask] = number
    return numbers


def contours_of(part: Part, volume: Volume) -> tuple[Contour, ...]:
    """Outlines on the slice that shows most of it: of the largest pieces there, largest first."""
    pieces, count = ndimage.label(part.on_plane)
    sizes = np.bincount(pieces.ravel(), minlength=count + 1)[1:]
    corner = np.array([part.box[2].start, part.box[1].start], np.float32)
    return tuple(
        Contour(
            plane=volume.planes[part.plane],
            points=outer_polygon(np.asarray(pieces == index + 1, np.bool_)) + corner,
        )
        for index in np.argsort(-sizes, kind="stable")[:MOST_PIECES]
    )


def measurements_of(
    part: Part, volume: Volume, certainty: NDArray[np.float32] | None
) -> tuple[Measurement, ...]:
    """What the package asks to measure, in its order; attenuation only of volumes in HU.

    Args:
        certainty: (slice, row, column) probability of the chosen label, where it was kept.
    """
    found = []
    for measure in part.result.measure:
        if measure != "certainty":
            found.append(_measured(measure, part, volume))
        elif certainty is not None:
            found.append(
                Measurement(
                    name=words.CERTAINTY,
                    value=100.0 * float(certainty[part.box][part.mask].mean(dtype=np.float64)),
                    unit=words.PERCENT,
                    label=f"{part.result.name} certainty",
                    decimals=0,
                )
            )
    return tuple(item for item in found if item is not None)


def _measured(measure: str, part: Part, volume: Volume) -> Measurement | None:
    name = part.result.name
    if measure == "volume":
        ml = part.voxels * volume.voxel_ml
        return Measurement(
            name=words.VOLUME,
            value=ml,
            unit=words.CM3,
            label=f"{name} volume",
            decimals=1 if ml >= 10 else 2,
        )
    if measure == "attenuation":
        if volume.unit != "HU":
            return None
        return Measurement(
            name=words.ATTENUATION,
            value=float(volume.voxels[part.box][part.mask].mean(dtype=np.float64)),
            unit=words.HU,
            label=f"{name} mean attenuation",
            derivation=words.MEAN,
        )
    if measure == "area":
        across = np.cross(volume.affine[:3, 1], volume.affine[:3, 2])
        return Measurement(
            name=words.AREA,
            value=float(part.on_plane.sum()) * float(np.linalg.norm(across)) / 100.0,
            unit=words.CM2,
            label=f"{name} largest area",
            decimals=2,
        )
    spacing = volume.spacing_mm
    return _axis(measure, axes_mm(part.on_plane, (spacing[1], spacing[2])), name)


def _axis(measure: str, axes: tuple[float, float], name: str) -> Measurement:
    long_axis, short_axis = axes
    if measure == "long_axis":
        return Measurement(
            name=words.LONG_AXIS, value=long_axis, unit=words.MM, label=f"{name} long axis"
        )
    if measure == "short_axis":
        return Measurement(
            name=words.SHORT_AXIS, value=short_axis, unit=words.MM, label=f"{name} short axis"
        )
    return Measurement(
        name=words.DIAMETER,
        value=(long_axis + short_axis) / 2,
        unit=words.MM,
        label=f"{name} mean diameter",
        derivation=words.MEAN,
    )
