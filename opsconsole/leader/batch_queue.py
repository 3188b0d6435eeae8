"""The batches of a live run that are not done: pending in memory, delayed, in flight, or still to be read."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from opsconsole.core.clock import steady
from opsconsole.core.database import Connection
from opsconsole.store import batches
from opsconsole.store.batches import Row


class BatchQueue:
    """Continues after the batch `last_seq`, with `waiting` batches pending in the store. `longest_delay` is that of a
    retry.
    """

    def __init__(self, run: int, *, last_seq: int, waiting: int, longest_delay: timedelta) -> None:
        self.waiting = waiting
        self._run, self._longest_delay = run, longest_delay
        self._last_seq, self._last_loaded_seq = last_seq, 0
        self._ready: deque[Row] = deque()
        self._delayed: list[tuple[float, int, Row]] = []
        self._in_flight: dict[int, Row] = {}
        self._unsaved_starts: set[int] = set()

    def add(self, rows: Sequence[Row], at: datetime) -> list[Row]:
        """Appends new batches, and returns them with their numbers. They may start once they are written."""
        numbered = [replace(row, seq=self._last_seq + nth) for nth, row in enumerate(rows, 1)]
        self._last_seq += len(rows)
        if self.waiting == self._loaded and len(self._ready) + len(rows) <= batches.PAGE:
            self._take(numbered, at)  # nothing is to be read before them
        self.waiting += len(rows)
        return numbered

    def next(self) -> Row | None:
        """The next batch to start, which is in flight from now on; None when there is none now."""
        self._end_delays()
        if not self._ready:
            return None
        row = self._ready.popleft()
        self._in_flight[row.seq] = row
        self._unsaved_starts.add(row.seq)
        return row

    @property
    def has_ready(self) -> bool:
        """Whether there is a batch to start now."""
        self._end_delays()
        return bool(self._ready)

    def end_flight(self, seq: int) -> Row | None:
        """Takes a batch that has a result; None for one that is not in flight."""
        self._unsaved_starts.discard(seq)
        return self._in_flight.pop(seq, None)

    @property
    def in_flight(self) -> int:
        """How many batches workers have."""
        return len(self._in_flight)

    @property
    def has_unsaved_starts(self) -> bool:
        """Whether batches were started that are still pending in the store."""
        return bool(self._unsaved_starts)

    def save_starts(self) -> list[int]:
        """The numbers of these batches, to be written now."""
        started, self._unsaved_starts = sorted(self._unsaved_starts), set()
        return started

    @property
    def needs_rows(self) -> bool:
        """Whether pending rows should be loaded from the store."""
        return len(self._ready) < batches.PAGE // 2 and self.waiting > self._loaded

    def load(self, db: Connection, at: datetime) -> None:
        """Loads the next page of pending rows. From here on their delays are measured with the steady clock."""
        self._take(batches.pending(db, self._run, after=self._last_loaded_seq), at)

    @property
    def _loaded(self) -> int:
        return len(self._ready) + len(self._delayed) + len(self._in_flight)

    def _take(self, rows: Sequence[Row], at: datetime) -> None:
        for row in rows:
            self._last_loaded_seq = row.seq
            if row.not_before is None:
                self._ready.append(row)
            else:
                # Never longer than the longest delay: the clock may have been set back since the row was written.
                delay = min(row.not_before - at, self._longest_delay)
                heapq.heappush(self._delayed, (steady() + delay.total_seconds(), row.seq, row))

    def _end_delays(self) -> None:
        while self._delayed and self._delayed[0][0] <= steady():
            self._ready.append(heapq.heappop(self._delayed)[2])
