"""What became of a lesion between two scans: growth in mm and %, volume doubling time.

Growth is an increase of the mean diameter by more than 1.5 mm, as ACR Lung-RADS v2022 counts it
within twelve months (Christensen et al., Chest 2024;165:738); the Fleischner Society asks for 2 mm
(MacMahon et al., Radiology 2017;284:228). Changes of volume are told beside it: the British
Thoracic Society (Callister et al., Thorax 2015;70:ii1) and NELSON (van Klaveren et al., NEJM
2009;361:2221) count 25 % and more. The volume doubling time is that of exponential growth
(Schwartz, Cancer 1961;14:1272): days x ln 2 / ln(volume now / volume then).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from node.domain.finding import CodedConcept, Measurement

#: x, y, z in mm, LPS, of the frame of reference of its own scan.
Point = tuple[float, float, float]

#: Increase of the mean diameter that counts as growth, mm (Lung-RADS v2022).
GROWTH_MM: Final = 1.5
#: Change of volume that is told in words, part of one (BTS 2015, NELSON).
VOLUME_CHANGE: Final = 0.25
#: Shortest interval from which a doubling time is told, days: below, it is noise.
SHORTEST_INTERVAL_DAYS: Final = 28

_MM: Final = CodedConcept("mm", "UCUM", "mm")
_PERCENT: Final = CodedConcept("%", "UCUM", "percent")
_DAYS: Final = CodedConcept("d", "UCUM", "day")
#: PS3.16 has no code for these; the scheme is ours and declared in each object.
DIAMETER_CHANGE: Final = CodedConcept("diameter-change", "99VIGIE", "Change of mean diameter")
VOLUME_CHANGED: Final = CodedConcept("volume-change", "99VIGIE", "Change of volume")
DOUBLING_TIME: Final = CodedConcept("volume-doubling-time", "99VIGIE", "Volume doubling time")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """One lesion of one scan, measured the same way in both.

    Attributes:
        centre_mm: of the frame of reference of its scan. diameter_mm: mean of long and short axis.
        volume_mm3: None where it is not measured. solid_mm: mean diameter of the solid part; None
            where it is not measured, 0 where there is none.
        is_sure: False of what would not be reported by itself, only found because it was expected.
        tracking_uid, identifier: of the result on that scan; "" where there is none.
    """

    centre_mm: Point
    diameter_mm: float
    volume_mm3: float | None = None
    solid_mm: float | None = None
    is_sure: bool = True
    tracking_uid: str = ""
    identifier: str = ""


class Verdict(StrEnum):
    """What became of a lesion."""

    NEW = "new"
    GROWN = "grown"
    STABLE = "stable"
    SMALLER = "smaller"
    #: The earlier scan does not show the place, or the two scans cannot be laid over each other.
    NOT_COMPARED = "not compared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One lesion of the current scan against the earlier one.

    Attributes:
        sentence: for the report and the page. before: the same lesion in the earlier scan.
        diameter_mm: change of the mean diameter. diameter, volume: relative change, part of one.
        solid_mm: growth of the solid part where that alone makes it GROWN.
        doubling_days: volume doubling time; negative: the time in which it halves; None where
            volumes, dates or a change are missing.
        tracking_uid, identifier: of the earlier lesion, to be kept; "" where there is none.
    """

    verdict: Verdict
    sentence: str
    before: Lesion | None = None
    diameter_mm: float | None = None
    diameter: float | None = None
    volume: float | None = None
    solid_mm: float | None = None
    doubling_days: float | None = None

    @property
    def word(self) -> str:
        """For the cell of a table: "not found then", "stable", "+2.1 mm", "volume +40%".

        What the software did not find in the earlier scan may have been there.
        """
        if self.verdict is Verdict.NEW:
            return "not found then"
        if self.solid_mm is not None:
            return f"solid part {self.solid_mm:+.1f} mm"
        if self.verdict is Verdict.STABLE and (self.volume or 0.0) >= VOLUME_CHANGE:
            return f"volume {self.volume:+.0%}"
        if self.diameter_mm is None or self.verdict is Verdict.STABLE:
            return self.verdict.value
        return f"{self.diameter_mm:+.1f} mm"

    @property
    def tracking_uid(self) -> str:
        """Of the earlier lesion."""
        return self.before.tracking_uid if self.before is not None else ""

    @property
    def identifier(self) -> str:
        """Of the earlier lesion."""
        return self.before.identifier if self.before is not None else ""

    @property
    def measurements(self) -> tuple[Measurement, ...]:
        """Change of diameter and volume, and doubling time, as far as known."""
        found = []
        if self.diameter_mm is not None:
            change = _number(DIAMETER_CHANGE, self.diameter_mm, _MM, 1)
            found.append(replace(change, is_change=True))
        if self.volume is not None:
            change = _number(VOLUME_CHANGED, 100 * self.volume, _PERCENT, 0)
            found.append(replace(change, is_change=True))
        if self.doubling_days is not None and self.doubling_days > 0:
            found.append(_number(DOUBLING_TIME, self.doubling_days, _DAYS, 0))
        return tuple(found)


