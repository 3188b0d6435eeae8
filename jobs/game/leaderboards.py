"""Rankings in the database and in Redis, shared by the leaderboard jobs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    Connection,
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
from opsconsole import Context, Unavailable
from opsconsole.cache import Family, ranking_stamp, swap_ranking
from opsconsole.sql import UtcTime, inserting

c = player_progress.c

BOARDS: dict[str, Column[int]] = {"global": c.xp, "weekly": c.weekly_xp, "monthly": c.monthly_xp}
"""The XP column of each board."""

FILLED_BY = ("game.leaderboard_recalc", "game.leaderboard_reset_weekly", "game.leaderboard_reset_monthly")
BOARD = Family("game.leaderboard", "leaderboard:{board}", ttl=None, filled_by=FILLED_BY)
NAMES = Family("game.leaderboard_names", "leaderboard:{board}:names", ttl=None, filled_by=FILLED_BY)
STAMP = Family("game.leaderboard_stamp", "leaderboard:{board}:stamp", ttl=None, filled_by=FILLED_BY)
"""Identifies what a board was made from, see `players_stamp`."""

LARGEST_XP = 2**63 - 1
"""An upper bound, because SQLite may store text in a number column, and text compares greater than any number."""

STANDING_COLUMNS = ("user_id", "score", "rank")

CHUNK = 5000
"""Rows per transaction: small enough not to block other writers."""


def standings(board: str) -> Select[Any]:
    """The current standings, `user_id, score, rank`, without players whose XP is missing or negative."""
    xp = BOARDS[board]
    order = (xp.desc(), c.xp_updated_at.desc().nulls_last(), c.user_id)
    return select(c.user_id, xp.label("score"), func.row_number().over(order_by=order).label("rank")).where(
        _has_valid_xp(xp)
    )


def players_stamp(ctx: Context, board: str) -> str:
    """A hash of everything that a board is made from: as long as it stays, the board would be the same again.

    Another order of the same rows may give another hash on SQLite, and a board that is made again.
    """
    with ctx.reading() as db:
        if db.dialect.name != "sqlite":
            row = cast(func.json_build_array(c.user_id, BOARDS[board], c.xp_updated_at, c.username), Text)
            query = select(func.count(), func.sum(func.hashtextextended(row, 0)))
            return ":".join(str(part) for part in db.execute(query).one())
        player = func.json_array(c.user_id, BOARDS[board], c.xp_updated_at, c.username)
        players = db.execution_options(stream_results=True, max_row_buffer=CHUNK).execute(select(player)).scalars()
        found = hashlib.blake2b(digest_size=16)
        for some in players.partitions(CHUNK):
            found.update("\n".join(some).encode())
        return found.hexdigest()


def is_published(ctx: Context, board: str, stamp: str) -> bool:
    """Whether the rankings and the board in Redis were made from players with this stamp."""
    try:
        published = ranking_stamp(ctx.cache, *_keys(board), stamp_key=STAMP.key(board=board))
    except Unavailable:
        return False  # the rankings can be updated, and publishing them fails
    if published is None or published.value != stamp:
        return False
    with ctx.reading() as db:
        ranked = db.execute(select(func.count()).where(rankings.c.board == board)).scalar_one()
    if ranked == published.members:
        ctx.count("published", 0)
        ctx.count("unchanged", ranked)
    return bool(ranked == published.members)


def update_rankings(ctx: Context, board: str) -> bool:
    """Updates the rankings table: one query over all players, and on SQLite short transactions for the changed rows, as
    every other writer waits for them. Returns whether all were written: rows updated after `now` stay.
    """
    current = standings(board).subquery()
    of_board = rankings.c.board == board
    changed = (
        select(current.c.user_id, current.c.score, current.c.rank)
        .outerjoin(rankings, and_(of_board, rankings.c.user_id == current.c.user_id))
        .where(or_(rankings.c.rank.is_(None), rankings.c.rank != current.c.rank, rankings.c.score != current.c.score))
    )
    found = written = 0
    with ctx.reading() as db:
        is_sqlite = db.dialect.name == "sqlite"
    if is_sqlite:
        for chunk in _chunks(ctx, changed):
            with ctx.writing() as db:
                statement = _upsert(db, board, _as_table(chunk), ctx.now)
                written += db.execute(statement, execution_options={"preserve_rowcount": True}).rowcount
            found += len(chunk)
    else:
        with ctx.writing() as db:  # all at once: nobody waits for these rows
            rows = changed.cte("changed")
            stored = _upsert(db, board, rows, ctx.now).returning(literal(1)).cte("stored")
            counts = (select(func.count()).select_from(each).scalar_subquery() for each in (rows, stored))
            found, written = db.execute(select(*counts)).one()
    if written:
        ctx.count("changed", written)
    removed = and_(of_board, ~exists().where(c.user_id == rankings.c.user_id, _has_valid_xp(BOARDS[board])))
    for chunk in _chunks(ctx, select(rankings.c.user_id).where(removed)):
        with ctx.writing() as db:
            db.execute(delete(rankings).where(ctx.among(rankings.c.user_id, [user for (user,) in chunk]), removed))
        ctx.count("removed", len(chunk))
    return written == found


def _upsert(db: Connection, board: str, source: Any, at: datetime) -> Any:
    """The statement that writes the rows of a table expression with the STANDING_COLUMNS; rows updated after `at`
    stay.
    """
    statement = inserting(db, rankings).from_select(
        ["board", "user_id", "score", "rank", "updated_at"],
        # SQLite parses ON CONFLICT after INSERT ... SELECT only if the SELECT has a WHERE.
        select(literal(board), source.c.user_id, source.c.score, source.c.rank, literal(at, UtcTime)).where(true()),
    )
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=[rankings.c.board, rankings.c.user_id],
        set_={"score": new.score, "rank": new.rank, "updated_at": new.updated_at},
        where=rankings.c.updated_at <= new.updated_at,
    )


def _as_table(rows: Sequence[Any]) -> Any:
    """Rows with the STANDING_COLUMNS as a table expression of SQLite: takes half the time of executemany."""
    values = func.json_each(msgspec.json.encode([tuple(row) for row in rows]).decode()).table_valued("value")
    fields = (func.json_extract(values.c.value, f"$[{n}]").label(name) for n, name in enumerate(STANDING_COLUMNS))
    return select(*fields).subquery()


def publish(ctx: Context, board: str, stamp: str | None = None) -> None:
    """Replaces the board in Redis atomically by the rankings in the table, with the stamp of the players that these
    ranks are of. Raises Unavailable.
    """
    members = swap_ranking(
        ctx.cache, *_keys(board), lambda: _entries(ctx, board), stamp_key=STAMP.key(board=board), stamp=stamp
    )
    ctx.count("published", members)


def _keys(board: str) -> tuple[str, str]:
    return BOARD.key(board=board), NAMES.key(board=board)


def _entries(ctx: Context, board: str) -> Iterator[tuple[str, float, str | None]]:
    """Members, scores and names, from the last rank to the first."""
    query = (
        select(rankings.c.user_id, rankings.c.score, c.username)
        .outerjoin(player_progress, c.user_id == rankings.c.user_id)
        .where(rankings.c.board == board)
        .order_by(rankings.c.rank.desc())
    )
    level, behind = -1, 0
    for chunk in _chunks(ctx, query):
        for user, xp, name in chunk:
            if xp == level:
                behind += 1
                yield user, member_score(xp, behind), name
            else:
                level, behind = xp, 0
                yield user, xp, name


def member_score(xp: int, behind: int) -> float:
    """The Redis score of a player with `xp` who ranks before `behind` others with the same XP.

    The integer part is the XP; the fraction orders players with equal XP, in the smallest steps of a double. An XP of
    b bits leaves room for 2^(53-b) equal players, for example two million at four thousand million XP. More players
    share a score, and from 2^53 the XP itself is rounded.
    """
    step = math.ulp(float(max(xp, 1)))
    return xp + max(0.0, min(behind * step, 1 - step))


def warn_about_excluded(ctx: Context, board: str) -> None:
    """Counts the players whose XP is missing or negative, and logs a warning with the first ids."""
    xp = BOARDS[board]
    invalid = select(c.user_id, func.count().over().label("all")).where(or_(xp.is_(None), not_(_has_valid_xp(xp))))
    with ctx.reading() as db:
        rows = db.execute(invalid.order_by(c.user_id).limit(5)).all()
    if not rows:
        return
    excluded, first = rows[0].all, ", ".join(row.user_id for row in rows)
    ctx.count("excluded", excluded)
    more = ", ..." if excluded > len(rows) else ""
    ctx.log(f"warning: board {board} excludes {excluded:,} players without a valid {xp.name}: {first}{more}")


def _has_valid_xp(xp: Column[int]) -> Any:
    return xp.between(0, LARGEST_XP)


def _chunks(ctx: Context, query: Select[Any]) -> Iterator[list[Any]]:
    """The rows of a query in chunks, all from one snapshot."""
    with ctx.reading() as db:
        result = db.execution_options(stream_results=True, max_row_buffer=CHUNK).execute(query)
        yield from (list(chunk) for chunk in result.partitions(CHUNK))
