"""The game jobs against a reference model, over weeks of simulated play."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import Table, bindparam, insert, update

from jobs.game.tables import lives, player_progress, quiz_sessions, ranking_archive
from tests.jobs import oracle_game as oracle
from tests.jobs.game_fixtures import GameFixture
from tests.jobs.oracle_game import Event, Row
from tests.soak import full, postgresql_in_soak, small

HALF_AN_HOUR = timedelta(minutes=30)
BOARDS = ("global", "weekly", "monthly")


@pytest.fixture
def fixture(database_url: str, redis_url: str) -> Iterator[GameFixture]:
    made = GameFixture(database_url, redis_url)
    yield made
    made.close()


class Simulation:
    """Simulates players on plain rows and in the database alike."""

    def __init__(self, fixture: GameFixture, start: datetime, player_count: int, rng: Random) -> None:
        self.fixture, self.start, self.rng = fixture, start, rng
        users = [f"p{n:03}" for n in range(player_count)]
        self.lives = {user: self._lives_of(user) for user in users}
        self.players = {user: self._progress_of(user) for user in users}
        self.sessions: dict[str, Row] = {}
        self.events: list[Event] = []
        self.archive: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
        self._changed: dict[str, set[str]] = {"lives": set(), "players": set(), "sessions": set()}
        with fixture.data.writing() as db:
            db.execute(insert(lives), list(self.lives.values()))
            db.execute(insert(player_progress), list(self.players.values()))

    def _lives_of(self, user: str) -> Row:
        rng = self.rng
        return {
            "user_id": user,
            "current_lives": rng.randrange(6),
            "last_regen_at": None,
            "next_regen_at": rng.choice((None, self.start + timedelta(minutes=rng.randrange(90)))),
        }

    def _progress_of(self, user: str) -> Row:
        rng = self.rng
        return {
            "user_id": user,
            "username": f"Player {user}",
            "xp": rng.choice((None, -5, 0, 10, 10, 20, 20, 30, 2**40)),
            "weekly_xp": rng.choice((None, 0, 0, 0, 10)),
            "monthly_xp": rng.choice((0, 0, 0, -1)),
            "xp_updated_at": rng.choice((None, self.start - timedelta(days=rng.randrange(3)))),
            "last_quiz_at": rng.choice((None, self.start - timedelta(hours=rng.randrange(100)))),
            "current_streak": rng.choice((0, 0, 1, 7, 300)),
            "longest_streak": 300,
            "protections_remaining": rng.choice((None, 0, 1, 2, 3, 9)),
            "streak_checked_on": None,
        }

    def half_an_hour(self, until: datetime) -> None:
        """Lets a few players act in the half hour before `until`."""
        for user in self.rng.sample(sorted(self.players), 4):
            at = until - timedelta(seconds=self.rng.randrange(1, 1800))
            self.rng.choice((self._play, self._play, self._lose, self._buy, self._begin, self._finish))(user, at)
        self._write()

    def _play(self, user: str, at: datetime) -> None:
        row = self.players[user]
        if row["last_quiz_at"] is None or row["last_quiz_at"].date() != at.date():
            row["current_streak"] += 1
        row["last_quiz_at"] = row["xp_updated_at"] = at
        for column in oracle.XP.values():
            row[column] = (row[column] or 0) + 10
        if self.rng.random() < 0.1:
            row["protections_remaining"] = (row["protections_remaining"] or 0) + 1
        self._changed["players"].add(user)

    def _lose(self, user: str, at: datetime) -> None:
        row = self.lives[user]
        if row["current_lives"]:
            row["current_lives"] -= 1
            if row["next_regen_at"] is None and self.rng.random() < 0.9:
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
        with self.fixture.data.writing() as db:
            db.execute(insert(quiz_sessions).values(**self.sessions[id_]))

    def _finish(self, user: str, at: datetime) -> None:
        for row in self.sessions.values():
            if row["user_id"] == user and row["status"] == "active" and row["started_at"] < at:
                row.update(status="completed", completed_at=at)
                self._changed["sessions"].add(row["id"])

    def _write(self) -> None:
        with self.fixture.data.writing() as db:
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
        """Runs all jobs due at a scheduled time on both sides, some of them twice."""
        self.fixture.now = at + timedelta(seconds=2)
        midnight = at.hour == at.minute == 0
        self._both("life_regen", at, lambda: oracle.give_lives(self.lives.values(), at))
        if at.minute == 0:
            self._both(
                "session_cleanup", at, lambda: self._add_events(oracle.close_sessions(self.sessions.values(), at))
            )
        if midnight:
            self._both("streak_update", at, lambda: self._add_events(oracle.check_streaks(self.players.values(), at)))
        if midnight and at.day == 1:
            self._both("leaderboard_reset_monthly", at, lambda: self._reset("monthly", oracle.month_before(at)))
        if midnight and at.strftime("%a") == "Mon":
            self._both("leaderboard_reset_weekly", at, lambda: self._reset("weekly", oracle.week_before(at)))
        if midnight:
            self._both("leaderboard_recalc", at, lambda: None)

    def _both(self, job: str, at: datetime, model: Any) -> None:
        model()
        for _ in range(2 if self.rng.random() < 0.1 else 1):
            if planned := self.fixture.planned(job, at):
                result = self.fixture.run(job, at, items=planned)
                assert (result.ok, result.failed, result.again) == (len(planned), [], []), result

    def _add_events(self, events: list[Event]) -> None:
        self.events += events

    def _reset(self, board: str, period: str) -> None:
        self.archive[board, period], event = oracle.reset(self.players.values(), board, period)
        self.events.append(event)

    # --- comparison -------------------------------------------------------------------------------------------

    def compare(self) -> None:
        for _, table, rows in self._tables():
            assert self.fixture.rows(table) == [rows[key] for key in sorted(rows)]
        assert self.fixture.events() == sorted(self.events)
        for board in BOARDS:
            expected = oracle.board(self.players.values(), board)
            assert self.fixture.ranked(board) == expected
            assert self.fixture.shown(board) == expected
        archived: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
        for row in self.fixture.rows(ranking_archive):
            archived.setdefault((row["board"], row["period"]), {})[row["user_id"]] = (row["score"], row["rank"])
        assert archived == self.archive


# Both include the start of March and Monday 2 March; forty days include five Mondays.
@postgresql_in_soak
@pytest.mark.parametrize(
    ("player_count", "start", "days", "weeks", "min_events"),
    [
        small(60, datetime(2026, 2, 26, tzinfo=UTC), 5, range(9, 10), 15),
        full(300, datetime(2026, 2, 10, tzinfo=UTC), 40, range(7, 12), 200),
    ],
)
def test_jobs_and_oracle_agree(
    fixture: GameFixture, player_count: int, start: datetime, days: int, weeks: range, min_events: int
) -> None:
    simulation = Simulation(fixture, start, player_count, Random(40))

    for n in range(days * 48 + 1):
        at = start + n * HALF_AN_HOUR
        simulation.half_an_hour(at)
        simulation.jobs(at)
        if n % 240 == 0:  # every fifth midnight
            simulation.compare()

    names = {name for name, _, _ in simulation.events}
    assert names == {"StreakBroken", "QuizAbandoned", "LeaderboardReset"}
    assert sorted(simulation.archive) == [
        ("monthly", "2026-02"),
        *(("weekly", f"2026-W{week:02}") for week in weeks),
    ]
    assert len(simulation.events) > min_events
