"""Numbers and ages as headers write them (DS, IS, AS: PS3.5 table 6.2-1)."""

from __future__ import annotations

import re

_YEARS_IN = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}


def positive_number(text: str) -> float | None:
    """A finite number above 0; None for anything else."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 < number < float("inf") else None


def age_in_years(text: str) -> float | None:
    """Years of an age string such as "054Y" or "003W"; None for anything else.

    Leading zeros ("8Y") and the unit ("12", years) are missing in real headers.
    """
    written = re.fullmatch(r"(\d{1,3}) *([YMWD]?)", text.strip().upper())
    return int(written[1]) * _YEARS_IN[written[2] or "Y"] if written else None
