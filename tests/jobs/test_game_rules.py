"""Lives, streaks and quiz sessions: who gets what, exactly when, and once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event

from jobs.game.tables import lives, player_progress, quiz_sessions
from opsconsole.rules.schedule import Schedule, plan
from tests.jobs.game_fixtures import JOBS, MONDAY, NOON, World
from tests.schedules import cron_of

HALF_AN_HOUR = timedelta(minutes=30)
A_MOMENT = timedelta(microseconds=1)
DAY = timedelta(days=1)


@pytest.fixture
def world(database_url: str) -> Iterator[World]:
    made = World(database_url, "unix:///nowhere/redis.sock")
    yield made
    made.close()


# --- lives --------------------------------------------------------------------------------------------------------


def waiting(user: str, current: int, next_at: datetime | None) -> dict[str, Any]:
    return {"user_id": user, "current_lives": current, "last_regen_at": None, "next_regen_at": next_at}


def test_everyone_whose_half_hour_is_over_gets_one_life(world: World) -> None:
    world.add(
        lives,
        waiting("asha", 2, NOON),
        waiting("ben", 5, None),
        waiting("chen", 0, NOON + A_MOMENT),
        waiting("dora", 4, NOON - DAY),
        waiting("eli", 1, None),
    )

    result = world.run("life_regen", NOON)

    found = {
        row["user_id"]: (row["current_lives"], row["last_regen_at"], row["next_regen_at"]) for row in world.rows(lives)
    }
    assert found == {
        "asha": (3, NOON, NOON + HALF_AN_HOUR),
        "ben": (5, None, None),
        "chen": (0, None, NOON + A_MOMENT),
        "dora": (5, NOON, None),
        "eli": (2, NOON, NOON + HALF_AN_HOUR),
    }
    assert (result.ok, result.failed, result.metrics) == (3, [], {"lives": 3})


def test_one_instant_gives_one_life_however_often_it_runs(world: World) -> None:
    world.add(lives, waiting("asha", 2, NOON), waiting("eli", 1, None))
    planned = world.planned("life_regen", NOON)
    world.run("life_regen", NOON)
    once = world.rows(lives)

    world.run("life_regen", NOON)
    late = world.run("life_regen", NOON, items=planned)

    assert world.rows(lives) == once
    assert (late.ok, late.metrics["lives"]) == (2, 0)


def test_who_bought_lives_after_the_run_was_planned_never_has_six(world: World) -> None:
    world.add(lives, waiting("asha", 4, NOON))
    planned = world.planned("life_regen", NOON)
    world.change(lives, "asha", current_lives=5, next_regen_at=None)

    result = world.run("life_regen", NOON, items=planned)

    assert world.row(lives, "asha") == waiting("asha", 5, None)
    assert result.ok == 1


def test_after_three_hours_of_downtime_nobody_is_short_of_a_life(world: World) -> None:
    job = JOBS["life_regen"]
    world.add(
        lives, waiting("asha", 0, NOON), waiting("ben", 3, NOON - A_MOMENT), waiting("chen", 4, NOON + HALF_AN_HOUR)
    )
    now = NOON + timedelta(hours=2, minutes=40)

    missed = plan([Schedule(job, cron_of(job), cursor=NOON - A_MOMENT)], now)
    for instant in missed:
        world.run("life_regen", instant.due_at)

    assert [instant.due_at for instant in missed if instant.runs] == [NOON + n * HALF_AN_HOUR for n in range(6)]
    assert [row["current_lives"] for row in world.rows(lives)] == [5, 5, 5]
    assert all(row["next_regen_at"] is None for row in world.rows(lives))


def test_after_a_week_the_newest_ten_instants_fill_anybody(world: World) -> None:
    job = JOBS["life_regen"]
    world.add(lives, waiting("asha", 0, NOON))

    missed = plan([Schedule(job, cron_of(job), cursor=NOON)], NOON + 7 * DAY)
    for instant in (instant for instant in missed if instant.runs):
        world.run("life_regen", instant.due_at)

    assert sum(instant.runs for instant in missed) == 10
    assert world.row(lives, "asha")["current_lives"] == 5


# --- streaks ------------------------------------------------------------------------------------------------------


def on_a_streak(world: World, user: str, last_quiz_at: datetime | None, **said: Any) -> None:
    usual = {"current_streak": 12, "longest_streak": 30, "protections_remaining": 0}
    world.player(user, last_quiz_at=last_quiz_at, **{**usual, **said})


def streaks(world: World) -> dict[str, tuple[int, int, date | None]]:
    return {
        row["user_id"]: (row["current_streak"], row["protections_remaining"], row["streak_checked_on"])
        for row in world.rows(player_progress)
    }


TODAY = MONDAY.date()


def test_a_streak_ends_after_more_than_48_hours_and_the_event_carries_its_length(world: World) -> None:
    on_a_streak(world, "asha", MONDAY - 2 * DAY)
    on_a_streak(world, "ben", MONDAY - 2 * DAY - A_MOMENT)
    on_a_streak(world, "chen", None, current_streak=3)
    on_a_streak(world, "dora", MONDAY - 90 * DAY, current_streak=0)

    result = world.run("streak_update", MONDAY)

    assert streaks(world) == {
        "asha": (12, 0, None),
        "ben": (0, 0, TODAY),
        "chen": (0, 0, TODAY),
        "dora": (0, 0, None),
    }
    assert world.events() == [
        ("StreakBroken", "ben:2026-03-09", {"user_id": "ben", "length": 12}),
        ("StreakBroken", "chen:2026-03-09", {"user_id": "chen", "length": 3}),
    ]
    assert result.metrics == {"broken": 2, "protected": 0}
    assert {row["longest_streak"] for row in world.rows(player_progress)} == {30}


@pytest.mark.parametrize(
    ("has", "left", "streak"), [(None, 0, 0), (-3, 0, 0), (0, 0, 0), (1, 0, 12), (2, 1, 12), (3, 1, 12), (99, 1, 12)]
)
def test_a_protection_keeps_the_streak_and_no_more_than_two_count(
    world: World, has: int | None, left: int, streak: int
) -> None:
    on_a_streak(world, "asha", MONDAY - 5 * DAY, protections_remaining=has)

    world.run("streak_update", MONDAY)

    assert streaks(world) == {"asha": (streak, left, TODAY)}
    assert len(world.events()) == (streak == 0)


def test_a_protection_covers_one_days_check(world: World) -> None:
    on_a_streak(world, "asha", MONDAY - 5 * DAY, protections_remaining=2)

    kept = []
    for n in range(4):
        world.run("streak_update", MONDAY + n * DAY)
        kept.append(streaks(world)["asha"][:2])

    assert kept == [(12, 1), (12, 0), (0, 0), (0, 0)]
    assert [key for _, key, _ in world.events()] == ["asha:2026-03-11"]


def test_a_day_uses_one_protection_however_often_and_late_it_runs(world: World) -> None:
    on_a_streak(world, "asha", MONDAY - 5 * DAY, protections_remaining=2)
    on_a_streak(world, "ben", MONDAY - 5 * DAY)
    planned = world.planned("streak_update", MONDAY)
    world.run("streak_update", MONDAY)
    once = world.everything_in_sql()

    world.run("streak_update", MONDAY)
    world.run("streak_update", MONDAY + timedelta(hours=17, minutes=23))
    world.run("streak_update", MONDAY, items=planned)

    assert world.everything_in_sql() == once


def test_a_run_by_hand_looks_at_the_day_as_it_began(world: World) -> None:
    on_a_streak(world, "asha", MONDAY - 2 * DAY)  # 65 hours before the run, 48 before midnight

    world.run("streak_update", MONDAY + timedelta(hours=17))

    assert streaks(world) == {"asha": (12, 0, None)}


def test_an_older_day_that_is_retried_late_costs_no_second_protection(world: World) -> None:
    on_a_streak(world, "asha", MONDAY - 5 * DAY, protections_remaining=2)
    planned = world.planned("streak_update", MONDAY)
    world.run("streak_update", MONDAY + DAY)

    world.run("streak_update", MONDAY, items=planned)

    assert streaks(world) == {"asha": (12, 1, TODAY + DAY)}


def test_who_plays_between_plan_and_run_keeps_the_streak(world: World) -> None:
    on_a_streak(world, "asha", MONDAY - 5 * DAY)
    planned = world.planned("streak_update", MONDAY)
    world.change(player_progress, "asha", last_quiz_at=MONDAY + A_MOMENT, current_streak=13)

    result = world.run("streak_update", MONDAY, items=planned)

    assert streaks(world) == {"asha": (13, 0, None)}
    assert world.events() == []
    assert result.ok == 1


# --- sessions -----------------------------------------------------------------------------------------------------


def session(id_: str, expires_at: datetime, status: str = "active", **said: Any) -> dict[str, Any]:
    began = expires_at - timedelta(minutes=10)
    usual = {"id": id_, "user_id": "asha", "status": status, "started_at": began, "expires_at": expires_at}
    return {**usual, "completed_at": None, **said}


def test_sessions_whose_time_is_over_are_closed_and_told_of_once(world: World) -> None:
    done = NOON - timedelta(minutes=3)
    world.add(
        quiz_sessions,
        session("s1", NOON),
        session("s2", NOON + A_MOMENT),
        session("s3", NOON - DAY, user_id="ben"),
        session("s4", NOON - DAY, "completed", completed_at=done),
    )
    planned = world.planned("session_cleanup", NOON)

    first = world.run("session_cleanup", NOON)
    world.run("session_cleanup", NOON)
    world.run("session_cleanup", NOON, items=planned)

    found = {row["id"]: (row["status"], row["completed_at"]) for row in world.rows(quiz_sessions)}
    assert found == {
        "s1": ("expired", NOON),
        "s2": ("active", None),
        "s3": ("expired", NOON),
        "s4": ("completed", done),
    }
    assert world.events() == [
        ("QuizAbandoned", "s1", {"session_id": "s1", "user_id": "asha"}),
        ("QuizAbandoned", "s3", {"session_id": "s3", "user_id": "ben"}),
    ]
    assert first.metrics == {"closed": 2}


def test_a_quiz_that_is_finished_at_the_last_moment_stays_finished(world: World) -> None:
    world.add(quiz_sessions, session("s1", NOON))
    planned = world.planned("session_cleanup", NOON)
    world.change(quiz_sessions, "asha", status="completed", completed_at=NOON - A_MOMENT)

    world.run("session_cleanup", NOON, items=planned)

    assert world.rows(quiz_sessions)[0]["status"] == "completed"
    assert world.events() == []


# --- one bad row, and what a batch costs --------------------------------------------------------------------------


def forty(world: World) -> list[str]:
    """Forty people for whom every job has something to do."""
    users = [f"user{n:02}" for n in range(40)]
    for user in users:
        on_a_streak(world, user, MONDAY - 5 * DAY)
        world.add(lives, waiting(user, 1, MONDAY))
        world.add(quiz_sessions, session(user, MONDAY, user_id=user))
    return users


@pytest.mark.parametrize(
    ("job", "table", "key"),
    [
        ("life_regen", lives, "user_id"),
        ("streak_update", player_progress, "user_id"),
        ("session_cleanup", quiz_sessions, "id"),
    ],
)
def test_one_row_that_the_database_refuses_fails_alone(world: World, job: str, table: Any, key: str) -> None:
    users = forty(world)
    world.curse(table, f"NEW.{key} = 'user23'")
    before = {row[key]: row for row in world.rows(table)}

    result = world.run(job, MONDAY)

    after = {row[key]: row for row in world.rows(table)}
    assert (result.ok, result.failed) == (39, ["user23"])
    assert "cursed row" in result.failures[0].message
    assert [user for user in users if after[user] == before[user]] == ["user23"]
    assert not any("user23" in event_key for _, event_key, _ in world.events())


@pytest.mark.parametrize("job", ["life_regen", "streak_update", "session_cleanup"])
def test_the_number_of_statements_does_not_grow_with_the_batch(world: World, job: str) -> None:
    users = forty(world)

    with world.statements() as for_few:
        few = world.run(job, MONDAY, items=users[:3])
    with world.statements() as for_many:
        many = world.run(job, MONDAY, items=users[3:])

    assert (few.ok, many.ok) == (3, 37)
    assert len(for_few) == len(for_many) <= 6


PLANS = {
    "life_regen": "ix_lives_next_regen_at",
    "streak_update": "ix_player_progress_last_quiz_at",
    "session_cleanup": "ix_quiz_sessions_status_expires_at",
}


@pytest.mark.parametrize("job", PLANS)
def test_who_is_due_is_found_by_an_index(world: World, job: str) -> None:
    forty(world)
    explain = "EXPLAIN QUERY PLAN " if world.data.is_sqlite else "EXPLAIN "

    def explaining(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> Any:
        return explain + statement if statement.startswith("SELECT") else statement, parameters

    with world.data.reading() as db:
        if not world.data.is_sqlite:
            db.exec_driver_sql("SET LOCAL enable_seqscan = off")  # so few rows are read faster without any index
        event.listen(world.data.engine, "before_cursor_execute", explaining, retval=True)
        found = db.execute(world.query(job, MONDAY)).cursor
        event.remove(world.data.engine, "before_cursor_execute", explaining)
        assert found is not None
        told = str(found.fetchall())

    assert PLANS[job] in told
