"""The circuit breaker: when it opens, when it probes, and when it gives up."""

from __future__ import annotations

import pytest

from opsconsole.core.breaker import (
    PROBES,
    THRESHOLD,
    WAIT_SECONDS,
    CircuitBreaker,
    CircuitState,
    Recovery,
    recovery_of,
)


def opened(recovery: Recovery, at: float = 100.0) -> CircuitBreaker:
    breaker = CircuitBreaker(recovery)
    for _ in range(THRESHOLD):
        breaker.record_failure(at)
    return breaker


def state(breaker: CircuitBreaker) -> CircuitState:
    return breaker.state


def test_two_consecutive_failures_leave_it_closed() -> None:
    breaker = CircuitBreaker(Recovery(give_up_after=4.0))
    for _ in range(10):
        breaker.record_failure(1.0)
        breaker.record_failure(1.0)
        breaker.record_success()

    assert state(breaker) is CircuitState.CLOSED
    assert breaker.allows_request(1.0)
    assert not breaker.has_given_up(1000.0)


@pytest.mark.parametrize("dependency", ["redis", "data"])
def test_the_third_failure_opens_it_except_for_probes(dependency: str) -> None:
    breaker, wait = opened(recovery_of(dependency)), WAIT_SECONDS[dependency]

    assert state(breaker) is CircuitState.OPEN
    assert not breaker.allows_request(100.0)
    for share in PROBES[dependency]:
        assert not breaker.allows_request(100.0 + wait * share - 0.01)
        assert breaker.allows_request(100.0 + wait * share)
        assert not breaker.allows_request(100.0 + wait * share + 0.01), "one request, and no more"
    assert not breaker.has_given_up(100.0 + wait)
    assert breaker.has_given_up(100.0 + wait + 0.01)


def test_a_dependency_that_its_pack_waits_for_is_given_up_at_once() -> None:
    breaker = opened(recovery_of("claude"))

    assert not breaker.allows_request(100.0)
    assert breaker.has_given_up(100.1)


def test_a_successful_probe_closes_it() -> None:
    breaker = opened(recovery_of("redis"))
    assert breaker.allows_request(103.0)
    assert state(breaker) is CircuitState.HALF_OPEN

    breaker.record_success()

    assert state(breaker) is CircuitState.CLOSED
    assert breaker.allows_request(103.1)
    assert not breaker.has_given_up(1000.0)
    breaker.record_failure(104.0)
    assert breaker.allows_request(104.0), "failures are counted from zero"


def test_a_failed_probe_does_not_extend_the_wait() -> None:
    breaker = opened(recovery_of("redis"))
    assert breaker.allows_request(103.0)

    breaker.record_failure(103.5)

    assert state(breaker) is CircuitState.OPEN
    assert not breaker.allows_request(103.6)
    assert breaker.has_given_up(104.1)


def test_probes_at_an_interval_never_give_up() -> None:
    breaker = opened(Recovery(every=2.0))

    assert [at for at in range(100, 108) if breaker.allows_request(at)] == [102, 104, 106]
    assert not breaker.has_given_up(1_000_000.0)


def test_probes_that_were_due_while_no_request_was_made_count_as_one() -> None:
    breaker = opened(Recovery(every=2.0))

    assert breaker.allows_request(150.0)
    assert not breaker.allows_request(151.9)
    assert breaker.allows_request(152.0)


def test_the_last_failure_decides_how_it_recovers() -> None:
    breaker = opened(recovery_of("redis"))

    breaker.record_failure(101.0, recovery_of("data"))

    assert not breaker.has_given_up(105.0)
    assert breaker.has_given_up(160.1)
