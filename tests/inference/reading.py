"""From data sets or files to described series, the way the node does it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from pydicom.dataset import FileDataset

from inference.series import describe_study
from node.domain.study import CompletedStudy, Instance, Series
from tests.dicom_factory import instances, write


def describe(rows: Iterable[Instance]) -> CompletedStudy:
    """Describe rows of the index as a study of the first generation."""
    return describe_study(
        tuple(rows),
        generation=1,
        completed_at=datetime(2026, 1, 5, 9, 0, tzinfo=UTC),
        confidence="all associations ended",
    )


def stacks_of(data_sets: Iterable[FileDataset], folder: Path) -> tuple[Series, ...]:
    """The stacks that these data sets are."""
    return describe(instances(write(data_sets, folder))).series


def series_of(data_sets: Iterable[FileDataset], folder: Path) -> Series:
    """The one series that these data sets are."""
    (series,) = describe(instances(write(data_sets, folder))).series
    return series


def files_under(folder: Path) -> list[Path]:
    """Every file below a folder of development images, without its notes."""
    notes = {".json", ".gz", ".txt", ".md", ".csv"}
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix not in notes)
