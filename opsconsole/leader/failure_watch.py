"""Notices when a dependency of a run stays unreachable, and when its job itself is broken."""

from __future__ import annotations

from opsconsole.authoring.batch import BatchResult
from opsconsole.core.breaker import CircuitBreaker, recovery_of
from opsconsole.core.errors import Unavailable
from opsconsole.core.humanize import words

BROKEN_BATCHES = 3
"""A job is broken when this many batches in a row fail completely, all with one kind of failure..."""
BROKEN_BATCH_SIZE = 20
"""... and each has at least this many items."""


class FailureWatch:
    """Judges the results of one run. Times are of the monotonic clock."""

    def __init__(self) -> None:
        self.unreachable: Unavailable | None = None
        """The dependency that has stayed unreachable for too long."""
        self._breaker = CircuitBreaker(recovery_of("redis"))
        self._broken_dependency: Unavailable | None = None
        self._broken_streak: tuple[str, int] = ("", 0)

    def allows_request(self, now: float) -> bool:
        """Whether a batch may start now."""
        return self._breaker.allows_request(now)

    def record_unreachable(self, dependency: str, result: BatchResult, now: float) -> None:
        """Records that a batch could not reach this dependency."""
        self._broken_dependency = Unavailable(dependency, result.reason or "", permanent=result.permanent)
        self._breaker.record_failure(now, recovery_of(dependency))

    def record_success(self) -> None:
        """Records that a batch reached its dependencies."""
        self._breaker.record_success()

    def check(self, now: float) -> None:
        """Sets `unreachable` once a dependency has failed for too long."""
        broken = self._broken_dependency
        if self.unreachable is None and broken and (broken.permanent or self._breaker.has_given_up(now)):
            self.unreachable = broken

    def broken_job(self, keys: int, result: BatchResult) -> str | None:
        """Why the job counts as broken after this result of a batch of `keys` items; None if it does not."""
        if result.ok or len(result.kinds) != 1 or len(result.failed) < max(BROKEN_BATCH_SIZE, keys):
            self._broken_streak = ("", 0) if result.ok else self._broken_streak
            return None
        (kind,) = result.kinds
        before, streak = self._broken_streak
        self._broken_streak = (kind, streak + 1 if kind == before else 1)
        if self._broken_streak[1] < BROKEN_BATCHES:
            return None
        message = result.failures[0].message if result.failures else words(kind)
        return f"the job is broken: every item of {BROKEN_BATCHES} batches failed: {message}"
