"""The index, written behind what was acknowledged: many rows in one transaction.

A row each costs a synchronisation of the ledger; behind the acknowledgement, rows that came in
the meantime share one. A kill in between costs nothing: the store is read on from where the
index ended (`Durable.end`).
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass

import structlog

from node.domain.errors import LedgerError
from node.domain.study import Filing, Instance
from scp.contracts import Durable, InstanceIndex, ReceiverEvents, Stored
from scp.segment import Segment
from scp.storage import verify

log = structlog.get_logger(__name__)

#: Rows of one transaction at most; how long the last of them waits for company, and the first.
BATCH = 512
DELAY_S = 0.05
LONGEST_DELAY_S = 0.25
#: Acknowledged instances that may wait for their rows: beyond it the ledger does not keep up.
MAX_WAITING = 20_000
RETRY_S = 1.0


@dataclass(frozen=True, slots=True)
class _Arrived:
    association_id: str
    segment: Segment
    durable: Durable


@dataclass(frozen=True, slots=True)
class _Closed:
    association_id: str
    clean: bool


class Indexer:
    """One thread that files instances and tells of them, in the order of their arrival."""

    def __init__(self, index: InstanceIndex) -> None:
        self._index = index
        #: Told about every instance and the end of every association.
        self.events: ReceiverEvents | None = None
        self._handed_over: deque[_Arrived | _Closed] = deque()
        self._pending = threading.Event()
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._waiting = 0
        self._fault = ""
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="indexer", daemon=True)
        self._thread.start()

    def refusal(self) -> str:
        """Why nothing more should be accepted; "" when all is well."""
        if self._waiting > MAX_WAITING:
            return f"{self._waiting} instances wait for their rows in the ledger; {self._remedy()}"
        return self._fault

    def waiting(self) -> int:
        """How many instances, and ends of associations, wait to be filed."""
        return self._waiting

    def stored(self, association_id: str, segment: Segment, end: int, instance: Instance) -> None:
        """An instance is durable; its row follows."""
        with self._lock:
            segment.unindexed += 1
            self._waiting += 1
        durable = Durable(instance=instance, segment=segment.use, end=end)
        self._hand_over(_Arrived(association_id, segment, durable))

    def closed(self, association_id: str, *, clean: bool) -> None:
        """An association is over; told behind its instances."""
        with self._lock:
            self._waiting += 1
        self._hand_over(_Closed(association_id, clean))

    def flush(self, timeout_s: float = 30.0) -> bool:
        """Wait until all that was handed over has been filed; False when it was not in time."""
        with self._idle:
            return self._idle.wait_for(lambda: not self._waiting, timeout_s)

    def stop(self) -> None:
        """File what waits and end. What cannot be filed is found again at the next start."""
        self._stopping = True
        self._pending.set()
        self._thread.join(10.0)

    def _hand_over(self, item: _Arrived | _Closed) -> None:
        self._handed_over.append(item)
        if not self._pending.is_set():
            self._pending.set()

    def _run(self) -> None:
        while not (self._stopping and not self._handed_over):
            self._pending.wait()
            self._await_company()
            self._pending.clear()
            while self._handed_over:
                size = min(BATCH, len(self._handed_over))
                self._file([self._handed_over.popleft() for _ in range(size)])

    def _await_company(self) -> None:
        """Not woken for each instance: that takes the interpreter, and the disk, from those who
        are about to answer.
        """
        deadline = time.monotonic() + LONGEST_DELAY_S
        before = -1
        while not self._stopping and before != len(self._handed_over) < BATCH:
            before = len(self._handed_over)
            time.sleep(DELAY_S)
            if time.monotonic() > deadline:
                return

    def _file(self, batch: list[_Arrived | _Closed]) -> None:
        arrived = [item for item in batch if isinstance(item, _Arrived)]
        recorded = self._record([item.durable for item in arrived])
        if recorded is None:
            # Filing the next batch would move the mark of the index over this one.
            self._handed_over.clear()
            return
        filings = iter(recorded)
        for item in batch:
            try:
                if isinstance(item, _Arrived):
                    self._tell(item, next(filings))
                elif self.events is not None:
                    self.events.association_closed(item.association_id, clean=item.clean)
            except Exception:
                # A listener's fault must not end the filing of everybody's instances.
                log.exception("indexer.listener_failed")
        with self._idle:
            for arrival in arrived:
                arrival.segment.unindexed -= 1
            self._waiting -= len(batch)
            self._idle.notify_all()

    def _record(self, batch: list[Durable]) -> list[Filing] | None:
        """Try until the ledger takes them; they are safe in their segments meanwhile.

        Returns:
            None when the node stops first: the next start reads them from the segments.
        """
        while batch:
            try:
                filings = list(self._index.record_all(batch))
                for durable, filing in zip(batch, filings, strict=True):
                    if filing is Filing.DUPLICATE:
                        self._mend(durable.instance)
            except LedgerError as error:
                if not self._fault:
                    log.error("indexer.waits", cause=str(error), remedy=self._remedy())
                self._fault = f"the index did not take the instance: {error}"
                if self._stopping:
                    return None
                time.sleep(RETRY_S)
            else:
                self._fault = ""
                return filings
        return []

    def _mend(self, again: Instance) -> None:
        """The same bytes came again: they replace those of the first time where it is damaged."""
        for known in self._index.find(again.sop_instance_uid):
            if known.digest == again.digest and known.extent != again.extent and not verify(known):
                self._index.move(again)

    def _tell(self, item: _Arrived, filing: Filing) -> None:
        if self.events is not None:
            stored = Stored(item.durable.instance, filing)
            self.events.instance_stored(item.association_id, stored)

    def _remedy(self) -> str:
        return "check the disk of the storage path; nothing acknowledged is lost"
