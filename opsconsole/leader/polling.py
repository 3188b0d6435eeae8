"""When the engine polls the store: often while there is work, and otherwise when it is woken."""

from __future__ import annotations

import threading
import time

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.store import Store
from opsconsole.store.idleness import WorkCheck

POLL_SECONDS, IDLE_SECONDS = 0.5, 1.0
"""The time between two polls while there is work, and between two checks whether there is any. Requests wake the
engine; the checks find those whose signal was lost."""
LONGEST_SECONDS = 60.0
"""The longest time between two polls, in case a check misses something."""


class Polling:
    """The polls of one leadership. `wake` is set when there may be something to do."""

    def __init__(self, store: Store, wake: threading.Event) -> None:
        self._check, self._wake = WorkCheck(store), wake
        self._polled = self._checked = float("-inf")
        self._has_work = True

    def is_due(self, *, is_busy: bool) -> bool:
        """Whether to poll now; if so, it counts as done. While `is_busy` there is work without a check."""
        now = time.monotonic()
        if self._wake.is_set():
            self._wake.clear()
            self._has_work = True
        elif now - self._checked < self._seconds:
            return False
        elif now - self._polled < LONGEST_SECONDS:
            self._checked = now
            self._has_work = is_busy or self._finds_work()
            if not self._has_work:
                return False
        self._polled = self._checked = now
        return True

    def wait(self) -> None:
        """Waits until the next poll or check, or to be woken."""
        self._wake.wait(self._seconds)

    def close(self) -> None:
        """Closes its connection."""
        self._check.close()

    @property
    def _seconds(self) -> float:
        return POLL_SECONDS if self._has_work else IDLE_SECONDS

    def _finds_work(self) -> bool:
        try:
            return self._check.has_work()
        except SQLAlchemyError:
            return True  # the poll fails in the same way, and reports it
