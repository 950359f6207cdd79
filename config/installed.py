"""What `appliance.yaml` may say of an installed model package, without its networks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class InstalledModel(Collection[str]):
    """One package. As a collection, the names of its thresholds.

    Attributes:
        triage: it looks for acute findings.
        key_objects: it writes a Key Object Selection where the site says nothing.
        acute: acute finding -> the operating threshold from which on it counts.
        fault: why its `model.yaml` cannot be read, so that nothing more is known of it; or "".
        signed: it carries a signature, of whomever.
        uses: packages that it asks for what they see in the same series.
    """

    thresholds: tuple[str, ...] = ()
    triage: bool = False
    acute: Mapping[str, float] = field(default_factory=dict)
    fault: str = ""
    signed: bool = True
    uses: tuple[str, ...] = ()
    key_objects: bool = False

    def __iter__(self) -> Iterator[str]:
        return iter(self.thresholds)

    def __len__(self) -> int:
        return len(self.thresholds)

    def __contains__(self, name: object) -> bool:
        return name in self.thresholds
