"""A pack for tests: its jobs write a mark for every item, unless the item's mood makes it fail."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from datetime import timedelta

from sqlalchemy import (
    Column,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    cast,
    exists,
    insert,
    literal,
    null,
    select,
    text,
    type_coerce,
    update,
)

from opsconsole import DAY, Context, Items, Job, Pack, Retry, Scope
from opsconsole.core.database import Connection, Database
from opsconsole.sql import key_type
from tests.waiting import PATIENCE_SECONDS

NEVER = "30 0 29 2 *"  # practically never, so that no scheduled run interferes with a test
SOON = Retry(times=3, first=timedelta(milliseconds=20), longest=timedelta(milliseconds=200))

metadata = MetaData()

things = Table(
    "things",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("mood", String, nullable=False),
    # The number in the mark; for slow items the duration in milliseconds.
    Column("score", Integer, nullable=False),
    # How many more times a temporary mood takes effect.
    Column("left", Integer, nullable=False),
)

effects = Table(
    "effects",
    metadata,
    Column("job", String, primary_key=True),
    Column("window", String, primary_key=True),
    Column("item", key_type(), primary_key=True),
    Column("n", Integer, nullable=False),
)

tries = Table(
    "tries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job", String, nullable=False),
    Column("items", Integer, nullable=False),
    Column("first", Text, nullable=False),
    Column("pid", Integer, nullable=False),
)


class ItemError(Exception):
    """Raised for items with the mood `raises`."""


def put(data: Database, moods: Mapping[str, str], *, score: int = 1, left: int = 0) -> None:
    """Adds things: {id: mood}."""
    rows = [{"id": id_, "mood": mood, "score": score, "left": left} for id_, mood in moods.items()]
    with data.writing() as db:
        db.execute(insert(things), rows)


def change(data: Database, id_: str, mood: str) -> None:
    """Changes the mood of a thing."""
    with data.writing() as db:
        db.execute(update(things).where(things.c.id == id_).values(mood=mood))


def marks(data: Database, job: str = "counting.count") -> dict[tuple[str, str], int]:
    """The effects of a job: {(window, item): n}."""
    with data.reading() as db:
        rows = db.execute(select(effects.c.window, effects.c.item, effects.c.n).where(effects.c.job == job))
        return {(window, item): n for window, item, n in rows}


def tried(data: Database, job: str = "counting.count") -> list[tuple[int, str, int]]:
    """Each call of `apply` in order: number of items, first item, process id."""
    with data.reading() as db:
        query = select(tries.c["items"], tries.c.first, tries.c.pid).where(tries.c.job == job).order_by(tries.c.id)
        return [(items, first, pid) for items, first, pid in db.execute(query)]


# --- populations --------------------------------------------------------------------------------------------------


def everything(scope: Scope) -> Select[tuple[str]]:
    """All things."""
    return select(things.c.id).order_by(things.c.id)


def scores(scope: Scope) -> Select[tuple[str]]:
    """An invalid population: numbers."""
    return select(type_coerce(things.c.score, Integer))


def null_keys(scope: Scope) -> Select[tuple[str]]:
    """An invalid population: NULL."""
    return select(cast(null(), String)).select_from(things)  # type: ignore[return-value]


def pairs(scope: Scope) -> Select[tuple[str]]:
    """An invalid population: two columns."""
    return select(things.c.id, things.c.mood)


def names(scope: Scope) -> tuple[str, ...]:
    """A population of names that are in no table."""
    return ("ledger", "index")


def numbers(scope: Scope) -> tuple[str, ...]:
    """An invalid population: numbers instead of names."""
    return (1, 2)  # type: ignore[return-value]


def misspelt(scope: Scope) -> tuple[str, ...]:
    """A population that raises KeyError."""
    return (str(scope.facts["not prepared"]),)


def unknown_table(scope: Scope) -> Select[tuple[str]]:
    """A population of a missing table."""
    return select(Table("nowhere", MetaData(), Column("id", String)).c.id)


# --- effects ------------------------------------------------------------------------------------------------------


def leave_marks(job: str) -> Callable[[Context, Items], None]:
    """The `apply` of a job: acts according to each item's mood, then writes one mark per item."""

    def apply(ctx: Context, items: Items) -> None:
        _record_try(ctx, job, items)
        with ctx.reading() as db:
            query = select(things.c.id, things.c.mood).where(items.among(things.c.id))
            moods = dict(db.execute(query).all())
        for item in items:
            if (action := ACTIONS.get(moods.get(item, ""))) is not None:
                action(ctx, item)
        undone = [*ctx.outcome.failures, *ctx.outcome.skipped]
        with ctx.writing() as db:
            _mark(db, job, ctx, items, undone)
        ctx.count("marks", len(items) - len(undone))
        ctx.count("weight", 0.5 * len(items))
        ctx.log(f"marked {len(items) - len(undone)} from {next(iter(items))}")

    return apply


def check_names(ctx: Context, items: Items) -> None:
    """Writes marks for names that are in no table."""
    with ctx.writing() as db:
        for item in items:
            db.execute(insert(effects).values(job="counting.names", window=ctx.window.label, item=item, n=len(item)))


