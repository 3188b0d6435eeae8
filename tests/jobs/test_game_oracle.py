"""Forty days of three hundred players, told twice: by the jobs on a database, and by plain Python over plain rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import Table, bindparam, insert, update

from jobs.game.tables import lives, player_progress, quiz_sessions, ranking_archive
from tests.jobs import oracle_game as oracle
from tests.jobs.game_fixtures import World
from tests.jobs.oracle_game import Event, Row

FIRST = datetime(2026, 2, 10, 0, 0, tzinfo=UTC)
DAYS = 40  # over a first of the month, and over six Mondays
PLAYERS = 300
HALF_AN_HOUR = timedelta(minutes=30)
BOARDS = ("global", "weekly", "monthly")


@pytest.fixture
def world(database_url: str, redis_url: str) -> Iterator[World]:
    made = World(database_url, redis_url)
    yield made
    made.close()


class Story:
    """What the players do, to plain rows, and to the database in the same words."""

    def __init__(self, world: World, dice: Random) -> None:
        self.world, self.dice = world, dice
        users = [f"p{n:03}" for n in range(PLAYERS)]
        self.lives = {user: self._lives_of(user) for user in users}
        self.players = {user: self._progress_of(user) for user in users}
        self.sessions: dict[str, Row] = {}
        self.events: list[Event] = []
        self.archive: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
        self._changed: dict[str, set[str]] = {"lives": set(), "players": set(), "sessions": set()}
        with world.data.writing() as db:
            db.execute(insert(lives), list(self.lives.values()))
            db.execute(insert(player_progress), list(self.players.values()))

    def _lives_of(self, user: str) -> Row:
        dice = self.dice
        return {
            "user_id": user,
            "current_lives": dice.randrange(6),
            "last_regen_at": None,
            "next_regen_at": dice.choice((None, FIRST + timedelta(minutes=dice.randrange(90)))),
        }

    def _progress_of(self, user: str) -> Row:
        dice = self.dice
        return {
            "user_id": user,
            "username": f"Player {user}",
            "xp": dice.choice((None, -5, 0, 10, 10, 20, 20, 30, 2**40)),
            "weekly_xp": dice.choice((None, 0, 0, 0, 10)),
            "monthly_xp": dice.choice((0, 0, 0, -1)),
            "xp_updated_at": dice.choice((None, FIRST - timedelta(days=dice.randrange(3)))),
            "last_quiz_at": dice.choice((None, FIRST - timedelta(hours=dice.randrange(100)))),
            "current_streak": dice.choice((0, 0, 1, 7, 300)),
            "longest_streak": 300,
            "protections_remaining": dice.choice((None, 0, 1, 2, 3, 9)),
            "streak_checked_on": None,
        }

    def half_an_hour(self, until: datetime) -> None:
        """A few people do something in the half hour before `until`."""
        for user in self.dice.sample(sorted(self.players), 4):
            at = until - timedelta(seconds=self.dice.randrange(1, 1800))
            self.dice.choice((self._play, self._play, self._lose, self._buy, self._begin, self._finish))(user, at)
        self._write()

    def _play(self, user: str, at: datetime) -> None:
        row = self.players[user]
        if row["last_quiz_at"] is None or row["last_quiz_at"].date() != at.date():
            row["current_streak"] += 1
        row["last_quiz_at"] = row["xp_updated_at"] = at
        for column in oracle.XP.values():
            row[column] = (row[column] or 0) + 10
        if self.dice.random() < 0.1:
            row["protections_remaining"] = (row["protections_remaining"] or 0) + 1
        self._changed["players"].add(user)

    def _lose(self, user: str, at: datetime) -> None:
        row = self.lives[user]
        if row["current_lives"]:
            row["current_lives"] -= 1
            if row["next_regen_at"] is None and self.dice.random() < 0.9:
                row["next_regen_at"] = at + HALF_AN_HOUR
            self._changed["lives"].add(user)

    def _buy(self, user: str, at: datetime) -> None:
        self.lives[user].update(current_lives=5, next_regen_at=None)
        self._changed["lives"].add(user)

    def _begin(self, user: str, at: datetime) -> None:
        id_ = f"{user}-{at:%m%d%H%M%S}"
        self.sessions[id_] = {
            "id": id_,
            "user_id": user,
            "status": "active",
            "started_at": at,
            "expires_at": at + timedelta(minutes=10),
            "completed_at": None,
        }
        with self.world.data.writing() as db:
            db.execute(insert(quiz_sessions).values(**self.sessions[id_]))

    def _finish(self, user: str, at: datetime) -> None:
        for row in self.sessions.values():
            if row["user_id"] == user and row["status"] == "active" and row["started_at"] < at:
                row.update(status="completed", completed_at=at)
                self._changed["sessions"].add(row["id"])

    def _write(self) -> None:
        with self.world.data.writing() as db:
            for name, table, rows in self._tables():
                key = next(iter(table.primary_key)).name
                moved = [rows[one] | {"key": one} for one in sorted(self._changed[name])]
                if moved:
                    db.execute(update(table).where(table.c[key] == bindparam("key")), moved)
                self._changed[name].clear()

    def _tables(self) -> list[tuple[str, Table, dict[str, Row]]]:
        return [
            ("lives", lives, self.lives),
            ("players", player_progress, self.players),
            ("sessions", quiz_sessions, self.sessions),
        ]

    # --- the jobs ---------------------------------------------------------------------------------------------

    def jobs(self, at: datetime) -> None:
        """All that is due at an instant, by both; some of it twice."""
        self.world.now = at + timedelta(seconds=2)
        midnight = at.hour == at.minute == 0
        self._both("life_regen", at, lambda: oracle.give_lives(self.lives.values(), at))
        if at.minute == 0:
            self._both("session_cleanup", at, lambda: self._tell(oracle.close_sessions(self.sessions.values(), at)))
        if midnight:
            self._both("streak_update", at, lambda: self._tell(oracle.check_streaks(self.players.values(), at)))
        if midnight and at.day == 1:
            self._both("leaderboard_reset_monthly", at, lambda: self._reset("monthly", oracle.month_before(at)))
        if midnight and at.strftime("%a") == "Mon":
            self._both("leaderboard_reset_weekly", at, lambda: self._reset("weekly", oracle.week_before(at)))
        if midnight:
            self._both("leaderboard_recalc", at, lambda: None)

    def _both(self, job: str, at: datetime, told: Any) -> None:
        told()
        for _ in range(2 if self.dice.random() < 0.1 else 1):
            if planned := self.world.planned(job, at):
                result = self.world.run(job, at, items=planned)
                assert (result.ok, result.failed, result.again) == (len(planned), [], []), result

    def _tell(self, events: list[Event]) -> None:
        self.events += events

    def _reset(self, board: str, period: str) -> None:
        self.archive[board, period], event = oracle.reset(self.players.values(), board, period)
        self.events.append(event)

    # --- are they of one mind? --------------------------------------------------------------------------------

    def compare(self) -> None:
        for _, table, rows in self._tables():
            assert self.world.rows(table) == [rows[key] for key in sorted(rows)]
        assert self.world.events() == sorted(self.events)
        for board in BOARDS:
            expected = oracle.board(self.players.values(), board)
            assert self.world.ranked(board) == expected
            assert self.world.shown(board) == expected
        archived: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
        for row in self.world.rows(ranking_archive):
            archived.setdefault((row["board"], row["period"]), {})[row["user_id"]] = (row["score"], row["rank"])
        assert archived == self.archive


def test_the_jobs_and_the_oracle_agree_over_forty_days(world: World) -> None:
    story = Story(world, Random(40))

    for n in range(DAYS * 48 + 1):
        at = FIRST + n * HALF_AN_HOUR
        story.half_an_hour(at)
        story.jobs(at)
        if n % 240 == 0:  # every fifth midnight
            story.compare()

    names = {name for name, _, _ in story.events}
    assert names == {"StreakBroken", "QuizAbandoned", "LeaderboardReset"}
    assert sorted(story.archive) == [
        ("monthly", "2026-02"),
        *(("weekly", f"2026-W{week:02}") for week in range(7, 12)),
    ]
    assert len(story.events) > 200
