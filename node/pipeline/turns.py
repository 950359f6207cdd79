"""Both sides may ask on one association; this keeps their requests apart.

A destination reports a storage commitment on the association of the request when it likes. In
pynetdicom the association's own thread answers it, while the caller's thread may send the next
request or the release: both are then under way at once, which the state machine does not
survive (an A-RELEASE-RQ before the N-EVENT-REPORT-RSP, PS3.8 9.2.3).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from pynetdicom.association import Association

from node.pipeline.checkpoint import answered_to_us


class Turns:
    """The turns of one requested association."""

    def __init__(self, association: Association) -> None:
        """From here on its incoming requests wait for their turn."""
        self._association = cast(Any, association)
        self._lock = threading.Lock()
        self._checkpoint = answered_to_us(association)
        self._closing = False
        self._serve = self._association._serve_request
        self._association._serve_request = self._incoming

    @property
    def is_open(self) -> bool:
        """Does it stand, with both of its threads?"""
        association = self._association
        return bool(
            association.is_established and association.is_alive() and association.dul.is_alive()
        )

    @contextmanager
    def ours(self) -> Iterator[None]:
        """Our request and its response; nothing that comes is answered meanwhile."""
        with self._lock:
            yield

    def release(self) -> None:
        """Release it, when what is being answered has been; what comes later is left to abort."""
        with self._lock:
            self._closing = True
            if self.is_open:
                self._association.release()

    def _incoming(self, message: object, context_id: int) -> None:
        # Whoever has the turn waits for this thread to stand, and this thread for the turn.
        with self._checkpoint.standing():
            self._lock.acquire()
        try:
            if not self._closing:
                self._serve(message, context_id)
        finally:
            self._lock.release()
