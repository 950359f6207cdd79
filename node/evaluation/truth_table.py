"""Reads a truth table (CSV); every fault of it is named with line, column and remedy."""

from __future__ import annotations

import csv
import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from node.domain.acute import AcuteFinding
from node.domain.errors import ConfigError, ConfigFault
from node.domain.reported import Code
from node.evaluation.naming import finding_code
from node.evaluation.truth import (
    ACCESSION,
    STUDY_UID,
    Lesion,
    Statement,
    StudyTruth,
    Target,
    TruthTable,
    ValueColumn,
)
from node.evaluation.truth_columns import (
    COLUMNS,
    IMAGE,
    NEGATIVE,
    POSITIVE,
    SPACE,
    UID,
    VALUE,
)

SHOWN_FAULTS: Final = 50


def read_truth(
    path: Path, acute: Mapping[str, Sequence[AcuteFinding]], *, tolerance_mm: float | None = None
) -> TruthTable:
    """Read and check the table.

    Args:
        acute: acute findings of the installed packages, which may be named by their names.
        tolerance_mm: smallest distance within which a lesion counts as found.

    Raises:
        ConfigError: the table cannot be used; every fault with line, column and remedy.
    """
    reading = _Reading(path, acute, tolerance_mm)
    table = reading.read()
    faults = sorted(reading.faults, key=lambda fault: (fault.line, fault.column))
    if faults:
        shown = [str(fault) for fault in faults[:SHOWN_FAULTS]]
        if len(faults) > SHOWN_FAULTS:
            shown.append(f"{path}: and {len(faults) - SHOWN_FAULTS} more faults")
        raise ConfigError("\n".join(shown), faults=faults)
    return table


@dataclass(slots=True)
class _Study:
    """What has been read of one study so far."""

    line: int
    labels: dict[Target, tuple[bool | None, int]] = field(default_factory=dict)
    lesions: dict[Target, list[Lesion]] = field(default_factory=dict)
    values: dict[str, float] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Row:
    """One line of the table, by the name of the column."""

    line: int
    cells: Mapping[str, str]

    def get(self, name: str) -> str:
        return self.cells.get(name, "")


