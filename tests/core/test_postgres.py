"""Sessions on PostgreSQL that are read-only, silent, or have other settings and encodings than expected."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Column, Integer, Interval, MetaData, String, Table, insert, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.core import postgres
from opsconsole.core.column_types import Json, UtcTime, key_type
from opsconsole.core.database import Database
from opsconsole.core.database_errors import ErrorKind, error_kind, reason
from opsconsole.core.postgres import escaped, search_path_of
from opsconsole.core.urls import database_url
from opsconsole.store import Store
from tests.services import PrivatePostgres
from tests.waiting import eventually, finished
from tests.wire import Wire

NOON = datetime(2026, 1, 19, 6, 30, 0, 123456, tzinfo=UTC)

metadata = MetaData()
notes = Table(
    "notes",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("n", Integer, nullable=False),
    Column("at", UtcTime, nullable=True),
    Column("took", Interval, nullable=True),
    Column("document", Json, nullable=True),
    Column("text", String, nullable=True),
)

Opening = Callable[..., Database]


@pytest.fixture
def url(postgres_server: PrivatePostgres) -> Iterator[str]:
    """An empty database with the table `notes`."""
    made = postgres_server.new_database()
    prepare(made)
    yield made
    postgres_server.drop_database(made)


def prepare(url: str) -> None:
    database = Database(url)
    metadata.create_all(database.engine)
    with database.writing() as db:
        db.execute(insert(notes).values(id="a", n=0))
    database.close()


@pytest.fixture
def opening() -> Iterator[Opening]:
    """Opens databases, and closes them after the test."""
    made: list[Database] = []

    def open_one(url: str, kind: type[Database] = Database, **how: object) -> Database:
        made.append(kind(url, **how))  # type: ignore[arg-type]
        return made[-1]

    yield open_one
    for database in made:
        database.close()


def count_up(database: Database) -> int:
    with database.writing() as db:
        return int(db.execute(update(notes).values(n=notes.c.n + 1).returning(notes.c.n)).scalar_one())


def alter(server: PrivatePostgres, url: str, *settings: str) -> None:
    """Changes settings of a database, for the sessions that start afterwards."""
    for setting in settings:
        server.execute(f"ALTER DATABASE {make_url(url).database} SET {setting}")


# --- servers that refuse writes -----------------------------------------------------------------------------------


def test_a_server_that_refuses_writes_is_unreachable_until_it_accepts_them(
    postgres_server: PrivatePostgres, url: str, opening: Opening
) -> None:
    alter(postgres_server, url, "default_transaction_read_only = on")
    data = opening(url, pool=1)

    with data.reading() as db:
        read = db.execute(select(notes.c.n)).scalar_one()
    with pytest.raises(SQLAlchemyError) as refused:
        count_up(data)
    alter(postgres_server, url, "default_transaction_read_only = off")

    assert error_kind(refused.value) is ErrorKind.UNREACHABLE
    assert reason(refused.value) == "the server has default_transaction_read_only on and accepts no writes"
    assert read == 0
    assert count_up(data) == 1, "its sessions from before are replaced"


def test_a_session_that_was_left_read_only_is_replaced_without_an_error(url: str, opening: Opening) -> None:
    data = opening(url)
    with data.writing() as db:
        db.execute(text("SET default_transaction_read_only = on"))

    assert count_up(data) == 1


def test_a_write_that_the_server_refuses_is_not_the_fault_of_the_statement(url: str, opening: Opening) -> None:
    data = opening(url)

    def write_read_only(*, catches: bool) -> None:
        with data.writing() as db:
            db.execute(text("SET TRANSACTION READ ONLY"))
            with contextlib.suppress(*[SQLAlchemyError] * catches):
                db.execute(update(notes).values(n=5))

    for catches in (False, True):
        with pytest.raises(SQLAlchemyError) as refused:
            write_read_only(catches=catches)
        assert error_kind(refused.value) is ErrorKind.UNREACHABLE


def test_a_block_that_catches_the_error_of_a_statement_is_not_silently_lost(url: str, opening: Opening) -> None:
    data = opening(url)

    def write_and_catch() -> None:
        with data.writing() as db:
            db.execute(update(notes).values(n=5))
            with contextlib.suppress(SQLAlchemyError):
                db.execute(text("SELECT nonsense"))

    with pytest.raises(RuntimeError, match="nothing is written"):
        write_and_catch()

    with data.writing() as db:
        with contextlib.suppress(SQLAlchemyError), db.begin_nested():
            db.execute(text("SELECT nonsense"))
        db.execute(update(notes).values(n=notes.c.n + 1))
    with data.reading() as db:
        assert db.execute(select(notes.c.n)).scalar_one() == 1


def test_a_write_inside_reading_is_the_fault_of_the_statement(url: str, opening: Opening) -> None:
    data = opening(url, pool=1)
    with data.reading() as db:
        session = db.execute(text("SELECT pg_backend_pid()")).scalar_one()

    with pytest.raises(SQLAlchemyError) as refused, data.reading() as db:
        db.execute(update(notes).values(n=5))

    assert error_kind(refused.value) is ErrorKind.STATEMENT
    with data.writing() as db:
        assert db.execute(text("SELECT pg_backend_pid()")).scalar_one() == session


@pytest.mark.parametrize("state", ["57P01", "57P02", "57P03", "57P05", "08006", "08P01", "28000", "53100", "58030"])
def test_states_of_a_server_that_cannot_work_mean_unreachable(state: str, url: str, opening: Opening) -> None:
    with pytest.raises(SQLAlchemyError) as raised, opening(url).writing() as db:
        db.execute(text(f"DO $$ BEGIN RAISE SQLSTATE '{state}'; END $$"))

    assert error_kind(raised.value) is ErrorKind.UNREACHABLE


def test_every_pooled_session_may_be_cut_at_once(postgres_server: PrivatePostgres, url: str, opening: Opening) -> None:
    data = opening(url)
    data.preconnect(5)
    name = make_url(url).database

    postgres_server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")  # noqa: S608

    assert [count_up(data) for _ in range(6)] == [1, 2, 3, 4, 5, 6]


# --- settings and encodings ---------------------------------------------------------------------------------------


def test_plans_for_the_rows_of_some_keys_prefer_indexes_in_that_transaction_only(url: str, opening: Opening) -> None:
    data = opening(url, Database)
    cost = text("SHOW random_page_cost")

    with data.reading(by_key=True) as db:
        read = db.execute(cost).scalar()
    with data.writing(by_key=True) as db:
        written = db.execute(cost).scalar()
    with data.reading() as db:
        afterwards = db.execute(cost).scalar()

    assert (read, written, afterwards) == ("1.1", "1.1", "4")


@pytest.mark.parametrize(
    "setting",
    [
        "TimeZone = 'Asia/Kolkata'",
        "DateStyle = 'SQL, DMY'",
        "IntervalStyle = 'sql_standard'",
        "default_transaction_isolation = 'serializable'",
        "standard_conforming_strings = off",
        "client_encoding = 'LATIN1'",
        "search_path = 'elsewhere', 'public'",
        "extra_float_digits = -15",
        "statement_timeout = '50ms'",
        "lock_timeout = '50ms'",
        "idle_in_transaction_session_timeout = '50ms'",
    ],
)
def test_settings_of_the_database_change_nothing_for_the_store(
    setting: str, postgres_server: PrivatePostgres, url: str, opening: Opening
) -> None:
    alter(postgres_server, url, setting)
    row = {
        "n": 7,
        "at": NOON,
        "took": timedelta(days=1, seconds=90),
        "document": {"अ": "\\ '"},
        "text": "back\\slash 'आ'",
    }
    store = opening(url, Store)

    with store.writing() as db:
        db.execute(insert(notes).values(id="b", **row))
        db.execute(text("SELECT pg_sleep(0.2)"))
        time.sleep(0.2)
    with store.reading() as db:
        found = db.execute(select(notes).where(notes.c.id == "b", notes.c.at == NOON)).mappings().one()
        isolation = db.execute(text("SHOW transaction_isolation")).scalar_one()

    assert found == {"id": "b", **row}
    assert isolation == "repeatable read"


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "KOI8R"])
def test_the_encoding_of_the_environment_is_ignored(
    encoding: str, url: str, opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", encoding)
    data = opening(url)

    with data.writing() as db:
        db.execute(update(notes).values(text="आशा é €"))
    with data.reading() as db:
        assert db.execute(select(notes.c.text)).scalar_one() == "आशा é €"


@pytest.mark.parametrize("encoding", ["UTF8", "SQL_ASCII", "LATIN1", "WIN1252", "EUC_JP"])
def test_a_store_takes_any_text_in_any_encoding(
    encoding: str, postgres_server: PrivatePostgres, opening: Opening
) -> None:
    url = postgres_server.new_database(encoding=encoding)
    prepare(url)
    store = opening(url, Store)
    document = {"keys": ["आशा", "é", "€", "😀", "\0", 'a"b\\']}

    with store.writing() as db:
        db.execute(update(notes).values(document=document, text="cut…\0\ud800"))
        matched = db.execute(select(notes.c.id).where(notes.c.text == "cut…\0\ud800")).scalars().all()
    with store.reading() as db:
        found = db.execute(select(notes.c.document, notes.c.text)).one()

    assert found.document == document
    assert found.text == ("cut…" if encoding in ("UTF8", "SQL_ASCII") else r"cut\u2026") + r"\u0000\ud800"
    assert matched == ["a"]


def test_escapes_are_those_of_json() -> None:
    assert escaped("plain", "ascii") == "plain"
    assert escaped("é😀", "ascii") == r"\u00e9\ud83d\ude00"
    assert escaped("é😀\udfff", "utf-8") == r"é😀\udfff"


def test_a_text_that_the_data_database_cannot_store_is_the_fault_of_the_statement(
    postgres_server: PrivatePostgres, opening: Opening
) -> None:
    url = postgres_server.new_database(encoding="LATIN1")
    prepare(url)
    data = opening(url)

    with pytest.raises(SQLAlchemyError) as refused, data.writing() as db:
        db.execute(update(notes).values(text="आशा"))

    assert error_kind(refused.value) is ErrorKind.STATEMENT
    assert "has no equivalent in encoding" in reason(refused.value)


# --- silence ------------------------------------------------------------------------------------------------------


@pytest.fixture
def wire(postgres_server: PrivatePostgres) -> Iterator[Wire]:
    with Wire(postgres_server.port) as made:
        yield made


def test_a_silent_server_is_given_up_and_used_again_when_it_answers(url: str, wire: Wire, opening: Opening) -> None:
    database = opening(wire.url(url) + "?connect_timeout=2", statement_seconds=1.0)
    count_up(database)

    wire.silence()
    with pytest.raises(SQLAlchemyError) as silent:
        count_up(database)
    wire.restore()

    assert error_kind(silent.value) is ErrorKind.UNREACHABLE
    assert reason(silent.value) == "it has not answered for 1 s"
    assert count_up(database) == 2, "the first session had not begun its statement"


def test_sessions_that_fall_silent_do_not_delay_new_ones(url: str, wire: Wire, opening: Opening) -> None:
    database = opening(wire.url(url), statement_seconds=1.0)
    database.preconnect(5)

    wire.stall()
    with pytest.raises(SQLAlchemyError):
        count_up(database)

    assert [count_up(database) for _ in range(5)] == [1, 2, 3, 4, 5], "the others were given up with the first"


def test_a_wait_is_reported_while_it_lasts(
    url: str, wire: Wire, opening: Opening, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(postgres, "SLOW_SECONDS", 0.1)
    database = opening(wire.url(url))
    count_up(database)
    before = database.silent_seconds
    wire.silence()
    waiting = threading.Thread(target=count_up, args=(database,))
    waiting.start()

    eventually(lambda: "has not answered" in caplog.text, "the wait is reported")
    assert database.silent_seconds > 0.1
    wire.restore()
    finished(waiting)

    assert (before, database.silent_seconds) == (0.0, 0.0)
    assert "the data database has not answered for 0 s" in caplog.text


def test_without_a_limit_a_long_statement_is_waited_for(
    url: str, opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "PROBE_SECONDS", 0.2)

    with opening(url).writing() as db:
        assert db.execute(text("SELECT 1 FROM pg_sleep(1)")).scalar_one() == 1


def test_without_a_limit_a_server_that_answers_nobody_is_given_up(
    url: str, wire: Wire, opening: Opening, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "PROBE_SECONDS", 0.2)
    database = opening(wire.url(url) + "?connect_timeout=2")
    count_up(database)

    wire.silence()
    with pytest.raises(SQLAlchemyError) as silent:
        count_up(database)

    assert error_kind(silent.value) is ErrorKind.UNREACHABLE


def test_the_server_cancels_what_takes_too_long(url: str, opening: Opening) -> None:
    database = opening(url, statement_seconds=0.5)

    with pytest.raises(SQLAlchemyError) as cancelled, database.writing() as db:
        db.execute(text("SELECT pg_sleep(60)"))
    with database.writing(patient=True) as db:
        patient = db.execute(text("SELECT 1 FROM pg_sleep(1)")).scalar_one()

    assert error_kind(cancelled.value) is ErrorKind.UNREACHABLE, "as good as silent"
    assert reason(cancelled.value) == "canceling statement due to statement timeout"
    assert patient == 1


def test_a_lock_of_a_process_that_vanished_is_released(url: str, opening: Opening) -> None:
    counted: list[int] = []
    vanished, other = opening(url, statement_seconds=1.0), opening(url, statement_seconds=20.0)

    def vanish_for_a_while() -> None:
        with vanished.writing() as db:
            db.execute(update(notes).values(n=8))
            counted.append(count_up(other))
            db.execute(update(notes).values(n=9))

    with pytest.raises(SQLAlchemyError) as ended:
        vanish_for_a_while()

    assert counted == [1]
    assert error_kind(ended.value) is ErrorKind.TRANSIENT


@pytest.mark.parametrize(
    ("options", "search_path", "others"),
    [
        ("", "", ""),
        ("-csearch_path=app", '"app"', ""),
        ("-c search_path=App,public", '"app", "public"', ""),
        ('--search_path="Two",$user -c work_mem=8MB', '"Two", "$user"', "-c work_mem=8MB"),
        ("-c work_mem=8MB -csearch_path=app,\\ public", '"app", "public"', "-c work_mem=8MB"),
        ("-csearch_path=a;drop", "", "-csearch_path=a;drop"),
        ("-csearch_path=", "", "-csearch_path="),
        ("-c my.search_path=app", "", "-c my.search_path=app"),
    ],
)
def test_the_search_path_of_a_url(options: str, search_path: str, others: str) -> None:
    assert search_path_of(options) == (search_path, others)


@pytest.mark.parametrize(
    "option",
    [
        "schema=App",
        "options=-csearch_path%3D%22App%22,public",
        "options=-c%20work_mem%3D8MB%20--search_path%3D%22App%22",
    ],
)
@pytest.mark.parametrize("kind", [Database, Store])
def test_the_schema_of_a_url_is_used_in_every_transaction(
    url: str, opening: Opening, option: str, kind: type[Database]
) -> None:
    owner = opening(url)
    with owner.writing() as db:
        db.exec_driver_sql('CREATE SCHEMA "App"')
        db.exec_driver_sql('CREATE TABLE "App".things AS SELECT 7 AS n')
    database = opening(database_url(f"{url}?{option}"), kind)

    for _ in range(3):
        with database.reading() as db:
            assert db.exec_driver_sql("SELECT n FROM things").scalar() == 7
        with database.writing() as db:
            db.exec_driver_sql("UPDATE things SET n = 7")
            db.exec_driver_sql("RESET search_path")
    with owner.reading() as db:
        assert db.exec_driver_sql("SELECT to_regclass('things')").scalar() is None


def test_the_second_host_of_a_url_is_used_when_the_first_does_not_answer(url: str, opening: Opening) -> None:
    place = f"127.0.0.1:{make_url(url).port}"
    database = opening(database_url(url.replace(f"@{place}", f"@127.0.0.1:1,{place}")))

    assert count_up(database) == 1


def test_encryption_that_the_url_demands_is_not_dropped(url: str, opening: Opening) -> None:
    database = opening(database_url(f"{url}?sslmode=require"))

    with pytest.raises(SQLAlchemyError) as refused:
        count_up(database)

    assert error_kind(refused.value) is ErrorKind.UNREACHABLE
    assert "SSL" in reason(refused.value)
