"""A table of headers, one row a series, as facts: what `plan --headers` replays.

Columns are DICOM keywords (case does not matter); the columns of idc-index-data are known too.
Needed: StudyInstanceUID, SeriesInstanceUID and Modality. A fact whose columns are not there is
untold, and so is what only positions or pixels tell: nothing is decided on those.
"""

from __future__ import annotations

import csv
import importlib
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from inference.facts import Said, header_facts, modality_of, phantom
from inference.geometry import orientation_of
from inference.vocabulary import is_phantom
from inference.written import age_in_years
from node.domain.errors import ConfigError
from node.domain.facts import FACTS, SeriesFacts, StudyFacts
from node.domain.study import SeriesUID, StackID, StudyUID

NEEDED = ("StudyInstanceUID", "SeriesInstanceUID", "Modality")
#: Columns with another name than the DICOM keyword.
ALIASES = {
    "instancecount": "NumberOfSeriesRelatedInstances",
    "anatomicregion": "AnatomicRegion",
    "anatomicregionsequence": "AnatomicRegion",
}
#: Read although no fact names it.
_BESIDES = (
    "StudyDate",
    "StudyTime",
    "PatientID",
    "PatientName",
    "SamplesPerPixel",
    "FrameOfReferenceUID",
    "GantryDetectorTilt",
    *NEEDED,
)
#: What a row cannot hold: it takes the positions of all images.
_OF_POSITIONS = ("largest_gap_mm", "missing_slices", "duplicate_positions")
#: Where the header is silent, the pixels would have their say: (fact, that of the header).
_BY_PIXELS_TOO = (("body_region", "header_region"), ("contrast", "header_contrast"))
_LOOKED_AT = ("CT",)
#: A cell of a CSV file longer than this is no header.
_LARGEST_CELL = 1_000_000


def studies_of(path: Path) -> Iterator[StudyFacts]:
    """Every study of a CSV or Parquet file, in the order in which they begin.

    Raises:
        ConfigError: the file cannot be read, or lacks a column that is needed.
    """
    rows = _parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _csv(path)
    columns, cells = rows
    missing = [name for name in NEEDED if name not in columns]
    if missing:
        raise ConfigError(
            f"{path}: no column {' and no column '.join(missing)}; the first line names the "
            "columns by their DICOM keywords (config/RULES.md lists them)"
        )
    untold = _untold(columns)
    studies: dict[str, list[SeriesFacts]] = defaultdict(list)
    when: dict[str, tuple[str, str]] = {}
    for number, row in enumerate(cells, 2):
        study, series = row.get("StudyInstanceUID", ""), row.get("SeriesInstanceUID", "")
        if not study or not series:
            raise ConfigError(
                f"{path}: row {number} has no StudyInstanceUID or no SeriesInstanceUID; "
                "fill it in or delete the row"
            )
        studies[study].append(_series(row, frozenset(columns), untold))
        when.setdefault(study, (row.get("StudyDate", ""), row.get("StudyTime", "")))
    for study, members in studies.items():
        yield StudyFacts(study_uid=StudyUID(study), series=tuple(members), at=_moment(*when[study]))


Rows = tuple[Sequence[str], Iterator[Mapping[str, str]]]


def _csv(path: Path) -> Rows:
    csv.field_size_limit(_LARGEST_CELL)
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            first = stream.readline()
        kind = max(",;\t", key=first.count)
        names = [_keyword(name) for name in next(csv.reader([first], delimiter=kind), [])]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(
            f"{path}: cannot be read as a CSV file in UTF-8 ({error}); name a .csv or .parquet file"
        ) from None

    def rows() -> Iterator[Mapping[str, str]]:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            stream.readline()
            try:
                for cells in csv.reader(stream, delimiter=kind):
                    if cells:
                        yield {n: _text(c) for n, c in zip(names, cells, strict=False) if n}
            except (UnicodeDecodeError, csv.Error) as error:
                raise ConfigError(f"{path}: no CSV file in UTF-8 ({error})") from None

    return [name for name in names if name], rows()


def _parquet(path: Path) -> Rows:
    try:
        parquet: Any = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError(
            f"{path}: Parquet needs the package pyarrow, which is not installed "
            f"({sys.executable} -m pip install pyarrow); a CSV file needs nothing"
        ) from None
    try:
        file: Any = parquet.ParquetFile(path)
        wanted = {name: keyword for name in file.schema_arrow.names if (keyword := _keyword(name))}
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read as a Parquet file ({error})") from None

    def rows() -> Iterator[Mapping[str, str]]:
        for batch in file.iter_batches(batch_size=10_000, columns=list(wanted)):
            for row in batch.to_pylist():
                yield {wanted[name]: _text(value) for name, value in row.items()}

    return list(wanted.values()), rows()


_KEYWORDS = {
    keyword.lower(): keyword
    for keyword in (*_BESIDES, *(k for fact in FACTS.values() for k in fact.attributes))
} | ALIASES


