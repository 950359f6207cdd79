"""How a step says that a series must not be analysed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """Not eligible, and why, in a radiologist's words."""

    reason: str
