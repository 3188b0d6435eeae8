"""Events emitted for the rows that a statement changes."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    String,
    Table,
    case,
    cast,
    insert,
    literal,
    null,
    select,
    text,
    update,
)

from opsconsole.authoring import outbox
from opsconsole.authoring.context import Context, Resources
from opsconsole.authoring.scope import Scope
from opsconsole.calendar.windows import MOMENT
from opsconsole.core.column_types import Json, UtcTime, key_type
from opsconsole.core.errors import BadValue
from tests.waiting import eventually, finished

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC)
ODD = 'd"e\\f\n\x1f\u0939'

metadata = MetaData()
games = Table(
    "games", metadata, Column("id", key_type(), primary_key=True), Column("note", String), Column("n", Integer)
)


@pytest.fixture
def tools(empty_database_url: str) -> Iterator[Resources]:
    made = Resources(empty_database_url, "unix:///nowhere/redis.sock", now=lambda: NOON)
    metadata.create_all(made.data.engine)
    outbox.metadata.create_all(made.data.engine)
    with made.data.writing() as db:
        rows: list[dict[str, Any]] = [
            {"id": "a", "note": ODD, "n": 1},
            {"id": "b", "note": None, "n": 2},
            {"id": "c", "note": "", "n": 3},
        ]
        db.execute(insert(games), rows)
    yield made
    made.close()


def context(tools: Resources) -> Context:
    return Context(Scope(MOMENT.at(NOON, UTC), NOON, {}, {}), tools)  # type: ignore[arg-type]


def ending() -> Any:
    """Ends all games; that of c needs no event."""
    c = games.c
    return update(games).values(n=0).returning(case((c.id != "c", c.id + ":ended")), c.id.label("game"), c.note, c.n)


def emitted(tools: Resources) -> list[tuple[Any, ...]]:
    c = outbox.events.c
    with tools.data.reading() as db:
        return [tuple(row) for row in db.execute(select(c.name, c.key, c.payload, c.occurred_at).order_by(c.key))]


def test_each_changed_row_with_a_key_has_an_event(tools: Resources) -> None:
    ctx = context(tools)
    with ctx.writing() as db:
        ctx.emit("Ended", "b:ended", {"first": True})
    with ctx.writing() as db:
        counts = ctx.emit_for_rows(db, "Ended", ending())

    assert counts == (3, 2)
    assert emitted(tools) == [
        ("Ended", "a:ended", {"game": "a", "note": ODD, "n": 0}, NOON),
        ("Ended", "b:ended", {"first": True}, NOON),
    ]


def test_both_ways_store_the_same_text(tools: Resources) -> None:
    ctx = context(tools)
    with ctx.writing() as db:
        ctx.emit_for_rows(db, "Ended", ending())
        for key, note in (("a", ODD), ("b", None)):
            ctx.emit("Again", key, {"game": key, "note": note, "n": 0})

    with tools.data.reading() as db:
        rows = db.execute(text("SELECT payload FROM events ORDER BY name, key")).scalars().all()
    assert rows[:2] == rows[2:]


def test_no_event_is_emitted_outside_a_transaction(tools: Resources) -> None:
    ctx = context(tools)
    with ctx.reading() as db, pytest.raises(RuntimeError, match="outside writing"):
        ctx.emit_for_rows(db, "Ended", ending())


def returning(*columns: Any) -> Any:
    return update(games).values(n=0).returning(*columns)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (update(games), "must have RETURNING with the key of the event as its first column"),
        (returning(games.c.n), "must return a text as the key, not n, which is of type Integer"),
        (
            returning(games.c.id, literal(Decimal("1.50")).label("price")),
            "not price, which is of type Numeric; cast it",
        ),
        (returning(games.c.id, literal(NOON, UtcTime).label("at")), "not at, which is of type UtcTime; cast it"),
        (returning(games.c.id, literal({}, Json).label("more")), "not more, which is of type Json; cast it"),
        (returning(literal("k" * 100_001)), "the key of an event must have at most 100,000 characters, not 100,001"),
        (
            returning(games.c.id, literal("é" * 525_000).label("note")),
            "the payload of an event must have at most 1,048,576 bytes as JSON, not 1,050,011",
        ),
    ],
)
def test_both_databases_refuse_the_same_rows(tools: Resources, changes: Any, problem: str) -> None:
    ctx = context(tools)
    with pytest.raises(BadValue, match=re.escape(problem)), ctx.writing() as db:
        ctx.emit_for_rows(db, "Ended", changes)

    assert emitted(tools) == []
    with tools.data.reading() as db:
        assert sorted(db.execute(select(games.c.n)).scalars()) == [1, 2, 3]


def test_a_payload_can_be_empty_and_have_booleans(tools: Resources) -> None:
    ctx = context(tools)
    with ctx.writing() as db:
        ctx.emit_for_rows(db, "Empty", returning(games.c.id))
    with ctx.writing() as db:
        ctx.emit_for_rows(db, "First", returning(games.c.id, (games.c.id == "a").label("is_first")))

    payloads = [payload for _, _, payload, _ in emitted(tools)]
    assert sorted(map(str, payloads)) == sorted(["{}"] * 3 + ["{'is_first': True}"] + ["{'is_first': False}"] * 2)


def test_a_number_of_sqlite_that_is_not_whole_is_refused() -> None:
    assert outbox.values_problem({"n": 1, "note": None, "is_first": True}) is None
    assert outbox.values_problem({"n": 12.5}) == "must have only texts, whole numbers and booleans, not 12.5 in n"


@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
def test_rows_without_events_wait_for_no_other_writer_of_events(tools: Resources) -> None:
    ctx = context(tools)
    with tools.data.writing() as other:
        outbox.append(other, [outbox.Event("First", "1", {})], NOON)
        with ctx.writing() as db:
            db.execute(text("SET LOCAL lock_timeout = '10s'"))
            counts = ctx.emit_for_rows(db, "Ended", returning(cast(null(), String), games.c.id))

    assert counts == (3, 0)


@pytest.mark.parametrize("empty_database_url", ["postgresql"], indirect=True)
def test_rows_are_changed_before_other_writers_of_events_are_waited_for(tools: Resources) -> None:
    def end_all() -> None:
        ctx = context(tools)
        with ctx.writing() as db:
            ctx.emit_for_rows(db, "Ended", ending())

    waiting = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    thread = threading.Thread(target=end_all, name="the writer of events")
    with tools.data.writing() as other:
        outbox.append(other, [outbox.Event("First", "1", {})], NOON)
        thread.start()
        eventually(lambda: other.execute(waiting).scalar_one() == 1, "a writer waits")
        free = other.execute(select(games.c.id).with_for_update(skip_locked=True)).all()
        numbers = other.execute(text("SELECT last_value FROM events_id_seq")).scalar_one()
    finished(thread)

    assert free == []
    assert numbers == 1, "an event with a lower number could be committed later"
    assert [row[:2] for row in emitted(tools)] == [("First", "1"), ("Ended", "a:ended"), ("Ended", "b:ended")]
