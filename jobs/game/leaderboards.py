"""What the leaderboards' jobs share: who stands where, in the table of rankings and in Redis."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Connection,
    Integer,
    Select,
    Text,
    and_,
    cast,
    delete,
    exists,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)

from jobs.game.tables import player_progress, rankings
from opsconsole import Context
from opsconsole.cache import Family, swap_ranking
from opsconsole.sql import UtcTime, inserting

c = player_progress.c

BOARDS: dict[str, Column[int]] = {"global": c.xp, "weekly": c.weekly_xp, "monthly": c.monthly_xp}
"""The boards, each with the XP that it is about."""

BOARD = Family("game.leaderboard", "leaderboard:{board}", ttl=None)
NAMES = Family("game.leaderboard_names", "leaderboard:{board}:names", ttl=None)

LARGEST_XP = 2**63 - 1
"""SQLite lets a text stand in a column of numbers, and a text is more than any number."""

PLACE = ("user_id", "score", "rank")

CHUNK = 5000
"""Rows a transaction: short enough that nobody waits for it, however many players there are."""


def places(board: str) -> Select[Any]:
    """Who stands where by the XP of now: `user_id, score, rank`, without players whose XP is missing or negative."""
    xp = BOARDS[board]
    order = (xp.desc(), c.xp_updated_at.desc().nulls_last(), c.user_id)
    return select(c.user_id, xp.label("score"), func.row_number().over(order_by=order).label("rank")).where(_ranked(xp))


def rank(ctx: Context, board: str) -> None:
    """Brings the table of rankings up to date: one look at everybody, and short transactions for what has changed."""
    now = places(board).subquery()
    mine = rankings.c.board == board
    changed = (
        select(now.c.user_id, now.c.score, now.c.rank)
        .outerjoin(rankings, and_(mine, rankings.c.user_id == now.c.user_id))
        .where(or_(rankings.c.rank.is_(None), rankings.c.rank != now.c.rank, rankings.c.score != now.c.score))
    )
    for part in _pages(ctx, changed):
        with ctx.writing() as db:
            _write(db, board, part, ctx.now)
        ctx.count("changed", len(part))
    gone = and_(mine, ~exists().where(c.user_id == rankings.c.user_id, _ranked(BOARDS[board])))
    for part in _pages(ctx, select(rankings.c.user_id).where(gone)):
        with ctx.writing() as db:
            db.execute(delete(rankings).where(ctx.among(rankings.c.user_id, [user for (user,) in part]), gone))
        ctx.count("removed", len(part))


def _write(db: Connection, board: str, part: Sequence[Any], at: datetime) -> None:
    """Writes rows `user_id, score, rank` in one statement; those that were written later than `at` stay."""
    here = _as_table(db, part)
    adding = inserting(db, rankings).from_select(
        ["board", "user_id", "score", "rank", "updated_at"],
        # SQLite takes an INSERT ... SELECT for one with an ON CONFLICT only where the SELECT has a WHERE.
        select(literal(board), here.c.user_id, here.c.score, here.c.rank, literal(at, UtcTime)).where(true()),
    )
    new = adding.excluded
    db.execute(
        adding.on_conflict_do_update(
            index_elements=[rankings.c.board, rankings.c.user_id],
            set_={"score": new.score, "rank": new.rank, "updated_at": new.updated_at},
            where=rankings.c.updated_at <= new.updated_at,
        )
    )


def _as_table(db: Connection, part: Sequence[Any]) -> Any:
    """Rows `user_id, score, rank` as a table in a statement: half the time of handing them over one by one."""
    if db.dialect.name == "sqlite":
        rows = func.json_each(msgspec.json.encode([tuple(row) for row in part]).decode()).table_valued("value")
        fields = (func.json_extract(rows.c.value, f"$[{n}]").label(name) for n, name in enumerate(PLACE))
        return select(*fields).subquery()
    users, scores, ranks = (list(column) for column in zip(*part, strict=True))
    arrays = (cast(users, ARRAY(Text)), cast(scores, ARRAY(BigInteger)), cast(ranks, ARRAY(Integer)))
    return func.unnest(*arrays).table_valued(*PLACE).render_derived()


def publish(ctx: Context, board: str) -> None:
    """Puts the board in Redis as it is in the table of rankings, at one instant. Raises Unavailable."""
    key, names_key = BOARD.key(board=board), NAMES.key(board=board)
    ctx.count("published", swap_ranking(ctx.cache, key, names_key, lambda: _entries(ctx, board)))


def _entries(ctx: Context, board: str) -> Iterator[tuple[str, float, str | None]]:
    """Members, scores and names, the last place first."""
    standing = (
        select(rankings.c.user_id, rankings.c.score, c.username)
        .outerjoin(player_progress, c.user_id == rankings.c.user_id)
        .where(rankings.c.board == board)
        .order_by(rankings.c.rank.desc())
    )
    level, behind = -1, 0
    for part in _pages(ctx, standing):
        for user, xp, name in part:
            level, behind = xp, behind + 1 if xp == level else 0
            yield user, member_score(xp, behind), name


def member_score(xp: int, behind: int) -> float:
    """The score in Redis of a player with `xp` who stands before `behind` others with the same: its integer part is the
    XP, and its fraction puts equals into their order.

    The fraction counts in the smallest steps that a double has there. With 53 bits in all, an XP of b bits leaves room
    for 2^(53-b) equals: for everybody on a board of zeros, for two million with an XP of four thousand million. Beyond
    that equals share a score, and from 2^53 on XP itself is rounded.
    """
    step = math.ulp(float(max(xp, 1)))
    return xp + max(0.0, min(behind * step, 1 - step))


def left_out(ctx: Context, board: str) -> None:
    """Counts the players whose XP is missing or negative, and warns of them by the first ones."""
    xp = BOARDS[board]
    unusable = select(c.user_id, func.count().over().label("all")).where(or_(xp.is_(None), not_(_ranked(xp))))
    with ctx.reading() as db:
        found = db.execute(unusable.order_by(c.user_id).limit(5)).all()
    if not found:
        return
    many, first = found[0].all, ", ".join(row.user_id for row in found)
    ctx.count("left_out", many)
    ctx.log(f"warning: {board} leaves out {many:,} without a usable {xp.name}: {first}{', ...' if many > 5 else ''}")


def _ranked(xp: Column[int]) -> Any:
    return xp.between(0, LARGEST_XP)


def _pages(ctx: Context, query: Select[Any]) -> Iterator[list[Any]]:
    """What a query finds, page by page, all from one snapshot."""
    with ctx.reading() as db:
        found = db.execution_options(stream_results=True, max_row_buffer=CHUNK).execute(query)
        yield from (list(part) for part in found.partitions(CHUNK))
