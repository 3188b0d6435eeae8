"""A pack for the tests: its jobs leave a mark for every item, unless the item's mood has something against it."""

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

NEVER = "30 0 29 2 *"  # all but: a test's run is not to meet one of the schedule
SOON = Retry(times=3, first=timedelta(milliseconds=20), longest=timedelta(milliseconds=200))

metadata = MetaData()

things = Table(
    "things",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("mood", String, nullable=False),
    # What the mark says; a slow item takes so many milliseconds.
    Column("score", Integer, nullable=False),
    # How often a mood that passes is still to show itself.
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


class Indigestible(Exception):
    """What an item in the mood `raises` raises."""


def put(data: Database, moods: Mapping[str, str], *, score: int = 1, left: int = 0) -> None:
    """Writes things: {id: mood}."""
    rows = [{"id": id_, "mood": mood, "score": score, "left": left} for id_, mood in moods.items()]
    with data.writing() as db:
        db.execute(insert(things), rows)


def change(data: Database, id_: str, mood: str) -> None:
    """Gives a thing another mood."""
    with data.writing() as db:
        db.execute(update(things).where(things.c.id == id_).values(mood=mood))


def marks(data: Database, job: str = "counting.count") -> dict[tuple[str, str], int]:
    """The effects of a job: {(window, item): n}."""
    with data.reading() as db:
        rows = db.execute(select(effects.c.window, effects.c.item, effects.c.n).where(effects.c.job == job))
        return {(window, item): n for window, item, n in rows}


def tried(data: Database, job: str = "counting.count") -> list[tuple[int, str, int]]:
    """Each call of `apply`, in order: how many items, the first of them, and in which process."""
    with data.reading() as db:
        query = select(tries.c["items"], tries.c.first, tries.c.pid).where(tries.c.job == job).order_by(tries.c.id)
        return [(items, first, pid) for items, first, pid in db.execute(query)]


# --- what jobs are about ------------------------------------------------------------------------------------------


def everything(scope: Scope) -> Select[tuple[str]]:
    """Every thing."""
    return select(things.c.id).order_by(things.c.id)


def scores(scope: Scope) -> Select[tuple[str]]:
    """Numbers, which are no keys."""
    return select(type_coerce(things.c.score, Integer))


def nothing_known(scope: Scope) -> Select[tuple[str]]:
    """NULL, which is no key."""
    return select(cast(null(), String)).select_from(things)  # type: ignore[return-value]


def pairs(scope: Scope) -> Select[tuple[str]]:
    """Two columns instead of one."""
    return select(things.c.id, things.c.mood)


def names(scope: Scope) -> tuple[str, ...]:
    """Two names that stand in no table."""
    return ("ledger", "index")


def numbers(scope: Scope) -> tuple[str, ...]:
    """Numbers where names should be."""
    return (1, 2)  # type: ignore[return-value]


def misspelt(scope: Scope) -> tuple[str, ...]:
    """A population with a mistake in its code."""
    return (str(scope.facts["not prepared"]),)


def unknown_table(scope: Scope) -> Select[tuple[str]]:
    """A population of a table that is not there."""
    return select(Table("nowhere", MetaData(), Column("id", String)).c.id)


# --- what jobs do -------------------------------------------------------------------------------------------------


def leave_marks(job: str) -> Callable[[Context, Items], None]:
    """The `apply` of a job of that name: a mark for each item, after each item's mood had its say."""

    def apply(ctx: Context, items: Items) -> None:
        _note_the_try(ctx, job, items)
        with ctx.reading() as db:
            query = select(things.c.id, things.c.mood).where(items.among(things.c.id))
            moods = dict(db.execute(query).all())
        for item in items:
            if (deed := DEEDS.get(moods.get(item, ""))) is not None:
                deed(ctx, item)
        undone = [*ctx.outcome.failures, *ctx.outcome.skipped]
        with ctx.writing() as db:
            _mark(db, job, ctx, items, undone)
        ctx.count("marks", len(items) - len(undone))
        ctx.count("weight", 0.5 * len(items))
        ctx.log(f"marked {len(items) - len(undone)} from {next(iter(items))}")

    return apply


def check_names(ctx: Context, items: Items) -> None:
    """Marks names that stand in no table."""
    with ctx.writing() as db:
        for item in items:
            db.execute(insert(effects).values(job="counting.names", window=ctx.window.label, item=item, n=len(item)))


def break_down(ctx: Context, items: Items) -> None:
    """Fails whatever it is given."""
    _note_the_try(ctx, "counting.broken", items)
    raise RuntimeError("the printer is on fire")


def pass_over(ctx: Context, items: Items) -> None:
    """Does nothing to anybody."""


def _note_the_try(ctx: Context, job: str, items: Items) -> None:
    row = {"job": job, "items": len(items), "first": next(iter(items)), "pid": os.getpid()}
    with ctx.writing() as db:
        db.execute(insert(tries).values(row))


def _mark(db: Connection, job: str, ctx: Context, items: Items, undone: list[str]) -> None:
    label = ctx.window.label
    there = exists().where(effects.c.job == job, effects.c.window == label, effects.c.item == things.c.id)
    new = select(literal(job), literal(label), things.c.id, things.c.score).where(
        items.among(things.c.id), ~there, ~ctx.among(things.c.id, undone)
    )
    db.execute(insert(effects).from_select(["job", "window", "item", "n"], new))


def _passes(ctx: Context, item: str) -> bool:
    """Whether a mood that passes has passed; else it will have shown itself once more."""
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
    os.write(1, b"and this comes past Python\n")


def _dies(ctx: Context, item: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _stumbles(ctx: Context, item: str) -> None:
    if not _passes(ctx, item):
        os._exit(7)


def _raises(ctx: Context, item: str) -> None:
    raise Indigestible(f"cannot digest {item}")


def _collides(ctx: Context, item: str) -> None:
    """Writes what another connection has changed since this one read it: a real conflict, as long as any are left."""
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
    """Until the test gives it another mood, or has failed."""
    mine = select(things.c.mood).where(things.c.id == item)
    mood, deadline = "lingers", time.monotonic() + 1.5 * PATIENCE_SECONDS
    while mood == "lingers" and time.monotonic() < deadline:
        time.sleep(0.02)
        with ctx.reading() as db:
            mood = db.execute(mine).scalar_one()


def _devours(ctx: Context, item: str) -> None:
    bytearray(8 << 30)


DEEDS: dict[str, Callable[[Context, str], None]] = {
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
        Job("counting.wide", everything, pass_over, cron=NEVER, covers=DAY, batch=2000, workers=8, parallel=10),
        Job("counting.names", names, check_names, cron=NEVER, covers=DAY),
        Job("counting.scores", scores, break_down, cron=NEVER, covers=DAY),
        Job("counting.unknown", nothing_known, break_down, cron=NEVER, covers=DAY),
        Job("counting.pairs", pairs, break_down, cron=NEVER, covers=DAY),
        Job("counting.numbers", numbers, break_down, cron=NEVER, covers=DAY),
        Job("counting.misspelt", misspelt, break_down, cron=NEVER, covers=DAY),
        Job("counting.nowhere", unknown_table, break_down, cron=NEVER, covers=DAY),
    ),
    metadata=metadata,
)
