"""Removes what is no longer kept, in a thread of the leader: a few rows at a time, with time for others in between."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from opsconsole.core.clock import Clock
from opsconsole.core.humanize import count
from opsconsole.core.problems import Work
from opsconsole.core.retention import RetentionSection
from opsconsole.core.settings import Actor
from opsconsole.core.supervision import Loop
from opsconsole.rules.retention import Cutoffs, cutoffs
from opsconsole.store import Store, audit, tables
from opsconsole.store.retention import PARTS, Kept, Key, Part, find, kept_runs, remove

log = logging.getLogger(__name__)

PASS_SECONDS, FIRST_PASS_SECONDS = 600.0, 120.0
"""The time between two passes over the store, and before the first one."""
MAX_ROWS, MIN_ROWS = 500, 20
"""How many rows a transaction removes. It begins with a few, and adapts to how long they take."""
LONGEST_SECONDS = 0.05
"""A transaction that takes longer is followed by one with half as many rows."""
PAUSE = 4
"""Others may write for this many times as long as the transaction took."""
SHORTEST_PAUSE_SECONDS = 0.01
RETENTION = Actor("retention", "local")


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one transaction removed, and for how long it kept others from writing."""

    table: str
    rows: int
    seconds: float


class Pruning:
    """Passes over the store while this process leads with `token`."""

    def __init__(
        self, store: Store, kept: RetentionSection, token: int, *, may_start_work: Callable[[], bool], now: Clock
    ) -> None:
        self._store, self._kept, self._token, self._now = store, kept, token, now
        self._may_start_work = may_start_work
        self._rows = MIN_ROWS
        self._next_pass = time.monotonic() + FIRST_PASS_SECONDS
        self.loop = Loop(Work.RETENTION, self._step, seconds=1.0, now=now)

    def start(self) -> None:
        """Starts the thread."""
        self.loop.start()

    def stop(self) -> None:
        """Stops after the current transaction."""
        self.loop.stop()

    def passes(self) -> Iterator[Pruned]:
        """One pass: removes everything that is no longer kept, one transaction with each step. Raises Fenced."""
        now = self._now()
        before = cutoffs(self._kept, now)
        with self._store.reading() as db:
            kept = kept_runs(db)
        for part in PARTS:
            yield from self._prune(part, before, kept)
        if before.audit is not None:
            yield from self._prune_audit(before.audit, now)

    def _step(self) -> float | None:
        if (wait := self._next_pass - time.monotonic()) > 0:
            return wait
        if not self._may_start_work():
            return None
        removed: dict[str, int] = {}
        for step in self.passes():
            self.loop.repeated.progress()
            removed[step.table] = removed.get(step.table, 0) + step.rows
            time.sleep(max(SHORTEST_PAUSE_SECONDS, PAUSE * step.seconds))
            if self.loop.is_stopping or not self._may_start_work():
                return None
        self._next_pass = time.monotonic() + PASS_SECONDS
        if removed:
            what = ", ".join(f"{count(rows, 'row')} of {table}" for table, rows in removed.items())
            log.info("removed what is no longer kept: %s", what)
        return None

    def _prune(self, part: Part, before: Cutoffs, kept: Kept) -> Iterator[Pruned]:
        condition = part.condition(before, kept)  # outside of a transaction: with 1,000 jobs this takes 50 ms
        if condition is None:
            return
        after: Key | None = None
        while True:
            limit = self._rows
            with self._store.reading() as db:
                keys = find(db, part.table, condition, after=after, limit=limit)
            if not keys:
                return
            after = keys[-1]
            started = time.monotonic()
            with self._store.fenced(self._token) as db:
                rows = remove(db, part.table, condition, keys)
            yield Pruned(part.table.name, rows, self._adapt(started))
            if len(keys) < limit:
                return

    def _prune_audit(self, before: datetime, now: datetime) -> Iterator[Pruned]:
        while True:
            started = time.monotonic()
            with self._store.fenced(self._token) as db:
                rows = audit.remove_before(db, before, RETENTION, now, limit=self._rows)
            if not rows:
                return
            yield Pruned(tables.audit.name, rows, self._adapt(started))

    def _adapt(self, started: float) -> float:
        """The seconds since `started`; the next transaction is smaller if they are too many, and larger otherwise."""
        seconds = time.monotonic() - started
        is_long = seconds > LONGEST_SECONDS
        self._rows = max(MIN_ROWS, self._rows // 2) if is_long else min(MAX_ROWS, self._rows * 2)
        return seconds
