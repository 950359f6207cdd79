"""How a step of the pipeline says that this series must not be measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """Not eligible, and why, in a radiologist's words."""

    reason: str
