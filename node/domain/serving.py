"""The words for whether a model can be used."""

from __future__ import annotations

from enum import StrEnum


class ModelState(StrEnum):
    """Of one model on this node."""

    LOADING = "loading"
    #: Warm in every worker, and it reproduces its golden case.
    READY = "ready"
    #: Ready on another provider while its engine is built.
    BUILDING = "building engine"
    #: Out of service, with a cause.
    QUARANTINED = "quarantined"

    @property
    def serves(self) -> bool:
        """Are its jobs carried out?"""
        return self in (ModelState.READY, ModelState.BUILDING)
