"""The table of findings on the summary page: one line each, the columns that the model names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dicom_sr.drawing import SMALLEST, Colour, text_width, wrapped
from dicom_sr.wording import answer_text, raised_digits, sentence, text_of
from node.domain.finding import FINDING_SITE, Column, Finding, Findings

#: Between two columns, and where their words have no room else; room for the coloured chip, px.
GUTTER: Final = 22
NARROW_GUTTER: Final = 8
CHIP: Final = 36
#: No word is broken to less than this, px.
NARROWEST: Final = 90
#: Findings of one result that get a page; the table names the rest.
MOST_PAGES: Final = 24
NAME: Final = "Finding"
NONE: Final = "-"


@dataclass(frozen=True, slots=True)
class TableLine:
    """One line of the table: the lines of text in each cell, and the colour of its finding."""

    cells: tuple[tuple[str, ...], ...]
    colour: Colour | None = None

    @property
    def height(self) -> int:
        """In lines of text."""
        return max(len(cell) for cell in self.cells)


@dataclass(frozen=True, slots=True)
class Table:
    """Headings and lines, and where each column begins, px from the left."""

    starts: tuple[int, ...]
    head: TableLine
    lines: tuple[TableLine, ...]


def cell_of(finding: Finding, column: Column) -> str:
    """What a finding has of the concepts of a column; "-" for nothing."""
    found: list[str] = []
    for concept in column.concepts:
        key = (concept.value, concept.scheme)
        if key == (FINDING_SITE.value, FINDING_SITE.scheme):
            found.append(finding.site_words)
        found += _unit_once(
            [
                text_of(item)
                for item in finding.measurements
                if (item.name.value, item.name.scheme) == key
            ]
        )
        found += [
            raised_digits(answer_text(item)).removeprefix(column.heading).lstrip(": ")
            for item in finding.evaluations
            if (item.name.value, item.name.scheme) == key
        ]
    return ", ".join(found) or NONE


def _unit_once(values: list[str]) -> list[str]:
    """Several values of one name and one unit: only the last of them says the unit."""
    units = {value.rpartition(" ")[2] for value in values}
    if len(values) < 2 or len(units) > 1 or " " not in values[0]:
        return values
    return [*(value.rpartition(" ")[0] for value in values[:-1]), values[-1]]


def table_of(findings: Findings, width: int) -> Table:
    """The table, its columns as wide as they need where that fits, else wrapped."""
    colours = {item.number: item.colour for item in findings.segments}
    headings = [NAME, *(column.heading for column in findings.columns)]
    texts = [
        [
            sentence(finding.tracking_identifier),
            *(cell_of(finding, column) for column in findings.columns),
        ]
        for finding in findings.findings
    ]
    rows = [headings, *texts]
    gaps = len(headings) - 1
    fits = sum(_longest_words(rows)) <= width - CHIP - GUTTER * gaps
    gutter = GUTTER if fits else NARROW_GUTTER
    # No cell is wrapped for the sake of wide gaps.
    spare = (width - CHIP - sum(_longest_cells(rows))) // gaps if gaps else GUTTER
    if spare >= NARROW_GUTTER:
        gutter = min(gutter, spare)
    widths = _widths(rows, width - CHIP - gutter * gaps)
    starts, x = [], CHIP
    for each in widths:
        starts.append(x)
        x += each + gutter
    lines = tuple(
        TableLine(_wrapped(row, widths), colours.get(finding.segment_number or 0))
        for row, finding in zip(texts, findings.findings, strict=True)
    )
    return Table(tuple(starts), TableLine(_wrapped(headings, widths)), lines)


def _wrapped(row: list[str], widths: list[int]) -> tuple[tuple[str, ...], ...]:
    return tuple(
        tuple(wrapped(text, SMALLEST, width)) for text, width in zip(row, widths, strict=True)
    )


def _widths(rows: list[list[str]], room: int) -> list[int]:
    """Of the columns: what the longest cell needs; the widest give way where that is too much.

    No column gets narrower than its longest word, as long as there is room for all of these;
    else the longest words are broken, none to less than `NARROWEST`.
    """
    widths = _longest_cells(rows)
    least = _longest_words(rows)
    least = _narrowed(least, [NARROWEST] * len(least), room)
    return _narrowed(widths, least, room)


def _longest_cells(rows: list[list[str]]) -> list[int]:
    """Width of the longest cell of each column, px."""
    return [max(text_width(row[i], SMALLEST) for row in rows) for i in range(len(rows[0]))]


def _longest_words(rows: list[list[str]]) -> list[int]:
    """Width of the longest word of each column, px."""
    return [
        max(text_width(word, SMALLEST) for row in rows for word in (row[i].split() or [""]))
        for i in range(len(rows[0]))
    ]


def _narrowed(widths: list[int], least: list[int], room: int) -> list[int]:
    """The widest give way, none below its least, until all fit or nothing is left to give."""
    widths = list(widths)
    while sum(widths) > room:
        spare = [width - low for width, low in zip(widths, least, strict=True)]
        if max(spare) <= 0:
            break
        widest = max((i for i in range(len(widths)) if spare[i] > 0), key=widths.__getitem__)
        widths[widest] -= min(8, spare[widest])
    return widths
