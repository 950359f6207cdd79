"""Batches made while the network computes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

Batch = TypeVar("Batch")
#: Seconds between two looks whether it was closed.
_LOOK_S = 0.2


class Ahead(Generic[Batch]):
    """Calls a function in a thread of its own, some calls ahead, and gives what it gave, in order.

    Most of a draw is numpy, which leaves the interpreter free, so that it costs a step nothing.
    """

    def __init__(self, make: Callable[[], Batch], depth: int = 4) -> None:
        self._make = make
        self._made: Queue[Batch | Exception] = Queue(depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __call__(self) -> Batch:
        """The next one.

        Raises:
            Exception: what the function raised.
        """
        made = self._made.get()
        if isinstance(made, Exception):
            raise made
        return made

    def close(self) -> None:
        """Make no more."""
        self._closed.set()
        try:
            while True:
                self._made.get_nowait()
        except Empty:
            self._thread.join()

    def _run(self) -> None:
        while not self._closed.is_set():
            made: Batch | Exception
            try:
                made = self._make()
            except Exception as error:
                # The caller raises it.
                made = error
            while not self._closed.is_set():
                try:
                    self._made.put(made, timeout=_LOOK_S)
                    break
                except Full:
                    continue
            if isinstance(made, Exception):
                return
