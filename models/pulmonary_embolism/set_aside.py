"""What looked like a clot at first and is not listed: counted, so that no place is silent."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """Numbers of places.

    Attributes:
        unsure: looked at again, and not sure enough to be told.
        no_clot: too bright, too dark or away from opacified blood (`certainty.allowed`).
        not_looked_at: the smallest ones of a scan that has too many places.
    """

    unsure: int = 0
    no_clot: int = 0
    not_looked_at: int = 0

    @property
    def told(self) -> tuple[str, ...]:
        """A sentence for each kind that there is."""
        found = []
        if self.unsure:
            found.append(
                f"Not listed: {_places(self.unsure)} that looked like a clot at first, and less so "
                "when looked at again, turned and scaled."
            )
        if self.no_clot:
            found.append(
                f"Not listed: {_places(self.no_clot)} that looked like a clot by shape, but too "
                "bright or too dark for one, or not beside opacified blood."
            )
        if self.not_looked_at:
            found.append(
                f"Not judged: {_places(self.not_looked_at)} that looked like a clot, the smallest "
                "of more than can be checked. The scan may be noisy or hold metal: read the images."
            )
        return tuple(found)

    @property
    def left_open(self) -> str:
        """Why that nothing is listed is no answer; "" where it is one."""
        if not self.not_looked_at:
            return ""
        return f"{_places(self.not_looked_at)} that looked like a clot could not be checked"


def _places(count: int) -> str:
    return "1 place" if count == 1 else f"{count} places"