def break_down(ctx: Context, items: Items) -> None:
    """Always raises."""
    _record_try(ctx, "counting.broken", items)
    raise RuntimeError("the printer is on fire")


def do_nothing(ctx: Context, items: Items) -> None:
    """Does nothing."""


def _record_try(ctx: Context, job: str, items: Items) -> None:
    row = {"job": job, "items": len(items), "first": next(iter(items)), "pid": os.getpid()}
    with ctx.writing() as db:
        db.execute(insert(tries).values(row))


def _mark(db: Connection, job: str, ctx: Context, items: Items, undone: list[str]) -> None:
    label = ctx.window.label
    existing = exists().where(effects.c.job == job, effects.c.window == label, effects.c.item == things.c.id)
    new = select(literal(job), literal(label), things.c.id, things.c.score).where(
        items.among(things.c.id), ~existing, ~ctx.among(things.c.id, undone)
    )
    db.execute(insert(effects).from_select(["job", "window", "item", "n"], new))


def _passes(ctx: Context, item: str) -> bool:
    """Whether a temporary mood is over; otherwise counts it down."""
    with ctx.writing() as db:
        mine = (things.c.id == item) & (things.c.left > 0)
        return db.execute(update(things).where(mine).values(left=things.c.left - 1)).rowcount == 0


def _hangs(ctx: Context, item: str) -> None:
    while True:
        time.sleep(0.05)


def _hangs_on(ctx: Context, item: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _hangs(ctx, item)


def _chats(ctx: Context, item: str) -> None:
    print(f'{{"run": 1, "seq": 1}}\nI am {item}', flush=True)  # noqa: T201 - where a worker's results go, too
    os.write(1, b"and this bypasses Python\n")


def _dies(ctx: Context, item: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stumbles(ctx: Context, item: str) -> None:
    if not _passes(ctx, item):
        os._exit(7)


def _raises(ctx: Context, item: str) -> None:
    raise ItemError(f"cannot digest {item}")


def _collides(ctx: Context, item: str) -> None:
    """Updates a row that another connection changed since it was read: a real serialization conflict."""
    mine = things.c.id == item
    with ctx.reading() as db:
        sqlite, engine = db.dialect.name == "sqlite", db.engine
    with engine.connect() as db, db.begin():
        if not sqlite:
            db.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        left = db.execute(select(things.c.left).where(mine)).scalar_one()
        if left > 0:
            with engine.begin() as other:
                other.execute(update(things).where(mine).values(left=left - 1))
            db.execute(update(things).where(mine).values(score=things.c.score + 100))


def _fails(ctx: Context, item: str) -> None:
    ctx.fail(item, "out of ink")


def _waits(ctx: Context, item: str) -> None:
    ctx.skip(item, "not on a Monday")


def _dawdles(ctx: Context, item: str) -> None:
    with ctx.reading() as db:
        milliseconds = db.execute(select(things.c.score).where(things.c.id == item)).scalar_one()
    time.sleep(milliseconds / 1000)


def _lingers(ctx: Context, item: str) -> None:
    """Waits until the test changes the mood or has failed."""
    mine = select(things.c.mood).where(things.c.id == item)
    mood, deadline = "lingers", time.monotonic() + 1.5 * PATIENCE_SECONDS
    while mood == "lingers" and time.monotonic() < deadline:
        time.sleep(0.02)
        with ctx.reading() as db:
            mood = db.execute(mine).scalar_one()


def _devours(ctx: Context, item: str) -> None:
    bytearray(8 << 30)


ACTIONS: dict[str, Callable[[Context, str], None]] = {
    "hangs": _hangs,
    "hangs on": _hangs_on,
    "chats": _chats,
    "dies": _dies,
    "stumbles": _stumbles,
    "raises": _raises,
    "collides": _collides,
    "fails": _fails,
    "waits": _waits,
    "dawdles": _dawdles,
    "lingers": _lingers,
    "devours": _devours,
}

pack = Pack(
    "counting",
    jobs=(
        Job("counting.count", everything, leave_marks("counting.count"), cron=NEVER, covers=DAY, batch=10, retry=SOON),
        Job("counting.gross", everything, leave_marks("counting.gross"), cron=NEVER, covers=DAY, batch=500, retry=SOON),
        Job("counting.moment", everything, leave_marks("counting.moment"), cron=NEVER, batch=10),
        Job("counting.broken", everything, break_down, cron=NEVER, covers=DAY, batch=20),
        Job("counting.wide", everything, do_nothing, cron=NEVER, covers=DAY, batch=2000, workers=8, parallel=10),
        Job("counting.names", names, check_names, cron=NEVER, covers=DAY),
        Job("counting.scores", scores, break_down, cron=NEVER, covers=DAY),
        Job("counting.unknown", null_keys, break_down, cron=NEVER, covers=DAY),
        Job("counting.pairs", pairs, break_down, cron=NEVER, covers=DAY),
        Job("counting.numbers", numbers, break_down, cron=NEVER, covers=DAY),
        Job("counting.misspelt", misspelt, break_down, cron=NEVER, covers=DAY),
        Job("counting.nowhere", unknown_table, break_down, cron=NEVER, covers=DAY),
    ),
    metadata=metadata,
)
