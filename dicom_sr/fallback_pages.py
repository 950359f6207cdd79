"""Pages that show a report or a segmentation to a viewer that can show nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from dicom_sr import codes
from dicom_sr.drawing import AMBER, BLUE, QUIET, TEXT, Colour, wrapped
from dicom_sr.page import (
    BOTTOM,
    LINE,
    MARGIN,
    SIZE,
    SMALL,
    TOP,
    Page,
    PageFrame,
    close_page,
    open_page,
    picture_page,
)
from dicom_sr.report_rules import named
from dicom_sr.secondary_capture import identity_lines
from dicom_sr.wording import UNIT_TEXT, raised_digits
from node.domain.errors import ResultError
from node.domain.finding import KeyImage, Overlay
from node.domain.study import Plane

#: Pages of one segmentation at most; the planes with the largest marks are shown.
MOST_PICTURES: Final = 20
#: Of each page of a report; more is cut off, and says so.
MOST_PAGES: Final = 12
INDENT: Final = 32
CT_WINDOW: Final = (40.0, 400.0)
#: Black in that window.
AIR_HU: Final = -1024.0

_HIDDEN: Final = (codes.IMAGE_LIBRARY, codes.TRACKING_UID)
#: Algorithm identification (TID 4019) and the category of a finding: of no use on a page.
_MACHINE_VALUES: Final = frozenset({"111000", "111001", "111002", "111003", "122405", "276214006"})
#: With these words the comment of a Comprehensive SR begins that stands for another report.
IN_PLACE_OF: Final = "Comprehensive SR in place of"
_SHOWN_TYPES: Final = ("NUM", "CODE", "TEXT")


@dataclass(frozen=True, slots=True)
class SourceImage:
    """One image that was segmented: its plane, and its pixels (row, column) in its unit."""

    plane: Plane
    pixels: NDArray[np.float32]
    is_ct: bool


@dataclass(frozen=True, slots=True)
class _Line:
    text: str
    depth: int
    colour: Colour


def report_pages(report: Dataset, *, identified: bool) -> tuple[Page, ...]:
    """The content of a TID 1500 report in words, as many pages as it needs.

    Args:
        identified: name the patient in the head of each page.
    """
    frame = _frame(report, identified=identified)
    canvas, y = open_page(frame), TOP
    pages: list[Page] = []
    for line in _lines(report):
        left = MARGIN + INDENT * line.depth
        for text in wrapped(raised_digits(line.text), SMALL, SIZE - MARGIN - left):
            if y + LINE > BOTTOM:
                pages.append(close_page(canvas, f"Report, page {len(pages) + 1}"))
                if len(pages) == MOST_PAGES:
                    return tuple(pages)
                canvas, y = open_page(frame), TOP
            more = len(pages) == MOST_PAGES - 1 and y + 2 * LINE > BOTTOM
            canvas.text((left, y), "... more in the report" if more else text, SMALL, line.colour)
            y += LINE
    pages.append(close_page(canvas, f"Report, page {len(pages) + 1}"))
    return tuple(pages)


def _lines(report: Dataset) -> Iterator[_Line]:
    told: dict[str, set[str]] = {}
    for section in report.get("ContentSequence", ()):
        # Language, observer, procedure and image library say nothing to a reader of a page.
        if section.get("ValueType") != "CONTAINER" or _is_hidden(section):
            continue
        for item in section.get("ContentSequence", ()):
            if item.get("ValueType") == "CONTAINER":
                yield from _of_group(item, told)
            else:
                yield from _told(item, 0)


def _of_group(group: Dataset, told: dict[str, set[str]]) -> Iterator[_Line]:
    """The lines of a measurement group that no earlier group of its finding has told."""
    members = list(group.get("ContentSequence", ()))
    names = [str(m.get("TextValue", "")) for m in members if named(m, codes.TRACKING_IDENTIFIER)]
    name = names[0] if names else ""
    if name not in told:
        yield _Line(name, 0, AMBER)
    before = told.setdefault(name, set())
    for item in members:
        if named(item, codes.TRACKING_IDENTIFIER):
            continue
        for line in _told(item, 1):
            if line.text not in before:
                before.add(line.text)
                yield line


def _is_hidden(item: Dataset) -> bool:
    names = item.get("ConceptNameCodeSequence") or [Dataset()]
    return str(names[0].get("CodeValue", "")) in _MACHINE_VALUES or any(
        named(item, concept) for concept in _HIDDEN
    )


def _told(item: Dataset, depth: int) -> Iterator[_Line]:
    kind = item.get("ValueType")
    if kind not in _SHOWN_TYPES or _is_hidden(item):
        return
    value = _value(item)
    if named(item, codes.COMMENT):
        if not value.startswith(IN_PLACE_OF):
            yield _Line(value, depth, QUIET)
        return
    modifiers = [
        _value(child)
        for child in item.get("ContentSequence", ())
        if child.get("ValueType") == "CODE"
    ]
    told = f" ({', '.join(modifiers)})" if modifiers else ""
    yield _Line(f"{_name(item)}{told}: {value}", depth, TEXT if kind == "NUM" else BLUE)


def _value(item: Dataset) -> str:
    if item.get("MeasuredValueSequence"):
        measured = item.MeasuredValueSequence[0]
        unit = measured.MeasurementUnitsCodeSequence[0]
        words = UNIT_TEXT.get(str(unit.CodeValue), str(unit.CodeMeaning))
        return f"{measured.NumericValue} {words}".rstrip()
    if item.get("ConceptCodeSequence"):
        return str(item.ConceptCodeSequence[0].CodeMeaning)
    return str(item.get("TextValue", ""))


def _name(item: Dataset) -> str:
    return str(item.ConceptNameCodeSequence[0].CodeMeaning)


def _frame(original: Dataset, *, identified: bool) -> PageFrame:
    identity = identity_lines(
        name=str(original.get("PatientName", "") or ""),
        patient_id=str(original.get("PatientID", "") or ""),
        birth_date=str(original.get("PatientBirthDate", "") or ""),
        sex=str(original.get("PatientSex", "") or ""),
        study_date=str(original.get("StudyDate", "") or ""),
    )
    date, time = str(original.ContentDate), str(original.ContentTime)
    return PageFrame(
        title=str(original.SeriesDescription).removesuffix(" RESEARCH"),
        identity=identity if identified else (),
        images="",
        footer=f"{original.Manufacturer} {original.SoftwareVersions}, "
        f"{date[:4]}-{date[4:6]}-{date[6:8]} {time[:2]}:{time[2:4]}",
        is_research=original.ContentQualification != "PRODUCT",
    )


def segmentation_pages(
    segmentation: Dataset, images: Mapping[tuple[str, int | None], SourceImage], *, identified: bool
) -> tuple[Page, ...]:
    """Each segmented plane with its segments over the image; the largest marks first choice.

    Args:
        segmentation: BINARY, with its pixels.
        images: source images by SOP Instance UID and frame number; one that is missing is
            drawn black.
    """
    frame = _frame(segmentation, identified=identified)
    planes = _planes_of(segmentation)
    if not planes:
        raise ResultError("no frame of the segmentation names its source image")
    masks = segmentation.pixel_array.astype(bool)
    masks = masks[None] if masks.ndim == 2 else masks
    largest = sorted(planes, key=lambda key: -sum(int(masks[n].sum()) for n, _ in planes[key]))
    shown = [key for key in planes if key in set(largest[:MOST_PICTURES])]
    described = {int(item.SegmentNumber): item for item in segmentation.SegmentSequence}
    pages = []
    for key in shown:
        overlays = tuple(
            Overlay(
                mask=masks[number],
                colour=_colour(described[segment]),
                label=str(described[segment].SegmentLabel),
            )
            for number, segment in planes[key]
        )
        caption = f"Plane {list(planes).index(key) + 1} of {len(planes)} segmented planes"
        pages.append(
            picture_page(frame, _key_image(segmentation, images.get(key), overlays, caption))
        )
    return tuple(pages)


def sources_of(segmentation: Dataset) -> Iterator[tuple[int, int, Dataset]]:
    """(frame index, segment number, source image item) of each frame that names its source."""
    for index in range(len(segmentation.PerFrameFunctionalGroupsSequence)):
        derivation = _macro(segmentation, index, "DerivationImageSequence")
        identification = _macro(segmentation, index, "SegmentIdentificationSequence")
        images = derivation.get("SourceImageSequence") or ()
        if images and "ReferencedSegmentNumber" in identification:
            yield index, int(identification.ReferencedSegmentNumber), images[0]


def image_key(source: Dataset) -> tuple[str, int | None]:
    """SOP Instance UID and frame number of a source image item."""
    number = source.get("ReferencedFrameNumber")
    return str(source.ReferencedSOPInstanceUID), None if number is None else int(number)


def _macro(segmentation: Dataset, index: int, keyword: str) -> Dataset:
    """The item of a functional group macro for a frame, its own or the shared one."""
    own = segmentation.PerFrameFunctionalGroupsSequence[index]
    shared = segmentation.SharedFunctionalGroupsSequence[0]
    for group in (own, shared):
        if group.get(keyword):
            item: Dataset = group[keyword].value[0]
            return item
    return Dataset()


def _planes_of(segmentation: Dataset) -> dict[tuple[str, int | None], list[tuple[int, int]]]:
    """(frame index, segment number) of each source image, in the order of the frames."""
    planes: dict[tuple[str, int | None], list[tuple[int, int]]] = {}
    for index, segment, source in sources_of(segmentation):
        planes.setdefault(image_key(source), []).append((index, segment))
    return planes


def _key_image(
    segmentation: Dataset, image: SourceImage | None, overlays: tuple[Overlay, ...], caption: str
) -> KeyImage:
    shape = overlays[0].mask.shape
    pixels = np.full(shape, AIR_HU, np.float32)
    window = CT_WINDOW
    if image is not None and image.pixels.shape == shape:
        pixels = image.pixels
        if not image.is_ct:
            low, high = np.percentile(pixels, (1, 99))
            window = (float(low + high) / 2, max(1.0, float(high - low)))
    else:
        caption += ", without the image"
    measures = _macro(segmentation, 0, "PixelMeasuresSequence")
    return KeyImage(
        pixels=pixels,
        window=window,
        pixel_mm=(float(measures.PixelSpacing[0]), float(measures.PixelSpacing[1])),
        plane=None if image is None else image.plane,
        caption=caption,
        overlays=overlays,
        edges=_edges(_macro(segmentation, 0, "PlaneOrientationSequence")),
    )


def _edges(orientation: Dataset) -> tuple[str, str, str, str]:
    """(left, right, top, bottom) letters of the page, PS3.3 C.7.6.1.1.1."""
    if "ImageOrientationPatient" not in orientation:
        return ("", "", "", "")
    cosines = [float(v) for v in orientation.ImageOrientationPatient]
    right, bottom = _towards(cosines[:3]), _towards(cosines[3:])
    opposite = {"L": "R", "R": "L", "P": "A", "A": "P", "H": "F", "F": "H"}
    return (opposite[right], right, opposite[bottom], bottom)


def _towards(direction: list[float]) -> str:
    axis = int(np.argmax(np.abs(direction)))
    return ("LPH" if direction[axis] > 0 else "RAF")[axis]


def _colour(segment: Dataset) -> Colour:
    """RecommendedDisplayCIELabValue as sRGB (PS3.3 C.10.7.1.1, D65)."""
    stored = segment.get("RecommendedDisplayCIELabValue")
    if stored is None:
        return AMBER
    light = float(stored[0]) * 100 / 65535
    a, b = (float(v) * 255 / 65535 - 128 for v in stored[1:3])
    fy = (light + 16) / 116
    xyz = [
        white * (f**3 if f > 6 / 29 else 3 * (6 / 29) ** 2 * (f - 4 / 29))
        for white, f in ((0.95047, fy + a / 500), (1.0, fy), (1.08883, fy - b / 200))
    ]
    linear = (
        np.array(
            [
                [3.2404542, -1.5371385, -0.4985314],
                [-0.9692660, 1.8760108, 0.0415560],
                [0.0556434, -0.2040259, 1.0572252],
            ]
        )
        @ xyz
    )
    linear = np.clip(linear, 0.0, 1.0)
    curved = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    red, green, blue = (round(float(v) * 255) for v in curved)
    return red, green, blue
