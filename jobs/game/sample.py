"""Sample players for the demo, benchmarks and tests: some daily, some irregular, some idle."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import Connection, Table, bindparam, select, update

from jobs.game.tables import MAX_LIVES, lives, player_progress, quiz_sessions
from jobs.sample_users import FIRST_JOINED, add_users, user_id
from opsconsole import hours, minutes
from opsconsole.sql import inserting

if TYPE_CHECKING:
    from opsconsole.sql import Database

CHUNK = 500
"""Players per transaction."""
SESSION_DURATION = minutes(10)
ONE_DAY = hours(24)
IDLE_SHARE = 0.12
IDLE_WITH_STREAK = 5
"""This user is always idle and loses a long streak, so that even ten users include one."""
ABANDONED_SHARE = 0.08
NO_NAME_SHARE = 0.004

# Cumulative weights of the UTC hours: in India school ends at 10:00 UTC and the evening is busy.
CURVE = tuple(accumulate((6, 7, 7, 4, 2, 2, 3, 3, 4, 6, 8, 11, 14, 16, 17, 15, 10, 6, 3, 1, 1, 1, 2, 4)))

# One player in BROKEN_OF has each of these invalid values, which the warnings then name.
BROKEN = {7: ("xp", None), 8: ("weekly_xp", None), 9: ("monthly_xp", -50)}
BROKEN_OF = 211


class Quiz(NamedTuple):
    """A quiz; `completed_at` is None when it was abandoned, `lost` is the number of lives it cost."""

    id: str
    started_at: datetime
    completed_at: datetime | None
    earned: int
    lost: int

    @property
    def final_at(self) -> datetime:
        """When its row is final."""
        return self.completed_at or self.started_at


def add_game(data: Database, users: int, since: datetime, until: datetime, *, seed: int = 1) -> None:
    """Writes the quizzes of `users` users in [since, until), and the users with their initial progress first.

    A player's day depends on seed, user and date only: consecutive periods add up to the whole, and writing a period
    again adds nothing.
    """
    if users < 1 or since >= until:
        return
    add_users(data, users, seed=seed)
    for first in range(1, users + 1, CHUNK):
        numbers = range(first, min(first + CHUNK, users + 1))
        with data.writing() as db:
            _add_players(db, numbers, since, until, seed)


def _add_players(db: Connection, numbers: range, since: datetime, until: datetime, seed: int) -> None:
    played = {user_id(number): list(_quizzes(number, since, until, seed)) for number in numbers}
    existing = {row["user_id"]: row for row in _rows(db, player_progress, played)}
    new_lives, new_players, changed_lives, changed_players = [], [], [], []
    for number, (user, quizzes) in zip(numbers, played.items(), strict=True):
        before = existing.get(user) or _new_player(number, user, seed)
        after = progress_after(before, quizzes)
        if user not in existing:
            new_players.append(after)
            new_lives.append(_lives_of_new_player(user, seed) if after is before else _lives_after(user, quizzes))
        elif after is not before:
            changed_players.append(after)
            changed_lives.append(_lives_after(user, quizzes))
    _insert(db, player_progress, new_players)
    _insert(db, lives, new_lives)
    _insert(db, quiz_sessions, [_session(user, quiz) for user, quizzes in played.items() for quiz in quizzes])
    _update(db, player_progress, changed_players)
    _update(db, lives, changed_lives)


def progress_after(player: dict[str, Any], quizzes: list[Quiz]) -> dict[str, Any]:
    """The player's row after quizzes in chronological order; the same object when it includes them already."""
    for quiz in quizzes:
        at, last = quiz.completed_at, player["last_quiz_at"]
        if at is None or (last is not None and at <= last):
            continue
        earned = {
            board: player[board] if player[board] is None else player[board] + quiz.earned
            for board in ("xp", "weekly_xp", "monthly_xp")
        }
        # A quiz on another day continues the streak; only the nightly job ends one.
        streak = player["current_streak"] + (last is None or last.date() != at.date())
        player = {
            **player,
            **earned,
            "xp_updated_at": at,
            "last_quiz_at": at,
            "current_streak": streak,
            "longest_streak": max(streak, player["longest_streak"]),
        }
    return player


def _is_idle(number: int, user_rng: Random) -> bool:
    return user_rng.random() < IDLE_SHARE or number == IDLE_WITH_STREAK


