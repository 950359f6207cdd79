"""Lung-RADS categories by size and density, as the ACR published them for screening.

American College of Radiology, Lung-RADS v2022 (November 2022); Christensen J et al., ACR
Lung-RADS v2022: Assessment Categories and Management Recommendations, Chest 2024;165:738. Only
what size, density, calcification and a change of size decide is told; what a reader adds (4X,
airway nodules, atypical cysts, juxtapleural shape, S) is not. Made for screening, so in any other
patient it is a description of size and density, no advice.
"""

from __future__ import annotations

from dataclasses import dataclass

from models.lung_nodules.density import Attenuation, Calcification, Density
from models.priors import Verdict

VERSION = "v2022"
#: Categories in rising order of suspicion.
ORDER = ("1", "2", "3", "4A", "4B")
NO_NODULE = "1"
#: Mean diameters, mm: solid at baseline; solid and new; part-solid by the solid part.
SOLID_STEPS = ((6.0, "2"), (8.0, "3"), (15.0, "4A"))
NEW_SOLID_STEPS = ((4.0, "2"), (6.0, "3"), (8.0, "4A"))
SOLID_PART_STEPS = ((6.0, "3"), (8.0, "4A"))
SMALL_PART_SOLID_MM, LARGE_GROUND_GLASS_MM, NEW_SOLID_PART_MM, GROWN_SOLID_MM = 6.0, 30.0, 4.0, 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What decides. `change`: against an earlier scan; None or NOT_COMPARED at baseline."""

    mean_mm: float
    attenuation: Attenuation
    change: Verdict | None = None

    @property
    def told_mm(self) -> float:
        """Lung-RADS measures to one decimal and judges that number."""
        return round(self.mean_mm, 1)

    @property
    def told_solid_mm(self) -> float:
        """The solid part likewise."""
        return round(self.attenuation.solid_mm, 1)


def category_of(size: Size) -> str:
    """Category of one nodule."""
    if size.attenuation.calcification is Calcification.WHOLLY:
        return "1"
    is_new = size.change is Verdict.NEW
    grown = size.change is Verdict.GROWN
    density = size.attenuation.density
    if density is Density.GROUND_GLASS:
        return "3" if size.told_mm >= LARGE_GROUND_GLASS_MM and not is_stable(size) else "2"
    if density is Density.PART_SOLID:
        return _part_solid(size, is_new=is_new, grown=grown)
    if grown:
        return "4B" if size.told_mm >= GROWN_SOLID_MM else "4A"
    return _step(size.told_mm, NEW_SOLID_STEPS if is_new else SOLID_STEPS)


def is_stable(size: Size) -> bool:
    """Seen before and not grown."""
    return size.change in (Verdict.STABLE, Verdict.SMALLER)


def _part_solid(size: Size, *, is_new: bool, grown: bool) -> str:
    if size.told_mm < SMALL_PART_SOLID_MM and not grown:
        return "3" if is_new else "2"
    if is_new or grown:
        return "4B" if size.told_solid_mm >= NEW_SOLID_PART_MM else "4A"
    return _step(size.told_solid_mm, SOLID_PART_STEPS)


def _step(told_mm: float, steps: tuple[tuple[float, str], ...]) -> str:
    for limit, category in steps:
        if told_mm < limit:
            return category
    return "4B"


def exam_category(categories: list[str]) -> str:
    """The most suspicious of all."""
    return max(categories, key=ORDER.index, default=NO_NODULE)


def told(category: str) -> str:
    """As it stands in the report."""
    return f"Lung-RADS {category} ({VERSION})"
