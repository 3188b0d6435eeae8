"""A pack for the fault tests: jobs with every policy, whose effects show whether they happened once, twice or never.

The rule: exactly one effect per job, window and item, with the correct number, whatever was killed or paused.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Column, ColumnElement, Integer, MetaData, Select, String, Table, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from opsconsole import DAY, NONE, Context, Items, Job, Overlap, Pack, Scope, all_of, hours, minutes
from opsconsole.cache import Family
from opsconsole.core.database import Connection, Database
from opsconsole.sql import UtcTime, key_type

NEVER = "0 0 29 2 *"
"""For jobs that only commands start; campaigns end long before the next occurrence."""
EACH_MINUTE = "* * * * *"
PATIENCE = minutes(5)
ITEM_SECONDS = 0.004
"""The time per item before its effect, so that most kills hit the middle of a batch."""
HELD_SECONDS = 0.002
"""The time between writing and committing an effect, so that some kills hit it."""
EVERY_COIN = minutes(2)
NAMES = ("anna", "asha", "ben", "chen", "dora", "emil", "fay")

metadata = MetaData()

things = Table(
    "chaos_things",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("score", Integer, nullable=False),
    # 1 while chaos.picky fails the item.
    Column("sick", Integer, nullable=False),
)

purses = Table(
    "chaos_purses",
    metadata,
    Column("id", key_type(), primary_key=True),
    Column("coins", Integer, nullable=False),
    Column("next_at", UtcTime, nullable=False),
)

effects = Table(
    "chaos_effects",
    metadata,
    Column("job", String, primary_key=True),
    Column("window", String, primary_key=True),
    Column("item", key_type(), primary_key=True),
    Column("n", Integer, nullable=False),
)

# One row per application of an effect, in its transaction. `changed` is 1 when the effect was new and 0 when it
# existed: the sum is 1 for every effect, however often it was applied.
applications = Table(
    "chaos_applications",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job", String, nullable=False),
    Column("window", String, nullable=False),
    Column("item", key_type(), nullable=False),
    Column("changed", Integer, nullable=False),
    Column("pid", Integer, nullable=False),
)

MARKS = Family("chaos.marks", "chaos:mark:{at}:{item}", ttl=hours(48), of=("item",))


def score_of(item: str) -> int:
    """The number in an item's effect, in every window."""
    return sum(item.encode()) % 97


def put(data: Database, *, at: datetime) -> None:
    """Adds the items, with empty purses whose first coin is due at `at`."""
    with data.writing() as db:
        db.execute(insert(things), [{"id": name, "score": score_of(name), "sick": name == "emil"} for name in NAMES])
        db.execute(insert(purses), [{"id": name, "coins": 0, "next_at": at} for name in NAMES])


def heal(data: Database) -> None:
    """Marks all items as well."""
    with data.writing() as db:
        db.execute(update(things).values(sick=0))


# --- populations and effects --------------------------------------------------------------------------------------


def all_items(scope: Scope) -> Select[tuple[str]]:
    """All items, in every window."""
    return select(things.c.id).order_by(things.c.id)


def leave_effects(job: str, *, slow: float = 1.0, picky: bool = False) -> Callable[[Context, Items], None]:
    """The `apply` of a job: one idempotent effect per item."""

    def apply(ctx: Context, items: Items) -> None:
        with ctx.reading() as db:
            query = select(things.c.id, things.c.score, things.c.sick).where(items.among(things.c.id))
            rows = db.execute(query.order_by(things.c.id)).all()
        for row in rows:
            if picky and row.sick:
                ctx.fail(row.id, "it is sick")
        time.sleep(ITEM_SECONDS * slow * len(items))
        with ctx.writing() as db:
            for row in rows:
                if row.id not in ctx.outcome.failures:
                    _leave(db, job, ctx.window.label, row.id, row.score)
            time.sleep(HELD_SECONDS)

    return apply