class _Reading:
    """One reading of one file."""

    def __init__(
        self, path: Path, acute: Mapping[str, Sequence[AcuteFinding]], tolerance_mm: float | None
    ) -> None:
        self._path = path
        self._acute = acute
        self._tolerance_mm = tolerance_mm
        self._columns: dict[str, int] = {}
        self._values: dict[str, ValueColumn] = {}
        self._comma = False
        self._codes: dict[str, Code | None] = {}
        self.faults: list[ConfigFault] = []

    def read(self) -> TruthTable:
        """The table, as far as it is sound; `faults` says what is not."""
        rows = self._rows()
        title = next(rows, None)
        if title is None:
            self._fault(1, "", "the table is empty", "write a line of column names, then the rows")
            return self._table("", {})
        self._head(title[1])
        if self.faults:
            return self._table("", {})
        keyed_by = STUDY_UID if STUDY_UID in self._columns else ACCESSION
        studies: dict[str, _Study] = {}
        for line, cells in rows:
            if any(cell.strip() for cell in cells):
                self._row(line, cells, keyed_by, studies)
        if not studies and not self.faults:
            self._fault(2, keyed_by, "no study is named", "write one line for each study")
        return self._table(keyed_by, studies)

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """(line, cells); the line is the one on which the row begins."""
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as stream:
                kind = max(",;\t", key=stream.readline().count)
                self._comma = kind != ","
                stream.seek(0)
                reader = csv.reader(stream, delimiter=kind)
                begin = 1
                for cells in reader:
                    yield begin, cells
                    begin = reader.line_num + 1
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            why = getattr(error, "strerror", None) or str(error)
            remedy = "name a CSV file in UTF-8 (in Excel: 'CSV UTF-8')"
            raise ConfigError(
                f"{self._path}: cannot be read as a truth table ({why}) - {remedy}"
            ) from None

    def _head(self, titles: Sequence[str]) -> None:
        for number, raw in enumerate(titles, 1):
            title = raw.strip()
            if not title:
                continue
            short = re.sub(r"[^a-z0-9]", "", title.lower())
            value = VALUE.fullmatch(title)
            name = COLUMNS.get(short, title)
            if name in self._columns:
                self._columns[title] = number
                self._fault(1, title, "the column is there twice", "rename or delete one of them")
                continue
            self._columns[name] = number
            if short in COLUMNS:
                continue
            if value is not None:
                self._values[title] = ValueColumn(
                    title=title, name=value["name"], unit=value["unit"]
                )
            elif near := difflib.get_close_matches(short, COLUMNS, 1, 0.8):
                remedy = f"did you mean '{COLUMNS[near[0]]}'? Else give the column another name"
                self._fault(1, title, "unknown column", remedy)
        if not self.faults:
            self._needed()

    def _needed(self) -> None:
        names = self._columns
        if STUDY_UID not in names and ACCESSION not in names:
            remedy = f"the first line needs a column {STUDY_UID} or {ACCESSION}"
            self._fault(1, "", "no column says which study a line is about", remedy)
        for group in (SPACE, IMAGE):
            there = [name for name in group if name in names]
            if there and len(there) < len(group):
                missing = " and ".join(name for name in group if name not in names)
                remedy = f"add {missing}, or take {' and '.join(there)} out"
                self._fault(1, there[0], f"a place needs {', '.join(group)}", remedy)
        if not ({"label", *SPACE, *IMAGE} & names.keys()) and not self._values:
            remedy = (
                "add a column 'label' (positive or negative), places of lesions, or values headed "
                "like 'L3 skeletal muscle: Area [cm2]'"
            )
            self._fault(1, "", "the table says nothing that is true of a study", remedy)

    def _row(
        self, line: int, cells: Sequence[str], keyed_by: str, studies: dict[str, _Study]
    ) -> None:
        row = _Row(
            line,
            {
                name: cells[number - 1].strip()
                for name, number in self._columns.items()
                if number <= len(cells)
            },
        )
        extra = [cell for cell in cells[max(self._columns.values()) :] if cell.strip()]
        if extra:
            what = "the line has more cells than the first line has columns"
            self._fault(line, "", what, "put cells that hold the separator in quotes", extra[0])
        key = row.get(keyed_by)
        if not key:
            self._fault(line, keyed_by, "the line names no study", "fill it in or delete the line")
            return
        if keyed_by == STUDY_UID and not (UID.fullmatch(key) and len(key) <= 64):
            remedy = "copy the Study Instance UID from the PACS: digits and dots, 64 at most"
            self._fault(line, keyed_by, "this is no UID", remedy, key)
            return
        study = studies.setdefault(key, _Study(line))
        self._statement(row, study)
        self._numbers(row, study)
        self._groups(row, study)

    def _statement(self, row: _Row, study: _Study) -> None:
        finding = row.get("finding")
        target = Target(
            model=row.get("model"), finding=finding, code=self._finding(row.line, finding)
        )
        label = self._label(row)
        lesion = self._lesion(row)
        before, there = study.labels.get(target, (None, row.line))
        if lesion is not None and label is False:
            remedy = "write positive, or take the place out"
            self._fault(row.line, "label", "a lesion in a negative study", remedy, row.get("label"))
        elif before is not None and label is not None and before is not label:
            what = f"line {there} says the opposite of the same study and finding"
            self._fault(row.line, "label", what, "correct one of them", row.get("label"))
        if lesion is not None:
            if before is False:
                what = f"a lesion in a study that line {there} calls negative"
                self._fault(row.line, "", what, "correct one of them")
            same = [
                one
                for one in study.lesions.get(target, ())
                if (one.centre_mm, one.image) == (lesion.centre_mm, lesion.image)
            ]
            if same:
                what = f"the same lesion stands in line {same[0].line}"
                self._fault(row.line, "", what, "delete one of the two lines")
            study.lesions.setdefault(target, []).append(lesion)
            label = True
        if label is not None:
            study.labels[target] = (label, row.line)
        elif "label" in self._columns or finding:
            study.labels.setdefault(target, (None, row.line))

    def _label(self, row: _Row) -> bool | None:
        text = row.get("label").lower()
        if text in POSITIVE:
            return True
        if text in NEGATIVE:
            return False
        if text:
            remedy = "write positive or negative; leave it empty where it is not known"
            self._fault(row.line, "label", "not understood", remedy, row.get("label"))
        return None

    def _finding(self, line: int, text: str) -> Code | None:
        if text not in self._codes:
            self._codes[text] = finding_code(text, self._acute)
        code = self._codes[text]
        if text and code is None:
            names = sorted({one.name for found in self._acute.values() for one in found})
            known = f"; installed packages name {', '.join(names)}" if names else ""
            remedy = f"write code and scheme, such as '59282003 SCT'{known}"
            self._fault(line, "finding", "no code, and no finding of a package", remedy, text)
        return code

    def _lesion(self, row: _Row) -> Lesion | None:
        space = [row.get(name) for name in SPACE]
        image = [row.get(name) for name in IMAGE]
        if not any(space) and not any(image):
            for name in ("diameter_mm", "tolerance_mm"):
                if row.get(name):
                    remedy = "fill in x_mm, y_mm, z_mm, or SOPInstanceUID, column, row"
                    self._fault(row.line, name, "a lesion without a place", remedy, row.get(name))
            return None
        for group, cells in ((SPACE, space), (IMAGE, image)):
            if any(cells) and not all(cells):
                empty = group[cells.index("")]
                self._fault(row.line, empty, "is empty", f"a place needs {', '.join(group)}")
                return None
        centre = self._numbers_of(row, SPACE) if any(space) else None
        on_image = self._numbers_of(row, IMAGE[1:]) if any(image) else None
        tolerance = self._tolerance(row)
        if (any(space) and centre is None) or (any(image) and on_image is None) or not tolerance:
            return None
        frame = self._number(row, "frame") if row.get("frame") else None
        return Lesion(
            centre_mm=(centre[0], centre[1], centre[2]) if centre else None,
            image=(image[0], int(frame) if frame else None, on_image[0], on_image[1])
            if on_image
            else None,
            tolerance_mm=tolerance,
            line=row.line,
        )

    def _tolerance(self, row: _Row) -> float | None:
        least = self._tolerance_mm or 0.0
        for name, factor in (("tolerance_mm", 1.0), ("diameter_mm", 0.5)):
            if not row.get(name):
                continue
            value = self._number(row, name)
            if value is None:
                return None
            if value <= 0:
                self._fault(row.line, name, "must be above 0", "write it in mm", row.get(name))
                return None
            return max(value * factor, least)
        if not least:
            what = "the lesion has neither diameter_mm nor tolerance_mm"
            self._fault(row.line, "", what, "fill one in, or give --tolerance MM for all")
        return least or None

    def _numbers_of(self, row: _Row, names: Sequence[str]) -> list[float] | None:
        values = [self._number(row, name) for name in names]
        return None if None in values else [value for value in values if value is not None]

    def _number(self, row: _Row, name: str) -> float | None:
        text = row.get(name)
        plain = text.replace(",", ".") if self._comma and text.count(",") == 1 else text
        try:
            value = float(plain)
        except ValueError:
            value = math.nan
        if math.isfinite(value):
            return value
        self._fault(row.line, name, "is no number", "write digits, such as 12.5", text)
        return None

    def _numbers(self, row: _Row, study: _Study) -> None:
        for title in self._values:
            if not row.get(title):
                continue
            value = self._number(row, title)
            if value is None:
                continue
            before = study.values.setdefault(title, value)
            if before != value:
                what = f"another line of this study says {before:g}"
                self._fault(row.line, title, what, "correct one of them", row.get(title))

    def _groups(self, row: _Row, study: _Study) -> None:
        for title in self._group_columns():
            text = row.get(title)
            if text and study.groups.setdefault(title, text) != text:
                what = f"another line of this study says '{study.groups[title]}'"
                self._fault(row.line, title, what, "correct one of them", text)

    def _group_columns(self) -> tuple[str, ...]:
        known = {*COLUMNS.values(), *self._values}
        return tuple(name for name in self._columns if name not in known)

    def _table(self, keyed_by: str, studies: Mapping[str, _Study]) -> TruthTable:
        return TruthTable(
            file=str(self._path),
            keyed_by=keyed_by,
            studies={key: _study(key, study) for key, study in studies.items()},
            values=tuple(self._values.values()),
            group_columns=self._group_columns(),
        )

    def _fault(self, line: int, column: str, why: str, remedy: str, got: str = "") -> None:
        self.faults.append(
            ConfigFault(
                file=str(self._path),
                line=line,
                column=self._columns.get(column, 1),
                key=column,
                why=why,
                got=repr(got) if got else "",
                remedy=remedy,
            )
        )


def _study(key: str, study: _Study) -> StudyTruth:
    return StudyTruth(
        key=key,
        line=study.line,
        statements={
            target: Statement(
                positive=positive, lesions=tuple(study.lesions.get(target, ())), line=line
            )
            for target, (positive, line) in study.labels.items()
        },
        values=study.values,
        groups=study.groups,
    )
