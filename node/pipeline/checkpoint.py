"""Nothing but the caller takes the answer to a request of ours.

In pynetdicom an association has a thread of its own, which takes whatever has arrived, and a
caller who waits for an answer stops that thread first. The library's own flag for it is raised
before the thread stands: on a busy machine the thread can be one step further, takes the answer
as an unexpected message, and the caller waits until the association times out.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from pynetdicom.association import Association

#: How often a caller looks whether the thread that it waits for is over, in seconds.
_LOOK_S = 0.05


class Checkpoint:
    """Where the thread of a requested association stands while the caller asks.

    It takes the place of the library's event, with the same four words.
    """

    def __init__(self, thread: threading.Thread) -> None:
        self._thread = thread
        self._changed = threading.Condition()
        self._open = True
        self._stands = False

    def is_set(self) -> bool:
        """May the thread pass?"""
        return self._open

    def set(self) -> None:
        """Let it pass."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Stop it: returns when it stands here, or is over."""
        with self._changed:
            self._open = False
            if threading.current_thread() is self._thread:
                return
            while not self._stands and self._thread.is_alive():
                self._changed.wait(_LOOK_S)

    def wait(self, timeout: float | None = None) -> bool:
        """Pass when it is open: called by the thread. A time is in seconds."""
        # Outside of the lock a caller could still see it stand when it has passed.
        with self._changed, self.standing():
            return self._changed.wait_for(lambda: self._open, timeout)

    @contextmanager
    def standing(self) -> Iterator[None]:
        """The thread takes nothing that has arrived until this is left."""
        with self._changed:
            self._stands = True
            self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._stands = False


def answered_to_us(association: Association) -> Checkpoint:
    """Give an established association that was opened here a checkpoint that holds; returns it."""
    checkpoint = Checkpoint(association)
    cast(Any, association)._reactor_checkpoint = checkpoint
    threading.Thread(target=_over, args=(association,), name="association-end", daemon=True).start()
    return checkpoint


def _over(association: Association) -> None:
    """The library's callers wait for ever for a thread that is over, unless this is said."""
    association.join()
    cast(Any, association)._is_paused = True
