"""What Redis holds: its figures, the families of keys, single keys, and what clearings did to the hit rate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from opsconsole.cache.families import Family
from opsconsole.cache.figures import CacheDay, RedisStats, UsageSurvey
from opsconsole.cache.filters import ClearFilter
from opsconsole.cache.reads import Reads
from opsconsole.core.errors import Exit, OpsconsoleError
from opsconsole.rules.actions import Verb
from opsconsole.rules.audit import AuditEntry, AuditFilter
from opsconsole.service.backend import Backend
from opsconsole.store import audit, cache_days, commands
from opsconsole.store.commands import CommandState

if TYPE_CHECKING:
    from opsconsole.cache.clearing import ClearProgress  # redis-py, which most commands do without
    from opsconsole.cache.keys import KeysFound, KeyValue

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Clearing:
    """Keys that an operator cleared: how many of each family, and the reads of these families on the day before and
    until then (`before`), and since then until the end of the next day (`after`).
    """

    command: int | None
    at: datetime
    who: str
    target: str
    families: Mapping[str, int]
    before: Reads
    after: Reads

    @property
    def cleared(self) -> int:
        """The number of keys."""
        return sum(self.families.values())


class NotAKey(OpsconsoleError):
    """A key that belongs to no declared family."""

    exit_code = Exit.USAGE


class CacheQueries:
    """Reads Redis, and the figures of each day in the store. Methods block, and raise Unavailable."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def statistics(self) -> RedisStats:
        """Redis's own figures."""
        from opsconsole.cache.statistics import sample

        return sample(self._backend.resources.cache.client)

    def families(self) -> tuple[Family, ...]:
        """Every declared family of cache keys. Does no I/O."""
        return self._backend.catalog.families

    def count_keys(self, conditions: ClearFilter) -> Iterator[ClearProgress]:
        """Counts the keys that `commands.clear_cache` would remove, step by step. Raises BadClearFilter, BadKey."""
        from opsconsole.cache import clearing

        client, families = self._backend.resources.cache.client, self._backend.catalog.families
        return clearing.sweep(client, families, conditions, remove=False)

    def usage(self, seconds: float) -> UsageSurvey:
        """What Redis holds of each family, as far as it can be counted in `seconds`."""
        return self._backend.resources.cache.survey(self._backend.catalog.families, seconds=seconds)

    def usage_steps(self) -> Iterator[UsageSurvey]:
        """What Redis holds of each family, estimated after each step of a scan, and counted after the last."""
        from opsconsole.cache.statistics import survey

        return survey(self._backend.resources.cache.client, self._backend.catalog.families)

    def days(self, days: int) -> list[CacheDay]:
        """The figures of each family on today and the `days` - 1 days before, in UTC, newest first."""
        with self._backend.reading() as db:
            return cache_days.since(db, self._backend.now().date() - timedelta(days=days - 1))

    def find_keys(self, family: Family, parts: Mapping[str, str]) -> Iterator[KeysFound]:
        """The keys of a family with these parts, step by step. Raises BadKey."""
        from opsconsole.cache import keys

        return keys.find(self._backend.resources.cache.client, family, parts)

    def look(self, key: str) -> KeyValue | None:
        """The value of a key of a declared family; None when it does not exist. Raises NotAKey."""
        from opsconsole.cache import keys

        if all(family.parse(key) is None for family in self.families()):
            raise NotAKey("this key belongs to no declared family; `opsconsole cache families` lists them")
        return keys.look(self._backend.resources.cache.client, key)

    def is_clearing(self) -> bool:
        """Whether a clearing is waiting or running."""
        with self._backend.reading() as db:
            return bool(commands.unfinished(db, (Verb.CLEAR,)))

    def clearings(self, *, limit: int) -> list[Clearing]:
        """The newest clearings, newest first."""
        with self._backend.reading() as db:
            filter_ = AuditFilter(verb=Verb.CLEAR, outcome=CommandState.DONE)
            entries = audit.newest(db, limit=limit, filter_=filter_)
            if not entries:
                return []
            days = cache_days.since(db, entries[-1].at.date() - DAY)
        return [clearing_of(entry, days) for entry in entries]


def clearing_of(entry: AuditEntry, days: Sequence[CacheDay]) -> Clearing:
    """A clearing from its row in the audit trail and the reads of the days around it."""
    outcome = entry.after or {}
    families = {str(name): int(count) for name, count in outcome.get("families", {}).items()}
    until_then = [Reads(*reads) for name, reads in outcome.get("reads", {}).items() if name in families]
    today = entry.at.date()
    of_day = {
        day: _total(Reads(each.hits, each.misses) for each in days if each.family in families and each.day == day)
        for day in (today - DAY, today, today + DAY)
    }
    before = _total(until_then)
    since = of_day[today].since(before)
    after = _total([Reads(max(0, since.hits), max(0, since.misses)), of_day[today + DAY]])
    return Clearing(
        entry.command, entry.at, entry.who, entry.target, families, _total([of_day[today - DAY], before]), after
    )


def _total(reads: Iterator[Reads] | Sequence[Reads]) -> Reads:
    listed = list(reads)
    return Reads(sum(each.hits for each in listed), sum(each.misses for each in listed))
