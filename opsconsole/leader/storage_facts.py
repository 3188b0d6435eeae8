"""The facts about disks, tables and indexes that rules need: cheap ones often, costly ones hourly and in steps."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.catalog import Catalog
from opsconsole.core.clock import Clock
from opsconsole.core.database import Database
from opsconsole.core.database_errors import reason
from opsconsole.core.errors import Unavailable
from opsconsole.core.problems import Work
from opsconsole.core.settings import Settings
from opsconsole.core.supervision import Loop
from opsconsole.rules.findings import Finding, FindingKind
from opsconsole.rules.retention import cutoffs
from opsconsole.rules.storage_health import (
    OVERDUE_AFTER,
    Disk,
    IndexFacts,
    StoreSize,
    disks,
    indexes,
    store_size,
    table_growth,
)
from opsconsole.store import Store, data_tables, schema, table_days
from opsconsole.store.retention import PARTS, find, kept_runs
from opsconsole.store.table_sizes import TableSize, free_bytes, table_sizes

DISK_SECONDS = 10.0
SURVEY_SECONDS, FIRST_SURVEY_SECONDS = 3600.0, 900.0
"""The time between two surveys of all tables, and before the first one: what is no longer kept is removed first."""
STEP_SECONDS = 1.0
"""The time between two attempts of a survey that is due."""
MOST_OF_TIME = 0.01
"""A survey that takes long is repeated less often, so that this is its share of the time at most."""
PAUSE = 4
"""Others may read for this many times as long as the figures of a table took."""
KEPT_DAYS = 35
SURVEYED = (
    FindingKind.STORE_SIZE,
    FindingKind.TABLE_GROWTH,
    FindingKind.UNUSED_INDEX,
    FindingKind.BLOATED_INDEX,
)

Usage = Callable[[str], Disk]


def disk_of(folder: str) -> Disk:
    """The disk of a folder. Raises OSError."""
    usage = shutil.disk_usage(folder)
    return Disk(folder, usage.free, usage.total)


class DiskFacts:
    """The disks of an installation's folders."""

    def __init__(self, settings: Settings, *, now: Clock, usage: Usage = disk_of) -> None:
        self._settings, self._now, self._usage = settings, now, usage
        self._findings: tuple[Finding, ...] = ()
        self._was_read = False
        self.loop = Loop(Work.DISK_SPACE, self.read, seconds=DISK_SECONDS, now=now)

    def findings(self) -> tuple[Finding, ...]:
        """What was found when they were last read."""
        return self._findings

    def unknown_kinds(self) -> Iterator[FindingKind]:
        """The kinds of findings that cannot be judged now."""
        if not self._was_read or self.loop.status().problem is not None:
            yield FindingKind.DISK_NEARLY_FULL

    def read(self) -> None:
        """Reads the free space."""
        since = {each.subject: each.since for each in self._findings}
        found = disks(map(self._usage, folders(self._settings)), self._now())
        self._findings = tuple(_lasting(each, since.get(each.subject)) for each in found)
        self._was_read = True


def folders(settings: Settings) -> list[str]:
    """The folders that this installation writes to, one for each disk."""
    urls = (make_url(url.reveal()) for url in (settings.store_url, settings.data_url))
    files = [Path(url.database) for url in urls if url.get_backend_name() == "sqlite" and url.database]
    by_disk: dict[int, str] = {}
    for folder in (settings.folder, *(file.absolute().parent for file in files)):
        if folder.exists():
            by_disk.setdefault(folder.stat().st_dev, str(folder))
    return list(by_disk.values())


