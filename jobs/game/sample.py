"""Made-up players for the demo, the benchmarks and the tests: some come each day, some forget, some stay away."""

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
"""Players a transaction."""
A_SESSION_LASTS = minutes(10)
A_DAY = hours(24)
IDLE = 0.12
FORGETFUL = 5
"""This one stays away in any case, and loses a long streak: nobody else need do so in a class of ten."""
LEFT_OPEN = 0.08
NO_NAME = 0.004

# By the hour in UTC: school ends at ten, and the evening in India is long.
CURVE = tuple(accumulate((6, 7, 7, 4, 2, 2, 3, 3, 4, 6, 8, 11, 14, 16, 17, 15, 10, 6, 3, 1, 1, 1, 2, 4)))

# Among so many players one each has an XP that is missing or negative: something for the warnings to name.
BROKEN = {7: ("xp", None), 8: ("weekly_xp", None), 9: ("monthly_xp", -50)}
BROKEN_OF = 211


class Quiz(NamedTuple):
    """A quiz that somebody began; `completed_at` is None where they left, `lost` are the lives it cost."""

    id: str
    started_at: datetime
    completed_at: datetime | None
    earned: int
    lost: int

    @property
    def known_at(self) -> datetime:
        """When its row is written as it stays."""
        return self.completed_at or self.started_at


def add_game(data: Database, users: int, since: datetime, until: datetime, *, seed: int = 1) -> None:
    """Writes what `users` people played in [since, until), and before it the people as they were.

    A player's day depends on seed, user and date alone: stretches written one after another add up to the whole, and
    one that is there already adds nothing.
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
    known = {row["user_id"]: row for row in _rows(db, player_progress, played)}
    new_lives, new_players, moved_lives, moved_players = [], [], [], []
    for number, (user, quizzes) in zip(numbers, played.items(), strict=True):
        before = known.get(user) or _newcomer(number, user, seed)
        after = progress_after(before, quizzes)
        if user not in known:
            new_players.append(after)
            new_lives.append(_lives_of_newcomer(user, seed) if after is before else _lives_after(user, quizzes))
        elif after is not before:
            moved_players.append(after)
            moved_lives.append(_lives_after(user, quizzes))
    _insert(db, player_progress, new_players)
    _insert(db, lives, new_lives)
    _insert(db, quiz_sessions, [_session(user, quiz) for user, quizzes in played.items() for quiz in quizzes])
    _update(db, player_progress, moved_players)
    _update(db, lives, moved_lives)


def progress_after(player: dict[str, Any], quizzes: list[Quiz]) -> dict[str, Any]:
    """The player's row after quizzes, in the order of time; the same row when it knows of all of them already."""
    for quiz in quizzes:
        at, last = quiz.completed_at, player["last_quiz_at"]
        if at is None or (last is not None and at <= last):
            continue
        earned = {
            board: player[board] if player[board] is None else player[board] + quiz.earned
            for board in ("xp", "weekly_xp", "monthly_xp")
        }
        # Who comes on another day goes on with the streak; it is the nightly job that ends one.
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


def _stays_away(number: int, nature: Random) -> bool:
    return nature.random() < IDLE or number == FORGETFUL


def _newcomer(number: int, user: str, seed: int) -> dict[str, Any]:
    nature = Random(f"{seed}/{user}/game")
    idle, new = _stays_away(number, nature), nature.random() < 0.05
    joined = FIRST_JOINED + timedelta(seconds=nature.randrange(200 * 86400))
    # Tens, and many of them few: there are ties in every class.
    xp = 0 if new else 10 * int(nature.expovariate(1 / 250))
    streak = 0 if new else min(400, int(nature.expovariate(1 / 12)))
    row = {
        "user_id": user,
        "username": None if nature.random() < NO_NAME else f"{nature.choice(FIRST)}{nature.choice(SECOND)}{number}",
        "xp": xp,
        "weekly_xp": 0,
        "monthly_xp": 0 if idle else xp // 50 * 10,
        "xp_updated_at": None if new else joined,
        "last_quiz_at": joined if idle else None,
        "current_streak": streak,
        "longest_streak": streak + nature.choice((0, 0, 3, 17)),
        "protections_remaining": nature.choice((0, 0, 1, 1, 2, 2, 3, None)),
        "streak_checked_on": None,
    }
    if number == FORGETFUL:
        row |= {"current_streak": 41, "longest_streak": 41, "protections_remaining": 0}
    column, broken = BROKEN.get(number % BROKEN_OF, ("xp", xp))
    return row | {column: broken}


def _lives_of_newcomer(user: str, seed: int) -> dict[str, Any]:
    nature = Random(f"{seed}/{user}/lives")
    # Some wait for a life without a time for it: an older program did not write one.
    waits = nature.random() < 0.03
    return {
        "user_id": user,
        "current_lives": nature.randrange(MAX_LIVES) if waits else MAX_LIVES,
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
        "expires_at": quiz.started_at + A_SESSION_LASTS,
        "completed_at": quiz.completed_at,
    }


def _quizzes(number: int, since: datetime, until: datetime, seed: int) -> Iterator[Quiz]:
    """What a player began and finished, or left, in [since, until), in the order in which that is known."""
    user = user_id(number)
    nature = Random(f"{seed}/{user}/game")
    if _stays_away(number, nature):
        return
    comes = nature.choice((0.3, 0.6, 0.8, 0.95))
    day = (since - A_SESSION_LASTS).astimezone(UTC).date()  # one that began before midnight may end after it
    found: list[Quiz] = []
    while day <= until.astimezone(UTC).date():
        dice = Random(f"{seed}/{user}/game/{day.isoformat()}")
        if dice.random() < comes:
            found += _day(user, day, dice)
        day += A_DAY
    yield from sorted((quiz for quiz in found if since <= quiz.known_at < until), key=lambda quiz: quiz.known_at)


def _day(user: str, day: date, dice: Random) -> Iterator[Quiz]:
    midnight = datetime.combine(day, time(), UTC)
    for n, hour in enumerate(dice.choices(range(24), cum_weights=CURVE, k=dice.choice((1, 1, 2, 3)))):
        started = midnight + timedelta(hours=hour, microseconds=dice.randrange(3_600_000_000))
        left, takes = dice.random() < LEFT_OPEN, timedelta(seconds=dice.randrange(90, 590))
        earned, lost = 10 * dice.randrange(1, 16), dice.choice((0, 0, 0, 1, 1, 2, 3, 5))
        yield Quiz(f"{user}-q{day:%y%m%d}-{n}", started, None if left else started + takes, earned, lost)


def _rows(db: Connection, table: Table, users: dict[str, Any]) -> list[dict[str, Any]]:
    found = db.execute(select(table).where(table.c.user_id.in_(list(users))))
    return [dict(row) for row in found.mappings()]


def _insert(db: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        db.execute(inserting(db, table).on_conflict_do_nothing(), rows)


def _update(db: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        changing = update(table).where(table.c.user_id == bindparam("who"))
        db.execute(changing, [row | {"who": row["user_id"]} for row in rows])


FIRST = ("Quick", "Lucky", "Brave", "Clever", "Sleepy", "Cosmic", "Jolly", "Tiny", "Mighty", "Silent", "चतुर", "Été")
SECOND = ("Tiger", "Peacock", "Mongoose", "Otter", "Falcon", "Gecko", "Panda", "Comet", "Mango", "Yak", "हाथी", "Größe")
