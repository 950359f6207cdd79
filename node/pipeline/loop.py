"""A thread that must not die in silence: repeats one step, and says when it cannot."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog

from node.domain.errors import NodeError

log = structlog.get_logger(__name__)

#: Pause after a step that failed, so that a full disk is not written to in a tight loop.
FAULT_PAUSE_S = 2.0


class Loop:
    """Calls `step` again and again: at once while it returns True, else after `interval_s`.

    A step that fails is told in `fault` (shown by /healthz) and tried again; the next good
    step clears it. This is the one place, besides the worker, that catches every exception:
    the thread behind it moves patients' results, and must outlive a programming error.
    """

    def __init__(self, name: str, step: Callable[[], object], *, interval_s: float) -> None:
        self.name = name
        self.fault = ""
        self._step = step
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def stopping(self) -> bool:
        """True once `stop` was called."""
        return self._stop.is_set()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """Do the next step now."""
        self._wake.set()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End after the step in hand; waits for that up to `timeout_s`."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                busy = self._step()
            except NodeError as error:
                self._failed(str(error))
            except Exception as error:
                frame = _where(error)
                self._failed(f"{type(error).__name__} at {frame}: please report this")
            else:
                self.fault = ""
                if not busy:
                    self._wake.wait(self._interval_s)
                    self._wake.clear()

    def _failed(self, cause: str) -> None:
        if not self._stop.is_set():
            self.fault = cause
            log.error("loop.failed", loop=self.name, cause=cause)
            self._stop.wait(FAULT_PAUSE_S)


def _where(error: BaseException) -> str:
    """File and line of the innermost frame; values of variables stay out of the logs."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "an unknown place"
    return f"{trace.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{trace.tb_lineno}"
