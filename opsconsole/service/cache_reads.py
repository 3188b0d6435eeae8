"""Adds the reads of the cache in this process to the figures of the day."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from opsconsole.cache.reads import Reads
from opsconsole.core.clock import Clock
from opsconsole.core.problems import Work
from opsconsole.core.supervision import Loop
from opsconsole.store import Store, cache_days

SECONDS = 60.0
NONE = Reads()


class CacheReadsRecorder:
    """Writes from a thread, once a minute and at the end, what `totals` has more than before."""

    def __init__(self, store: Store, totals: Callable[[], Mapping[str, Reads]], *, now: Clock) -> None:
        self._store, self._totals, self._now = store, totals, now
        self._before: Mapping[str, Reads] = {}
        self.loop = Loop(Work.CACHE_READS, self.record, seconds=SECONDS, now=now, last=self.record)
        self.loop.start()

    def record(self) -> None:
        """Adds the reads since the last time. Raises SQLAlchemyError when the store is unreachable; they are added the
        next time then.
        """
        totals = dict(self._totals())
        new = {family: self._new(family, reads) for family, reads in totals.items()}
        read = {family: reads for family, reads in new.items() if reads != NONE}
        if read:
            with self._store.writing(quiet=True) as db:
                cache_days.add_reads(db, self._now().date(), read)
        self._before = totals

    def _new(self, family: str, reads: Reads) -> Reads:
        more = reads.since(self._before.get(family, NONE))
        return reads if min(more.hits, more.misses, more.failed) < 0 else more  # counted from 0 after a reload

    def stop(self) -> None:
        """Adds what is left, if the store can be reached."""
        self.loop.stop()
