"""A fast look at a few slices of an axial CT: which region, is there contrast, is the body cut.

Nothing here measures anything that is reported. It says what the header should have said, so
that the two can be compared, and it says nothing (None) where it is not sure. Half a second for
a series, whatever its length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from inference.attributes import UNREADABLE, Frames
from inference.codecs import PixelFile
from inference.rescale import apply_rescale, read_rescale
from inference.vessels import Vessel, same_vessel, spine_in, vessel_in
from node.domain.errors import VolumeError
from node.domain.facts import FACTS, REGIONS, SeriesFacts
from node.domain.study import Plane, Series, SeriesGeometry

#: Names of the facts that only pixels tell.
PIXEL_FACTS = frozenset(name for name, fact in FACTS.items() if fact.pixels)

#: Slices that are looked at, evenly spread over the stack.
SLICES = 9
#: Pixels are skipped until they are about this large.
PIXEL_MM = 1.5
#: In-plane spacings at which a body can be told from its parts.
SPACINGS_MM = (0.2, 3.0)
#: Fewer slices than this decide nothing about contrast.
SLICES_FOR_CONTRAST = 3
#: Body along the edge of the field, longest stretch, that is more than the couch or an elbow.
CUT_MM = 25.0
#: More than this along the edge is a cropped image, of which the region cannot be told.
CROPPED_MM = 180.0


@dataclass(frozen=True, slots=True)
class Sight:
    """What the pixels show; None where they do not tell."""

    region: tuple[str, ...] | None = None
    contrast: bool | None = None
    vessel_hu: float | None = None
    truncated: bool | None = None


@dataclass(frozen=True, slots=True)
class _Slice:
    """One looked-at slice.

    Attributes:
        has_spine: a vessel would have been found; without a spine it is not known.
        cut_mm: longest stretch of body on the edge of the field.
    """

    region: str
    vessel: Vessel | None
    has_spine: bool
    cut_mm: float


def look_at(series: Series) -> Sight:
    """Look at some slices; an empty `Sight` for what is no readable axial CT."""
    geometry = series.geometry
    spacing = geometry.pixel_spacing_mm if geometry else None
    if series.modality != "CT" or not series.has_pixels or geometry is None or spacing is None:
        return Sight()
    known = all(SPACINGS_MM[0] <= value <= SPACINGS_MM[1] for value in spacing)
    if geometry.orientation != "axial" or not known or "LOCALIZER" in series.image_type:
        return Sight()
    seen = []
    for plane in _spread(series.planes):
        image = _read(plane, series)
        if image is not None:
            found = _slice(*_from_front_to_back(image, spacing, geometry))
            seen += [found] if found is not None else []
    return _together(seen) if seen else Sight()


def with_pixels(facts: SeriesFacts, sight: Sight) -> SeriesFacts:
    """The facts with what was seen; disagreement with the header is a fact of its own."""
    header, seen = facts.header_region, sight.region
    apart = header is not None and seen is not None and not _overlap(header, seen)
    told, contrast = facts.header_contrast, sight.contrast
    both = told is not None and contrast is not None
    return replace(
        facts,
        pixel_region=seen,
        region_disagrees=None if header is None or seen is None else apart,
        body_region=header or seen,
        pixel_contrast=contrast,
        contrast_disagrees=told != contrast if both else None,
        # What was ordered counts last.
        contrast=next((one for one in (told, contrast) if one is not None), facts.contrast),
        vessel_hu=sight.vessel_hu,
        truncated=sight.truncated,
    )


#: What lies within what, for the question whether header and pixels contradict each other.
_WITHIN = {
    "heart": ("chest",),
    "breast": ("chest",),
    "spine": ("neck", "chest", "abdomen", "pelvis"),
    "whole_body": REGIONS,
    # The dome of the liver in a chest, the bases of the lungs in an abdomen.
    "chest": ("neck",),
    "abdomen": ("pelvis",),
    "pelvis": ("abdomen", "lower_limb"),
    "neck": ("head",),
}


def _overlap(header: Sequence[str], seen: Sequence[str]) -> bool:
    wide = {*header, *(region for one in header for region in _WITHIN.get(one, ()))}
    return not wide.isdisjoint(seen)


def _spread(planes: Sequence[Plane]) -> list[Plane]:
    """Away from the ends, where scanners pad and half slices lie."""
    if len(planes) <= SLICES:
        return list(planes)
    places = (np.arange(SLICES) + 0.5) / SLICES * len(planes)
    return [planes[int(place)] for place in places]


def _read(plane: Plane, series: Series) -> NDArray[np.float32] | None:
    """(row, column) HU, or None where the slice cannot be decoded or is not in HU."""
    syntaxes = {i.extent: i.transfer_syntax_uid for i in series.instances}
    try:
        pixels = PixelFile(plane.extent, syntaxes.get(plane.extent, ""))
        rescale = read_rescale(
            Frames(pixels.values).frame(plane.frame_number), pixels.format, is_ct=True
        )
        (raw,) = pixels.frames([(plane.frame_number or 1) - 1])
        values, padding = apply_rescale(raw, pixels.format, rescale)
    except (VolumeError, *UNREADABLE):
        return None
    image = values.astype(np.float32)
    if padding is not None:
        image[padding] = np.nan
    return image


def _from_front_to_back(
    image: NDArray[np.float32], spacing: tuple[float, float], geometry: SeriesGeometry
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Rows from anterior to posterior, however the patient lay on the couch.

    Returns:
        The image, (row, column), and its spacing, (between rows, between columns), mm.
    """
    down = geometry.column_cosines
    if abs(down[1]) < abs(geometry.row_cosines[1]):
        image, spacing, down = image.T, (spacing[1], spacing[0]), geometry.row_cosines
    return (image if down[1] > 0 else image[::-1]), spacing


