"""The pages of a secondary capture: what every viewer shows, whatever else it supports.

A page is 1024 px square and drawn for a viewport of 512 px: no text is smaller than 28 px
here, 14 px there. Each page says which task and model speak, for whom (unless the site
forbids it), how the run ended, and that nobody has verified it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dicom_sr.drawing import (
    AMBER,
    BLUE,
    PANEL,
    QUIET,
    RED,
    SMALLEST,
    TEXT,
    Canvas,
    Colour,
    shortened,
    text_width,
    wrapped,
)
from dicom_sr.finding_table import MOST_PAGES, Table, TableLine, table_of
from dicom_sr.wording import (
    NO_RESULT,
    STATUS_WORDS,
    answer_sentence,
    has_result,
    raised_digits,
    sentence,
    short_answer,
    text_of,
)
from node.domain.finding import Findings, KeyImage, Status
from node.domain.study import Plane

SIZE: Final = 1024
MARGIN: Final = 28
SMALL: Final = SMALLEST
NORMAL: Final = 32
LARGE: Final = 44
LINE: Final = 38
BANNER: Final = 44
TOP: Final = 184
BOTTOM: Final = SIZE - BANNER - 58

RESEARCH_BANNER: Final = "RESEARCH - NOT FOR DIAGNOSIS / UNVERIFIED"
CLEARED_BANNER: Final = "AI RESULT - UNVERIFIED"

STATUS_COLOURS: Final = {
    Status.FINDINGS: BLUE,
    Status.NO_FINDINGS: BLUE,
    Status.PARTIAL: AMBER,
    Status.FAILED: RED,
    Status.NOT_ELIGIBLE: AMBER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFrame:
    """What stands on every page of a result.

    Attributes:
        title: of the task. identity: up to three lines about the patient and study; empty
            where the site keeps identity off the pages.
        images: what was looked at, one line. footer: node, model and time.
    """

    title: str
    identity: tuple[str, ...]
    images: str
    footer: str
    is_research: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A finished page: (1024, 1024, 3) uint8 RGB, and the source image it shows, if any."""

    pixels: NDArray[np.uint8]
    title: str
    plane: Plane | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a heading (value ""), or a number."""

    label: str
    value: str
    colour: Colour | None = None


def summary_pages(findings: Findings, frame: PageFrame) -> list[Page]:
    """The summary page, and what does not fit on it."""
    return _Summary(findings, frame).pages()


def table_rows(findings: Findings) -> list[Row]:
    """The measurements in words, under the name of each finding where labels repeat."""
    colours = {item.number: item.colour for item in findings.segments}
    labels = [m.label for finding in findings.findings for m in finding.measurements]
    repeated = len(set(labels)) < len(labels)
    rows: list[Row] = []
    for finding in findings.findings:
        colour = colours.get(finding.segment_number or 0)
        if repeated:
            rows.append(Row(finding.tracking_identifier, "", colour))
        for item in finding.measurements:
            rows.append(Row(item.label, text_of(item), None if repeated else colour))
    return rows + exam_rows(findings)


def exam_rows(findings: Findings) -> list[Row]:
    """The measurements of the whole exam."""
    return [Row(item.label, text_of(item)) for item in findings.exam_measurements]


def open_page(frame: PageFrame) -> Canvas:
    """A page with its banner, title, identity and footer; TOP to BOTTOM is free."""
    canvas = Canvas.blank(SIZE)
    canvas.draw.rectangle((0, 0, SIZE, BANNER), fill=AMBER if frame.is_research else PANEL)
    banner = RESEARCH_BANNER if frame.is_research else CLEARED_BANNER
    canvas.text_centred(
        (SIZE // 2, BANNER // 2), banner, NORMAL, (0, 0, 0) if frame.is_research else TEXT
    )
    left_width = SIZE - 2 * MARGIN
    if frame.identity:
        widest = max(text_width(line, SMALL) for line in frame.identity)
        widest = min(widest, SIZE // 2)
        left_width -= widest + MARGIN
        for number, line in enumerate(frame.identity[:3]):
            text = shortened(line, SMALL, SIZE // 2)
            canvas.text_right((SIZE - MARGIN, 54 + 38 * number), text, SMALL, QUIET)
    _title(canvas, frame.title, left_width)
    canvas.rule(TOP - 12, MARGIN, SIZE - MARGIN)
    canvas.rule(BOTTOM + 6, MARGIN, SIZE - MARGIN)
    canvas.text(
        (MARGIN, BOTTOM + 12), shortened(frame.footer, SMALL, SIZE - 2 * MARGIN), SMALL, QUIET
    )
    canvas.draw.rectangle(
        (0, SIZE - BANNER, SIZE, SIZE), fill=AMBER if frame.is_research else PANEL
    )
    canvas.text_centred(
        (SIZE // 2, SIZE - BANNER // 2), banner, NORMAL, (0, 0, 0) if frame.is_research else TEXT
    )
    return canvas


def _title(canvas: Canvas, title: str, width: int) -> None:
    """The title as large as fits: on one line, or on up to three smaller ones."""
    if text_width(title, LARGE) <= width:
        canvas.text((MARGIN, 54), title, LARGE)
        return
    lines = wrapped(title, SMALL, width)
    for number, line in enumerate(lines[:3]):
        rest = " ".join(lines[2:]) if number == 2 else line
        canvas.text((MARGIN, 54 + 38 * number), shortened(rest, SMALL, width), SMALL)


def close_page(canvas: Canvas, title: str, plane: Plane | None = None) -> Page:
    """The page as pixels."""
    return Page(pixels=np.asarray(canvas.image, np.uint8).copy(), title=title, plane=plane)


def _status_line(canvas: Canvas, findings: Findings, y: int, page: str = "") -> int:
    """The outcome in words with a coloured mark; returns where it ended."""
    colour = STATUS_COLOURS[findings.status]
    canvas.draw.ellipse((MARGIN, y + 8, MARGIN + 22, y + 30), fill=colour)
    canvas.text((MARGIN + 36, y), STATUS_WORDS[findings.status] + page, NORMAL, colour)
    return y + LINE + 8


def picture_page(frame: PageFrame, key: KeyImage) -> Page:
    """One key image, as large as the page allows, with caption and legend."""
    canvas = open_page(frame)
    legend = [(overlay.label, overlay.colour) for overlay in key.overlays if overlay.label]
    caption = wrapped(key.caption, SMALL, SIZE - 2 * MARGIN)[:2]
    legend_rows = _legend_rows(legend, SIZE - 2 * MARGIN)
    foot = BOTTOM - LINE * (len(caption) + len(legend_rows))
    canvas.picture(key, (MARGIN, TOP, SIZE - MARGIN, foot - 12), NORMAL)
    y = foot
    for line in caption:
        canvas.text((MARGIN, y), line, SMALL)
        y += LINE
    _draw_legend(canvas, legend_rows, (MARGIN, y))
    return close_page(canvas, key.caption, key.plane)


Legend = list[tuple[str, Colour]]


def _legend_rows(legend: Legend, width: int) -> list[Legend]:
    rows: list[Legend] = []
    used = 0
    for full, colour in legend:
        label = shortened(full, SMALL, width - 36)
        needed = 36 + text_width(label, SMALL) + 32
        if not rows or used + needed > width + 32:
            rows.append([])
            used = 0
        rows[-1].append((label, colour))
        used += needed
    return rows


def _draw_legend(canvas: Canvas, rows: list[Legend], at: tuple[int, int]) -> int:
    x0, y = at
    for row in rows:
        x = x0
        for label, colour in row:
            canvas.chip((x, y + 6), 24, colour)
            canvas.text((x + 36, y), label, SMALL)
            x += 36 + text_width(label, SMALL) + 32
        y += LINE
    return y


class _Summary:
    """The summary page, and as many more as its table and its limits need."""

    def __init__(self, findings: Findings, frame: PageFrame) -> None:
        self._findings = findings
        self._frame = frame
        self._pages: list[Page] = []
        self._canvas = open_page(frame)
        self._y = _status_line(self._canvas, findings, TOP)

    def pages(self) -> list[Page]:
        findings = self._findings
        plain = not has_result(findings.status)
        if findings.reason:
            self._paragraph(sentence(findings.reason), TEXT, LARGE if plain else NORMAL)
        if plain:
            self._paragraph(NO_RESULT, AMBER, NORMAL)
            self._paragraph(self._frame.images, QUIET, SMALL)
        tabular = bool(findings.columns)
        rows = exam_rows(findings) if tabular else table_rows(findings)
        # Without numbers the answers are the result; beside numbers they explain them.
        if not rows or tabular:
            self._answers(NORMAL)
        if tabular:
            self._findings_table()
            left_over = rows
        else:
            left_over = self._picture(findings.key_images[0], rows) if findings.key_images else rows
        self._table(left_over, (MARGIN, SIZE - MARGIN))
        if rows and not tabular:
            self._answers(SMALL)
        self._limits()
        self._turn()
        return self._pages

    def _turn(self) -> None:
        """Close the page."""
        number = len(self._pages) + 1
        title = "Summary" if number == 1 else f"Summary, page {number}"
        self._pages.append(close_page(self._canvas, title))

    def _room(self, height: int) -> None:
        """Go on to a new page when `height` px do not fit; the outcome stands on each."""
        if self._y + height > BOTTOM:
            self._turn()
            self._canvas = open_page(self._frame)
            page = f", page {len(self._pages) + 1}"
            self._y = _status_line(self._canvas, self._findings, TOP, page)

    def _paragraph(self, text: str, colour: Colour, size: int) -> None:
        step = size + 8
        lines = wrapped(raised_digits(text), size, SIZE - 2 * MARGIN)
        if len(lines) <= 8:
            self._room(step * len(lines))
        for line in lines:
            self._room(step)
            self._canvas.text((MARGIN, self._y), line, size, colour)
            self._y += step
        self._y += 8

    def _picture(self, key: KeyImage, rows: list[Row]) -> list[Row]:
        """The first key image; at the left, with the first rows of the table beside it.

        Returns:
            The rows that did not fit.
        """
        if not rows:
            top = self._y + 4
            box = (MARGIN, top, SIZE - MARGIN, min(top + 420, BOTTOM))
            self._y = self._canvas.picture(key, box, SMALL)[3] + 14
            return rows
        middle = 500
        top = self._y + 4
        foot = min(top + 470, BOTTOM)
        covered = self._canvas.picture(key, (MARGIN, top, middle - 14, foot), SMALL)
        start, self._y = self._y, top
        left = (middle + 10, SIZE - MARGIN)
        shown = 0
        for row in rows:
            height = self._row_height(row, left)
            if self._y + height > foot:
                break
            self._row(row, left)
            shown += 1
        self._y = max(covered[3], self._y, start) + 14
        return rows[shown:]

    def _row_height(self, row: Row, span: tuple[int, int]) -> int:
        return LINE * len(self._label_lines(row, span))

    def _label_lines(self, row: Row, span: tuple[int, int]) -> list[str]:
        left, right = span
        chip = 36 if row.colour else 0
        value = text_width(row.value, NORMAL) + 20 if row.value else 0
        return wrapped(row.label, SMALL, right - left - chip - value)

    def _row(self, row: Row, span: tuple[int, int]) -> None:
        left, right = span
        lines = self._label_lines(row, span)
        chip = 36 if row.colour else 0
        if row.colour:
            self._canvas.chip((left, self._y + 6), 24, row.colour)
        for number, line in enumerate(lines):
            colour = TEXT if row.value else AMBER
            self._canvas.text((left + chip, self._y + LINE * number), line, SMALL, colour)
        if row.value:
            self._canvas.text_right((right, self._y - 3), row.value, NORMAL)
        self._y += LINE * len(lines)

    def _table(self, rows: Sequence[Row], span: tuple[int, int]) -> None:
        for row in rows:
            self._room(self._row_height(row, span))
            self._row(row, span)
        if rows:
            self._y += 8

    def _findings_table(self) -> None:
        """One line for each finding; the headings again on each page that it goes on to."""
        if not self._findings.findings:
            return
        table = table_of(self._findings, SIZE - 2 * MARGIN)
        first = table.lines[0].height if table.lines else 0
        self._room(LINE * (table.head.height + first) + 12)
        self._table_line(table, table.head)
        for line in table.lines:
            before = len(self._pages)
            self._room(LINE * line.height)
            if len(self._pages) > before:
                self._table_line(table, table.head)
            self._table_line(table, line)
        self._y += 10
        if len(table.lines) > MOST_PAGES:
            told = f"Only the first {MOST_PAGES} findings have a page of their own."
            self._paragraph(told, AMBER, SMALL)

    def _table_line(self, table: Table, line: TableLine) -> None:
        is_head = line is table.head
        if line.colour is not None:
            self._canvas.chip((MARGIN, self._y + 6), 24, line.colour)
        for start, cell in zip(table.starts, line.cells, strict=True):
            for number, text in enumerate(cell):
                at = (MARGIN + start, self._y + LINE * number)
                self._canvas.text(at, text, SMALL, QUIET if is_head else TEXT)
        self._y += LINE * line.height
        if is_head:
            self._canvas.rule(self._y, MARGIN, SIZE - MARGIN)
            self._y += 8

    def _answers(self, size: int) -> None:
        for item in self._findings.exam_evaluations:
            if not self._findings.columns:
                self._paragraph(answer_sentence(item), TEXT, size)
            else:
                # The answer large, what explains it small: the table and the limits need room.
                each = SMALL if isinstance(item.value, str) else size
                self._paragraph(short_answer(item), TEXT, each)

    def _limits(self) -> None:
        if not self._findings.limits:
            return
        # Never a heading at the foot of a page whose text begins on the next.
        first = wrapped(raised_digits(self._findings.limits[0]), SMALL, SIZE - 2 * MARGIN)
        self._room(10 + LINE + (SMALL + 8) * min(len(first), 8))
        self._canvas.rule(self._y, MARGIN, SIZE - MARGIN)
        self._y += 10
        self._canvas.text((MARGIN, self._y), "Limits", SMALL, BLUE)
        self._y += LINE
        for limit in self._findings.limits:
            self._paragraph(limit, QUIET, SMALL)
