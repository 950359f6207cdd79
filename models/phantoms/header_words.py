"""What the headers of a simulated series call it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderWords:
    """Words and figures of a region's headers.

    Attributes:
        patient: Patient's Name. study, series: descriptions; the phase is added to the series.
        body_part: Body Part Examined (PS3.16 Annex L).
        kernel: Convolution Kernel; empty writes none.
        thickness_mm: Slice Thickness; None is the distance of the slices.
    """

    patient: str
    study: str
    series: str
    body_part: str
    kernel: str = ""
    thickness_mm: float | None = None
