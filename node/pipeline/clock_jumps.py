"""What a clock that is set forth or back must not change: leases, waits, and what is deleted.

Times are told by the clock on the wall, because people read them. How long something takes is
not: when the clock jumps, everything that waits for a time is moved along with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from node.ledger import Ledger
from node.pipeline.loop import Loop

log = structlog.get_logger(__name__)

INTERVAL_S = 1.0
#: Less is a clock that is being adjusted (adjtimex(2)), or a step that came late.
SMALLEST_JUMP_S = 2.0
#: After a jump of more than this nothing is deleted because of its age ...
DOUBTFUL_JUMP_S = 3600.0
#: ... for so long: time to notice, and to set the clock right.
DOUBT_S = 24 * 3600.0


class ClockWatch:
    """Compares the clock on the wall with one that cannot be set."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        wall: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take both clocks as they are now for right."""
        self._ledger = ledger
        self._wall, self._steady = wall, steady
        self._offset = wall() - steady()
        self._in_doubt_until = float("-inf")
        self.loop = Loop("clock", self.look, interval_s=INTERVAL_S)

    def look(self) -> bool:
        """Move what waits when the clock has jumped. Raises LedgerError."""
        offset = self._wall() - self._steady()
        jump_s = offset - self._offset
        if abs(jump_s) >= SMALLEST_JUMP_S:
            self._ledger.shift_waits(jump_s)
            is_far = abs(jump_s) >= DOUBTFUL_JUMP_S
            if is_far:
                self._in_doubt_until = self._steady() + DOUBT_S
            log.warning(
                "clock.jumped",
                seconds=round(jump_s),
                consequence="no study is deleted for a day" if is_far else "",
                remedy="see that the computer is connected to a time server (timedatectl)",
            )
        self._offset = offset
        return False

    def is_in_doubt(self) -> bool:
        """Did the clock jump so far, so recently, that nothing should be deleted by its age?"""
        return self._steady() < self._in_doubt_until
