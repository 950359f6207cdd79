"""An evaluation as files in a folder: JSON, CSV and pictures of the curves."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from node.domain.spreadsheet import cell
from node.evaluation.curves import draw_froc, draw_roc
from node.evaluation.telling import (
    Evaluated,
    Measured,
    Row,
    agreement_row,
    performance_row,
    study_rows,
    value_rows,
)

SUMMARY: Final = "evaluation.json"
#: Reports of studies that were analysed for this evaluation; can be named as the cohort later.
RESULTS: Final = "results"


def write_evaluation(
    folder: Path, summary: Row, every: Sequence[Evaluated], values: Sequence[Measured]
) -> list[Path]:
    """Write all of it; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / SUMMARY]
    written[0].write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    tables: dict[str, list[Row]] = {
        "groups.csv": [
            {"model": one.model, "finding": one.target.finding, **performance_row(group)}
            for one in every
            for group in one.groups
        ],
        "studies.csv": list(study_rows(every)),
        "measurements.csv": [
            {"model": one.model, "measurement": one.column.name, "unit": one.column.unit}
            | agreement_row(group)
            for one in values
            for group in one.groups
        ],
        "values.csv": list(value_rows(values)),
    }
    for name, rows in tables.items():
        (folder / name).unlink(missing_ok=True)
        if rows:
            written.append(write_csv(folder / name, rows))
    for one in every:
        written += _pictures(folder, one)
    return written


def write_csv(path: Path, rows: Iterable[Row]) -> Path:
    """Rows as a CSV file; a column that a row lacks is empty there."""
    listed = list(rows)
    columns = dict.fromkeys(name for row in listed for name in row)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, columns)
        writer.writeheader()
        for row in listed:
            writer.writerow(
                {name: cell(item) if isinstance(item, str) else item for name, item in row.items()}
            )
    return path


def _pictures(folder: Path, one: Evaluated) -> list[Path]:
    about = f"{one.model}-{one.target.finding}" if one.target.finding else one.model
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", about).strip("-")
    title = f"{one.model}: {one.target.finding}" if one.target.finding else one.model
    written = []
    roc = [(g.group, *g.curve) for g in one.groups if g.curve is not None]
    if roc:
        written.append(folder / f"roc-{name}.png")
        draw_roc(written[-1], title, roc)
    free = [
        (g.group, g.froc.false_positives, g.froc.sensitivity)
        for g in one.groups
        if g.froc is not None and g.froc.at
    ]
    if free:
        written.append(folder / f"froc-{name}.png")
        draw_froc(written[-1], title, free)
    return written
