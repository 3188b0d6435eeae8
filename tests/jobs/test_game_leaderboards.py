"""Leaderboards: the same order in SQL and Redis, atomic publication, and one reset per period."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
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
from tests.jobs.game_fixtures import JOBS, MONDAY, NOON, GameFixture
from tests.schedules import cron_of
from tests.waiting import PATIENCE_SECONDS, eventually, finished

AN_HOUR = timedelta(hours=1)
MONDAY_AND_FIRST = datetime(2026, 6, 1, tzinfo=UTC)
NO_REDIS = "unix:///nowhere/redis.sock"


@pytest.fixture
def fixture(database_url: str, redis_url: str) -> Iterator[GameFixture]:
    made = GameFixture(database_url, redis_url)
    yield made
    made.close()


@pytest.fixture
def cache(redis_url: str) -> Iterator[Cache]:
    made = Cache(redis_url)
    yield made
    made.close()


def order(fixture: GameFixture, board: str) -> list[str]:
    """The users of a board, first rank first, after comparing SQL with Redis."""
    assert fixture.shown(board) == fixture.ranked(board)
    return [user for user, _ in fixture.ranked(board)]


# --- who stands where ---------------------------------------------------------------------------------------------


def test_ranks_are_by_xp_then_later_update_then_lower_id(fixture: GameFixture) -> None:
    fixture.player("ben", xp=50, xp_updated_at=NOON)
    fixture.player("asha", xp=50, xp_updated_at=NOON)
    fixture.player("Zoe", xp=50, xp_updated_at=NOON)
    fixture.player("chen", xp=50, xp_updated_at=NOON + timedelta(microseconds=1))
    fixture.player("dora", xp=51, xp_updated_at=NOON - timedelta(days=300))
    fixture.player("eli", xp=50)
    fixture.player("fay", xp=0, xp_updated_at=NOON)

    result = fixture.run("leaderboard_recalc", NOON)

    assert order(fixture, "global") == ["dora", "chen", "Zoe", "asha", "ben", "eli", "fay"]
    assert fixture.shown("global")[0] == ("dora", 51)
    assert fixture.redis.hgetall("leaderboard:global:names") == {
        user: user.title() for user in ("dora", "chen", "Zoe", "asha", "ben", "eli", "fay")
    }
    assert (result.ok, result.failed) == (3, [])


def test_each_board_ranks_by_its_own_xp(fixture: GameFixture) -> None:
    fixture.player("asha", xp=1, weekly_xp=2, monthly_xp=3)
    fixture.player("ben", xp=9, weekly_xp=1, monthly_xp=3)

    fixture.run("leaderboard_recalc", NOON)

    assert [fixture.ranked(board) for board in ("global", "weekly", "monthly")] == [
        [("ben", 9), ("asha", 1)],
        [("asha", 2), ("ben", 1)],
        [("asha", 3), ("ben", 3)],
    ]
    assert {row["updated_at"] for row in fixture.rows(rankings)} == {fixture.now}


def test_players_without_a_name_are_ranked(fixture: GameFixture) -> None:
    fixture.player("asha", xp=5, username=None)
    fixture.player("ben", xp=4, username="Бен 🦊")

    fixture.run("leaderboard_recalc", NOON)

    assert order(fixture, "global") == ["asha", "ben"]
    assert fixture.redis.hgetall("leaderboard:global:names") == {"ben": "Бен 🦊"}


def test_players_without_a_valid_xp_are_excluded_counted_and_logged(fixture: GameFixture) -> None:
    fixture.player("asha", xp=7)
    for n in range(6):
        fixture.player(f"null{n}", xp=None)
    fixture.player("minus", xp=-1, weekly_xp=4)

    result = fixture.run("leaderboard_recalc", NOON)

    assert order(fixture, "global") == ["asha"]
    assert order(fixture, "weekly")[0] == "minus"
    assert result.metrics["excluded"] == 7
    assert result.log == [
        "warning: board global excludes 7 players without a valid xp: minus, null0, null1, null2, null3, ..."
    ]


def test_an_xp_that_is_not_a_number_is_excluded(tmp_path: Path, redis_url: str) -> None:
    fixture = GameFixture(f"sqlite:///{tmp_path / 'data.db'}", redis_url)  # no other database would store it
    fixture.player("asha", xp=7)
    fixture.player("ben", xp=8)
    fixture.player("chen", xp=9)
    with fixture.data.writing() as db:
        db.execute(text("UPDATE player_progress SET xp = 'a lot' WHERE user_id = 'ben'"))
        db.execute(text("UPDATE player_progress SET xp = x'ff' WHERE user_id = 'chen'"))
        db.execute(text("UPDATE player_progress SET username = x'41' WHERE user_id = 'asha'"))

    result = fixture.run("leaderboard_recalc", NOON)

    assert (result.ok, result.metrics["excluded"]) == (3, 2)
    assert order(fixture, "global") == ["asha"]
    fixture.close()


def test_players_without_xp_or_deleted_ones_leave_the_board(fixture: GameFixture) -> None:
    for user in ("asha", "ben", "chen"):
        fixture.player(user, xp=5)
    fixture.run("leaderboard_recalc", NOON)
    fixture.change(player_progress, "ben", xp=None)
    with fixture.data.writing() as db:
        db.execute(player_progress.delete().where(player_progress.c.user_id == "chen"))

    result = fixture.run("leaderboard_recalc", NOON + AN_HOUR)

    assert order(fixture, "global") == ["asha"]
    assert result.metrics["removed"] == 4  # both from global, Chen also from the others
    assert fixture.redis.hgetall("leaderboard:global:names") == {"asha": "Asha"}


def test_a_board_without_players_has_no_keys(fixture: GameFixture) -> None:
    fixture.player("asha", xp=5)
    fixture.run("leaderboard_recalc", NOON)
    with fixture.data.writing() as db:
        db.execute(player_progress.delete())

    fixture.run("leaderboard_recalc", NOON + AN_HOUR)

    assert fixture.redis.keys() == []
    assert fixture.rows(rankings) == []


def test_a_recalculation_without_changes_writes_nothing(fixture: GameFixture) -> None:
    for n in range(30):
        fixture.player(f"user{n:02}", xp=n // 3)
    fixture.run("leaderboard_recalc", NOON)
    once = fixture.everything()
    fixture.now += AN_HOUR

    result = fixture.run("leaderboard_recalc", NOON + AN_HOUR)

    assert fixture.everything() == once
    assert "changed" not in result.metrics


@pytest.mark.parametrize(
    "spoil",
    [
        lambda fixture: fixture.redis.delete("leaderboard:global"),
        lambda fixture: fixture.redis.delete("leaderboard:global:names"),
        lambda fixture: fixture.redis.delete("leaderboard:global:stamp"),
        lambda fixture: fixture.redis.flushall(),
        lambda fixture: fixture.remove(rankings, "asha"),
        lambda fixture: fixture.change(rankings, "asha", score=7),
        lambda fixture: fixture.change(rankings, "ben", rank=3),
        lambda fixture: fixture.redis.zadd("leaderboard:global", {"chen": 9}),
        lambda fixture: fixture.redis.hdel("leaderboard:global:names", "asha"),
        lambda fixture: fixture.change(player_progress, "asha", username="Asha the second"),
        lambda fixture: fixture.change(player_progress, "ben", xp_updated_at=NOON),
        lambda fixture: fixture.change(player_progress, "asha", xp=2),
    ],
    ids=[
        "board",
        "names",
        "stamp",
        "everything",
        "ranking",
        "score",
        "rank",
        "another member",
        "a name less",
        "name",
        "time",
        "xp",
    ],
)
def test_the_next_run_repairs_the_rankings_and_rebuilds_a_board_that_differs_or_is_incomplete(
    fixture: GameFixture, spoil: Callable[[GameFixture], None]
) -> None:
    fixture.player("asha", xp=5, username="Asha")
    fixture.player("ben", xp=5, username="Ben")
    fixture.run("leaderboard_recalc", NOON, items=["global"])
    assert fixture.run("leaderboard_recalc", NOON, items=["global"]).metrics == {"published": 0, "unchanged": 2}
    spoil(fixture)

    fixture.run("leaderboard_recalc", NOON, items=["global"])

    xp = {row["user_id"]: row["xp"] for row in fixture.rows(player_progress)}
    assert dict(fixture.ranked("global")) == xp
    order(fixture, "global")
    names = {row["user_id"]: row["username"] for row in fixture.rows(player_progress)}
    assert fixture.redis.hgetall("leaderboard:global:names") == names


def test_the_first_run_of_a_day_rebuilds_each_board_whatever_its_members(fixture: GameFixture) -> None:
    fixture.player("asha", xp=5)
    fixture.player("ben", xp=4)
    fixture.run("leaderboard_recalc", NOON, items=["global"])
    fixture.redis.zadd("leaderboard:global", {"asha": 3})
    fixture.redis.hset("leaderboard:global:names", "asha", "Ben")

    later = fixture.run("leaderboard_recalc", NOON + 11 * AN_HOUR, items=["global"])
    next_day = fixture.run("leaderboard_recalc", NOON + 12 * AN_HOUR, items=["global"])

    assert (later.metrics["published"], next_day.metrics["published"]) == (0, 2)
    assert order(fixture, "global") == ["asha", "ben"]
    assert fixture.redis.hgetall("leaderboard:global:names") == {"asha": "Asha", "ben": "Ben"}


def test_a_board_is_rebuilt_after_a_crash_before_its_ranks_were_published(
    fixture: GameFixture, database_url: str
) -> None:
    fixture.player("asha", xp=5)
    fixture.player("ben", xp=4)
    fixture.run("leaderboard_recalc", NOON, items=["global"])
    fixture.change(player_progress, "ben", xp=6)
    good, fixture.tools = fixture.tools, Resources(database_url, NO_REDIS, now=lambda: NOON)
    broken = fixture.run("leaderboard_recalc", NOON, items=["global"])
    fixture.tools.close()
    fixture.tools = good
    assert (broken.again, fixture.ranked("global")[0]) == (["global"], ("ben", 6))
    fixture.change(player_progress, "ben", xp=4)  # as they were when the board was made

    fixture.run("leaderboard_recalc", NOON, items=["global"])

    assert order(fixture, "global") == ["asha", "ben"]


def test_a_board_of_newer_ranks_is_not_taken_for_that_of_the_players(fixture: GameFixture) -> None:
    fixture.player("asha", xp=5)
    fixture.now = NOON + AN_HOUR
    fixture.run("leaderboard_recalc", NOON + AN_HOUR, items=["global"])
    fixture.change(player_progress, "asha", xp=4)
    fixture.now = NOON  # a worker suspended for an hour continues
    fixture.run("leaderboard_recalc", NOON, items=["global"])
    fixture.now = NOON + 2 * AN_HOUR

    fixture.run("leaderboard_recalc", NOON + 2 * AN_HOUR, items=["global"])

    assert fixture.shown("global") == fixture.ranked("global") == [("asha", 4)]


def test_only_the_rows_that_changed_are_written(fixture: GameFixture) -> None:
    for n in range(30):
        fixture.player(f"user{n:02}", xp=100 * n)
    fixture.run("leaderboard_recalc", NOON)
    fixture.change(player_progress, "user10", xp=1250)
    fixture.now += AN_HOUR

    result = fixture.run("leaderboard_recalc", NOON + AN_HOUR, items=["global"])

    moved = [row["user_id"] for row in fixture.rows(rankings) if row["updated_at"] == fixture.now]
    assert moved == ["user10", "user11", "user12"]
    assert result.metrics["changed"] == 3


def test_newer_ranks_are_not_replaced_by_older_ones(fixture: GameFixture) -> None:
    fixture.player("asha", xp=5)
    fixture.now = NOON + AN_HOUR
    fixture.run("leaderboard_recalc", NOON + AN_HOUR)
    fixture.change(player_progress, "asha", xp=4)
    fixture.now = NOON  # a worker suspended for an hour continues

    fixture.run("leaderboard_recalc", NOON)

    assert fixture.ranked("global") == fixture.shown("global") == [("asha", 5)]


# --- equals in a sorted set ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("xp", [0, 1, 2, 1000, 2**20, 2**32 - 1, 2**43 + 5])
def test_players_with_equal_xp_have_distinct_scores(xp: int) -> None:
    room = min(2 ** (53 - max(1, xp.bit_length())), 3_000_000)

    scores = [member_score(xp, behind) for behind in (0, 1, 2, room // 2, room // 2 + 1, room - 2, room - 1)]

    assert scores[0] == xp
    assert sorted(set(scores)) == scores
    assert {int(score) for score in scores} == {xp}


def test_two_million_players_with_equal_xp_are_ordered() -> None:
    assert member_score(2**32 - 1, 2**21 - 1) > member_score(2**32 - 1, 2**21 - 2) > member_score(2**32 - 1, 0)


@pytest.mark.parametrize("xp", [0, 7, 2**51 + 1, 2**52, 2**53, 2**62])
def test_scores_never_reach_the_next_xp_when_doubles_cannot_distinguish_players(xp: int) -> None:
    scores = [member_score(xp, behind) for behind in (0, 1, 10**6, 2**60)]

    assert scores == sorted(scores)
    assert xp <= scores[-1] < xp + 1 or xp > 2**53


def test_a_thousand_players_with_equal_xp_have_the_same_order_in_redis_and_sql(fixture: GameFixture) -> None:
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
    with fixture.data.writing() as db:
        db.execute(player_progress.insert(), rows)

    fixture.run("leaderboard_recalc", NOON)

    for board in ("global", "weekly", "monthly"):
        expected = sorted(rows, key=lambda row: row["user_id"])
        expected.sort(key=lambda row: row["xp_updated_at"], reverse=True)
        if board == "global":
            expected.sort(key=lambda row: row["xp"], reverse=True)
        assert order(fixture, board) == [row["user_id"] for row in expected]


# --- whole at every moment ----------------------------------------------------------------------------------------


def test_readers_never_see_an_empty_or_partial_board(tmp_path: Path, redis_url: str) -> None:
    fixture = GameFixture(f"sqlite:///{tmp_path / 'data.db'}", redis_url)
    users = [f"user{n:03}" for n in range(150)]
    for user in users:
        fixture.player(user, xp=1000, username="v0")
    fixture.run("leaderboard_recalc", NOON, items=["global"])
    versions_seen: list[str] = []
    wrong: list[Any] = []
    over = threading.Event()

    def read() -> None:
        with redis.Redis.from_url(redis_url, decode_responses=True) as client:
            while not over.wait(0.002):
                with client.pipeline() as both:
                    both.zrevrange("leaderboard:global", 0, -1, withscores=True)
                    both.hgetall("leaderboard:global:names")
                    board, names = both.execute()
                versions = {f"v{int(score) - 1000}" for _, score in board} | set(names.values())
                if len(board) != 150 or len(names) != 150 or len(versions) != 1:
                    wrong.append((len(board), len(names), versions))
                versions_seen.extend(versions)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for n in range(1, 101):
            with fixture.data.writing() as db:
                db.execute(update(player_progress).values(xp=1000 + n, username=f"v{n}"))
            assert fixture.run("leaderboard_recalc", NOON + n * AN_HOUR, items=["global"]).ok == 1
            if n % 10 == 0:
                eventually(lambda version=f"v{n}": version in versions_seen, f"the reader sees version {n}")  # type: ignore[misc]
    finally:
        over.set()
        finished(reader)

    assert wrong == []
    keys = ["leaderboard:global", "leaderboard:global:names", "leaderboard:global:stamp"]
    assert sorted(fixture.redis.keys()) == keys
    assert fixture.redis.ttl("leaderboard:global") == fixture.redis.ttl("leaderboard:global:names") == -1
    fixture.close()


def test_a_build_that_was_overtaken_reads_again(cache: Cache) -> None:
    standing: list[Entry] = [("asha", 1.0, "Asha")]
    builds = []

    def overtaken() -> list[Entry]:
        found = list(standing)
        builds.append(found)
        if len(builds) == 1:
            standing[:] = [("ben", 2.0, "Ben")]
            swap_ranking(cache, "board", "names", lambda: standing)
        return found

    assert swap_ranking(cache, "board", "names", overtaken) == 1

    assert cache.client.zrange("board", 0, -1) == [b"ben"]
    assert cache.client.hgetall("names") == {b"ben": b"Ben"}
    assert len(builds) == 2
    assert sorted(cache.client.keys()) == [b"board", b"names"]


def test_a_build_that_is_overtaken_each_time_fails(cache: Cache) -> None:
    def restless() -> list[Entry]:
        cache.client.zadd("board", {"other": cache.client.zcard("board") + 1.0, f"{cache.client.zcard('board')}": 1.0})
        return [("asha", 1.0, None)]

    with pytest.raises(Contended, match="another writer replaced board during each of 5 attempts"):
        swap_ranking(cache, "board", "names", restless)

    assert cache.client.keys() == [b"board"]


def test_a_partially_evicted_board_is_not_published(cache: Cache) -> None:
    swap_ranking(cache, "board", "names", lambda: [("asha", 1.0, "Asha")])

    def evicted() -> Iterator[Entry]:
        for n in range(7500):
            if n == 6000:
                cache.client.unlink(*cache.client.keys("board:*"))
            yield f"user{n}", float(n), None

    with pytest.raises(Unavailable, match="evicted part of a ranking"):
        swap_ranking(cache, "board", "names", evicted)

    assert cache.client.zrange("board", 0, -1) == [b"asha"]
    assert sorted(cache.client.keys()) == [b"board", b"names"]


def test_without_redis_rankings_are_updated_and_boards_are_not_published(
    fixture: GameFixture, database_url: str
) -> None:
    fixture.player("asha", xp=5)
    good, fixture.tools = fixture.tools, Resources(database_url, NO_REDIS, now=lambda: NOON)

    result = fixture.run("leaderboard_recalc", NOON)
    fixture.tools.close()
    fixture.tools = good

    assert (result.ok, result.again, result.broken) == (0, ["global", "weekly", "monthly"], "redis")
    assert fixture.ranked("global") == [("asha", 5)]


# --- a period is closed -------------------------------------------------------------------------------------------


def archived(fixture: GameFixture) -> list[tuple[str, str, str, int, int]]:
    return [
        (row["board"], row["period"], row["user_id"], row["score"], row["rank"])
        for row in fixture.rows(ranking_archive)
    ]


def test_a_reset_archives_the_ranks_and_sets_xp_to_zero(fixture: GameFixture) -> None:
    fixture.player("asha", xp=90, weekly_xp=10, monthly_xp=7, xp_updated_at=NOON)
    fixture.player("ben", xp=80, weekly_xp=30, monthly_xp=8, xp_updated_at=NOON - AN_HOUR)
    fixture.player("chen", xp=70, weekly_xp=None, xp_updated_at=NOON + AN_HOUR)
    fixture.run("leaderboard_recalc", MONDAY - AN_HOUR)
    fixture.change(player_progress, "asha", weekly_xp=31)  # after the last recalculation

    result = fixture.run("leaderboard_reset_weekly", MONDAY)

    assert archived(fixture) == [("weekly", "2026-W10", "asha", 31, 1), ("weekly", "2026-W10", "ben", 30, 2)]
    assert {row["archived_at"] for row in fixture.rows(ranking_archive)} == {fixture.now}
    assert [(row["xp"], row["weekly_xp"], row["monthly_xp"]) for row in fixture.rows(player_progress)] == [
        (90, 0, 7),
        (80, 0, 8),
        (70, 0, 0),
    ]
    assert fixture.ranked("weekly") == fixture.shown("weekly") == [("chen", 0), ("asha", 0), ("ben", 0)]
    assert fixture.shown("global") == [("asha", 90), ("ben", 80), ("chen", 70)]
    assert fixture.events() == [("LeaderboardReset", "weekly:2026-W10", {"board": "weekly", "period": "2026-W10"})]
    assert result.metrics["archived"] == 2


def test_a_period_is_closed_only_once(fixture: GameFixture) -> None:
    fixture.player("asha", weekly_xp=10, xp_updated_at=NOON)
    fixture.player("ben", weekly_xp=30, xp_updated_at=NOON)
    fixture.run("leaderboard_reset_weekly", MONDAY)
    fixture.change(player_progress, "asha", weekly_xp=40)
    fixture.player("newcomer", weekly_xp=50)
    once = fixture.everything()
    fixture.now += timedelta(days=2)

    fixture.run("leaderboard_reset_weekly", MONDAY)
    by_hand = fixture.run("leaderboard_reset_weekly", MONDAY + timedelta(days=2, hours=7))

    assert fixture.everything() == once
    assert (by_hand.ok, by_hand.metrics.get("archived")) == (1, None)
    assert fixture.row(player_progress, "asha")["weekly_xp"] == 40


def test_xp_earned_during_the_reset_counts_for_the_next_period(fixture: GameFixture) -> None:
    fixture.player("asha", weekly_xp=10)
    fixture.player("ben", weekly_xp=30)
    raising = update(player_progress).values(
        weekly_xp=player_progress.c.weekly_xp + case((player_progress.c.user_id == "asha", 5), else_=0)
    )

    with fixture.meanwhile("INSERT INTO ranking_archive", raising):
        fixture.run("leaderboard_reset_weekly", MONDAY)

    assert archived(fixture) == [("weekly", "2026-W10", "asha", 10, 2), ("weekly", "2026-W10", "ben", 30, 1)]
    assert fixture.ranked("weekly") == [("asha", 5), ("ben", 0)]


def test_a_reset_interrupted_by_redis_closes_the_period_once(fixture: GameFixture, database_url: str) -> None:
    fixture.player("asha", weekly_xp=10)
    fixture.run("leaderboard_recalc", MONDAY - AN_HOUR)
    good, fixture.tools = fixture.tools, Resources(database_url, NO_REDIS, now=lambda: NOON)
    broken = fixture.run("leaderboard_reset_weekly", MONDAY)
    fixture.tools.close()
    fixture.tools = good
    fixture.change(player_progress, "asha", weekly_xp=3)

    fixture.run("leaderboard_reset_weekly", MONDAY)

    assert (broken.again, broken.broken) == (["weekly"], "redis")
    assert archived(fixture) == [("weekly", "2026-W10", "asha", 10, 1)]
    assert fixture.shown("weekly") == fixture.ranked("weekly") == [("asha", 0)]
    assert fixture.row(player_progress, "asha")["weekly_xp"] == 3


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
def test_the_period_is_the_last_one_that_ended(as_of: datetime, week: str, month: str) -> None:
    assert (last_week(as_of), last_month(as_of)) == (week, month)


# --- several jobs at one instant ----------------------------------------------------------------------------------


def test_both_resets_run_before_the_recalculation() -> None:
    schedules = [
        Schedule(job, cron_of(job), cursor=MONDAY_AND_FIRST - timedelta(minutes=1))
        for job in JOBS.values()
        if job.exclusive == "leaderboard"
    ]

    due = [occurrence.job for occurrence in plan(schedules, MONDAY_AND_FIRST)]

    assert due == ["game.leaderboard_reset_monthly", "game.leaderboard_reset_weekly", "game.leaderboard_recalc"]
    assert set(JOBS["leaderboard_recalc"].after) == set(due[:2])


@pytest.mark.parametrize("first", ["leaderboard_recalc", "leaderboard_reset_weekly"])
def test_resets_and_recalculation_give_the_same_result_in_any_order(fixture: GameFixture, first: str) -> None:
    fixture.player("asha", xp=9, weekly_xp=10, monthly_xp=20, xp_updated_at=NOON)
    fixture.player("ben", xp=9, weekly_xp=30, monthly_xp=10)

    for job in (first, "leaderboard_reset_monthly", "leaderboard_reset_weekly", "leaderboard_recalc"):
        fixture.run(job, MONDAY_AND_FIRST)

    assert archived(fixture) == [
        ("monthly", "2026-05", "asha", 20, 1),
        ("monthly", "2026-05", "ben", 10, 2),
        ("weekly", "2026-W22", "asha", 10, 2),
        ("weekly", "2026-W22", "ben", 30, 1),
    ]
    assert order(fixture, "weekly") == order(fixture, "monthly") == order(fixture, "global") == ["asha", "ben"]
    assert len(fixture.events()) == 2


# --- one bad board, and what a batch costs ------------------------------------------------------------------------


def test_a_database_error_fails_only_its_board(fixture: GameFixture) -> None:
    fixture.player("asha", xp=1, weekly_xp=2, monthly_xp=3)
    fixture.reject_writes(rankings, "NEW.board = 'weekly'")

    result = fixture.run("leaderboard_recalc", NOON)

    assert (result.ok, result.failed) == (2, ["weekly"])
    assert sorted(fixture.redis.keys("leaderboard:*")) == [
        "leaderboard:global",
        "leaderboard:global:names",
        "leaderboard:global:stamp",
        "leaderboard:monthly",
        "leaderboard:monthly:names",
        "leaderboard:monthly:stamp",
    ]


def test_the_number_of_statements_does_not_grow_with_the_players(fixture: GameFixture) -> None:
    counted: list[tuple[int, int]] = []
    for many in (3, 60):
        for n in range(many):
            fixture.player(f"user{many}-{n}", xp=n, weekly_xp=n, monthly_xp=n)
        with fixture.statements() as recalculated:
            fixture.run("leaderboard_recalc", NOON)
        with fixture.statements() as reset:
            fixture.run("leaderboard_reset_weekly", MONDAY + timedelta(weeks=len(counted)))
        counted.append((len(recalculated), len(reset)))

    assert counted[0] == counted[1]


def test_jobs_of_an_exclusion_group_run_one_at_a_time_in_worker_processes(
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
        requested = [place.begin(job.name) for job in JOBS.values()]
        ended = [place.service.commands.wait_for_run(run, PATIENCE_SECONDS) for run in requested]

    runs = [run for run in ended if run is not None]
    assert [(run.job, str(run.state)) for run in runs] == [(job.name, "succeeded") for job in JOBS.values()]
    boards = sorted((run.started_at, run.ended_at) for run in runs if "leaderboard" in run.job)
    assert all(ended <= began for (_, ended), (began, _) in pairwise(boards))  # type: ignore[operator]
    with redis.Redis.from_url(redis_url) as client:
        assert client.zrange("leaderboard:global", 0, -1, withscores=True) == [(b"asha", 5.0)]
