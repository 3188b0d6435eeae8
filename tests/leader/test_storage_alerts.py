"""Space that runs out, and tables and indexes that grow or only cost, are alerts of a leader until that is repaired."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from opsconsole.core.database import Database
from opsconsole.core.errors import NAMES
from opsconsole.core.problems import Work
from opsconsole.leader import retention, storage_facts
from opsconsole.leader.storage_facts import folders
from opsconsole.rules import storage_health
from opsconsole.rules.alert_changes import SEVERITY_KEPT
from opsconsole.rules.findings import FindingKind as K, Severity
from opsconsole.rules.storage_health import GB, MB
from opsconsole.rules.system_health import TRIED_AGAIN
from opsconsole.store import schema, table_days
from opsconsole.store.table_sizes import IndexSize, TableSize
from tests import templates
from tests.conftest import Installing
from tests.leader.alert_rows import NOON, OFTEN_SECONDS, Watched
from tests.waiting import eventually

STORE = NAMES["store"]
INLINE = {"OPSCONSOLE_ENGINE__EXECUTOR": "inline"}
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


Watching = Callable[[str], Watched]


@pytest.fixture
def watching(installing: Installing, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Watching:
    """Makes an installation on a database, whose leader surveys its tables often."""
    for name in ("FIRST_SURVEY_SECONDS", "SURVEY_SECONDS", "PAUSE"):
        monkeypatch.setattr(storage_facts, name, 0.0)
    monkeypatch.setattr(storage_facts, "STEP_SECONDS", OFTEN_SECONDS)
    monkeypatch.setattr(storage_facts, "MOST_OF_TIME", 1.0)

    def watch(database_url: str) -> Watched:
        place = installing(database_url=database_url, redis_url=redis_url, packs="tests.packs.counting", environ=INLINE)
        return Watched(place, monkeypatch)

    return watch


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return templates.copy_sqlite(tmp_path / "database.db")


def test_a_disk_fills_up_and_cannot_be_read(watching: Watching, sqlite_url: str) -> None:
    watched = watching(sqlite_url)
    (folder,) = folders(watched.place.settings)

    def severity() -> Severity | None:
        found = watched.newest(K.DISK_NEARLY_FULL, folder)
        return None if found is None else found.severity

    with watched.leading() as engine:
        watched.free_bytes = 6 * GB
        watched.looks(engine, Work.DISK_SPACE)
        assert watched.rows == [], "there is enough"

        watched.free_bytes = 4 * GB
        low = watched.fires(K.DISK_NEARLY_FULL, folder)
        watched.clocks.let_pass(MINUTE)
        for free in (100 * MB, 4 * GB, 100 * MB, 4 * GB):
            watched.free_bytes = free
            watched.looks(engine, Work.DISK_SPACE)
            assert severity() is Severity.CRITICAL, "also when it has become better a moment ago"
        worse = watched.newest(K.DISK_NEARLY_FULL, folder)
        watched.clocks.let_pass(SEVERITY_KEPT)
        eventually(lambda: severity() is Severity.WARNING, "the severity falls")

        watched.free_bytes = OSError("input/output error")
        eventually(lambda: any(each.work == Work.DISK_SPACE for each in engine.problems()), "it cannot be read")
        watched.looks(engine)
        assert (K.DEGRADED, Work.DISK_SPACE) not in watched.rows, "it is tried again first"
        watched.clocks.let_pass(TRIED_AGAIN)
        degraded = watched.fires(K.DEGRADED, Work.DISK_SPACE)
        watched.looks(engine)
        assert watched.is_open(K.DISK_NEARLY_FULL, folder), "while it cannot be read, nothing is resolved"
        watched.free_bytes = 50 * GB
        watched.resolves(K.DEGRADED, Work.DISK_SPACE)
        watched.resolves(K.DISK_NEARLY_FULL, folder)

    assert low.severity is Severity.WARNING
    assert worse is not None
    assert (worse.id, worse.worse_at) == (low.id, NOON + MINUTE)
    assert events_of(watched, folder) == ["fired", "worse", "resolved"]
    assert degraded.evidence["reason"] == "OSError: input/output error"
    assert len(watched.rows) == 2


def events_of(watched: Watched, subject: str) -> list[str]:
    """What happened to the alerts of a subject, by the audit trail."""
    entries = watched.place.service.audit.newest(limit=100)
    return [each.outcome for each in reversed(entries) if each.target.endswith(f" {subject}")]


def test_a_table_grows_and_the_store_keeps_too_much(
    watching: Watching, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = watching(sqlite_url)
    record_sizes(watched, "sudden", [10 * n * MB for n in range(10)] + [900 * MB])
    record_sizes(watched, "steady", [300 * n * MB for n in range(11)])
    record_sizes(watched, "young", [MB, 900 * MB])
    kept(watched, 31)
    with watched.leading():
        grown = watched.fires(K.TABLE_GROWTH, "sudden")
        assert watched.rows == [(K.TABLE_GROWTH, "sudden")], "no other table, and no store whose rows may be a bit old"
        kept(watched, 33)
        overdue = watched.fires(K.STORE_SIZE, STORE)
        watched.clocks.let_pass(DAY)
        watched.resolves(K.TABLE_GROWTH, "sudden")

    monkeypatch.setattr(retention, "FIRST_PASS_SECONDS", 0.0)
    with watched.leading():
        watched.resolves(K.STORE_SIZE, STORE)

    assert grown.since == NOON.replace(hour=0) - DAY
    assert overdue.evidence["items"] == ["ops_health_checks"]
    assert len(watched.rows) == 2


def record_sizes(watched: Watched, table: str, sizes: list[int]) -> None:
    """Records the bytes of a table on the days until yesterday."""
    with watched.place.store.writing() as db:
        for ago, size in enumerate(reversed(sizes), 1):
            table_days.record(db, (NOON - ago * DAY).date(), "data", [TableSize(table, 1, size, None, ())])


def kept(watched: Watched, days: int) -> None:
    """Keeps a row for longer than the 30 days of its table."""
    with watched.place.store.writing() as db:
        db.execute(insert(schema.health_checks).values(at=NOON - days * DAY, states={}))


def test_an_sqlite_file_keeps_the_space_of_removed_rows(
    watching: Watching, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = watching(sqlite_url)
    monkeypatch.setattr(storage_health, "FREE_BYTES", MB)
    store = watched.place.store
    with store.writing() as db:
        db.execute(text("CREATE TABLE large AS SELECT zeroblob(4000000) AS bytes"))
    with watched.leading() as engine:
        watched.looks(engine, Work.TABLE_SIZES)
        assert watched.rows == [], "what is full is not too large"
        with store.writing() as db:
            db.execute(text("DROP TABLE large"))
        hollow = watched.fires(K.STORE_SIZE, STORE)
        with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as db:
            db.execute("VACUUM")
        watched.resolves(K.STORE_SIZE, STORE)

    assert hollow.evidence["numbers"]["free_mb"] == 3
    assert hollow.evidence.get("items") is None


def test_indexes_are_unused_or_bloated(watching: Watching, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = watching(postgres_url)
    data = watched.place.data
    monkeypatch.setattr(storage_health, "UNUSED_BYTES", MB // 4)
    monkeypatch.setattr(storage_health, "BLOATED_BYTES", MB // 4)
    with data.writing() as db:
        db.execute(text("INSERT INTO things SELECT 'thing ' || n, md5(n::text), n, 0 FROM generate_series(1, 20000) n"))
        for name in ("ix_unused", "ix_used", "ix_new"):
            db.execute(text(f"CREATE INDEX {name} ON things (mood)"))
    vacuum(data)
    indexes = tuple(IndexSize(name, MB, scans, False) for name, scans in (("ix_unused", 0), ("ix_used", 7)))
    with watched.place.store.writing() as db:
        table_days.record(db, (NOON - 31 * DAY).date(), "data", [TableSize("things", 20_000, MB, None, indexes)])

    with watched.leading():
        unused = watched.fires(K.UNUSED_INDEX, "ix_unused")
        assert watched.rows == [(K.UNUSED_INDEX, "ix_unused")], "neither a used, a new nor a unique index"

        with data.writing() as db:
            db.execute(text("DROP INDEX ix_unused, ix_used"))
            db.execute(text("DELETE FROM things WHERE score > 500"))
        vacuum(data)
        watched.resolves(K.UNUSED_INDEX, "ix_unused")
        bloated = watched.fires(K.BLOATED_INDEX, "ix_new")
        with data.writing() as db:
            db.execute(text("REINDEX TABLE things"))
        watched.resolves(K.BLOATED_INDEX, "ix_new")

    assert unused.evidence["numbers"]["days"] == 31
    assert bloated.evidence["numbers"]["mb"] >= 1


def vacuum(data: Database) -> None:
    with data.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
        db.execute(text("VACUUM ANALYZE things"))