def _keyword(column: str) -> str:
    """The keyword of a column; "" for one that is not read."""
    return _KEYWORDS.get(column.strip().lower().replace(" ", ""), "")


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return "\\".join(_text(item) for item in value)
    text = str(value).strip()
    if text.startswith("[") and text.endswith("]"):
        return "\\".join(part.strip().strip("'\"") for part in text[1:-1].split(","))
    return "" if text.lower() in ("nan", "none", "null", "<na>") else text


def _untold(columns: Sequence[str]) -> frozenset[str]:
    """Facts of which no column tells anything."""
    known = set(columns) | ({"AnatomicRegionSequence"} if "AnatomicRegion" in columns else set())
    untold = {
        name for name, fact in FACTS.items() if fact.pixels or known.isdisjoint(fact.attributes)
    }
    untold |= set(_OF_POSITIONS)
    untold |= set() if "GantryDetectorTilt" in known else {"tilt_degrees"}
    spaced = "SpacingBetweenSlices" in known
    untold |= set() if spaced else {"slice_spacing_mm", "coverage_mm"}
    untold -= {"slice_spacing_mm"} if spaced else set()
    if spaced and "NumberOfSeriesRelatedInstances" in known:
        untold.discard("coverage_mm")
    untold |= set() if "SOPClassUID" in known else {"sop_class_uid"}
    untold |= set() if "FrameOfReferenceUID" in known else {"frame_of_reference_uid"}
    return frozenset(untold)


def _series(row: Mapping[str, str], columns: frozenset[str], untold: frozenset[str]) -> SeriesFacts:
    def said(keyword: str) -> str:
        return row.get(keyword, "")

    found = {**header_facts(said), **_stated(said)}
    open_ = {
        name
        for name in _OF_SEVERAL
        if found[name] is None and not columns.issuperset(FACTS[name].attributes)
    }
    if found["modality"] in (*_LOOKED_AT, None):
        open_ |= {name for name, header in _BY_PIXELS_TOO if found[header] is None}
    if not found["phantom"] and not columns.issuperset(_TELL_PHANTOMS):
        open_.add("phantom")
    series = SeriesUID(said("SeriesInstanceUID"))
    return SeriesFacts(
        study_uid=StudyUID(said("StudyInstanceUID")),
        series_uid=series,
        stack_id=StackID(series),
        sop_class_uid=said("SOPClassUID"),
        samples_per_pixel=_integer(said("SamplesPerPixel")),
        frame_of_reference_uid=said("FrameOfReferenceUID"),
        untold=untold | open_,
        **found,
    )


#: Facts with several sources: the header is silent only when each is there and holds nothing.
_OF_SEVERAL = ("image_kind", "header_region", "header_contrast", "phase", "view", "laterality")


#: Attributes of quality control are rare; it is the descriptions that tell a phantom.
_TELL_PHANTOMS = ("SeriesDescription", "StudyDescription")


def _stated(said: Said) -> dict[str, Any]:
    spacing = _number(said("SpacingBetweenSlices"))
    slices = _integer(said("NumberOfSeriesRelatedInstances"))
    pixel = [value for part in said("PixelSpacing").split("\\") if (value := _number(part))]
    types = tuple(part.strip().upper() for part in said("ImageType").split("\\") if part.strip())
    return {
        "modality": modality_of(said("Modality")),
        "image_type": types or None,
        "orientation": _orientation(said("ImageOrientationPatient")),
        "slices": slices,
        "slice_thickness_mm": _number(said("SliceThickness")),
        "slice_spacing_mm": abs(spacing) if spacing else None,
        "coverage_mm": abs(spacing) * (slices - 1) if spacing and slices else None,
        "tilt_degrees": _number(said("GantryDetectorTilt")),
        "pixel_spacing_mm": max(pixel, default=None),
        "smallest_pixel_mm": min(pixel, default=None),
        "rows": _integer(said("Rows")),
        "columns": _integer(said("Columns")),
        "burned_in_annotation": {"YES": True, "NO": False}.get(said("BurnedInAnnotation").upper()),
        "phantom": phantom(said) or is_phantom((said("PatientID"), said("PatientName"))),
        "patient_age_years": age_in_years(said("PatientAge")),
        "series_number": _integer(said("SeriesNumber")),
        "sender": tuple(filter(None, said("CallingAETitle").split("\\"))) or None,
    }


def _orientation(text: str) -> str | None:
    try:
        cosines = np.array([float(part) for part in text.split("\\")])
    except ValueError:
        return None
    if cosines.shape != (6,) or not np.isfinite(cosines).all():
        return None
    return orientation_of(np.cross(cosines[:3], cosines[3:]))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def _integer(text: str) -> int | None:
    value = _number(text)
    return int(value) if value is not None and value == int(value) else None


def _moment(date: str, time: str) -> datetime | None:
    """Date and time of the study; None without a time, which a schedule needs."""
    digits = re.sub(r"[^0-9]", "", date)[:8] + re.sub(r"[^0-9]", "", time)[:6]
    try:
        return datetime.strptime(digits, "%Y%m%d%H%M%S").astimezone()
    except ValueError:
        return None
