"""How long a batch waits before it is tried again."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given, strategies as st

from opsconsole.authoring.job import Retry


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


def test_batches_that_failed_together_are_not_retried_together() -> None:
    assert len({Retry().delay(4) for _ in range(50)}) > 40
