"""`prefer:` which of several series that qualify is the better input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Preference = Literal[
    "thinnest",
    "thickest",
    "soft_kernel",
    "lung_kernel",
    "bone_kernel",
    "most_slices",
    "longest",
    "finest_pixels",
    "contrast",
    "no_contrast",
    "native",
    "arterial",
    "venous",
    "delayed",
    "original",
    "not_truncated",
    "lowest_number",
    "highest_number",
]

#: For the table in RULES.md.
MEANINGS: Mapping[str, str] = {
    "thinnest": "smallest slice thickness (its distance, where no thickness is stated)",
    "thickest": "largest slice thickness",
    "soft_kernel": "kernel class soft",
    "lung_kernel": "kernel class lung",
    "bone_kernel": "kernel class bone",
    "most_slices": "largest number of slices",
    "longest": "largest coverage",
    "finest_pixels": "smallest pixel spacing",
    "contrast": "contrast known to be given",
    "no_contrast": "contrast known not to be given",
    "native": "phase native",
    "arterial": "phase arterial",
    "venous": "phase venous",
    "delayed": "phase delayed",
    "original": "image kind original",
    "not_truncated": "not known to be cut by the field of view",
    "lowest_number": "lowest series number",
    "highest_number": "highest series number",
}