def _new_player(number: int, user: str, seed: int) -> dict[str, Any]:
    user_rng = Random(f"{seed}/{user}/game")
    idle, new = _is_idle(number, user_rng), user_rng.random() < 0.05
    joined = FIRST_JOINED + timedelta(seconds=user_rng.randrange(200 * 86400))
    # Multiples of ten, mostly small, so that there are ties.
    xp = 0 if new else 10 * int(user_rng.expovariate(1 / 250))
    streak = 0 if new else min(400, int(user_rng.expovariate(1 / 12)))
    row = {
        "user_id": user,
        "username": None
        if user_rng.random() < NO_NAME_SHARE
        else f"{user_rng.choice(FIRST)}{user_rng.choice(SECOND)}{number}",
        "xp": xp,
        "weekly_xp": 0,
        "monthly_xp": 0 if idle else xp // 50 * 10,
        "xp_updated_at": None if new else joined,
        "last_quiz_at": joined if idle else None,
        "current_streak": streak,
        "longest_streak": streak + user_rng.choice((0, 0, 3, 17)),
        "protections_remaining": user_rng.choice((0, 0, 1, 1, 2, 2, 3, None)),
        "streak_checked_on": None,
    }
    if number == IDLE_WITH_STREAK:
        row |= {"current_streak": 41, "longest_streak": 41, "protections_remaining": 0}
    column, broken = BROKEN.get(number % BROKEN_OF, ("xp", xp))
    return row | {column: broken}


def _lives_of_new_player(user: str, seed: int) -> dict[str, Any]:
    user_rng = Random(f"{seed}/{user}/lives")
    # Some miss lives but have no regeneration time, like rows written by older programs.
    is_waiting = user_rng.random() < 0.03
    return {
        "user_id": user,
        "current_lives": user_rng.randrange(MAX_LIVES) if is_waiting else MAX_LIVES,
        "last_regen_at": None,
        "next_regen_at": None,
    }


def _lives_after(user: str, quizzes: list[Quiz]) -> dict[str, Any]:
    at, lost = [(quiz.completed_at, quiz.lost) for quiz in quizzes if quiz.completed_at][-1]
    return {
        "user_id": user,
        "current_lives": MAX_LIVES - lost,
        "last_regen_at": None,
        "next_regen_at": at + minutes(30) if lost else None,
    }


def _session(user: str, quiz: Quiz) -> dict[str, Any]:
    return {
        "id": quiz.id,
        "user_id": user,
        "status": "completed" if quiz.completed_at else "active",
        "started_at": quiz.started_at,
        "expires_at": quiz.started_at + SESSION_DURATION,
        "completed_at": quiz.completed_at,
    }


def _quizzes(number: int, since: datetime, until: datetime, seed: int) -> Iterator[Quiz]:
    """A player's quizzes with `final_at` in [since, until), in that order."""
    user = user_id(number)
    user_rng = Random(f"{seed}/{user}/game")
    if _is_idle(number, user_rng):
        return
    activity = user_rng.choice((0.3, 0.6, 0.8, 0.95))
    day = (since - SESSION_DURATION).astimezone(UTC).date()  # a quiz started before midnight may end after it
    quizzes: list[Quiz] = []
    while day <= until.astimezone(UTC).date():
        rng = Random(f"{seed}/{user}/game/{day.isoformat()}")
        if rng.random() < activity:
            quizzes += _day(user, day, rng)
        day += ONE_DAY
    yield from sorted((quiz for quiz in quizzes if since <= quiz.final_at < until), key=lambda quiz: quiz.final_at)


def _day(user: str, day: date, rng: Random) -> Iterator[Quiz]:
    midnight = datetime.combine(day, time(), UTC)
    for n, hour in enumerate(rng.choices(range(24), cum_weights=CURVE, k=rng.choice((1, 1, 2, 3)))):
        started = midnight + timedelta(hours=hour, microseconds=rng.randrange(3_600_000_000))
        abandoned, duration = rng.random() < ABANDONED_SHARE, timedelta(seconds=rng.randrange(90, 590))
        earned, lost = 10 * rng.randrange(1, 16), rng.choice((0, 0, 0, 1, 1, 2, 3, 5))
        yield Quiz(f"{user}-q{day:%y%m%d}-{n}", started, None if abandoned else started + duration, earned, lost)


def _rows(db: Connection, table: Table, users: dict[str, Any]) -> list[dict[str, Any]]:
    rows = db.execute(select(table).where(table.c.user_id.in_(list(users))))
    return [dict(row) for row in rows.mappings()]


def _insert(db: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        db.execute(inserting(db, table).on_conflict_do_nothing(), rows)


def _update(db: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        statement = update(table).where(table.c.user_id == bindparam("who"))
        db.execute(statement, [row | {"who": row["user_id"]} for row in rows])


FIRST = ("Quick", "Lucky", "Brave", "Clever", "Sleepy", "Cosmic", "Jolly", "Tiny", "Mighty", "Silent", "चतुर", "Été")
SECOND = ("Tiger", "Peacock", "Mongoose", "Otter", "Falcon", "Gecko", "Panda", "Comet", "Mango", "Yak", "हाथी", "Größe")
