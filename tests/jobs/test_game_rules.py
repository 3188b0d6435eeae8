"""The rules of lives, streaks and quiz sessions."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from jobs.game.tables import lives, player_progress, quiz_sessions
from opsconsole.rules.schedule import Schedule, plan
from tests.jobs.game_fixtures import JOBS, MONDAY, NOON, GameFixture
from tests.schedules import cron_of
from tests.soak import postgresql_in_soak

HALF_AN_HOUR = timedelta(minutes=30)
A_MOMENT = timedelta(microseconds=1)
DAY = timedelta(days=1)


@pytest.fixture
def fixture(database_url: str) -> Iterator[GameFixture]:
    made = GameFixture(database_url, "unix:///nowhere/redis.sock")
    yield made
    made.close()


# --- lives --------------------------------------------------------------------------------------------------------


def waiting(user: str, current: int, next_at: datetime | None) -> dict[str, Any]:
    return {"user_id": user, "current_lives": current, "last_regen_at": None, "next_regen_at": next_at}


@postgresql_in_soak
def test_every_due_player_gets_one_life(fixture: GameFixture) -> None:
    fixture.add(
        lives,
        waiting("asha", 2, NOON),
        waiting("ben", 5, None),
        waiting("chen", 0, NOON + A_MOMENT),
        waiting("dora", 4, NOON - DAY),
        waiting("eli", 1, None),
    )

    result = fixture.run("life_regen", NOON)

    found = {
        row["user_id"]: (row["current_lives"], row["last_regen_at"], row["next_regen_at"])
        for row in fixture.rows(lives)
    }
    assert found == {
        "asha": (3, NOON, NOON + HALF_AN_HOUR),
        "ben": (5, None, None),
        "chen": (0, None, NOON + A_MOMENT),
        "dora": (5, NOON, None),
        "eli": (2, NOON, NOON + HALF_AN_HOUR),
    }
    assert (result.ok, result.failed, result.metrics) == (3, [], {"lives": 3})


@postgresql_in_soak
def test_repeated_runs_of_one_scheduled_time_give_one_life(fixture: GameFixture) -> None:
    fixture.add(lives, waiting("asha", 2, NOON), waiting("eli", 1, None))
    planned = fixture.planned("life_regen", NOON)
    fixture.run("life_regen", NOON)
    once = fixture.rows(lives)

    fixture.run("life_regen", NOON)
    late = fixture.run("life_regen", NOON, items=planned)

    assert fixture.rows(lives) == once
    assert (late.ok, late.metrics["lives"]) == (2, 0)


@postgresql_in_soak
def test_a_player_who_bought_lives_meanwhile_never_has_six(fixture: GameFixture) -> None:
    fixture.add(lives, waiting("asha", 4, NOON))
    planned = fixture.planned("life_regen", NOON)
    fixture.change(lives, "asha", current_lives=5, next_regen_at=None)

    result = fixture.run("life_regen", NOON, items=planned)

    assert fixture.row(lives, "asha") == waiting("asha", 5, None)
    assert result.ok == 1


@postgresql_in_soak
def test_three_hours_of_downtime_cost_no_player_a_life(fixture: GameFixture) -> None:
    job = JOBS["life_regen"]
    fixture.add(
        lives, waiting("asha", 0, NOON), waiting("ben", 3, NOON - A_MOMENT), waiting("chen", 4, NOON + HALF_AN_HOUR)
    )
    now = NOON + timedelta(hours=2, minutes=40)

    missed = plan([Schedule(job, cron_of(job), cursor=NOON - A_MOMENT)], now)
    for instant in missed:
        fixture.run("life_regen", instant.due_at)

    assert [instant.due_at for instant in missed if instant.runs] == [NOON + n * HALF_AN_HOUR for n in range(6)]
    assert [row["current_lives"] for row in fixture.rows(lives)] == [5, 5, 5]
    assert all(row["next_regen_at"] is None for row in fixture.rows(lives))


@postgresql_in_soak
def test_after_a_week_of_downtime_ten_runs_restore_all_lives(fixture: GameFixture) -> None:
    job = JOBS["life_regen"]
    fixture.add(lives, waiting("asha", 0, NOON))

    missed = plan([Schedule(job, cron_of(job), cursor=NOON)], NOON + 7 * DAY)
    for instant in (instant for instant in missed if instant.runs):
        fixture.run("life_regen", instant.due_at)

    assert sum(instant.runs for instant in missed) == 10
    assert fixture.row(lives, "asha")["current_lives"] == 5


# --- streaks ------------------------------------------------------------------------------------------------------


def on_a_streak(fixture: GameFixture, user: str, last_quiz_at: datetime | None, **values: Any) -> None:
    defaults = {"current_streak": 12, "longest_streak": 30, "protections_remaining": 0}
    fixture.player(user, last_quiz_at=last_quiz_at, **{**defaults, **values})


def streaks(fixture: GameFixture) -> dict[str, tuple[int, int, date | None]]:
    return {
        row["user_id"]: (row["current_streak"], row["protections_remaining"], row["streak_checked_on"])
        for row in fixture.rows(player_progress)
    }


TODAY = MONDAY.date()


def test_a_streak_ends_after_more_than_48_hours_with_its_length_in_the_event(fixture: GameFixture) -> None:
    on_a_streak(fixture, "asha", MONDAY - 2 * DAY)
    on_a_streak(fixture, "ben", MONDAY - 2 * DAY - A_MOMENT)
    on_a_streak(fixture, "chen", None, current_streak=3)
    on_a_streak(fixture, "dora", MONDAY - 90 * DAY, current_streak=0)

    result = fixture.run("streak_update", MONDAY)

    assert streaks(fixture) == {
        "asha": (12, 0, None),
        "ben": (0, 0, TODAY),
        "chen": (0, 0, TODAY),
        "dora": (0, 0, None),
    }
    assert fixture.events() == [
        ("StreakBroken", "ben:2026-03-09", {"user_id": "ben", "length": 12}),
        ("StreakBroken", "chen:2026-03-09", {"user_id": "chen", "length": 3}),
    ]
    assert result.metrics == {"broken": 2, "protected": 0}
    assert {row["longest_streak"] for row in fixture.rows(player_progress)} == {30}


@postgresql_in_soak
@pytest.mark.parametrize(
    ("has", "left", "streak"), [(None, 0, 0), (-3, 0, 0), (0, 0, 0), (1, 0, 12), (2, 1, 12), (3, 1, 12), (99, 1, 12)]
)
def test_a_protection_keeps_the_streak_and_at_most_two_count(
    fixture: GameFixture, has: int | None, left: int, streak: int
) -> None:
    on_a_streak(fixture, "asha", MONDAY - 5 * DAY, protections_remaining=has)

    fixture.run("streak_update", MONDAY)

    assert streaks(fixture) == {"asha": (streak, left, TODAY)}
    assert len(fixture.events()) == (streak == 0)


def test_a_protection_covers_one_days_check(fixture: GameFixture) -> None:
    on_a_streak(fixture, "asha", MONDAY - 5 * DAY, protections_remaining=2)

    kept = []
    for n in range(4):
        fixture.run("streak_update", MONDAY + n * DAY)
        kept.append(streaks(fixture)["asha"][:2])

    assert kept == [(12, 1), (12, 0), (0, 0), (0, 0)]
    assert [key for _, key, _ in fixture.events()] == ["asha:2026-03-11"]


@postgresql_in_soak
def test_a_day_uses_one_protection_in_repeated_and_late_runs(fixture: GameFixture) -> None:
    on_a_streak(fixture, "asha", MONDAY - 5 * DAY, protections_remaining=2)
    on_a_streak(fixture, "ben", MONDAY - 5 * DAY)
    planned = fixture.planned("streak_update", MONDAY)
    fixture.run("streak_update", MONDAY)
    once = fixture.everything_in_sql()

    fixture.run("streak_update", MONDAY)
    fixture.run("streak_update", MONDAY + timedelta(hours=17, minutes=23))
    fixture.run("streak_update", MONDAY, items=planned)

    assert fixture.everything_in_sql() == once


@postgresql_in_soak
def test_a_manual_run_checks_the_day_as_of_its_start(fixture: GameFixture) -> None:
    on_a_streak(fixture, "asha", MONDAY - 2 * DAY)  # 65 hours before the run, 48 before midnight

    fixture.run("streak_update", MONDAY + timedelta(hours=17))

    assert streaks(fixture) == {"asha": (12, 0, None)}


@postgresql_in_soak
def test_a_late_retry_of_an_older_day_uses_no_second_protection(fixture: GameFixture) -> None:
    on_a_streak(fixture, "asha", MONDAY - 5 * DAY, protections_remaining=2)
    planned = fixture.planned("streak_update", MONDAY)
    fixture.run("streak_update", MONDAY + DAY)

    fixture.run("streak_update", MONDAY, items=planned)

    assert streaks(fixture) == {"asha": (12, 1, TODAY + DAY)}


def test_a_player_who_plays_after_planning_keeps_the_streak(fixture: GameFixture) -> None:
    on_a_streak(fixture, "asha", MONDAY - 5 * DAY)
    planned = fixture.planned("streak_update", MONDAY)
    fixture.change(player_progress, "asha", last_quiz_at=MONDAY + A_MOMENT, current_streak=13)

    result = fixture.run("streak_update", MONDAY, items=planned)

    assert streaks(fixture) == {"asha": (13, 0, None)}
    assert fixture.events() == []
    assert result.ok == 1


# --- sessions -----------------------------------------------------------------------------------------------------


def session(id_: str, expires_at: datetime, status: str = "active", **values: Any) -> dict[str, Any]:
    began = expires_at - timedelta(minutes=10)
    defaults = {"id": id_, "user_id": "asha", "status": status, "started_at": began, "expires_at": expires_at}
    return {**defaults, "completed_at": None, **values}


def test_expired_sessions_are_closed_with_one_event(fixture: GameFixture) -> None:
    done = NOON - timedelta(minutes=3)
    fixture.add(
        quiz_sessions,
        session("s1", NOON),
        session("s2", NOON + A_MOMENT),
        session("s3", NOON - DAY, user_id="ben"),
        session("s4", NOON - DAY, "completed", completed_at=done),
    )
    planned = fixture.planned("session_cleanup", NOON)

    first = fixture.run("session_cleanup", NOON)
    fixture.run("session_cleanup", NOON)
    fixture.run("session_cleanup", NOON, items=planned)

    found = {row["id"]: (row["status"], row["completed_at"]) for row in fixture.rows(quiz_sessions)}
    assert found == {
        "s1": ("expired", NOON),
        "s2": ("active", None),
        "s3": ("expired", NOON),
        "s4": ("completed", done),
    }
    assert fixture.events() == [
        ("QuizAbandoned", "s1", {"session_id": "s1", "user_id": "asha"}),
        ("QuizAbandoned", "s3", {"session_id": "s3", "user_id": "ben"}),
    ]
    assert first.metrics == {"closed": 2}


@postgresql_in_soak
def test_a_session_completed_after_planning_stays_completed(fixture: GameFixture) -> None:
    fixture.add(quiz_sessions, session("s1", NOON))
    planned = fixture.planned("session_cleanup", NOON)
    fixture.change(quiz_sessions, "asha", status="completed", completed_at=NOON - A_MOMENT)

    fixture.run("session_cleanup", NOON, items=planned)

    assert fixture.rows(quiz_sessions)[0]["status"] == "completed"
    assert fixture.events() == []


# --- one bad row, and what a batch costs --------------------------------------------------------------------------


def forty(fixture: GameFixture) -> list[str]:
    """Forty users with work for every job."""
    users = [f"user{n:02}" for n in range(40)]
    for user in users:
        on_a_streak(fixture, user, MONDAY - 5 * DAY)
        fixture.add(lives, waiting(user, 1, MONDAY))
        fixture.add(quiz_sessions, session(user, MONDAY, user_id=user))
    return users


@postgresql_in_soak
@pytest.mark.parametrize(
    ("job", "table", "key"),
    [
        ("life_regen", lives, "user_id"),
        ("streak_update", player_progress, "user_id"),
        ("session_cleanup", quiz_sessions, "id"),
    ],
)
def test_a_database_error_fails_only_its_row(fixture: GameFixture, job: str, table: Any, key: str) -> None:
    users = forty(fixture)
    fixture.reject_writes(table, f"NEW.{key} = 'user23'")
    before = {row[key]: row for row in fixture.rows(table)}

    result = fixture.run(job, MONDAY)

    after = {row[key]: row for row in fixture.rows(table)}
    assert (result.ok, result.failed) == (39, ["user23"])
    assert "rejected row" in result.failures[0].message
    assert [user for user in users if after[user] == before[user]] == ["user23"]
    assert not any("user23" in event_key for _, event_key, _ in fixture.events())


@postgresql_in_soak
@pytest.mark.parametrize("job", ["life_regen", "streak_update", "session_cleanup"])
def test_the_number_of_statements_does_not_grow_with_the_batch(fixture: GameFixture, job: str) -> None:
    users = forty(fixture)

    with fixture.statements() as for_few:
        few = fixture.run(job, MONDAY, items=users[:3])
    with fixture.statements() as for_many:
        many = fixture.run(job, MONDAY, items=users[3:])

    assert (few.ok, many.ok) == (3, 37)
    assert len(for_few) == len(for_many) <= 6


PLANS = {
    "life_regen": "ix_lives_next_regen_at",
    "streak_update": "ix_player_progress_last_quiz_at",
    "session_cleanup": "ix_quiz_sessions_status_expires_at",
}


@postgresql_in_soak
@pytest.mark.parametrize("job", PLANS)
def test_due_items_are_found_by_an_index(fixture: GameFixture, job: str) -> None:
    forty(fixture)
    explain = "EXPLAIN QUERY PLAN " if fixture.data.is_sqlite else "EXPLAIN "

    def explaining(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> Any:
        return explain + statement if statement.startswith("SELECT") else statement, parameters

    with fixture.data.reading() as db:
        if not fixture.data.is_sqlite:
            db.exec_driver_sql("SET LOCAL enable_seqscan = off")  # few rows are faster to scan
        event.listen(fixture.data.engine, "before_cursor_execute", explaining, retval=True)
        found = db.execute(fixture.query(job, MONDAY)).cursor
        event.remove(fixture.data.engine, "before_cursor_execute", explaining)
        assert found is not None
        plan = str(found.fetchall())

    assert PLANS[job] in plan
