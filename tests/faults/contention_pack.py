"""A pack for tests of faults: its jobs meet another session in the middle, or do what is not allowed."""

from __future__ import annotations

import threading

from sqlalchemy import func, select, text, update

from opsconsole import DAY, Context, Items, Job, Pack
from tests.packs.counting import NEVER, SOON, everything, metadata, things
from tests.waiting import PATIENCE_SECONDS

MEETING = threading.Barrier(2)
"""Where the job and the other session meet, each with its first row locked; the job comes once."""
_met = threading.Event()


def reset() -> None:
    """The next batch meets the other session."""
    _met.clear()
    MEETING.reset()


def raise_scores(ctx: Context, items: Items) -> None:
    """Adds one to the scores of a and b, in this order."""
    with ctx.writing() as db:
        db.execute(update(things).where(things.c.id == "a").values(score=things.c.score + 1))
        if not _met.is_set():
            _met.set()
            MEETING.wait(PATIENCE_SECONDS)
        db.execute(update(things).where(things.c.id == "b").values(score=things.c.score + 1))


def call_redis_in_a_transaction(ctx: Context, items: Items) -> None:
    """Holds a write lock over a network call."""
    with ctx.writing() as db:
        db.execute(update(things).values(score=things.c.score + 1))
        ctx.cache.client.ping()


def idle_in_a_transaction(ctx: Context, items: Items) -> None:
    """Leaves its transaction alone for longer than the server allows, once."""
    with ctx.writing() as db:
        db.execute(update(things).values(score=things.c.score + 1))
        if not _met.is_set():
            _met.set()
            db.execute(text("SET idle_in_transaction_session_timeout = '50ms'"))
            threading.Event().wait(0.3)
        db.execute(select(func.count()).select_from(things))


def take_too_long(ctx: Context, items: Items) -> None:
    """Runs a statement for longer than it may, whenever there are more than two items."""
    with ctx.writing() as db:
        db.execute(text("SET LOCAL statement_timeout = '400ms'"))
        if len(items) > 2:
            db.execute(text("SELECT pg_sleep(10)"))
        db.execute(update(things).where(items.among(things.c.id)).values(score=things.c.score + 1))


pack = Pack(
    "contention",
    jobs=(
        Job("contention.scores", everything, raise_scores, cron=NEVER, covers=DAY, retry=SOON),
        Job("contention.lock", everything, call_redis_in_a_transaction, cron=NEVER, covers=DAY, retry=SOON),
        Job("contention.idle", everything, idle_in_a_transaction, cron=NEVER, covers=DAY, retry=SOON),
        Job("contention.long", everything, take_too_long, cron=NEVER, covers=DAY, batch=8, retry=SOON),
    ),
    metadata=metadata,
)
