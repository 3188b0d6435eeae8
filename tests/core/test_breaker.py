"""When a run stops asking a service that is away, and how long a batch waits before it is tried again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, strategies as st

from opsconsole.authoring.job import Retry
from opsconsole.core.breaker import FAILURES, PROBES, WAIT_SECONDS, Breaker


def opened(at: float = 100.0, dependency: str = "redis") -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES):
        breaker.failed(dependency, "it is cut", at)
    return breaker


def test_two_failures_in_a_row_are_borne() -> None:
    breaker = Breaker()
    for _ in range(10):
        breaker.failed("redis", "it is cut", 1.0)
        breaker.failed("redis", "it is cut", 1.0)
        breaker.worked()

    assert breaker.lets_through(1.0)
    assert not breaker.gives_up(1000.0)


@pytest.mark.parametrize("dependency", ["redis", "data"])
def test_the_third_failure_opens_it_but_for_a_batch_now_and_then(dependency: str) -> None:
    breaker, wait = opened(100.0, dependency), WAIT_SECONDS[dependency]

    assert not breaker.lets_through(100.0)
    for share in PROBES[dependency]:
        assert not breaker.lets_through(100.0 + wait * share - 0.01)
        assert breaker.lets_through(100.0 + wait * share)
        assert not breaker.lets_through(100.0 + wait * share + 0.01), "one batch, and no more"
    assert not breaker.gives_up(100.0 + wait)
    assert breaker.gives_up(100.0 + wait + 0.01)


def test_a_probe_that_gets_through_closes_it() -> None:
    breaker = opened()
    assert breaker.lets_through(103.0)

    breaker.worked()

    assert breaker.lets_through(103.1)
    assert not breaker.gives_up(1000.0)
    breaker.failed("redis", "it is cut", 104.0)
    assert breaker.lets_through(104.0), "the count begins anew"


def test_a_probe_that_fails_does_not_prolong_the_wait() -> None:
    breaker = opened()
    assert breaker.lets_through(103.0)

    breaker.failed("redis", "it is cut", 103.5)

    assert not breaker.lets_through(103.6)
    assert breaker.gives_up(104.1)


@given(
    st.builds(
        Retry,
        first=st.timedeltas(timedelta(milliseconds=100), timedelta(seconds=10)),
        longest=st.timedeltas(timedelta(seconds=10), timedelta(hours=1)),
        jitter=st.floats(0, 1),
    ),
    st.integers(1, 10_000),
)
def test_a_delay_doubles_up_to_its_longest_and_jitter_only_shortens_it(retry: Retry, attempt: int) -> None:
    whole = min(retry.longest, retry.first * 2 ** min(attempt - 1, 40))
    least = whole * (1 - retry.jitter)

    assert least - timedelta(microseconds=1) <= retry.delay(attempt) <= whole + timedelta(microseconds=1)


def test_batches_that_failed_together_do_not_come_back_together() -> None:
    assert len({Retry().delay(4) for _ in range(50)}) > 40
