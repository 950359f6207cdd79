"""How a step says that a series must not be analysed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """A reason in a radiologist's words; it becomes `Findings.reason`."""

    reason: str
