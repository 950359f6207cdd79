"""The columns of a truth table, and the words that stand in them."""

from __future__ import annotations

import re
from typing import Final

from node.evaluation.truth import ACCESSION, STUDY_UID

#: Columns by their name without case, spaces and signs.
COLUMNS: Final = {
    "studyinstanceuid": STUDY_UID,
    "studyuid": STUDY_UID,
    "accessionnumber": ACCESSION,
    "accession": ACCESSION,
    "model": "model",
    "finding": "finding",
    "label": "label",
    "xmm": "x_mm",
    "ymm": "y_mm",
    "zmm": "z_mm",
    "diametermm": "diameter_mm",
    "tolerancemm": "tolerance_mm",
    "sopinstanceuid": "SOPInstanceUID",
    "frame": "frame",
    "column": "column",
    "row": "row",
}
POSITIVE: Final = ("positive", "pos", "1", "yes", "true", "present", "+")
NEGATIVE: Final = ("negative", "neg", "0", "no", "false", "absent", "-")
SPACE: Final = ("x_mm", "y_mm", "z_mm")
IMAGE: Final = ("SOPInstanceUID", "column", "row")
UID: Final = re.compile(r"[0-2](\.(0|[1-9]\d*))+")
VALUE: Final = re.compile(r"(?P<name>.*\S)\s*\[(?P<unit>.+)\]")