def _number(name: CodedConcept, value: float, unit: CodedConcept, decimals: int) -> Measurement:
    return Measurement(name=name, value=value, unit=unit, label=name.meaning, decimals=decimals)


def doubling_days(before_mm3: float, now_mm3: float, days: float) -> float | None:
    """Days in which the volume doubles; negative: halves; None where it does not change."""
    if before_mm3 <= 0 or now_mm3 <= 0 or before_mm3 == now_mm3:
        return None
    return days * math.log(2.0) / math.log(now_mm3 / before_mm3)


def change_of(now: Lesion, before: Lesion, days: int | None) -> Change:
    """Growth of one lesion that was found in both scans.

    Args:
        days: between the scans; None where a date is not known.
    """
    difference = now.diameter_mm - before.diameter_mm
    # Of what is printed: 9.1 then and 8.9 now are -0.2 mm.
    printed = round(round(now.diameter_mm, 1) - round(before.diameter_mm, 1), 1)
    volume = None
    time = None
    if now.volume_mm3 and before.volume_mm3:
        volume = now.volume_mm3 / before.volume_mm3 - 1.0
        if days is not None and days >= SHORTEST_INTERVAL_DAYS:
            time = doubling_days(before.volume_mm3, now.volume_mm3, days)
    verdict = Verdict.STABLE
    if abs(difference) > GROWTH_MM:
        verdict = Verdict.GROWN if difference > 0 else Verdict.SMALLER
    # In a part-solid nodule the solid part decides (Lung-RADS v2022), whatever the whole does.
    solid = None
    if now.solid_mm is not None and before.solid_mm is not None:
        growth = now.solid_mm - before.solid_mm
        if growth > GROWTH_MM and verdict is not Verdict.GROWN and now.solid_mm < now.diameter_mm:
            verdict, solid = Verdict.GROWN, growth
    # A change within the error of measuring has no doubling time.
    notable = verdict is not Verdict.STABLE or abs(volume or 0.0) >= VOLUME_CHANGE
    time = time if notable else None
    relative = difference / before.diameter_mm
    sentence = _sentence(verdict, (before.diameter_mm, now.diameter_mm), volume, time)
    if solid is not None:
        sentence = (
            f"Grown: the solid part measured {before.solid_mm:.1f} mm then, {now.solid_mm:.1f} mm "
            f"now ({solid:+.1f} mm). {sentence.removeprefix('Grown: ').capitalize()}"
        )
    return Change(
        verdict=verdict,
        sentence=sentence,
        before=before,
        diameter_mm=printed,
        diameter=relative,
        volume=volume,
        solid_mm=solid,
        doubling_days=time,
    )


def _disagree(verdict: Verdict, difference: float, volume: float | None) -> bool:
    """Does the volume change against the diameter that decides?"""
    if volume is None:
        return False
    grown = verdict is Verdict.GROWN and difference > GROWTH_MM
    smaller = verdict is Verdict.SMALLER
    return (grown and volume <= 0.0) or (smaller and volume >= 0.0)


def _sentence(
    verdict: Verdict, diameters: tuple[float, float], volume: float | None, time: float | None
) -> str:
    before, now = diameters
    word = verdict.value.capitalize()
    if verdict is Verdict.STABLE and (volume or 0.0) >= VOLUME_CHANGE:
        word = "Larger by volume, stable by diameter"
    elif _disagree(verdict, now - before, volume):
        word += " by diameter, not by volume"
    said = (
        f"{word}: mean diameter {before:.1f} mm then, {now:.1f} mm now "
        f"({round(now, 1) - round(before, 1):+.1f} mm, {now / before - 1.0:+.0%})"
    )
    if volume is not None:
        said += f", volume {volume:+.0%}"
    if time is not None and time > 0:
        said += f", doubling time {time:.0f} days"
    return f"{said}."
