"""Rules about space: what makes each fire and resolve, and what does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from opsconsole.rules.finding_text import sentence
from opsconsole.rules.findings import FindingKind, Severity
from opsconsole.rules.storage_health import (
    GB,
    MB,
    Disk,
    IndexFacts,
    SizeOnDay,
    StoreSize,
    disks,
    indexes,
    store_size,
    table_growth,
)

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)
TODAY = NOON.date()
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("free", "total", "severity"),
    [
        (6 * GB, 100 * GB, None),
        (int(4.9 * GB), 100 * GB, Severity.WARNING),
        (int(0.9 * GB), 4 * GB, Severity.WARNING),
        (int(0.9 * GB), 100 * GB, Severity.CRITICAL),
        (199 * MB, 1 * GB, Severity.CRITICAL),
        (0, 0, Severity.CRITICAL),
    ],
)
def test_a_disk_is_nearly_full_by_its_share_or_its_bytes(free: int, total: int, severity: Severity | None) -> None:
    found = list(disks([Disk("/data", free, total)], NOON))

    assert [finding.severity for finding in found] == ([] if severity is None else [severity])


def test_a_disk_is_shown_by_its_folder() -> None:
    (finding,) = disks([Disk("/data", 512 * MB, 20 * GB), Disk("/logs", 50 * GB, 60 * GB)], NOON)

    assert (finding.kind, finding.subject) == (FindingKind.DISK_NEARLY_FULL, "/data")
    assert sentence(finding, NOON) == "is on a disk with 512 MB free (2.5 %)"


def test_a_store_is_too_large_when_rows_or_space_are_left_over() -> None:
    both = StoreSize(("ops_runs",), 300 * MB, 400 * MB)

    (finding,) = store_size(both, NOON)

    assert (finding.kind, finding.severity) == (FindingKind.STORE_SIZE, Severity.WARNING)
    assert sentence(finding, NOON) == (
        "keeps rows that should have been removed days ago, in ops_runs; "
        "it has 300 of 400 MB unused; reclaim them with VACUUM"
    )
    assert not list(store_size(StoreSize((), None, 900 * GB), NOON)), "PostgreSQL, however large"
    assert not list(store_size(StoreSize((), 90 * MB, 100 * MB), NOON)), "small"
    assert not list(store_size(StoreSize((), 200 * MB, 900 * MB), NOON)), "it will be used again"


# --- growth -------------------------------------------------------------------------------------------------------


def table(*sizes: int | None, until: date = TODAY, name: str = "charges") -> list[SizeOnDay]:
    """The table's megabytes on the last days, one each."""
    first = until - (len(sizes) - 1) * DAY
    return [
        SizeOnDay(first + n * DAY, "data", name, "", None, None if mb is None else mb * MB, None)
        for n, mb in enumerate(sizes)
    ]


STEADY = tuple(1000 + 10 * n for n in range(20))


def test_a_day_that_grew_out_of_line_is_found_until_the_day_after() -> None:
    grown = (*STEADY, STEADY[-1] + 400)

    (finding,) = table_growth(table(*grown), TODAY)

    assert (finding.kind, finding.severity) == (FindingKind.TABLE_GROWTH, Severity.WARNING)
    assert (finding.subject, finding.since) == ("charges", NOON - timedelta(hours=12))
    assert sentence(finding, NOON) == "grew by 400 MB on 2026-03-08; usually 10 MB (19 days)"
    (still,) = table_growth(table(*grown, grown[-1] + 10), TODAY)
    assert still.since == NOON - timedelta(hours=36)
    assert not list(table_growth(table(*grown, grown[-1] + 10, grown[-1] + 20), TODAY))
    assert not list(table_growth(table(*grown, until=TODAY - 2 * DAY), TODAY)), "nothing was recorded since"


@pytest.mark.parametrize(
    "sizes",
    [
        (1, 2, 3, 4, 900),  # too few days
        (*STEADY, STEADY[-1] + 25),  # little more than usual
        (*(n % 2 for n in range(10)), 15),  # small
        tuple(1000 + 5 * n * n for n in range(20)),  # it always grows faster
        tuple(sum(range(n)) * 10 % 977 for n in range(20)),  # it always varies
        (*STEADY, 400),  # it shrank
        (*STEADY, None),  # not known
        (*(None,) * 20, 900),
    ],
)
def test_usual_growth_is_nothing(sizes: tuple[int | None, ...]) -> None:
    assert not list(table_growth(table(*sizes), TODAY))


def test_growth_over_days_that_are_not_recorded_is_spread_over_them() -> None:
    away = table(*STEADY, until=TODAY - 20 * DAY)

    assert not list(table_growth([*away, *table(STEADY[-1] + 400)], TODAY))


def test_each_table_is_judged_on_its_own() -> None:
    days = [*table(*STEADY, STEADY[-1] + 400), *table(*STEADY, name="orders")]

    assert [finding.subject for finding in table_growth(days, TODAY)] == ["charges"]


# --- indexes ------------------------------------------------------------------------------------------------------

INDEX = IndexFacts("data", "charges", "ix_charges_day", 50_000, 4 * MB, 17, unique=False, expected_bytes=3 * MB)


def scans(*counts: int | None) -> list[SizeOnDay]:
    """How often the index had been used by each of the last days."""
    first = TODAY - (len(counts) - 1) * DAY
    return [
        SizeOnDay(first + n * DAY, "data", INDEX.table, INDEX.name, None, INDEX.bytes, count)
        for n, count in enumerate(counts)
    ]


def test_an_index_that_no_query_used_for_a_month_is_unused() -> None:
    (finding,) = indexes([INDEX], scans(*(17,) * 31), TODAY, NOON)

    assert (finding.kind, finding.subject) == (FindingKind.UNUSED_INDEX, "ix_charges_day")
    assert sentence(finding, NOON) == "of charges takes 4 MB, and no query has used it for 30 days"


@pytest.mark.parametrize(
    ("index", "counts"),
    [
        (INDEX, (17,) * 30),  # not a month
        (INDEX, (*(16,) * 5, *(17,) * 26)),  # once
        (replace(INDEX, scans=18), (17,) * 31),  # now
        (replace(INDEX, scans=0), (*(17,) * 20, *(0,) * 11)),  # the statistics were reset
        (replace(INDEX, unique=True), (17,) * 31),
        (replace(INDEX, rows=900), (17,) * 31),
        (replace(INDEX, bytes=MB // 2), (17,) * 31),
        (replace(INDEX, scans=None), (None,) * 31),  # SQLite does not count
        (INDEX, ()),
    ],
)
def test_an_index_that_may_be_used_is_nothing(index: IndexFacts, counts: tuple[int | None, ...]) -> None:
    assert not list(indexes([index], scans(*counts), TODAY, NOON))


def test_an_index_much_larger_than_its_entries_is_bloated() -> None:
    large = replace(INDEX, bytes=40 * MB)

    (finding,) = indexes([replace(large, expected_bytes=5 * MB)], (), TODAY, NOON)

    assert finding.kind is FindingKind.BLOATED_INDEX
    assert sentence(finding, NOON).startswith("of charges takes 40 MB for entries of 5 MB; rebuild it with REINDEX")
    assert not list(indexes([replace(large, expected_bytes=20 * MB)], (), TODAY, NOON))
    assert not list(indexes([replace(large, expected_bytes=None)], (), TODAY, NOON)), "not analysed"
    assert not list(indexes([replace(INDEX, expected_bytes=MB // 100)], (), TODAY, NOON)), "small"
