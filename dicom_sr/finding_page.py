"""The page of one finding: key slice, three planes, what was measured, how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dicom_sr.drawing import (
    AMBER,
    BLACK,
    BLUE,
    QUIET,
    TEXT,
    Box,
    Canvas,
    Colour,
    shortened,
    text_width,
    wrapped,
)
from dicom_sr.finding_table import MOST_PAGES
from dicom_sr.page import (
    BOTTOM,
    LARGE,
    LINE,
    MARGIN,
    NORMAL,
    SIZE,
    SMALL,
    TOP,
    Page,
    PageFrame,
    close_page,
    open_page,
)
from dicom_sr.wording import raised_digits, sentence, short_answer, text_of
from node.domain.finding import Finding, Findings, KeyImage

#: Where the large picture, the words beside it and the row of small pictures are.
MIDDLE: Final = 492
UPPER_TOP: Final = TOP + 52
SMALL_TOP: Final = 648
#: Between two small pictures, px.
GAP: Final = 12
#: Between two lines of words, px: the widest with which all of them fit beside the picture.
PITCHES: Final = (34, 32, 30)
#: Below an answer, px more.
_ANSWER_GAP: Final = 4
#: Length of the scale, mm.
SCALE_MM: Final = 10.0
#: Between a lesion and the ends of the cross-hair, px.
FREE: Final = 14


def finding_pages(findings: Findings, frame: PageFrame) -> list[Page]:
    """Pages of every finding that has pictures, in the order of the findings."""
    pages: list[Page] = []
    shown = 0
    for finding in findings.findings:
        pictures = [key for key in findings.key_images if key.tracking_uid == finding.tracking_uid]
        if pictures and shown < MOST_PAGES:
            pages += _pages_of(finding, pictures, (findings, frame))
            shown += 1
    return pages


def shows_a_finding(findings: Findings, key: KeyImage) -> bool:
    """Does the picture stand on the page of a finding?"""
    return any(key.tracking_uid == one.tracking_uid for one in findings.findings)


def _pages_of(
    finding: Finding, pictures: Sequence[KeyImage], whole: tuple[Findings, PageFrame]
) -> list[Page]:
    findings, frame = whole
    colour = next(
        (item.colour for item in findings.segments if item.number == finding.segment_number), AMBER
    )
    title = heading(finding)
    canvas = _headed(frame, title, colour)
    key = pictures[0]
    foot = SMALL_TOP - LINE - 14
    box = (MARGIN, UPPER_TOP, MIDDLE - 20, foot)
    _cross_hair(canvas, key, canvas.whole_picture(key, box, SMALL))
    caption = shortened(key.caption, SMALL, MIDDLE - 20 - MARGIN)
    canvas.text((MARGIN, foot + 6), caption, SMALL, QUIET)
    left_over = _words(canvas, words_of(finding), (MIDDLE, UPPER_TOP, SIZE - MARGIN, foot + LINE))
    _small_pictures(canvas, pictures[1:4])
    pages = [close_page(canvas, title, key.plane)]
    while left_over:
        canvas = _headed(frame, f"{title}, continued", colour)
        rest = _words(canvas, left_over, (MARGIN, UPPER_TOP, SIZE - MARGIN, BOTTOM))
        pages.append(close_page(canvas, f"{title}, continued"))
        if len(rest) == len(left_over):
            break
        left_over = rest
    return pages


def heading(finding: Finding) -> str:
    """ "Nodule 1, right upper lobe"."""
    # A name that is a place already says where it is.
    if finding.is_named_by_place:
        return sentence(finding.tracking_identifier)
    return sentence(f"{finding.tracking_identifier}: {finding.site_words}")


def _headed(frame: PageFrame, title: str, colour: Colour) -> Canvas:
    canvas = open_page(frame)
    canvas.chip((MARGIN, TOP + 4), 30, colour)
    room = SIZE - 2 * MARGIN - 44
    size = next(
        (s for s in (LARGE, NORMAL + 4, NORMAL) if len(wrapped(title, s, room)) == 1), SMALL
    )
    canvas.text((MARGIN + 44, TOP - 2), shortened(title, size, room), size)
    return canvas


#: (label, value) of a number; (sentence, "") of an answer.
Words = tuple[str, str]


def words_of(finding: Finding) -> list[Words]:
    """Answers, then numbers: what does not fit beside the picture goes to another page."""
    numbers = [(item.label, text_of(item)) for item in finding.measurements]
    answers = [
        (raised_digits(short_answer(item)), "")
        for item in finding.evaluations
        if not item.is_short_form
    ]
    return answers + numbers


def _words(canvas: Canvas, words: Sequence[Words], box: Box) -> list[Words]:
    """Write what fits; returns the rest."""
    left, y, right, foot = box
    lines_of = [_label_lines(one, right - left) for one in words]
    count = sum(map(len, lines_of))
    gaps = _ANSWER_GAP * sum(not value for _, value in words)
    pitch = next((one for one in PITCHES if y + one * count + gaps <= foot), PITCHES[0])
    for place, ((_, value), lines) in enumerate(zip(words, lines_of, strict=True)):
        if y + pitch * len(lines) > foot:
            return list(words[place:])
        for number, line in enumerate(lines):
            canvas.text((left, y + pitch * number), line, SMALL, QUIET if value else TEXT)
        if value:
            canvas.text_right((right, y - 3), value, NORMAL)
        y += pitch * len(lines) + (0 if value else _ANSWER_GAP)
    return []


def _label_lines(words: Words, room: int) -> list[str]:
    label, value = words
    return wrapped(label, SMALL, room - (text_width(value, NORMAL) + 18 if value else 0))


def _small_pictures(canvas: Canvas, pictures: Sequence[KeyImage]) -> None:
    """The planes side by side, each with its name, letters, cross-hair and scale."""
    width = (SIZE - 2 * MARGIN - 2 * GAP) // 3
    for number, key in enumerate(pictures):
        left = MARGIN + number * (width + GAP)
        inner = canvas.whole_picture(key, (left, SMALL_TOP, left + width, BOTTOM), SMALL)
        _cross_hair(canvas, key, inner)
        _scale(canvas, key, inner)
        canvas.text((left, SMALL_TOP - 4), shortened(key.caption, SMALL, width // 2), SMALL, QUIET)


def _cross_hair(canvas: Canvas, key: KeyImage, inner: Box) -> None:
    """Thin lines from the edges of a picture towards the lesion, open around it."""
    union: NDArray[np.bool_] = np.zeros(key.pixels.shape, np.bool_)
    for overlay in key.overlays:
        union |= overlay.mask
    if not union.any():
        return
    left, top, right, bottom = inner
    rows, columns = np.nonzero(union)
    height, width = key.pixels.shape
    per_column, per_row = (right - left) / width, (bottom - top) / height
    x = left + round(float(columns.min() + columns.max() + 1) / 2 * per_column)
    y = top + round(float(rows.min() + rows.max() + 1) / 2 * per_row)
    extent = max(float(np.ptp(columns)) * per_column, float(np.ptp(rows)) * per_row)
    free = round(extent / 2) + FREE
    lines: tuple[Box, ...] = (
        (left, y, x - free, y),
        (x + free, y, right - 1, y),
        (x, top, x, y - free),
        (x, y + free, x, bottom - 1),
    )
    for line in lines:
        if line[0] <= line[2] and line[1] <= line[3]:
            canvas.draw.line(line, fill=BLUE, width=1)


def _scale(canvas: Canvas, key: KeyImage, inner: Box) -> None:
    """A line of 10 mm, named, in the lower corner of a picture."""
    left, _, right, bottom = inner
    length = round(SCALE_MM / (key.pixels.shape[1] * key.pixel_mm[1]) * (right - left))
    y, x = bottom - 8, left + 8
    canvas.draw.line((x, y, x + length, y), fill=BLACK, width=7)
    canvas.draw.line((x, y, x + length, y), fill=TEXT, width=3)
    canvas.on_image((x, y - 6), f"{SCALE_MM:g} mm", SMALL, "ls")
