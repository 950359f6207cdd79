"""Names of the PACS that is asked about studies: one that exists and speaks C-FIND."""

from __future__ import annotations

from config.draft import Draft, Faults, settled
from config.messages import close_to, listed

#: Where the name of a destination to ask may stand.
ASKED = (("completion", "ask"), ("results", "identity_from"))


def asked(draft: Draft) -> Faults:
    """Every fault of the names in `ASKED`."""
    for path in ASKED:
        yield from settled(_asked(draft, path))


def _asked(draft: Draft, path: tuple[str, str]) -> Faults:
    name, known = draft.text(*path), draft.names("destinations")
    if not name:
        return
    if name not in known:
        meant = close_to(name, known)
        instead = f"write {meant}" if meant else f"name one of: {listed(known)}"
        yield draft.fault(
            path,
            "there is no such destination",
            instead if known else f"add '{name}:' below 'destinations:'",
        )
    elif draft.text("destinations", name, "type") != "dicom":
        yield draft.fault(
            path,
            "this destination does not answer C-FIND",
            "name a destination of type dicom, or remove the line",
        )