def _slice(image: NDArray[np.float32], spacing: tuple[float, float]) -> _Slice | None:
    """Region, vessel and cut of one slice; None where there is no body in it."""
    step = max(1, round(PIXEL_MM / min(spacing)))
    if step > 1:
        # Means of blocks: a bone kernel is too noisy pixel by pixel.
        rows, columns = (side // step * step for side in image.shape)
        blocks = image[:rows, :columns].reshape(rows // step, step, columns // step, step)
        image = blocks.mean(axis=(1, 3))
    pixel = (spacing[0] * step, spacing[1] * step)
    field = np.isfinite(image) & _field(image)
    image = np.where(field, image, -1024)
    body = _body(image, pixel)
    if body is None:
        return None
    cut = _cut_mm(body, field, pixel)
    region = _region(image, body, pixel) if cut < CROPPED_MM else ""
    trunk = region in ("chest", "abdomen", "pelvis")
    spine = spine_in(image, body, pixel) if trunk else None
    vessel = vessel_in(image, body, pixel, spine) if spine is not None else None
    return _Slice(region, vessel, spine is not None, cut)


def _field(image: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where the scanner reconstructed: without the flat corners outside of the circle."""
    corner = image[0, 0]
    if not np.isfinite(corner) or corner > -950:
        return np.ones(image.shape, dtype=np.bool_)
    flat = np.abs(image - corner) < 0.5
    labels, _ = ndimage.label(flat)
    outside = np.isin(
        labels, np.unique([labels[0, 0], labels[0, -1], labels[-1, 0], labels[-1, -1]])
    )
    outside &= flat
    # Air around the patient is flat in simulated images: that is no edge of a field.
    return ~outside if 0.1 < float(outside.mean()) < 0.3 else np.ones(image.shape, dtype=np.bool_)


def _body(image: NDArray[np.float32], pixel: tuple[float, float]) -> NDArray[np.bool_] | None:
    """The largest piece of tissue with what it encloses, freed of the couch."""
    tissue = ndimage.binary_opening(image > -300, iterations=max(1, round(3 / pixel[0])))
    labels, count = ndimage.label(tissue)
    if not count:
        return None
    sizes = ndimage.sum_labels(tissue, labels, np.arange(1, count + 1))
    body = ndimage.binary_fill_holes(labels == 1 + int(np.argmax(sizes)))
    area_cm2 = float(body.sum()) * pixel[0] * pixel[1] / 100
    return body if area_cm2 >= 20 else None


def _region(image: NDArray[np.float32], body: NDArray[np.bool_], pixel: tuple[float, float]) -> str:
    """One of head, neck, chest, abdomen, pelvis, lower_limb; "" where it is not clear."""
    area = float(body.sum()) * pixel[0] * pixel[1] / 100
    columns = np.flatnonzero(body.any(axis=0))
    width = (columns[-1] - columns[0] + 1) * pixel[1] / 10
    lung = float(((image < -600) & (image > -1010) & body).sum()) / float(body.sum())
    bone_mask = (image > 200) & body
    bone = float(bone_mask.sum()) / float(body.sum())
    if width < 22 and area < 330:
        if bone > 0.10 and area > 90:
            return "head"
        airway = float(((image < -500) & body).sum()) * pixel[0] * pixel[1] / 100
        return "neck" if 60 < area < 220 and bone > 0.02 and 0.5 < airway < 15 else ""
    if lung > 0.12:
        return "chest"
    if area < 200:
        return ""
    if bone > 0.045 and lung < 0.02 and _lateral(bone_mask, body) > 0.22:
        return "pelvis"
    return "abdomen" if lung < 0.05 and bone < 0.12 else ""


def _lateral(bone: NDArray[np.bool_], body: NDArray[np.bool_]) -> float:
    """Spread of the bone to the sides, as a fraction of the width of the body."""
    across = np.flatnonzero(body.any(axis=0))
    width = float(across[-1] - across[0] + 1)
    columns = np.nonzero(bone)[1]
    return float(columns.std()) / width if columns.size else 0.0


def _cut_mm(body: NDArray[np.bool_], field: NDArray[np.bool_], pixel: tuple[float, float]) -> float:
    """Longest stretch of the body along the edge of the reconstructed field, mm."""
    padded = np.pad(field, 1)
    inner = ndimage.binary_erosion(padded, np.ones((3, 3), dtype=np.bool_))[1:-1, 1:-1]
    edge = field & ~inner & body
    labels, count = ndimage.label(edge, np.ones((3, 3), dtype=np.bool_))
    if not count:
        return 0.0
    longest = 0.0
    for rows, columns in ndimage.find_objects(labels):
        high = (rows.stop - rows.start) * pixel[0]
        wide = (columns.stop - columns.start) * pixel[1]
        longest = max(longest, float(np.hypot(high, wide)))
    return longest


def _in_order(seen: Sequence[_Slice]) -> list[_Slice]:
    """What lies out of order, from feet to head, is something else than it looks like.

    A thin waist looks like a neck, and shoulders look like a pelvis: bone at both sides.
    """
    trunk = [i for i, one in enumerate(seen) if one.region in ("chest", "abdomen", "pelvis")]
    last = trunk[-1] if trunk else -1
    seen = [
        replace(one, region="") if one.region in ("neck", "head") and index < last else one
        for index, one in enumerate(seen)
    ]
    names = [one.region for one in seen]
    found = []
    for index, one in enumerate(seen):
        beside = {"neck", "head"}.intersection(names) and "abdomen" not in names
        shoulders = one.region == "pelvis" and ("chest" in names[:index] or beside)
        found.append(replace(one, region="chest") if shoulders else one)
    return found


def _together(seen: Sequence[_Slice]) -> Sight:
    seen = _in_order(seen)
    regions = Counter(one.region for one in seen if one.region)
    # A region counts that fills a quarter of the slices: its neighbour lies at every border.
    enough = max(1.0, len(seen) / 4)
    found = tuple(region for region in REGIONS if regions[region] >= enough)
    trunk = [one for one in seen if one.region in ("chest", "abdomen", "pelvis")]
    vessels = [one.vessel for one in trunk if one.vessel is not None]
    contrast: bool | None = None
    hu = None
    kept = same_vessel(vessels)
    if len(kept) >= 2:
        contrast, hu = True, float(np.median([vessel.hu for vessel in kept]))
    elif not vessels:
        seen_through = [one for one in trunk if one.has_spine and one.region != "pelvis"]
        contrast = False if len(seen_through) >= SLICES_FOR_CONTRAST else None
    cut = sum(one.cut_mm > CUT_MM for one in seen)
    return Sight(found or None, contrast, hu, cut * 3 >= len(seen))
