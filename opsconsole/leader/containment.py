"""Contains what one run, backfill or schedule raises: it ends, and the others and the leader continue."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opsconsole.core.clock import Clock
from opsconsole.core.errors import Fenced, LeaseExpired
from opsconsole.core.problems import Fault, Problem
from opsconsole.core.supervision import describe, is_outage, log_failure


def ends_leadership(error: BaseException) -> bool:
    """Whether the lease is lost, or the store is unreachable."""
    return isinstance(error, Fenced | LeaseExpired) or is_outage(error)


class Containment:
    """What this leader has set aside, by its name (`run 17`): it raised, and could not be ended for that either."""

    def __init__(self, now: Clock) -> None:
        self._now = now
        self._set_aside: dict[str, Problem] = {}

    @contextmanager
    def around(self, name: str, end: Callable[[str], None]) -> Iterator[None]:
        """Calls `end` with the cause when the block raises, and sets `name` aside when that raises, too. What ends the
        leadership is raised again.
        """
        try:
            yield
        except Exception as error:
            if ends_leadership(error):
                raise
            log_failure(name, error)
            cause = describe(error)[0]
            try:
                end(cause)
            except Exception as second:
                if ends_leadership(second):
                    raise
                log_failure(f"{name} is set aside until the next leader tries again: its end", second)
                self.set_aside(name, cause)

    def set_aside(self, name: str, cause: str) -> None:
        """Sets `name` aside."""
        self._set_aside[name] = Problem(name, Fault.FAILING, self._now(), cause)

    def take_back(self, name: str) -> None:
        """Forgets that `name` was set aside."""
        self._set_aside.pop(name, None)

    def has_set_aside(self, name: str) -> bool:
        """Whether it was set aside."""
        return name in self._set_aside

    def problems(self) -> tuple[Problem, ...]:
        """What is set aside, and why."""
        return tuple(self._set_aside.values())
