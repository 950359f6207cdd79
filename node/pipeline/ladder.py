"""What is sent instead of an object that a destination does not take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydicom.uid import (
    UID,
    Comprehensive3DSRStorage,
    ComprehensiveSRStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

Form = Literal["comprehensive", "pages"]


@dataclass(frozen=True, slots=True)
class Rung:
    """One step down: the form to write, and the SOP class that it has."""

    form: Form
    sop_class_uid: str

    def kind_of(self, kind: str) -> str:
        """What the ledger calls the new object: "report" becomes "report as pages"."""
        told = "Comprehensive SR" if self.form == "comprehensive" else "pages"
        return f"{kind.split(' as ', 1)[0]} as {told}"


_PAGES = Rung("pages", SecondaryCaptureImageStorage)
_LADDER = {
    str(Comprehensive3DSRStorage): Rung("comprehensive", ComprehensiveSRStorage),
    str(ComprehensiveSRStorage): _PAGES,
    str(SegmentationStorage): _PAGES,
}


def below(sop_class_uid: str) -> Rung | None:
    """The next rung below an object of this class; None at the bottom."""
    return _LADDER.get(sop_class_uid)


def wanted_instead(sop_class_uid: str, sr_class: str) -> Rung | None:
    """The form that the site asked for in place of this class (`sr_class`), if another one."""
    if sr_class == "comprehensive" and sop_class_uid == Comprehensive3DSRStorage:
        return _LADDER[sop_class_uid]
    return None


def class_name(sop_class_uid: str) -> str:
    """As PS3.6 has it."""
    return UID(sop_class_uid).name
