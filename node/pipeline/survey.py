"""What this computer offers to models: looked at when the node starts, and now and then again."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from inference.providers import Probe
from node.domain.errors import ModelError

log = structlog.get_logger(__name__)

#: How often the computer is looked at for another driver or runtime.
SURVEY_S = 3600.0
#: The same where it could not be used as it was: each look starts processes.
UNFIT_SURVEY_S = 60.0


class Survey:
    """The last look, which counts for a while; not thread-safe."""

    def __init__(self, look: Callable[[], Probe], clock: Callable[[], float]) -> None:
        """`look` starts processes, and raises ModelError where no model can run here."""
        self._look = look
        self._clock = clock
        self._at = 0.0
        self._unfit: ModelError | None = None
        #: What was seen last, of a computer that could be used.
        self.found: Probe | None = None

    def take(self) -> tuple[Probe, bool]:
        """What is there; and whether it is other software than was there before.

        Raises:
            ModelError: no model can run on a computer like this.
        """
        now, known = self._clock(), self.found
        since = now - self._at
        if self._unfit is not None and since < UNFIT_SURVEY_S:
            raise self._unfit
        if self._unfit is None and known is not None and since < SURVEY_S:
            return known, False
        self._at = now
        try:
            found = self._look()
        except ModelError as error:
            self._unfit = error
            raise
        self.found, self._unfit = found, None
        log.info("computer.surveyed", fingerprint=found.fingerprint)
        return found, known is not None and known.fingerprint != found.fingerprint
