"""When to stop asking a service that is away."""

from __future__ import annotations

from dataclasses import dataclass

FAILURES = 3
WAIT_SECONDS = {"redis": 4.0, "data": 60.0}
"""How long a dependency that is away is waited for before a run gives up on it. For any other its pack has waited."""
PROBES = {"redis": (1 / 2,), "data": (1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 15 / 16)}
"""At which shares of the wait one batch is tried: a database that restarts is soon back, or takes its time."""


@dataclass
class Breaker:
    """Counts failures of a run's dependency in a row. After three it opens: nothing is tried but one batch
    now and then; the wait's end is the end. Times are of a steady clock, in seconds.
    """

    dependency: str = "redis"
    reason: str = ""
    failures: int = 0
    opened: float | None = None
    probed: int = 0

    def failed(self, dependency: str, reason: str, now: float) -> None:
        """A batch came back because `dependency` was away."""
        self.dependency, self.reason = dependency, reason
        self.failures += 1
        if self.failures >= FAILURES and self.opened is None:
            self.opened = now

    def worked(self) -> None:
        """A batch got through: what was before is forgotten."""
        self.failures, self.opened, self.probed = 0, None, 0

    def lets_through(self, now: float) -> bool:
        """Whether a batch may be tried now. While open, True for each batch that tries whether all is well."""
        if self.opened is None:
            return True
        probes = PROBES.get(self.dependency, ())
        due = sum(now >= self.opened + self._wait * share for share in probes)
        if self.probed >= due:
            return False
        self.probed = due
        return True

    def gives_up(self, now: float) -> bool:
        """Whether the wait is over."""
        return self.opened is not None and now > self.opened + self._wait

    @property
    def _wait(self) -> float:
        return WAIT_SECONDS.get(self.dependency, 0.0)
