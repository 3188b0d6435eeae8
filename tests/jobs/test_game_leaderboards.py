"""The leaderboards: one order in SQL and in Redis, whole at every moment, and closed once a period."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import case, text, update

from jobs.game.leaderboard_reset import last_month, last_week
from jobs.game.leaderboards import member_score
from jobs.game.tables import player_progress, ranking_archive, rankings
from opsconsole.authoring.context import Resources
from opsconsole.cache.client import Cache
from opsconsole.cache.rankings import Contended, Entry, swap_ranking
from opsconsole.core.errors import Unavailable
from opsconsole.rules.schedule import Schedule, plan
from tests.conftest import Installing
from tests.jobs.game_fixtures import JOBS, MONDAY, NOON, World
from tests.schedules import cron_of
from tests.waiting import PATIENCE_SECONDS

AN_HOUR = timedelta(hours=1)
MONDAY_AND_FIRST = datetime(2026, 6, 1, tzinfo=UTC)
NO_REDIS = "unix:///nowhere/redis.sock"


@pytest.fixture
def world(database_url: str, redis_url: str) -> Iterator[World]:
    made = World(database_url, redis_url)
    yield made
    made.close()


@pytest.fixture
def cache(redis_url: str) -> Iterator[Cache]:
    made = Cache(redis_url)
    yield made
    made.close()


def order(world: World, board: str) -> list[str]:
    """UserFilter stands on a board, first place first; the same in SQL and in Redis."""
    assert world.shown(board) == world.ranked(board)
    return [user for user, _ in world.ranked(board)]


# --- who stands where ---------------------------------------------------------------------------------------------


def test_more_xp_comes_first_then_who_earned_it_later_then_the_lower_id(world: World) -> None:
    world.player("ben", xp=50, xp_updated_at=NOON)
    world.player("asha", xp=50, xp_updated_at=NOON)
    world.player("Zoe", xp=50, xp_updated_at=NOON)
    world.player("chen", xp=50, xp_updated_at=NOON + timedelta(microseconds=1))
    world.player("dora", xp=51, xp_updated_at=NOON - timedelta(days=300))
    world.player("eli", xp=50)
    world.player("fay", xp=0, xp_updated_at=NOON)

    result = world.run("leaderboard_recalc", NOON)

    assert order(world, "global") == ["dora", "chen", "Zoe", "asha", "ben", "eli", "fay"]
    assert world.shown("global")[0] == ("dora", 51)
    assert world.redis.hgetall("leaderboard:global:names") == {
        user: user.title() for user in ("dora", "chen", "Zoe", "asha", "ben", "eli", "fay")
    }
    assert (result.ok, result.failed) == (3, [])


def test_each_board_has_an_xp_of_its_own(world: World) -> None:
    world.player("asha", xp=1, weekly_xp=2, monthly_xp=3)
    world.player("ben", xp=9, weekly_xp=1, monthly_xp=3)

    world.run("leaderboard_recalc", NOON)

    assert [world.ranked(board) for board in ("global", "weekly", "monthly")] == [
        [("ben", 9), ("asha", 1)],
        [("asha", 2), ("ben", 1)],
        [("asha", 3), ("ben", 3)],
    ]
    assert {row["updated_at"] for row in world.rows(rankings)} == {world.now}


def test_a_name_that_is_missing_keeps_nobody_off_the_board(world: World) -> None:
    world.player("asha", xp=5, username=None)
    world.player("ben", xp=4, username="Бен 🦊")

    world.run("leaderboard_recalc", NOON)

    assert order(world, "global") == ["asha", "ben"]
    assert world.redis.hgetall("leaderboard:global:names") == {"ben": "Бен 🦊"}


def test_players_without_a_usable_xp_are_left_out_counted_and_named(world: World) -> None:
    world.player("asha", xp=7)
    for n in range(6):
        world.player(f"null{n}", xp=None)
    world.player("minus", xp=-1, weekly_xp=4)

    result = world.run("leaderboard_recalc", NOON)

    assert order(world, "global") == ["asha"]
    assert order(world, "weekly")[0] == "minus"
    assert result.metrics["excluded"] == 7
    assert result.log == [
        "warning: board global excludes 7 players without a valid xp: minus, null0, null1, null2, null3, ..."
    ]


def test_an_xp_that_is_no_number_is_left_out_like_one_that_is_missing(tmp_path: Path, redis_url: str) -> None:
    world = World(f"sqlite:///{tmp_path / 'data.db'}", redis_url)  # no other database would store it
    world.player("asha", xp=7)
    world.player("ben", xp=8)
    with world.data.writing() as db:
        db.execute(text("UPDATE player_progress SET xp = 'a lot' WHERE user_id = 'ben'"))

    result = world.run("leaderboard_recalc", NOON)

    assert (result.ok, result.metrics["excluded"]) == (3, 1)
    assert order(world, "global") == ["asha"]
    world.close()


def test_who_loses_their_xp_or_leaves_is_on_no_board_any_more(world: World) -> None:
    for user in ("asha", "ben", "chen"):
        world.player(user, xp=5)
    world.run("leaderboard_recalc", NOON)
    world.change(player_progress, "ben", xp=None)
    with world.data.writing() as db:
        db.execute(player_progress.delete().where(player_progress.c.user_id == "chen"))

    result = world.run("leaderboard_recalc", NOON + AN_HOUR)

    assert order(world, "global") == ["asha"]
    assert result.metrics["removed"] == 4  # both from global, Chen from the others too
    assert world.redis.hgetall("leaderboard:global:names") == {"asha": "Asha"}


def test_a_board_without_players_has_no_keys(world: World) -> None:
    world.player("asha", xp=5)
    world.run("leaderboard_recalc", NOON)
    with world.data.writing() as db:
        db.execute(player_progress.delete())

    world.run("leaderboard_recalc", NOON + AN_HOUR)

    assert world.redis.keys() == []
    assert world.rows(rankings) == []


def test_an_hour_in_which_nobody_played_writes_nothing(world: World) -> None:
    for n in range(30):
        world.player(f"user{n:02}", xp=n // 3)
    world.run("leaderboard_recalc", NOON)
    once = world.everything()
    world.now += AN_HOUR

    result = world.run("leaderboard_recalc", NOON + AN_HOUR)

    assert world.everything() == once
    assert "changed" not in result.metrics


def test_only_the_rows_that_changed_are_written(world: World) -> None:
    for n in range(30):
        world.player(f"user{n:02}", xp=100 * n)
    world.run("leaderboard_recalc", NOON)
    world.change(player_progress, "user10", xp=1250)
    world.now += AN_HOUR

    result = world.run("leaderboard_recalc", NOON + AN_HOUR, items=["global"])

    moved = [row["user_id"] for row in world.rows(rankings) if row["updated_at"] == world.now]
    assert moved == ["user10", "user11", "user12"]
    assert result.metrics["changed"] == 3


def test_ranks_that_were_written_later_are_not_replaced_by_older_ones(world: World) -> None:
    world.player("asha", xp=5)
    world.now = NOON + AN_HOUR
    world.run("leaderboard_recalc", NOON + AN_HOUR)
    world.change(player_progress, "asha", xp=4)
    world.now = NOON  # a worker that was stopped for an hour goes on

    world.run("leaderboard_recalc", NOON)

    assert world.ranked("global") == world.shown("global") == [("asha", 5)]


# --- equals in a sorted set ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("xp", [0, 1, 2, 1000, 2**20, 2**32 - 1, 2**43 + 5])
def test_equals_have_scores_of_their_own_above_their_xp(xp: int) -> None:
    room = min(2 ** (53 - max(1, xp.bit_length())), 3_000_000)

    scores = [member_score(xp, behind) for behind in (0, 1, 2, room // 2, room // 2 + 1, room - 2, room - 1)]

    assert scores[0] == xp
    assert sorted(set(scores)) == scores
    assert {int(score) for score in scores} == {xp}


def test_two_million_equals_with_four_thousand_million_are_in_order() -> None:
    assert member_score(2**32 - 1, 2**21 - 1) > member_score(2**32 - 1, 2**21 - 2) > member_score(2**32 - 1, 0)


@pytest.mark.parametrize("xp", [0, 7, 2**51 + 1, 2**52, 2**53, 2**62])
def test_where_no_double_can_tell_equals_apart_they_never_pass_the_next_xp(xp: int) -> None:
    scores = [member_score(xp, behind) for behind in (0, 1, 10**6, 2**60)]

    assert scores == sorted(scores)
    assert xp <= scores[-1] < xp + 1 or xp > 2**53


def test_a_thousand_equals_stand_in_redis_as_in_sql(world: World) -> None:
    rows: list[dict[str, Any]] = [
        {
            "user_id": f"user{n * 7919 % 1000:03}",
            "username": "x",
            "xp": 2**40 + n % 2,
            "weekly_xp": 0,
            "monthly_xp": 0,
            "xp_updated_at": NOON + timedelta(seconds=n % 7),
            "current_streak": 0,
            "longest_streak": 0,
        }
        for n in range(1000)
    ]
    with world.data.writing() as db:
        db.execute(player_progress.insert(), rows)

    world.run("leaderboard_recalc", NOON)

    for board in ("global", "weekly", "monthly"):
        expected = sorted(rows, key=lambda row: row["user_id"])
        expected.sort(key=lambda row: row["xp_updated_at"], reverse=True)
        if board == "global":
            expected.sort(key=lambda row: row["xp"], reverse=True)
        assert order(world, board) == [row["user_id"] for row in expected]


# --- whole at every moment ----------------------------------------------------------------------------------------


def test_a_reader_never_sees_an_empty_or_half_built_board(tmp_path: Path, redis_url: str) -> None:
    world = World(f"sqlite:///{tmp_path / 'data.db'}", redis_url)
    users = [f"user{n:03}" for n in range(150)]
    for user in users:
        world.player(user, xp=1000, username="v0")
    world.run("leaderboard_recalc", NOON, items=["global"])
    seen: list[str] = []
    wrong: list[Any] = []
    over = threading.Event()

    def read() -> None:
        with redis.Redis.from_url(redis_url, decode_responses=True) as client:
            while not over.is_set():
                with client.pipeline() as both:
                    both.zrevrange("leaderboard:global", 0, -1, withscores=True)
                    both.hgetall("leaderboard:global:names")
                    board, names = both.execute()
                versions = {f"v{int(score) - 1000}" for _, score in board} | set(names.values())
                if len(board) != 150 or len(names) != 150 or len(versions) != 1:
                    wrong.append((len(board), len(names), versions))
                seen.extend(versions)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for n in range(1, 101):
            with world.data.writing() as db:
                db.execute(update(player_progress).values(xp=1000 + n, username=f"v{n}"))
            assert world.run("leaderboard_recalc", NOON + n * AN_HOUR, items=["global"]).ok == 1
    finally:
        over.set()
        reader.join()

    assert wrong == []
    assert len(set(seen)) > 10
    assert sorted(world.redis.keys()) == ["leaderboard:global", "leaderboard:global:names"]
    assert world.redis.ttl("leaderboard:global") == world.redis.ttl("leaderboard:global:names") == -1
    world.close()


def test_one_who_was_overtaken_while_building_reads_again(cache: Cache) -> None:
    standing: list[Entry] = [("asha", 1.0, "Asha")]
    asked = []

    def overtaken() -> list[Entry]:
        found = list(standing)
        asked.append(found)
        if len(asked) == 1:
            standing[:] = [("ben", 2.0, "Ben")]
            swap_ranking(cache, "board", "names", lambda: standing)
        return found

    assert swap_ranking(cache, "board", "names", overtaken) == 1

    assert cache.client.zrange("board", 0, -1) == [b"ben"]
    assert cache.client.hgetall("names") == {b"ben": b"Ben"}
    assert len(asked) == 2
    assert sorted(cache.client.keys()) == [b"board", b"names"]


def test_one_who_is_overtaken_each_time_says_so(cache: Cache) -> None:
    def restless() -> list[Entry]:
        cache.client.zadd(
            "board", {"somebody": cache.client.zcard("board") + 1.0, f"{cache.client.zcard('board')}": 1.0}
        )
        return [("asha", 1.0, None)]

    with pytest.raises(Contended, match="another writer replaced board during each of 5 attempts"):
        swap_ranking(cache, "board", "names", restless)

    assert cache.client.keys() == [b"board"]


def test_a_board_that_redis_gave_up_in_part_is_not_shown(cache: Cache) -> None:
    swap_ranking(cache, "board", "names", lambda: [("asha", 1.0, "Asha")])

    def evicted() -> Iterator[Entry]:
        for n in range(2500):
            if n == 1500:
                cache.client.unlink(*cache.client.keys("board:*"))
            yield f"user{n}", float(n), None

    with pytest.raises(Unavailable, match="evicted part of a ranking"):
        swap_ranking(cache, "board", "names", evicted)

    assert cache.client.zrange("board", 0, -1) == [b"asha"]
    assert sorted(cache.client.keys()) == [b"board", b"names"]


def test_without_redis_the_ranks_are_right_all_the_same_and_the_boards_wait(world: World, database_url: str) -> None:
    world.player("asha", xp=5)
    good, world.tools = world.tools, Resources(database_url, NO_REDIS, now=lambda: NOON)

    result = world.run("leaderboard_recalc", NOON)
    world.tools.close()
    world.tools = good

    assert (result.ok, result.again, result.broken) == (0, ["global", "weekly", "monthly"], "redis")
    assert world.ranked("global") == [("asha", 5)]


# --- a period is closed -------------------------------------------------------------------------------------------


def archived(world: World) -> list[tuple[str, str, str, int, int]]:
    return [
        (row["board"], row["period"], row["user_id"], row["score"], row["rank"]) for row in world.rows(ranking_archive)
    ]


def test_a_reset_keeps_the_ranks_of_the_week_and_lets_everybody_begin_at_zero(world: World) -> None:
    world.player("asha", xp=90, weekly_xp=10, monthly_xp=7, xp_updated_at=NOON)
    world.player("ben", xp=80, weekly_xp=30, monthly_xp=8, xp_updated_at=NOON - AN_HOUR)
    world.player("chen", xp=70, weekly_xp=None, xp_updated_at=NOON + AN_HOUR)
    world.run("leaderboard_recalc", MONDAY - AN_HOUR)
    world.change(player_progress, "asha", weekly_xp=31)  # after the last recalculation

    result = world.run("leaderboard_reset_weekly", MONDAY)

    assert archived(world) == [("weekly", "2026-W10", "asha", 31, 1), ("weekly", "2026-W10", "ben", 30, 2)]
    assert {row["archived_at"] for row in world.rows(ranking_archive)} == {world.now}
    assert [(row["xp"], row["weekly_xp"], row["monthly_xp"]) for row in world.rows(player_progress)] == [
        (90, 0, 7),
        (80, 0, 8),
        (70, 0, 0),
    ]
    assert world.ranked("weekly") == world.shown("weekly") == [("chen", 0), ("asha", 0), ("ben", 0)]
    assert world.shown("global") == [("asha", 90), ("ben", 80), ("chen", 70)]
    assert world.events() == [("LeaderboardReset", "weekly:2026-W10", {"board": "weekly", "period": "2026-W10"})]
    assert result.metrics["archived"] == 2


def test_a_period_is_closed_once_whatever_is_earned_since(world: World) -> None:
    world.player("asha", weekly_xp=10, xp_updated_at=NOON)
    world.player("ben", weekly_xp=30, xp_updated_at=NOON)
    world.run("leaderboard_reset_weekly", MONDAY)
    world.change(player_progress, "asha", weekly_xp=40)
    world.player("newcomer", weekly_xp=50)
    once = world.everything()
    world.now += timedelta(days=2)

    world.run("leaderboard_reset_weekly", MONDAY)
    by_hand = world.run("leaderboard_reset_weekly", MONDAY + timedelta(days=2, hours=7))

    assert world.everything() == once
    assert (by_hand.ok, by_hand.metrics.get("archived")) == (1, None)
    assert world.row(player_progress, "asha")["weekly_xp"] == 40


def test_what_is_earned_while_a_period_is_being_closed_counts_for_the_next(world: World) -> None:
    world.player("asha", weekly_xp=10)
    world.player("ben", weekly_xp=30)
    raising = update(player_progress).values(
        weekly_xp=player_progress.c.weekly_xp + case((player_progress.c.user_id == "asha", 5), else_=0)
    )

    with world.meanwhile("INSERT INTO ranking_archive", raising):
        world.run("leaderboard_reset_weekly", MONDAY)

    assert archived(world) == [("weekly", "2026-W10", "asha", 10, 2), ("weekly", "2026-W10", "ben", 30, 1)]
    assert world.ranked("weekly") == [("asha", 5), ("ben", 0)]


def test_a_reset_that_redis_kept_from_its_end_closes_nothing_twice(world: World, database_url: str) -> None:
    world.player("asha", weekly_xp=10)
    world.run("leaderboard_recalc", MONDAY - AN_HOUR)
    good, world.tools = world.tools, Resources(database_url, NO_REDIS, now=lambda: NOON)
    broken = world.run("leaderboard_reset_weekly", MONDAY)
    world.tools.close()
    world.tools = good
    world.change(player_progress, "asha", weekly_xp=3)

    world.run("leaderboard_reset_weekly", MONDAY)

    assert (broken.again, broken.broken) == (["weekly"], "redis")
    assert archived(world) == [("weekly", "2026-W10", "asha", 10, 1)]
    assert world.shown("weekly") == world.ranked("weekly") == [("asha", 0)]
    assert world.row(player_progress, "asha")["weekly_xp"] == 3


@pytest.mark.parametrize(
    ("as_of", "week", "month"),
    [
        (datetime(2026, 3, 9, tzinfo=UTC), "2026-W10", "2026-02"),
        (datetime(2026, 3, 15, 23, 59, tzinfo=UTC), "2026-W10", "2026-02"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2025-W52", "2025-12"),
        (datetime(2027, 1, 3, 23, 59, tzinfo=UTC), "2026-W52", "2026-12"),
        (datetime(2027, 1, 4, tzinfo=UTC), "2026-W53", "2026-12"),
        (datetime(2028, 3, 1, tzinfo=UTC), "2028-W08", "2028-02"),
    ],
)
def test_the_period_is_the_one_that_ended_last(as_of: datetime, week: str, month: str) -> None:
    assert (last_week(as_of), last_month(as_of)) == (week, month)


# --- several jobs at one instant ----------------------------------------------------------------------------------


def test_on_a_monday_that_is_a_first_both_resets_come_before_the_recalculation() -> None:
    schedules = [
        Schedule(job, cron_of(job), cursor=MONDAY_AND_FIRST - timedelta(minutes=1))
        for job in JOBS.values()
        if job.exclusive == "leaderboard"
    ]

    due = [occurrence.job for occurrence in plan(schedules, MONDAY_AND_FIRST)]

    assert due == ["game.leaderboard_reset_monthly", "game.leaderboard_reset_weekly", "game.leaderboard_recalc"]
    assert set(JOBS["leaderboard_recalc"].after) == set(due[:2])


@pytest.mark.parametrize("first", ["leaderboard_recalc", "leaderboard_reset_weekly"])
def test_both_resets_and_a_recalculation_end_the_same_in_any_order(world: World, first: str) -> None:
    world.player("asha", xp=9, weekly_xp=10, monthly_xp=20, xp_updated_at=NOON)
    world.player("ben", xp=9, weekly_xp=30, monthly_xp=10)

    for job in (first, "leaderboard_reset_monthly", "leaderboard_reset_weekly", "leaderboard_recalc"):
        world.run(job, MONDAY_AND_FIRST)

    assert archived(world) == [
        ("monthly", "2026-05", "asha", 20, 1),
        ("monthly", "2026-05", "ben", 10, 2),
        ("weekly", "2026-W22", "asha", 10, 2),
        ("weekly", "2026-W22", "ben", 30, 1),
    ]
    assert order(world, "weekly") == order(world, "monthly") == order(world, "global") == ["asha", "ben"]
    assert len(world.events()) == 2


# --- one bad board, and what a batch costs ------------------------------------------------------------------------


def test_a_board_that_the_database_refuses_fails_alone(world: World) -> None:
    world.player("asha", xp=1, weekly_xp=2, monthly_xp=3)
    world.curse(rankings, "NEW.board = 'weekly'")

    result = world.run("leaderboard_recalc", NOON)

    assert (result.ok, result.failed) == (2, ["weekly"])
    assert sorted(world.redis.keys("leaderboard:*")) == [
        "leaderboard:global",
        "leaderboard:global:names",
        "leaderboard:monthly",
        "leaderboard:monthly:names",
    ]


def test_the_number_of_statements_does_not_grow_with_the_players(world: World) -> None:
    counted: list[tuple[int, int]] = []
    for many in (3, 60):
        for n in range(many):
            world.player(f"user{many}-{n}", xp=n, weekly_xp=n, monthly_xp=n)
        with world.statements() as recalculated:
            world.run("leaderboard_recalc", NOON)
        with world.statements() as reset:
            world.run("leaderboard_reset_weekly", MONDAY + timedelta(weeks=len(counted)))
        counted.append((len(recalculated), len(reset)))

    assert counted[0] == counted[1]


def test_every_job_runs_by_hand_in_worker_processes_and_excludes_its_likes(
    installing: Installing, redis_url: str
) -> None:
    place = installing(
        database_url=None,
        redis_url=redis_url,
        packs="jobs.game",
        environ={"OPSCONSOLE_ENGINE__EXECUTOR": "processes", "OPSCONSOLE_ENGINE__WORKERS": "2"},
    )
    with place.data.writing() as db:
        row = {"user_id": "asha", "xp": 5, "weekly_xp": 4, "monthly_xp": 3, "current_streak": 2, "longest_streak": 2}
        db.execute(player_progress.insert().values(**row))

    with place.leading():
        asked = [place.begin(job.name) for job in JOBS.values()]
        ended = [place.service.commands.wait_for_run(run, PATIENCE_SECONDS) for run in asked]

    runs = [run for run in ended if run is not None]
    assert [(run.job, str(run.state)) for run in runs] == [(job.name, "succeeded") for job in JOBS.values()]
    boards = sorted((run.started_at, run.ended_at) for run in runs if "leaderboard" in run.job)
    assert all(ended <= began for (_, ended), (began, _) in pairwise(boards))  # type: ignore[operator]
    with redis.Redis.from_url(redis_url) as client:
        assert client.zrange("leaderboard:global", 0, -1, withscores=True) == [(b"asha", 5.0)]
