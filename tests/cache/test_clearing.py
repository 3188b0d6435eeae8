"""Clearing removes exactly the keys that meet the conditions, and no key of another application."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from hypothesis import HealthCheck, given, settings, strategies as st

from opsconsole.cache.clearing import BadClearFilter, ClearProgress, sweep
from opsconsole.cache.client import Cache
from opsconsole.cache.families import BadKey, Family
from opsconsole.cache.filters import ClearFilter
from opsconsole.core.errors import Exit, Unavailable

HOUR = timedelta(hours=1)
DAYS = Family("attempts.day", "date:user:{date}:{user}", HOUR, of=("user",))
LEVEL = Family("practice.level", "user:level:{user}", HOUR, of=("user",), computed_from=("users", "mastery"))
WEAK = Family(
    "practice.weak", "weak:concepts:{user}:{subject}", HOUR, of=("user", "subject"), computed_from=("mastery",)
)
QUESTIONS = Family(
    "practice.questions", "questions:subject:{subject}:{category}", HOUR, of=("subject",), computed_from=("questions",)
)
BOARD = Family("game.board", "leaderboard:{board}", HOUR)
ALL = (DAYS, LEVEL, WEAK, QUESTIONS, BOARD)

OURS = {
    "date:user:2026-01-19:asha",
    "date:user:2026-01-20:asha",
    "date:user:2026-01-19:ben",
    "user:level:asha",
    "user:level:ben",
    "weak:concepts:asha:math",
    "weak:concepts:asha:art",
    "weak:concepts:ben:math",
    "questions:subject:math:exam",
    "questions:subject:art:exam",
    "leaderboard:global",
}
OTHERS = {
    "session:asha",
    "date:user:asha",
    "user:level:asha:old",
    "xuser:level:asha",
    "weak:concepts:asha:math:backup",
    "weak:concepts:asha:",
    "cart:asha:math",
    "leaderboard:global:names",
    "asha",
}


@pytest.fixture
def server(redis_url: str) -> Iterator[redis.Redis]:
    """A server that two applications share."""
    with redis.Redis.from_url(redis_url) as client:
        client.mset(dict.fromkeys(OURS | OTHERS, "1"))
        yield client


def keys(server: redis.Redis) -> set[str]:
    return {key.decode(errors="replace") for key in server.scan_iter()}


def last(steps: Iterator[ClearProgress]) -> ClearProgress:
    *_, final = steps
    assert final.done
    return final


@pytest.mark.parametrize(
    ("conditions", "removed"),
    [
        (ClearFilter(user="asha"), {key for key in OURS if "asha" in key}),
        (ClearFilter(subject="math"), {key for key in OURS if "math" in key}),
        (ClearFilter(user="asha", subject="math"), {"weak:concepts:asha:math"}),
        (ClearFilter(date="2026-01-19"), {"date:user:2026-01-19:asha", "date:user:2026-01-19:ben"}),
        (ClearFilter(date="2026-01-19", user="ben"), {"date:user:2026-01-19:ben"}),
        (ClearFilter(family="practice.level"), {"user:level:asha", "user:level:ben"}),
        (ClearFilter(family="practice.weak", user="asha"), {"weak:concepts:asha:math", "weak:concepts:asha:art"}),
        (ClearFilter(family="practice.weak", subject="math"), {"weak:concepts:asha:math", "weak:concepts:ben:math"}),
        (ClearFilter(family="game.board"), {"leaderboard:global"}),
        (ClearFilter(family="game.board", user="asha"), set()),
        (ClearFilter(source="mastery"), {key for key in OURS if key.startswith(("user:level:", "weak:"))}),
        (ClearFilter(source="questions"), {key for key in OURS if key.startswith("questions:")}),
        (ClearFilter(source="users", user="ben"), {"user:level:ben"}),
        (
            ClearFilter(source="mastery", user="asha"),
            {"user:level:asha", "weak:concepts:asha:math", "weak:concepts:asha:art"},
        ),
        (ClearFilter(source="mastery", subject="math"), {"weak:concepts:asha:math", "weak:concepts:ben:math"}),
        (ClearFilter(source="mastery", family="practice.level"), {"user:level:asha", "user:level:ben"}),
        (ClearFilter(source="questions", user="asha"), set()),
        (ClearFilter(user="nobody"), set()),
        (ClearFilter(user="as"), set()),
    ],
    ids=lambda value: str(value) if isinstance(value, ClearFilter) else str(len(value)),
)
def test_keys_that_meet_all_conditions_are_counted_then_removed(
    server: redis.Redis, conditions: ClearFilter, removed: set[str]
) -> None:
    counted = last(sweep(server, ALL, conditions, remove=False))
    assert keys(server) == OURS | OTHERS

    cleared = last(sweep(server, ALL, conditions, remove=True))

    assert keys(server) == (OURS | OTHERS) - removed
    assert counted.total == cleared.total == len(removed)
    assert dict(counted.found) == dict(cleared.found)
    assert set(counted.samples) <= removed
    assert len(counted.samples) == min(5, len(removed))
    assert (counted.scanned, counted.of) == (len(OURS | OTHERS),) * 2


def test_families_without_a_given_part_are_skipped_and_reported(server: redis.Redis) -> None:
    of_asha = last(sweep(server, ALL, ClearFilter(user="asha"), remove=True))
    of_board = last(sweep(server, ALL, ClearFilter(family="game.board", user="asha"), remove=True))

    assert of_asha.skipped_families == ("practice.questions", "game.board")
    assert dict(of_asha.found) == {"attempts.day": 2, "practice.level": 1, "practice.weak": 2}
    assert (of_board.skipped_families, dict(of_board.found)) == (("game.board",), {})


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        (ClearFilter(), "give a user, a subject, a family or a date"),
        (
            ClearFilter(family="practice.weka"),
            "there is no cache family 'practice.weka'; the families are practice.weak",
        ),
        (ClearFilter(source="masteri"), "no cached value is computed from 'masteri', but from mastery"),
        (ClearFilter(source=""), "no cached value is computed from '', but from mastery, questions, users"),
        (ClearFilter(date="20260119"), "'20260119' is not a date; write it as 2026-01-19"),
        (ClearFilter(date="yesterday"), "'yesterday' is not a date; write it as 2026-01-19"),
    ],
)
def test_conditions_that_select_nothing_are_refused(server: redis.Redis, conditions: ClearFilter, message: str) -> None:
    with pytest.raises(BadClearFilter, match=message) as refused:
        sweep(server, ALL, conditions, remove=True)

    assert refused.value.exit_code is Exit.USAGE
    assert keys(server) == OURS | OTHERS


@pytest.mark.parametrize("id_", ["*", "?", "[a]", "\\", "", "a\n", "a*", "as?a", "[a-z]sha", "asha:math", "a b"])
def test_ids_that_would_match_more_than_themselves_are_refused(server: redis.Redis, id_: str) -> None:
    for conditions in (ClearFilter(user=id_), ClearFilter(subject=id_), ClearFilter(family="practice.weak", user=id_)):
        with pytest.raises(BadKey):
            sweep(server, ALL, conditions, remove=True)

    assert keys(server) == OURS | OTHERS


part = st.text(st.sampled_from("ab*?[]^-\\:{} é"), min_size=1, max_size=4)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(st.text(st.sampled_from("ab:*?[]\\"), min_size=1, max_size=6) | part, max_size=8), part, part)
def test_keys_of_other_applications_survive_whatever_their_names(
    redis_url: str, others: set[str], user: str, subject: str
) -> None:
    foreign = {*others, *(f"weak:concepts:{name}:x:{name}" for name in others), *(f"weak:{name}" for name in others)}
    ours = {"user:level:a", "user:level:b", "weak:concepts:a:b", "weak:concepts:ab:a", "date:user:2026-01-19:a"}
    foreign = {key for key in foreign if not any(family.parse(key) for family in ALL)}
    with redis.Redis.from_url(redis_url) as client:
        client.flushdb()
        client.mset(dict.fromkeys(foreign | ours, "1"))
        for conditions in (
            ClearFilter(user=user),
            ClearFilter(subject=subject),
            ClearFilter(user=user, subject=subject),
        ):
            try:
                swept = last(sweep(client, ALL, conditions, remove=True))
            except BadKey:
                continue
            assert keys(client) >= foreign
            assert set(swept.samples) <= ours
        for family in ALL:
            last(sweep(client, ALL, ClearFilter(family=family.name), remove=True))
        assert keys(client) == foreign


def test_a_key_that_is_not_valid_utf8_is_skipped(server: redis.Redis) -> None:
    server.set(b"user:level:\xff\xfe", "1")

    last(sweep(server, ALL, ClearFilter(family="practice.level"), remove=True))

    assert server.exists(b"user:level:\xff\xfe") == 1


def test_a_large_cache_is_cleared_in_steps_too_short_for_the_slow_log(server: redis.Redis) -> None:
    server.config_set("slowlog-log-slower-than", 10_000)
    before = server.info("commandstats")
    slow = []
    for _ in range(3):  # another process may delay the server once, but not three times
        for start in range(0, 20_000, 2_000):
            server.mset({f"user:level:u{n}": "1" for n in range(start, start + 2_000)})
        server.slowlog_reset()
        steps = list(sweep(server, ALL, ClearFilter(family="practice.level"), remove=True))
        assert len(steps) >= 15
        assert [step.scanned for step in steps] == sorted(step.scanned for step in steps)
        assert [step.total for step in steps] == sorted(step.total for step in steps)
        assert steps[-1].total >= 20_000
        assert [step.done for step in steps] == [False] * (len(steps) - 1) + [True]
        assert keys(server) == (OURS | OTHERS) - {"user:level:asha", "user:level:ben"}
        slow = server.slowlog_get()
        if not slow:
            break

    assert slow == []
    forbidden = {"cmdstat_keys", "cmdstat_flushdb", "cmdstat_flushall"}
    assert forbidden & (server.info("commandstats").keys() - before.keys()) == set()


def test_a_sweep_that_stops_early_leaves_the_rest(server: redis.Redis) -> None:
    server.mset({f"user:level:u{n}": "1" for n in range(5_000)})
    steps = sweep(server, ALL, ClearFilter(family="practice.level"), remove=True)

    first = next(steps)
    del steps

    assert 0 < first.total < 5_000
    assert last(sweep(server, ALL, ClearFilter(family="practice.level"), remove=True)).total == 5_002 - first.total


def test_when_all_parts_are_given_the_server_is_not_scanned(server: redis.Redis) -> None:
    before = server.info("commandstats").get("cmdstat_scan", {"calls": 0})["calls"]

    swept = last(sweep(server, ALL, ClearFilter(family="practice.level", user="asha"), remove=True))

    assert swept.total == 1
    assert server.info("commandstats").get("cmdstat_scan", {"calls": 0})["calls"] == before


def test_an_unreachable_server_raises_unavailable(redis_url: str) -> None:
    with redis.Redis.from_url("unix:///nowhere/redis.sock") as client, pytest.raises(Unavailable):
        next(sweep(client, ALL, ClearFilter(user="asha"), remove=False))


def test_a_redis_user_without_write_permission_gets_an_error(server: redis.Redis, redis_url: str) -> None:
    server.acl_setuser("reader", enabled=True, nopass=True, keys=["*"], commands=["+@read", "+dbsize"])
    with redis.Redis.from_url(redis_url, username="reader", password="x") as client:
        assert last(sweep(client, ALL, ClearFilter(user="asha"), remove=False)).total == 5
        with pytest.raises(Unavailable, match="the Redis user may not run UNLINK"):
            last(sweep(client, ALL, ClearFilter(user="asha"), remove=True))
    server.acl_deluser("reader")
    assert keys(server) == OURS | OTHERS


def test_cache_clear_removes_the_keys_at_once(server: redis.Redis, redis_url: str) -> None:
    cache = Cache(redis_url)

    swept = cache.clear(ALL, user="asha", subject="math")

    assert (swept.total, keys(server)) == (1, (OURS | OTHERS) - {"weak:concepts:asha:math"})
    cache.close()
