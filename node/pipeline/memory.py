"""When an analysis may take memory: by what earlier ones of the same model took.

Two analyses that fit one after the other, but not at the same time, wait for each other instead of
meeting the kernel's out-of-memory killer.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import structlog

from node.domain.errors import WorkerError
from node.domain.study import StackID
from node.ledger import Ledger

log = structlog.get_logger(__name__)

MEGABYTE = 1_000_000
#: A measured peak is exceeded by the next study of the same size by less than this.
MARGIN = 1.2
#: An analysis that has waited this long is not passed by any other: smaller ones that keep coming
#: would else keep it from its turn for ever.
PATIENCE_S = 120.0
#: How often memory that others use is looked at while an analysis waits for it.
_LOOK_S = 0.5
_CGROUP = Path("/sys/fs/cgroup")


class MemoryGate:
    """Lets analyses begin while what all of them will take fits into the memory."""

    def __init__(
        self,
        ledger: Ledger,
        *,
        reserve_mb: int = 0,
        available_mb: Callable[[], int] | None = None,
        patience_s: float = PATIENCE_S,
    ) -> None:
        """
        Args:
            reserve_mb: left to receiving and to the rest of the computer.
            available_mb: memory that can be had now, MB (10^6).
            patience_s: after which a waiting analysis is the next.
        """
        self._ledger = ledger
        self._reserve_mb = reserve_mb
        self._available_mb = available_mb or available_memory_mb
        self._patience_s = patience_s
        self._changed = threading.Condition()
        self._begun: list[int] = []
        self._waiting: dict[object, float] = {}
        self._free_before_mb = 0

    def voxels_of(self, study_uid: str, candidates: Sequence[StackID]) -> int:
        """Of the largest series that an analysis may load; 0 when nothing is known of them."""
        facts = self._ledger.facts.get(study_uid)
        sizes = [
            (one.slices or 0) * (one.rows or 0) * (one.columns or 0)
            for one in (facts.series if facts is not None else ())
            if one.stack_id in candidates
        ]
        return max(sizes, default=0)

    def expected_mb(self, model: str, voxels: int, limit_mb: int) -> int:
        """What an analysis will take at its highest, and never more than its limit.

        The largest of earlier peaks of volumes that were as large; scaled up from the largest
        one where none was. Before anything was measured, its limit.
        """
        uses = self._ledger.service.uses(model)
        if not uses:
            return limit_mb
        as_large = [peak for size, peak in uses if size >= voxels]
        if voxels and not as_large:
            size, peak = max(uses)
            return min(limit_mb, round(MARGIN * peak * voxels / max(size, 1)))
        # A much larger volume tells nothing of a small one.
        fitting = [peak for size, peak in uses if voxels and voxels <= size <= 2 * voxels]
        return min(limit_mb, round(MARGIN * max(fitting or [peak for _, peak in uses])))

    @contextmanager
    def admitted(self, need_mb: int, stopping: Callable[[], bool]) -> Iterator[None]:
        """Wait until it fits, and hold its place inside the block.

        An analysis that is alone always begins: waiting longer would not make more memory.

        Raises:
            WorkerError: the node stops meanwhile.
        """
        with self._changed:
            if not self._may_begin(need_mb, None):
                log.info("job.waits_for_memory", need_mb=need_mb, under_way_mb=sum(self._begun))
                self._wait(need_mb, stopping)
            if not self._begun:
                self._free_before_mb = self._available_mb()
            self._begun.append(need_mb)
        try:
            yield
        finally:
            with self._changed:
                self._begun.remove(need_mb)
                self._changed.notify_all()

    def _wait(self, need_mb: int, stopping: Callable[[], bool]) -> None:
        turn = object()
        self._waiting[turn] = time.monotonic()
        try:
            while not self._may_begin(need_mb, turn):
                if stopping():
                    raise WorkerError("the node is stopping; the job is taken up at the next start")
                self._changed.wait(_LOOK_S)
        finally:
            del self._waiting[turn]
            self._changed.notify_all()

    def _may_begin(self, need_mb: int, turn: object) -> bool:
        # In the order in which they came.
        first, since = next(iter(self._waiting.items()), (turn, 0.0))
        if first is not turn and time.monotonic() - since > self._patience_s:
            return False
        return not self._begun or self._fits(need_mb)

    def _fits(self, need_mb: int) -> bool:
        """Into what was free before the analyses under way began, less what they will take.

        And into what is free now, which others may have taken meanwhile.
        """
        promised = self._free_before_mb - sum(self._begun) - self._reserve_mb
        return need_mb <= min(promised, self._available_mb() - self._reserve_mb)


def available_memory_mb() -> int:
    """Memory that can be had without swapping, MB (10^6): of the computer and of the container."""
    found = []
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            found.append(int(line.split()[1]) * 1024)
    try:
        limit = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        used = (_CGROUP / "memory.current").read_text(encoding="ascii").strip()
    except OSError:
        limit = "max"
    if limit != "max":
        # Pages of files count as used and are given back when they are needed.
        found.append(int(limit) - int(used) + _page_cache())
    return max(0, min(found)) // MEGABYTE


def _page_cache() -> int:
    try:
        lines = (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    values = dict(line.split(maxsplit=1) for line in lines)
    return int(values.get("inactive_file", 0))
