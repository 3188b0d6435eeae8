"""The circuit breaker: stops requests to a service that keeps failing, and probes it until it recovers."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from enum import StrEnum

THRESHOLD = 3
"""Consecutive failures that open a breaker."""

WAIT_SECONDS = {"redis": 4.0, "data": 60.0, "broker": 60.0}
"""How long a run waits for a dependency before it gives up. Packs wait for their own services themselves."""
_OFTEN = (1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 15 / 16)
PROBES = {"redis": (1 / 2,), "data": _OFTEN, "broker": _OFTEN}
"""When a run probes a dependency, as shares of its wait: a database may restart quickly or take its time."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """How an open breaker recovers, in seconds after it opened: `probes` lets one request through at each of these
    times, `every` one in each such interval. Without `give_up_after` it never gives up.
    """

    probes: tuple[float, ...] = ()
    every: float | None = None
    give_up_after: float | None = None


def recovery_of(dependency: str) -> Recovery:
    """How a run waits for a dependency: not at all for one that its pack waits for."""
    wait = WAIT_SECONDS.get(dependency, 0.0)
    return Recovery(tuple(wait * share for share in PROBES.get(dependency, ())), give_up_after=wait)


class CircuitState(StrEnum):
    """Closed: requests pass. Open: they are refused. Half open: one request probes the service."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class CircuitBreaker:
    """Opens after three consecutive failures; closes after a success. Thread-safe.

    Times are seconds of a steady clock.
    """

    def __init__(self, recovery: Recovery, *, threshold: int = THRESHOLD) -> None:
        self._recovery, self._threshold = recovery, threshold
        self._failures = 0
        self._opened_at: float | None = None
        self._probes = 0
        self._probing = False
        self._lock = threading.Lock()

    @property
    def state(self) -> CircuitState:
        """Whether requests pass."""
        with self._lock:
            if self._opened_at is None:
                return CircuitState.CLOSED
            return CircuitState.HALF_OPEN if self._probing else CircuitState.OPEN

    @property
    def failures(self) -> int:
        """Consecutive failures since the last success."""
        with self._lock:
            return self._failures

    def allows_request(self, now: float) -> bool:
        """Whether a request may be made now. While the breaker is open, True once for each probe that is due."""
        with self._lock:
            if self._opened_at is None:
                return True
            due = self._probes_due(now - self._opened_at)
            if self._probes >= due:
                return False
            self._probes, self._probing = due, True
            return True

    def record_failure(self, now: float, recovery: Recovery | None = None) -> None:
        """Counts a failed request. `recovery` replaces the breaker's, as another service may have failed."""
        with self._lock:
            self._recovery = recovery or self._recovery
            self._failures += 1
            self._probing = False
            if self._failures >= self._threshold and self._opened_at is None:
                self._opened_at = now

    def record_success(self) -> None:
        """Closes the breaker."""
        with self._lock:
            self._failures, self._opened_at, self._probes, self._probing = 0, None, 0, False

    def has_given_up(self, now: float) -> bool:
        """Whether the service has not recovered in time."""
        with self._lock:
            wait = self._recovery.give_up_after
            return self._opened_at is not None and wait is not None and now > self._opened_at + wait

    def _probes_due(self, elapsed: float) -> int:
        due = sum(elapsed >= probe for probe in self._recovery.probes)
        if self._recovery.every is not None:
            due += int(elapsed // self._recovery.every)
        return due
