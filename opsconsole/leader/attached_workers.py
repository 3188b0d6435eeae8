"""Shows the workers on other machines beside the consoles: the leader writes their presence, as they reach no store."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from opsconsole.core.clock import Clock
from opsconsole.core.humanize import count
from opsconsole.store import Store, presence
from opsconsole.store.presence import BEAT, Attached
from opsconsole.worker.executor import AttachedWorker

WORKER = "worker"


class AttachedWorkers:
    """Writes the presence of the workers that `attached` returns."""

    def __init__(self, store: Store, attached: Callable[[], Sequence[AttachedWorker]], token: int, now: Clock) -> None:
        self._store, self._attached, self._token, self._now = store, attached, token, now
        self._written = -BEAT.total_seconds()
        self._known: set[str] = set()

    def announce(self) -> None:
        """Writes the attached workers, and removes those that have left, every few seconds. Raises Fenced."""
        if time.monotonic() - self._written < BEAT.total_seconds():
            return
        workers = self._attached()
        gone = self._known.difference(each.id for each in workers)
        if workers or gone:
            with self._store.fenced(self._token) as db:
                for each in workers:
                    presence.announce(db, self._presence(each))
                for owner in gone:
                    presence.leave(db, owner)
        self._known = {each.id for each in workers}
        self._written = time.monotonic()

    def _presence(self, worker: AttachedWorker) -> Attached:
        doing = f"worker: {worker.busy} of {count(worker.slots, 'batch', 'batches')}"
        return Attached(worker.id, worker.who, "", worker.host, worker.pid, WORKER, doing, worker.since, self._now())
