"""Facts and lists as a line for people, without anything that identifies a patient."""

from __future__ import annotations

import re
from collections.abc import Sequence

from node.domain.facts import SeriesFacts

#: Folders of an absolute path, up to its last part.
_FOLDERS = re.compile(r"(?<![\w.])/(?:[^\s/:,;\x27\"]+/)+")


def few(texts: Sequence[str], most: int, separator: str = ", ", rest: str = " more") -> str:
    """The first texts, and how many are left out."""
    left_out = len(texts) - most
    end = f" and {left_out}{rest}" if left_out > 0 else ""
    return separator.join(texts[:most]) + end


def facts_line(facts: SeriesFacts) -> str:
    """One line for the ledger and `explain`; descriptions are free text and stay out of it."""
    count = facts.slices or 0
    parts = [facts.modality or "modality not stated", f"{count} image{'' if count == 1 else 's'}"]
    parts += _geometry(facts)
    if facts.slice_thickness_mm is not None:
        parts.append(f"slice {facts.slice_thickness_mm:g} mm")
    parts += _look(facts)
    if facts.class_is_inferred:
        parts.append("SOP class inferred")
    if facts.unreadable:
        parts.append(f"{facts.unreadable} unreadable")
    return ", ".join(parts)


def _geometry(facts: SeriesFacts) -> list[str]:
    parts = [facts.orientation] if facts.orientation else []
    if facts.slice_spacing_mm is not None and facts.coverage_mm is not None:
        parts.append(f"every {facts.slice_spacing_mm:.2f} mm over {facts.coverage_mm:.0f} mm")
    if facts.rows and facts.columns:
        parts.append(f"{facts.columns} x {facts.rows}")
    if facts.pixel_spacing_mm is not None:
        parts.append(f"pixel {facts.pixel_spacing_mm:.2f} mm")
    if facts.duplicate_positions:
        parts.append(f"{facts.duplicate_positions} images at a shared position")
    return parts


def _look(facts: SeriesFacts) -> list[str]:
    parts = []
    if facts.body_region:
        apart = ""
        if facts.region_disagrees:
            apart = f" (the pixels show {_words(facts.pixel_region)})"
        parts.append(_words(facts.body_region) + apart)
    if facts.kernel_class not in (None, "unknown"):
        parts.append(f"{facts.kernel_class} kernel")
    if facts.contrast is not None:
        apart = " (the pixels show otherwise)" if facts.contrast_disagrees else ""
        parts.append(("contrast" if facts.contrast else "no contrast") + apart)
    if facts.view:
        parts.append(" ".join(filter(None, (facts.laterality, facts.view))))
    if facts.image_kind not in (None, "original"):
        parts.append(str(facts.image_kind).replace("_", " "))
    if facts.truncated:
        parts.append("cut by the field of view")
    if facts.phantom:
        parts.append("phantom")
    return parts


def _words(values: tuple[str, ...] | None) -> str:
    return " and ".join(value.replace("_", " ") for value in values or ())


def in_short(cause: str) -> str:
    """A cause for people who do not mend it: its first clause, files without their folders."""
    first = cause.splitlines()[0].split("; ")[0] if cause else ""
    return _FOLDERS.sub("", first)
