"""Back-off and circuit breaker of one destination: pure, told the time."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """First pause, growth and cap, in seconds; failures in a row that open the circuit."""

    first_s: float
    cap_s: float
    factor: float = 2.0
    open_after: int = 3

    def pause_s(self, failures: int) -> float:
        """Pause after this many failures in a row (1 = the first)."""
        return min(self.cap_s, self.first_s * self.factor ** max(0, failures - 1))


class CircuitBreaker:
    """Keeps a dead destination from being knocked at by every object.

    Closed: objects are sent. Open: nothing is sent until the pause is over. Half-open: one
    association probes; success closes the circuit, failure opens it for longer.
    """

    def __init__(self, policy: RetryPolicy) -> None:
        self._policy = policy
        self.failures = 0
        self._retry_at = 0.0

    @property
    def is_open(self) -> bool:
        """True after enough failures in a row, until a probe succeeds."""
        return self.failures >= self._policy.open_after

    def may_try(self, now: float) -> bool:
        """True when a (probing) association is due."""
        return now >= self._retry_at

    def succeeded(self) -> None:
        """The destination answered."""
        self.failures = 0
        self._retry_at = 0.0

    def failed(self, now: float) -> float:
        """The destination did not answer; returns the pause in seconds."""
        self.failures += 1
        pause = self._policy.pause_s(self.failures)
        self._retry_at = now + pause
        return pause
