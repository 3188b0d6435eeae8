"""Rules about space: disks, the size of the store, the growth of tables, and indexes that cost more than they help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from statistics import median

from opsconsole.core.errors import NAMES
from opsconsole.rules.findings import Finding, FindingKind, Severity
from opsconsole.rules.spread import deviation

MB, GB = 1 << 20, 1 << 30
LOW_SHARE, LOW_BYTES = 0.05, GB
"""Less free space than either of these is a warning..."""
NO_SHARE, NO_BYTES = 0.01, 200 * MB
"""... and than either of these is critical."""
OVERDUE_AFTER = timedelta(days=2)
"""Rows may be kept this much longer than they should: the leader removes them in small steps, and may have been off."""
FREE_SHARE, FREE_BYTES = 0.5, 100 * MB
"""An SQLite file with more free space than both of these is larger than what it holds."""
RECENT_DAYS = 7
GROWTH_DAYS, LEAST_GROWTHS = 30, 7
"""The growth of a day is compared with that of at most, and at least, this many days before it."""
LEAST_GROWTH_BYTES = 20 * MB
UNUSED_DAYS = 30
"""A job that runs once a month may be the only one to use an index."""
UNUSED_BYTES, UNUSED_ROWS = MB, 10_000
BLOATED_BYTES, BLOATED_FACTOR = 10 * MB, 3.0
"""An index of random keys is up to 1.5 times as large as its entries need."""


@dataclass(frozen=True, slots=True)
class Disk:
    """The disk that a folder is on, in bytes."""

    folder: str
    free: int
    total: int


def disks(found: Iterable[Disk], since: datetime) -> Iterator[Finding]:
    """Disks that are nearly full."""
    for disk in found:
        share = disk.free / disk.total if disk.total else 0.0
        if share >= LOW_SHARE and disk.free >= LOW_BYTES:
            continue
        critical = share < NO_SHARE or disk.free < NO_BYTES
        numbers = {"free_mb": disk.free // MB, "free_percent": round(share * 100, 1)}
        yield Finding(
            Severity.CRITICAL if critical else Severity.WARNING,
            FindingKind.DISK_NEARLY_FULL,
            disk.folder,
            since,
            numbers=numbers,
        )


@dataclass(frozen=True, slots=True)
class StoreSize:
    """The store: tables with rows that should have been removed days ago, and its size in bytes, of which `free` are
    unused space in its file; None on PostgreSQL.
    """

    overdue: tuple[str, ...]
    free: int | None
    total: int


def store_size(size: StoreSize, since: datetime) -> Iterator[Finding]:
    """Whether the store is larger than its retention explains: rows are not removed in time, or the space of removed
    rows was not given back.
    """
    free = size.free or 0
    is_hollow = free > FREE_BYTES and free > FREE_SHARE * size.total
    if size.overdue or is_hollow:
        numbers = {"free_mb": free // MB, "total_mb": size.total // MB} if is_hollow else {}
        yield Finding(
            Severity.WARNING, FindingKind.STORE_SIZE, NAMES["store"], since, items=size.overdue, numbers=numbers
        )


@dataclass(frozen=True, slots=True)
class SizeOnDay:
    """A table on a UTC day, or one of its indexes (`index`, empty for the table with all of them). `scans` counts the
    queries that used the index until then. None is what the database does not report.
    """

    day: date
    database: str
    table: str
    index: str
    rows: int | None
    bytes: int | None
    scans: int | None


def table_growth(sizes: Sequence[SizeOnDay], today: date) -> Iterator[Finding]:
    """Tables whose growth of today or yesterday is out of line with that of the days before."""
    for (_, table, _), days in by_name(size for size in sizes if not size.index).items():
        measured = [(each.day, each.bytes) for each in days if each.bytes is not None]
        growths = [
            (day, (size - before) / (day - earlier).days) for (earlier, before), (day, size) in pairwise(measured)
        ]
        for number, (day, grown) in enumerate(growths):
            usual = [each for _, each in growths[max(0, number - GROWTH_DAYS) : number]]
            if (today - day).days > 1 or len(usual) < LEAST_GROWTHS:
                continue
            middle = median(usual)
            size_before = measured[number][1]
            margin = max(5 * deviation(usual), abs(middle), size_before / 10, LEAST_GROWTH_BYTES)
            if grown > middle + margin:
                numbers = {"grown_mb": round(grown / MB), "usual_mb": round(middle / MB, 1), "days": len(usual)}
                since = datetime.combine(day, time(), UTC)
                yield Finding(Severity.WARNING, FindingKind.TABLE_GROWTH, table, since, numbers=numbers)
                break


@dataclass(frozen=True, slots=True)
class Growth:
    """By how many bytes a table became larger in some days; negative when it became smaller."""

    bytes: int
    days: int


def growth_of(days: Iterable[SizeOnDay], now_bytes: int | None, today: date) -> Growth | None:
    """The growth of a table since its oldest record of the last seven days; None without one of an earlier day. `days`
    are its records.
    """
    since = today - timedelta(days=RECENT_DAYS)
    known = [(each.day, each.bytes) for each in days if since <= each.day < today and each.bytes is not None]
    if now_bytes is None or not known:
        return None
    day, size = min(known)
    return Growth(now_bytes - size, (today - day).days)


def unused_days(days: Iterable[SizeOnDay], scans: int | None, today: date) -> int:
    """For how many days no query has used an index: its counter was the same until now. `days` are its records."""
    unchanged = 0
    for each in sorted(days, key=lambda each: each.day, reverse=True):
        if each.scans != scans:
            break
        unchanged = (today - each.day).days
    return unchanged


@dataclass(frozen=True, slots=True)
class IndexFacts:
    """An index now. `rows` are those of its table, `expected_bytes` what its entries need."""

    database: str
    table: str
    name: str
    rows: int
    bytes: int | None
    scans: int | None
    unique: bool
    expected_bytes: int | None


def indexes(
    current: Iterable[IndexFacts], sizes: Sequence[SizeOnDay], today: date, since: datetime
) -> Iterator[Finding]:
    """Indexes that no query has used for a month, and those that are much larger than their entries."""
    recorded = by_name(size for size in sizes if size.index)
    for index in current:
        days = recorded.get((index.database, index.table, index.name), [])
        if index.bytes is None:
            continue
        unused = _unused_days(index, days, today)
        if unused is not None:
            numbers = {"days": unused, "mb": round(index.bytes / MB, 1)}
            yield Finding(
                Severity.WARNING, FindingKind.UNUSED_INDEX, index.name, since, reason=index.table, numbers=numbers
            )
        if is_bloated(index.bytes, index.expected_bytes):
            numbers = {"mb": round(index.bytes / MB), "expected_mb": round((index.expected_bytes or 0) / MB, 1)}
            yield Finding(
                Severity.WARNING, FindingKind.BLOATED_INDEX, index.name, since, reason=index.table, numbers=numbers
            )


def is_bloated(size: int | None, expected: int | None) -> bool:
    """Whether an index of `size` bytes is much larger than its entries need; False if one is missing."""
    return size is not None and expected is not None and size > max(BLOATED_BYTES, BLOATED_FACTOR * expected)


def _unused_days(index: IndexFacts, days: Sequence[SizeOnDay], today: date) -> int | None:
    """For how many days no query has used an index; None if one has, or if it is not worth a finding. Counters that are
    lower than they were have been reset.
    """
    if index.unique or index.scans is None or index.rows < UNUSED_ROWS or (index.bytes or 0) < UNUSED_BYTES:
        return None
    oldest = next((each for each in days if each.scans is not None), None)
    if oldest is None or any(each.scans not in (None, index.scans) for each in days):
        return None
    recorded = (today - oldest.day).days
    return recorded if recorded >= UNUSED_DAYS else None


def by_name(sizes: Iterable[SizeOnDay]) -> dict[tuple[str, str, str], list[SizeOnDay]]:
    """The sizes of each table and index (database, table, index), oldest first."""
    found: dict[tuple[str, str, str], list[SizeOnDay]] = {}
    for size in sorted(sizes, key=lambda each: each.day):
        found.setdefault((size.database, size.table, size.index), []).append(size)
    return found
