"""A dead destination is probed, not hammered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from node.pipeline.breaker import CircuitBreaker, RetryPolicy

POLICY = RetryPolicy(first_s=1, cap_s=60)


def test_pauses_grow_to_the_cap() -> None:
    assert [POLICY.pause_s(n) for n in (1, 2, 3, 7, 50)] == [1, 2, 4, 60, 60]


def test_circuit_opens_after_three_failures_and_closes_with_one_success() -> None:
    breaker = CircuitBreaker(POLICY)
    now = 0.0
    for _ in range(3):
        assert breaker.may_try(now)
        now += breaker.failed(now)
    assert breaker.is_open
    assert not breaker.may_try(now - 0.1)
    assert breaker.may_try(now)
    breaker.succeeded()
    assert not breaker.is_open
    assert breaker.may_try(now)


@given(st.integers(min_value=1, max_value=10_000))
def test_pause_never_passes_the_cap_and_never_vanishes(failures: int) -> None:
    assert 0 < POLICY.pause_s(min(failures, 1000)) <= POLICY.cap_s
