"""Sample data of the game: reproducible, with work for every job."""

from __future__ import annotations

import ast
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from jobs.common import metadata
from jobs.game import pack
from jobs.game.sample import add_game
from jobs.game.tables import lives, player_progress, quiz_sessions
from jobs.sample_users import add_users
from opsconsole.authoring.context import ExtensionContext
from opsconsole.embedded.sample import fill
from tests.jobs.game_fixtures import JOBS, GameFixture

MIDNIGHT = datetime(2026, 3, 9, tzinfo=UTC)
DAY = timedelta(days=1)
SAMPLE = Path(__file__).parents[2] / "jobs" / "game" / "sample.py"


def new_game(url: str, redis_url: str = "unix:///nowhere/redis.sock") -> GameFixture:
    made = GameFixture(url, redis_url)
    metadata.create_all(made.data.engine)
    made.now = MIDNIGHT
    return made


@pytest.fixture
def fixture(tmp_path: Path) -> Iterator[GameFixture]:
    made = new_game(f"sqlite:///{tmp_path / 'data.db'}")
    yield made
    made.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[GameFixture]:
    made = new_game(f"sqlite:///{tmp_path / 'other.db'}")
    yield made
    made.close()


def players(fixture: GameFixture) -> list[dict[str, Any]]:
    return fixture.rows(player_progress)


def test_consecutive_periods_add_up_to_the_whole(fixture: GameFixture, other: GameFixture) -> None:
    cuts = [MIDNIGHT - 3 * DAY, MIDNIGHT - 2 * DAY + timedelta(hours=15, microseconds=7), MIDNIGHT - DAY, MIDNIGHT]
    for since, until in pairwise(cuts):
        add_game(fixture.data, 60, since, until)

    add_game(other.data, 60, cuts[0], cuts[-1])

    assert fixture.everything_in_sql() == other.everything_in_sql()


def test_existing_rows_stay_as_the_jobs_left_them(fixture: GameFixture) -> None:
    add_game(fixture.data, 60, MIDNIGHT - 3 * DAY, MIDNIGHT)
    for job in ("life_regen", "streak_update", "session_cleanup"):
        fixture.run(job, MIDNIGHT)
    once = fixture.everything_in_sql()

    add_game(fixture.data, 60, MIDNIGHT - 3 * DAY, MIDNIGHT)
    add_game(fixture.data, 60, MIDNIGHT - 3 * DAY, MIDNIGHT - 2 * DAY)

    assert fixture.everything_in_sql() == once


def test_adding_players_does_not_change_existing_ones(fixture: GameFixture, other: GameFixture) -> None:
    add_game(fixture.data, 20, MIDNIGHT - DAY, MIDNIGHT)
    add_game(other.data, 40, MIDNIGHT - DAY, MIDNIGHT)

    assert players(fixture) == players(other)[:20]


def test_later_quizzes_continue_from_the_state_the_jobs_left(fixture: GameFixture) -> None:
    add_game(fixture.data, 60, MIDNIGHT - 2 * DAY, MIDNIGHT)
    for row in players(fixture):
        fixture.change(player_progress, row["user_id"], weekly_xp=0, current_streak=0)

    add_game(fixture.data, 60, MIDNIGHT, MIDNIGHT + DAY)

    active = [row for row in players(fixture) if row["last_quiz_at"] and row["last_quiz_at"] >= MIDNIGHT]
    assert len(active) > 20
    assert {row["current_streak"] for row in active} == {1}
    assert all(row["weekly_xp"] is None or 0 < row["weekly_xp"] <= 600 for row in active)


