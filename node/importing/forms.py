"""Reads `--form`; without one, an empty form."""

from __future__ import annotations

from pathlib import Path

from config.import_form import ImportForm
from config.load import read_document


def read_form(path: Path | None) -> ImportForm:
    """The form of an import.

    Raises:
        ConfigError: it cannot be used; one line per fault.
    """
    return ImportForm() if path is None else read_document(path, ImportForm, "--form")
