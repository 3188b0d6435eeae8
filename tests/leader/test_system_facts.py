"""What the leader finds about services, disks and tables, with real servers, files and statistics."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis
from sqlalchemy import insert, text

from opsconsole.authoring.context import Resources
from opsconsole.core.database import Database
from opsconsole.core.errors import NAMES
from opsconsole.core.problems import Work
from opsconsole.embedded.redis import EmbeddedRedis
from opsconsole.leader import probes
from opsconsole.leader.probes import Probe, Probes, RedisProbe, database_probe
from opsconsole.leader.storage_facts import SURVEYED, DiskFacts, TableFacts, folders
from opsconsole.leader.system_facts import SystemFacts
from opsconsole.rules.findings import FindingKind, Severity
from opsconsole.rules.storage_health import GB, MB, Disk
from opsconsole.store import schema, table_days
from opsconsole.store.table_sizes import TableSize, table_sizes
from tests.conftest import Installing
from tests.installation import Installation
from tests.waiting import eventually, signalled

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)


def noon() -> datetime:
    return NOON


@pytest.fixture
def place(installing: Installing, database_url: str, redis_url: str) -> Installation:
    return installing(database_url=database_url, redis_url=redis_url, packs="tests.packs.counting")


# --- probes -------------------------------------------------------------------------------------------------------


@pytest.fixture
def probing(own_redis: EmbeddedRedis, database_url: str) -> Iterator[tuple[Probes, Callable[[], None]]]:
    """Probes of a Redis server of its own and of a database, and a function that makes all of them once."""
    tools = Resources(database_url, own_redis.url)
    made = Probes(
        RedisProbe(lambda: tools.cache.client, now=noon),
        (database_probe(Work.DATA_PROBE, NAMES["data"], tools.data, now=noon),),
    )

    def probe() -> None:
        for each in made.all:
            each.probe()

    yield made, probe
    tools.close()


def test_a_redis_server_that_stops_is_unreachable_until_it_is_back(
    probing: tuple[Probes, Callable[[], None]], own_redis: EmbeddedRedis
) -> None:
    made, probe = probing
    assert {FindingKind.UNREACHABLE, FindingKind.EVICTING} <= set(made.unknown_kinds())
    probe()
    assert (list(made.findings()), set(made.unknown_kinds())) == ([], set())

    own_redis.stop()
    probe()
    (gone,) = made.findings()
    unknown = set(made.unknown_kinds())
    own_redis.ensure()
    probe()

    assert (gone.kind, gone.severity, gone.subject) == (FindingKind.UNREACHABLE, Severity.CRITICAL, NAMES["redis"])
    assert gone.reason
    assert unknown == {FindingKind.SLOW, FindingKind.EVICTING, FindingKind.MEMORY_NEARLY_FULL}
    assert not list(made.findings())


def test_a_redis_server_without_room_is_full_and_evicts(
    probing: tuple[Probes, Callable[[], None]], own_redis: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "FIGURES_SECONDS", 0.0)
    made, probe = probing
    probe()
    with redis.Redis.from_url(own_redis.url) as client:
        client.config_set("maxmemory-policy", "volatile-lru")
        client.config_set("maxmemory", int(client.info()["used_memory"]) + 2 * MB)
        for n in range(400):
            client.set(f"key:{n}", "x" * 10_000, ex=3600)
        probe()
        found = {finding.kind: finding for finding in made.findings()}
        client.flushall()
        client.config_set("maxmemory", 0)
    probe()

    assert set(found) == {FindingKind.EVICTING, FindingKind.MEMORY_NEARLY_FULL}
    assert found[FindingKind.EVICTING].count > 100
    assert found[FindingKind.MEMORY_NEARLY_FULL].numbers["percent"] >= 90
    assert FindingKind.MEMORY_NEARLY_FULL not in {finding.kind for finding in made.findings()}


def test_a_probe_that_hangs_is_a_finding_and_delays_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "HANGING_SECONDS", 0.05)
    release = threading.Event()
    probe = Probe(Work.DATA_PROBE, NAMES["data"], lambda: signalled(release, "the test releases it"), now=noon)
    probe.loop.start()

    eventually(lambda: probe.record.unreachable_since is not None, "the probe hangs")
    hanging = probe.record
    release.set()
    eventually(lambda: probe.record.unreachable_since is None, "the service responds")
    probe.loop.stop()

    assert (hanging.unreachable_since, hanging.reason) == (NOON, probes.NO_ANSWER)


# --- disks --------------------------------------------------------------------------------------------------------


def test_alerts_are_looked_at_when_a_service_goes_and_comes_back() -> None:
    answers = iter((0.01, None, None, 0.01, 0.01))
    changed: list[bool] = []

    def look() -> float:
        seconds = next(answers)
        if seconds is None:
            raise ConnectionError
        return seconds

    probe = Probe(Work.STORE_PROBE, NAMES["store"], look, now=noon)
    probe.changed = lambda: changed.append(probe.record.unreachable_since is None)
    for _ in range(5):
        probe.probe()

    assert changed == [False, True]


def test_the_disks_of_all_folders_are_read(place: Installation) -> None:
    free = {"bytes": 50 * GB}

    def usage(folder: str) -> Disk:
        return Disk(folder, free["bytes"], 100 * GB)

    facts = DiskFacts(place.settings, now=noon, usage=usage)
    assert set(facts.unknown_kinds()) == {FindingKind.DISK_NEARLY_FULL}
    facts.read()
    calm = facts.findings()
    free["bytes"] = 3 * GB
    facts.read()
    (low,) = facts.findings()
    free["bytes"] = 50 * GB
    facts.read()

    assert (calm, facts.findings(), set(facts.unknown_kinds())) == ((), (), set())
    assert (low.kind, low.subject) == (FindingKind.DISK_NEARLY_FULL, folders(place.settings)[0])


def test_the_real_disk_can_be_read(place: Installation) -> None:
    DiskFacts(place.settings, now=noon).read()


# --- tables -------------------------------------------------------------------------------------------------------


def surveying(place: Installation, token: int) -> TableFacts:
    return TableFacts(
        place.settings, place.store, place.data, place.catalog, token, may_start_work=lambda: True, now=noon
    )


@pytest.fixture
def token(place: Installation) -> int:
    with place.store.writing() as db:
        db.execute(insert(schema.lease).values(id=1, token=1, beat=0))
    return 1


def test_a_survey_records_the_sizes_of_the_day_once(place: Installation, token: int) -> None:
    facts = surveying(place, token)
    assert set(facts.unknown_kinds()) == set(SURVEYED)
    surveyed = list(facts.survey())
    list(facts.survey())

    with place.store.reading() as db:
        recorded = table_days.since(db, NOON.date())
    tables = {(each.database, each.table) for each in recorded if not each.index}
    assert {("store", "ops_runs"), ("data", "things")} <= tables
    assert len(surveyed) >= len(tables)
    assert len(recorded) == len({(each.database, each.table, each.index) for each in recorded})
    assert any(each.index for each in recorded)
    assert (facts.findings(), list(facts.unknown_kinds())) == ((), []), "nothing is wrong with a new installation"


def test_what_was_recorded_long_ago_is_forgotten(place: Installation, token: int) -> None:
    old = NOON.date() - timedelta(days=40)
    with place.store.writing() as db:
        table_days.record(db, old, "data", [TableSize("things", 1, 2, None, ())])

    list(surveying(place, token).survey())

    with place.store.reading() as db:
        assert not [each for each in table_days.since(db, old) if each.day == old]


def test_a_table_that_grew_out_of_line_is_found(place: Installation, token: int) -> None:
    with place.store.writing() as db:
        for ago in range(1, 12):
            small = TableSize("things", 1, 1 + ago, None, ())
            table_days.record(db, NOON.date() - timedelta(days=ago), "other", [small])
        huge = TableSize("things", 1, 900 * MB, None, ())
        table_days.record(db, NOON.date(), "other", [huge])
    facts = surveying(place, token)

    list(facts.survey())

    (finding,) = facts.findings()
    assert (finding.kind, finding.subject) == (FindingKind.TABLE_GROWTH, "things")


def test_rows_that_were_not_removed_in_time_make_the_store_too_large(place: Installation, token: int) -> None:
    def recorded(days: int) -> None:
        with place.store.writing() as db:
            db.execute(insert(schema.health_checks).values(at=NOON - timedelta(days=days), states={}))

    facts = surveying(place, token)
    recorded(31)
    list(facts.survey())
    in_time = facts.findings()
    recorded(33)
    list(facts.survey())
    (late,) = facts.findings()

    assert in_time == ()
    assert (late.kind, late.items) == (FindingKind.STORE_SIZE, ("ops_health_checks",))


# --- together -----------------------------------------------------------------------------------------------------


def test_a_new_installation_has_no_findings_and_knows_everything_but_tables(place: Installation, token: int) -> None:
    url = place.environ["REDIS_URL"]
    system = SystemFacts(
        place.settings,
        place.store,
        place.catalog,
        lambda seconds: Resources(place.settings.data_url.reveal(), url, statement_seconds=seconds),
        token,
        may_start_work=lambda: True,
        dead_predecessor=None,
        losses=tuple,
        now=noon,
    )
    assert FindingKind.UNREACHABLE in system.unknown_kinds
    system.start()

    eventually(lambda: system.unknown_kinds == set(SURVEYED), f"all is known, not {system.unknown_kinds}")
    found = [finding for finding in system.findings(NOON) if finding.kind is not FindingKind.DISK_NEARLY_FULL]
    system.stop()

    assert found == []


# --- PostgreSQL's statistics --------------------------------------------------------------------------------------


def test_an_index_is_larger_than_its_entries_after_most_were_deleted(postgres_url: str) -> None:
    data = Database(postgres_url)

    def analysed() -> tuple[int, int]:
        with data.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
            db.execute(text("VACUUM ANALYZE pages"))
        (table,) = table_sizes(data, ["pages"])
        (index,) = table.indexes
        assert index.bytes is not None
        assert index.expected_bytes is not None
        return index.bytes, index.expected_bytes

    with data.writing() as db:
        db.execute(text("CREATE TABLE pages (id integer, title text)"))
        db.execute(text("CREATE INDEX ix_pages ON pages (title, lower(title), id)"))
        db.execute(text("INSERT INTO pages SELECT n, md5(n::text) FROM generate_series(1, 20000) n"))
    full = analysed()
    with data.writing() as db:
        db.execute(text("DELETE FROM pages WHERE id > 500"))
    deleted = analysed()
    data.close()

    assert 0.9 < full[0] / full[1] < 2.5
    assert deleted[0] / deleted[1] > 10