def test_every_kind_of_row_occurs(fixture: GameFixture) -> None:
    add_game(fixture.data, 400, MIDNIGHT - 5 * DAY, MIDNIGHT)

    held = Counter(row["current_lives"] for row in fixture.rows(lives))
    assert set(held) == set(range(6))
    assert held[5] > 100
    assert any(row["current_lives"] < 5 and row["next_regen_at"] is None for row in fixture.rows(lives))
    xp = Counter(row["xp"] for row in players(fixture))
    assert xp[None] >= 1
    assert max(n for value, n in xp.items() if value is not None) > 3
    assert sum(row["last_quiz_at"] is None for row in players(fixture)) >= 1
    assert {row["protections_remaining"] for row in players(fixture)} == {None, 0, 1, 2, 3}
    states = Counter(row["status"] for row in fixture.rows(quiz_sessions))
    assert states["completed"] > 10 * states["active"] > 100
    assert all(row["expires_at"] - row["started_at"] == timedelta(minutes=10) for row in fixture.rows(quiz_sessions))
    assert all(
        row["completed_at"] is None or row["started_at"] < row["completed_at"] < min(row["expires_at"], MIDNIGHT)
        for row in fixture.rows(quiz_sessions)
    )


@pytest.mark.parametrize("many", [10, 300])
def test_every_job_has_something_to_do(fixture: GameFixture, many: int) -> None:
    add_game(fixture.data, many, MIDNIGHT - 5 * DAY, MIDNIGHT)

    done = {job: fixture.run(job, MIDNIGHT) for job in ("life_regen", "streak_update", "session_cleanup")}

    assert all(result.ok > 0 and result.failed == [] for result in done.values())
    if many > 10:
        assert min(done["streak_update"].metrics.values()) > 5


def test_no_users_or_an_empty_period_write_nothing(fixture: GameFixture) -> None:
    add_game(fixture.data, 0, MIDNIGHT - DAY, MIDNIGHT)
    add_game(fixture.data, 10, MIDNIGHT, MIDNIGHT)

    assert players(fixture) == []


@pytest.mark.soak
def test_memory_does_not_grow_with_the_number_of_players(fixture: GameFixture, other: GameFixture) -> None:
    def peak(place: GameFixture, many: int) -> int:
        add_users(place.data, many)
        tracemalloc.start()
        try:
            add_game(place.data, many, MIDNIGHT - DAY, MIDNIGHT)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak(other, 1600) < 1.3 * peak(fixture, 700)


def test_sample_data_reads_no_clock() -> None:
    tree = ast.parse(SAMPLE.read_text(encoding="utf-8"))
    attributes = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}

    assert not attributes & {"now", "utcnow", "today", "monotonic", "perf_counter"}


def test_both_databases_get_the_same_rows(database_url: str, fixture: GameFixture) -> None:
    place = new_game(database_url)
    for since in (MIDNIGHT - 2 * DAY, MIDNIGHT - DAY, MIDNIGHT - DAY):
        add_game(place.data, 30, since, since + DAY)
    add_game(fixture.data, 30, MIDNIGHT - 2 * DAY, MIDNIGHT)

    assert place.everything_in_sql() == fixture.everything_in_sql()
    place.close()


def test_the_panels_show_due_players_and_leaders(database_url: str, redis_url: str) -> None:
    place = new_game(database_url, redis_url)
    now = MIDNIGHT + timedelta(hours=3)
    fill(place.data, [pack], 50, now)
    place.now = now
    serving = ExtensionContext(place.tools, {}, ())
    empty = {panel.title: panel.read(serving) for panel in pack.panels}
    for job in JOBS:
        place.run(job, now)

    shown = {panel.title: panel.read(serving) for panel in pack.panels}

    assert dict(empty["Players"].facts).keys() == dict(shown["Players"].facts).keys()
    assert int(dict(empty["Players"].facts)["lives due"]) > 0
    assert dict(shown["Players"].facts)["lives due"] == dict(shown["Players"].facts)["streaks at risk"] == "0"
    assert [row[:2] for row in empty["Leaderboards"].rows] == [("global", "0"), ("weekly", "0"), ("monthly", "0")]
    boards = {row[0]: row[1:] for row in shown["Leaderboards"].rows}
    assert boards["global"][0] == "49"  # one has no XP
    assert (boards["weekly"][-1], boards["monthly"][-1]) == ("2026-W10", "2026-02")
    place.close()
