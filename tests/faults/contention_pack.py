"""A pack for tests of faults: its jobs meet another session in the middle, or do what is not allowed."""

from __future__ import annotations

import threading

from sqlalchemy import func, select, text, update

from opsconsole import DAY, Context, Items, Job, Pack
from tests.packs.counting import NEVER, SOON, everything, metadata, things

MEETING = threading.Barrier(2)
"""Where the job and the other session meet, each with its first row locked; the job comes once."""
_met = threading.Event()


def begin_anew() -> None:
    """The next batch will meet somebody."""
    _met.clear()
    MEETING.reset()


def raise_scores(ctx: Context, items: Items) -> None:
    """Adds one to the scores of a and b, in this order."""
    with ctx.writing() as db:
        db.execute(update(things).where(things.c.id == "a").values(score=things.c.score + 1))
        if not _met.is_set():
            _met.set()
            MEETING.wait(5)
        db.execute(update(things).where(things.c.id == "b").values(score=things.c.score + 1))


def ask_redis_in_a_transaction(ctx: Context, items: Items) -> None:
    """Holds a write lock over a network call."""
    with ctx.writing() as db:
        db.execute(update(things).values(score=things.c.score + 1))
        ctx.cache.client.ping()


def dawdle_in_a_transaction(ctx: Context, items: Items) -> None:
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
        db.execute(text("SET LOCAL statement_timeout = '100ms'"))
        if len(items) > 2:
            db.execute(text("SELECT pg_sleep(1)"))
        db.execute(update(things).where(items.among(things.c.id)).values(score=things.c.score + 1))


pack = Pack(
    "quarrel",
    jobs=(
        Job("quarrel.scores", everything, raise_scores, cron=NEVER, covers=DAY, retry=SOON),
        Job("quarrel.lock", everything, ask_redis_in_a_transaction, cron=NEVER, covers=DAY, retry=SOON),
        Job("quarrel.idle", everything, dawdle_in_a_transaction, cron=NEVER, covers=DAY, retry=SOON),
        Job("quarrel.long", everything, take_too_long, cron=NEVER, covers=DAY, batch=8, retry=SOON),
    ),
    metadata=metadata,
)