def leave_marks(job: str) -> Callable[[Context, Items], None]:
    """Like `leave_effects`, and writes derived values to Redis."""
    leave = leave_effects(job)

    def apply(ctx: Context, items: Items) -> None:
        leave(ctx, items)
        mine = (effects.c.job == job) & (effects.c.window == ctx.window.label)
        with ctx.reading() as db:
            found = dict(db.execute(select(effects.c.item, effects.c.n).where(mine, items.among(effects.c.item))).all())
        values: dict[str, bytes | None] = {item: str(n).encode() for item, n in found.items()}
        ctx.cache.replace(MARKS, values, by="item", at=mark_of(ctx.as_of))

    return apply


def mark_of(as_of: datetime) -> str:
    """The form of a scheduled time in a key."""
    return f"{as_of:%Y%m%d%H%M%S}"


def due(as_of: datetime) -> ColumnElement[bool]:
    """The condition that a purse is due for a coin."""
    return purses.c.next_at <= as_of


def waiting_purses(scope: Scope) -> Select[tuple[str]]:
    """The due purses, a population that shrinks while it is processed."""
    return select(purses.c.id).where(due(scope.as_of)).order_by(purses.c.id)


def give_coins(ctx: Context, items: Items) -> None:
    """Adds a coin to each purse; without the guard a second application would add another."""
    time.sleep(ITEM_SECONDS * len(items))
    with ctx.writing() as db:
        for item in items:
            mine = (purses.c.id == item) & due(ctx.as_of)
            more = {"coins": purses.c.coins + 1, "next_at": ctx.as_of + EVERY_COIN}
            coins = db.execute(update(purses).where(mine).values(more).returning(purses.c.coins)).scalar()
            label = ctx.window.label
            if coins is not None:
                db.execute(insert(effects).values(job="chaos.purses", window=label, item=item, n=coins))
            _record_application(db, "chaos.purses", label, item, changed=coins is not None)
        time.sleep(HELD_SECONDS)


def _leave(db: Connection, job: str, window: str, item: str, n: int) -> None:
    insert_into = sqlite.insert if db.dialect.name == "sqlite" else postgresql.insert
    row = {"job": job, "window": window, "item": item, "n": n}
    new = db.execute(insert_into(effects).values(row).on_conflict_do_nothing().returning(effects.c.item)).scalar()
    _record_application(db, job, window, item, changed=new is not None)


def _record_application(db: Connection, job: str, window: str, item: str, *, changed: bool) -> None:
    row = {"job": job, "window": window, "item": item, "changed": int(changed), "pid": os.getpid()}
    db.execute(insert(applications).values(row))


# --- the jobs -----------------------------------------------------------------------------------------------------


def _job(name: str, cron: str = EACH_MINUTE, *, slow: float = 1.0, picky: bool = False, **more: object) -> Job:
    apply = leave_effects(name, slow=slow, picky=picky)
    return Job(name, all_items, apply, cron=cron, batch=3, timeout=timedelta(days=1), **more)  # type: ignore[arg-type]


JOBS: Sequence[Job] = (
    _job("chaos.latest"),
    _job("chaos.none", catch_up=NONE),
    _job("chaos.every", catch_up=all_of(newest=5), overlap=Overlap.QUEUE),
    _job("chaos.replacing", slow=20, overlap=Overlap.REPLACE),
    _job("chaos.left", "*/2 * * * *", exclusive="ledger"),
    _job("chaos.right", "*/2 * * * *", exclusive="ledger", priority=5),
    _job("chaos.second", after=("chaos.latest",), after_wait=PATIENCE),
    _job("chaos.picky", "*/3 * * * *", picky=True),
    _job("chaos.daily", NEVER, covers=DAY),
    _job("chaos.moment", NEVER, slow=3),
    Job(
        "chaos.purses",
        waiting_purses,
        give_coins,
        cron=EACH_MINUTE,
        batch=2,
        timeout=timedelta(days=1),
        catch_up=all_of(newest=5),
        overlap=Overlap.QUEUE,
    ),
    Job("chaos.marks", all_items, leave_marks("chaos.marks"), cron="*/2 * * * *", batch=3, timeout=timedelta(days=1)),
)
BY_HAND = ("chaos.daily", "chaos.moment", "chaos.latest", "chaos.purses", "chaos.left", "chaos.marks")
"""The jobs that operators also start."""

pack = Pack("chaos", jobs=tuple(JOBS), families=(MARKS,), metadata=metadata)
