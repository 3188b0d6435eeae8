"""Rankings in the database and in Redis, shared by the leaderboard jobs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    Connection,
    Select,
    and_,
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
from opsconsole.sql import UtcTime, inserting, row_pages

c = player_progress.c
r = rankings.c

BOARDS: dict[str, Column[int]] = {"global": c.xp, "weekly": c.weekly_xp, "monthly": c.monthly_xp}
"""The XP column of each board."""

FILLED_BY = ("game.leaderboard_recalc", "game.leaderboard_reset_weekly", "game.leaderboard_reset_monthly")
BOARD = Family("game.leaderboard", "leaderboard:{board}", ttl=None, filled_by=FILLED_BY)
NAMES = Family("game.leaderboard_names", "leaderboard:{board}:names", ttl=None, filled_by=FILLED_BY)
STAMP = Family("game.leaderboard_stamp", "leaderboard:{board}:stamp", ttl=None, filled_by=FILLED_BY)
"""Identifies what a board was made from, see `board_stamp`."""

LARGEST_XP = 2**63 - 1
"""An upper bound, because SQLite may store text in a number column, and text compares greater than any number."""

STANDING_COLUMNS = ("user_id", "score", "rank")

PAGE = 5000
"""Rows that are read at a time."""
WRITTEN = 20_000
"""Rows per transaction: each changes pages all over an index, and other writers still wait for less than a second."""


def standings(board: str) -> Select[Any]:
    """The current standings, `user_id, score, rank`, without players whose XP is missing or negative."""
    xp = BOARDS[board]
    order = (xp.desc(), c.xp_updated_at.desc().nulls_last(), c.user_id)
    return select(c.user_id, xp.label("score"), func.row_number().over(order_by=order).label("rank")).where(
        _has_valid_xp(xp)
    )


def board_stamp(ctx: Context, board: str) -> str:
    """Identifies what a board in Redis is made from: the rankings and the names as a hash, and the day of the run, so
    that each board is rebuilt once a day.
    """
    day = ctx.as_of.astimezone(UTC).date()
    of_board = r.board == board
    with ctx.reading() as db:
        if db.dialect.name != "sqlite":
            # Each hash is the seed of the next: a text of the whole row would take longer than the rest.
            standing = func.hashint8extended(r.score, r.rank)
            row = func.hashtextextended(r.user_id, func.coalesce(func.hashtextextended(c.username, standing), standing))
            hashed = select(func.count(), func.sum(row)).where(of_board)
            named = hashed.select_from(rankings).outerjoin(player_progress, c.user_id == r.user_id)
            count, total = db.execute(named).one()
            return f"{day}:{count}:{total}"
        # One after the other, each in the order of its table: a join looks up every name. A different row order may
        # change the hash; the board is then rebuilt.
        found = hashlib.blake2b(digest_size=16)
        for query in (select(r.user_id, r.score, r.rank).where(of_board), select(c.user_id, c.username)):
            for page in row_pages(db, query, PAGE):
                found.update(msgspec.json.encode(page))
        return f"{day}:{found.hexdigest()}"


def is_published(ctx: Context, board: str, stamp: str) -> bool:
    """Whether the board in Redis has this stamp, and as many members and names as when it was made."""
    try:
        published = ranking_stamp(ctx.cache, *_keys(board), stamp_key=STAMP.key(board=board))
    except Unavailable:
        return False  # publishing it fails
    if published is None or published.value != stamp:
        return False
    ctx.count("published", 0)
    ctx.count("unchanged", published.members)
    return True


def update_rankings(ctx: Context, board: str) -> None:
    """Updates the rankings table, and writes only rows that differ from the current standings; rows updated after `now`
    stay. On SQLite the transactions are short, because every other writer waits for them.
    """
    current = standings(board).subquery()
    of_board = r.board == board
    changed = (
        select(current.c.user_id, current.c.score, current.c.rank)
        .outerjoin(rankings, and_(of_board, r.user_id == current.c.user_id))
        .where(or_(r.rank.is_(None), r.rank != current.c.rank, r.score != current.c.score))
    )
    with ctx.reading() as db:
        is_sqlite = db.dialect.name == "sqlite"
    # On PostgreSQL all at once: nobody waits for these rows.
    sources = map(_as_table, _pages(ctx, changed, WRITTEN)) if is_sqlite else [changed.subquery()]
    written = 0
    for source in sources:
        with ctx.writing() as db:
            statement = _upsert(db, board, source, ctx.now)
            written += db.execute(statement, execution_options={"preserve_rowcount": True}).rowcount
    if written:
        ctx.count("changed", written)
    _remove_others(ctx, board)


def _remove_others(ctx: Context, board: str) -> None:
    """Removes the ranks of players who are deleted or without a valid XP, when every other player has one."""
    of_board, is_valid = r.board == board, _has_valid_xp(BOARDS[board])
    with ctx.reading() as db:
        ranked, players = (select(func.count()).where(each).scalar_subquery() for each in (of_board, is_valid))
        if db.execute(select(ranked == players)).scalar_one():
            return  # as after most runs, and comparing the counts is cheap
    removed = and_(of_board, ~exists().where(c.user_id == r.user_id, is_valid))
    for page in _pages(ctx, select(r.user_id).where(removed), WRITTEN):
        with ctx.writing() as db:
            db.execute(delete(rankings).where(ctx.among(r.user_id, [user for (user,) in page]), removed))
        ctx.count("removed", len(page))


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
        index_elements=[r.board, r.user_id],
        set_={"score": new.score, "rank": new.rank, "updated_at": new.updated_at},
        where=r.updated_at <= new.updated_at,
    )


def _as_table(rows: Sequence[tuple[Any, ...]]) -> Any:
    """Rows with the STANDING_COLUMNS as a table expression of SQLite: takes half the time of executemany."""
    values = func.json_each(msgspec.json.encode(rows).decode()).table_valued("value")
    fields = (func.json_extract(values.c.value, f"$[{n}]").label(name) for n, name in enumerate(STANDING_COLUMNS))
    return select(*fields).subquery()


def publish(ctx: Context, board: str, stamp: str | None = None) -> None:
    """Replaces the board in Redis atomically by the rankings in the table, with the stamp that was read before: what
    changed since then differs from it in the next run. Raises Unavailable.
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
        select(r.user_id, r.score, c.username)
        .outerjoin(player_progress, c.user_id == r.user_id)
        .where(r.board == board)
        .order_by(r.rank.desc())
    )
    level, behind = -1, 0
    for page in _pages(ctx, query, PAGE):
        for user, xp, name in page:
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


def _pages(ctx: Context, query: Select[Any], size: int) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a query in pages, all from one snapshot."""
    with ctx.reading() as db:
        yield from row_pages(db, query, size)