class TableFacts:
    """Surveys the tables of both databases, and records their sizes for the day."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        data: Database,
        catalog: Catalog,
        token: int,
        *,
        may_start_work: Callable[[], bool],
        now: Clock,
    ) -> None:
        self._settings, self._store, self._token, self._now = settings, store, token, now
        self._may_start_work = may_start_work
        self._databases = (
            ("store", store, tuple(schema.metadata.tables)),
            ("data", data, tuple(table.name for table in data_tables.tables(catalog.packs))),
        )
        self._findings: tuple[Finding, ...] = ()
        self._was_read = False
        self._next = time.monotonic() + FIRST_SURVEY_SECONDS
        self.loop = Loop(Work.TABLE_SIZES, self._step, seconds=STEP_SECONDS, now=now)

    def findings(self) -> tuple[Finding, ...]:
        """What the last survey found."""
        return self._findings

    def unknown_kinds(self) -> Iterator[FindingKind]:
        """The kinds of findings that cannot be judged now."""
        if not self._was_read or self.loop.status().problem is not None:
            yield from SURVEYED

    def survey(self) -> Iterator[str]:
        """Reads the sizes of all tables, yielding the name of each, and judges them. Raises SQLAlchemyError,
        Unavailable, Fenced.
        """
        now, today = self._now(), self._now().date()
        found: list[IndexFacts] = []
        total = 0
        for name, database, tables in self._databases:
            sizes: list[TableSize] = []
            for table in tables:
                sizes += _sizes(name, database, table)
                yield table
            total += sum(size.bytes or 0 for size in sizes) if name == "store" else 0
            found += [facts for size in sizes for facts in _indexes(name, size)]
            with self._store.fenced(self._token) as db:
                table_days.record(db, today, name, sizes)
        with self._store.fenced(self._token) as db:
            table_days.forget_before(db, today - timedelta(days=KEPT_DAYS))
        free = free_bytes(self._store)
        store = StoreSize(tuple(self._overdue(now)), free, total + (free or 0))
        with self._store.reading() as db:
            recorded = table_days.since(db, today - timedelta(days=KEPT_DAYS))
        judged = (
            *store_size(store, now),
            *table_growth(recorded, today),
            *indexes(found, recorded, today, now),
        )
        since = {each.key: each.since for each in self._findings}
        self._findings = tuple(_lasting(each, since.get(each.key)) for each in judged)
        self._was_read = True

    def _overdue(self, now: datetime) -> Iterator[str]:
        """The tables with rows that should have been removed days ago."""
        before = cutoffs(self._settings.retention, now - OVERDUE_AFTER)
        with self._store.reading() as db:
            kept = kept_runs(db)
        overdue: set[str] = set()
        for part in PARTS:
            condition = part.condition(before, kept)
            if condition is not None:
                with self._store.reading() as db:
                    if find(db, part.table, condition, after=None, limit=1):
                        overdue.add(part.table.name)
        yield from sorted(overdue)

    def _step(self) -> float | None:
        if (wait := self._next - time.monotonic()) > 0:
            return wait
        if not self._may_start_work():
            return None
        spent, started = 0.0, time.monotonic()
        for _table in self.survey():
            took = time.monotonic() - started
            spent += took
            self.loop.repeated.progress()
            if self.loop.is_stopping or not self._may_start_work():
                return None
            time.sleep(PAUSE * took)
            started = time.monotonic()
        spent += time.monotonic() - started
        self._next = time.monotonic() + max(SURVEY_SECONDS, spent / MOST_OF_TIME)
        return None


def _sizes(name: str, database: Database, table: str) -> Iterable[TableSize]:
    try:
        return table_sizes(database, [table])
    except SQLAlchemyError as error:
        raise Unavailable(name, reason(error)) from error


def _indexes(database: str, size: TableSize) -> Iterator[IndexFacts]:
    for index in size.indexes:
        yield IndexFacts(
            database,
            size.name,
            index.name,
            size.rows,
            index.bytes,
            index.scans,
            index.unique,
            index.expected_bytes,
        )


def _lasting(finding: Finding, since: datetime | None) -> Finding:
    """The finding with the time when it was first found."""
    return finding if since is None else replace(finding, since=since)
