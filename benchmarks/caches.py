"""Practice with and without the cache, warming, and clearing keys."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import msgspec
import redis

from benchmarks.environment import Environment
from jobs.attempts.cached_day import DAY_ATTEMPTS
from jobs.attempts.sample import add_attempts
from jobs.attempts.update_mastery import update_mastery
from jobs.attempts.update_performance import update_performance
from jobs.practice import pack, queries, sessions
from jobs.practice.families import PERFORMANCE
from jobs.practice.generator import SessionConfig, generate
from jobs.practice.queries import ZONE, Performance, only_user
from jobs.practice.routes import SessionRequest, start_session
from jobs.practice.sample import add_practice
from jobs.practice.warm_cache import warm_cache
from jobs.sample_users import is_active, user_id
from opsconsole import DAY, FOUR_WEEKS_BEFORE, MOMENT, Window
from opsconsole.authoring.batch import Batch
from opsconsole.authoring.context import Resources
from opsconsole.authoring.job import Job
from opsconsole.authoring.scope import Scope
from opsconsole.cache.clearing import sweep
from opsconsole.cache.client import Cache
from opsconsole.cache.filters import ClearFilter
from opsconsole.cache.rankings import swap_ranking
from opsconsole.cache.statistics import survey
from opsconsole.core import clock
from opsconsole.extensions import ExtensionContext
from opsconsole.worker.work import work

SUBJECT = "s1"
GOALS = {"user look-up": 0.95, "question selection": 0.90, "session generation": 0.80, "whole response": 0.70}
UNREACHABLE = "unix:///nowhere/redis.sock"
READ_KEYS, READ_BYTES, READS = 250, 2_500, 40
SLOW_MICROSECONDS = 10_000


@dataclass
class Pair:
    """One operation with and without the cache: median milliseconds per round."""

    name: str
    cached: list[float] = field(default_factory=list)
    uncached: list[float] = field(default_factory=list)


def measure(here: Environment, *, users: int, calls: int, rounds: int) -> list[Pair]:
    """Measures every pair in interleaved calls, `rounds` times after a warm-up round."""
    with extension_context(here, here.redis_url) as cached, extension_context(here, UNREACHABLE) as uncached:
        pairs = {name: Pair(name) for name in GOALS}
        rng = Random(7)
        for number in range(rounds + 1):
            here.cache.flushall()
            names = [user_id(n) for n in rng.sample([n for n in range(1, users + 1) if is_active(n)], calls)]
            taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in GOALS}
            for user in names:
                for name, operation in operations(user).items():
                    operation(cached)  # fills the cache
                    taken[name][0].append(timed(operation, cached))
                    taken[name][1].append(timed(operation, uncached))
            if number:
                for name, (fast, slow) in taken.items():
                    pairs[name].cached.append(statistics.median(fast))
                    pairs[name].uncached.append(statistics.median(slow))
    return list(pairs.values())


def operations(user: str) -> dict[str, Callable[[ExtensionContext], Any]]:
    """The operations measured for a user: the parts of a response, and the whole response."""

    def user_lookup(ctx: ExtensionContext) -> Any:
        def compute() -> Performance | None:
            with ctx.reading() as db:
                return queries.performances(db, only_user(user), ctx.now).get(user)

        return ctx.cache.reader.get(PERFORMANCE, Performance | None, compute, user=user)

    def selected(ctx: ExtensionContext) -> Any:
        _, topics = sessions.read_learner(ctx, user, SUBJECT)
        pool = sessions.questions(ctx, SUBJECT, SessionConfig())
        return generate(SessionConfig(), pool, topics, (), "7")

    def generated(ctx: ExtensionContext) -> Any:
        performance, topics = sessions.read_learner(ctx, user, SUBJECT)
        assert performance is not None
        config = sessions.session_config(ctx, performance)
        pool = sessions.questions(ctx, SUBJECT, config)
        with ctx.reading() as db:
            solved = queries.recently_solved(db, user, ctx.now)
        return generate(config, pool, topics, solved, "7")

    def answered(ctx: ExtensionContext) -> Any:
        reply = start_session(ctx, SessionRequest(user, SUBJECT))
        assert reply.status == 201, reply
        return msgspec.json.encode(reply.body)

    return {
        "user look-up": user_lookup,
        "question selection": selected,
        "session generation": generated,
        "whole response": answered,
    }


def timed(operation: Callable[[ExtensionContext], Any], ctx: ExtensionContext) -> float:
    """Milliseconds of one call."""
    began = time.perf_counter()
    operation(ctx)
    return (time.perf_counter() - began) * 1000


@contextmanager
def extension_context(here: Environment, redis_url: str) -> Iterator[ExtensionContext]:
    """The context of routes, with or without a reachable cache."""
    tools = Resources(here.data_url, redis_url, families=pack.families)
    try:
        yield ExtensionContext(tools, {}, pack.families)
    finally:
        tools.close()


def prepare(here: Environment, users: int) -> datetime:
    """Writes 28 days of attempts and the jobs' results; returns the time after them."""
    today = DAY.at(clock.now(), ZONE)
    since = today.start - timedelta(days=28)
    add_attempts(here.data, users, since, today.start)
    add_practice(here.data, users, since, today.start)
    here.settle()
    day = DAY.at(since, ZONE)
    while day.start < today.start:
        run_job(here, update_performance, day, day.end)
        day = DAY.at(day.end, ZONE)
    week = FOUR_WEEKS_BEFORE.at(today.start, ZONE)
    run_job(here, update_mastery, week, today.start)
    here.settle()
    return today.start


def run_job(here: Environment, job: Job, window: Window, as_of: datetime) -> int:
    """Runs a job in this process; returns the number of items."""
    tools = Resources(here.data_url, here.redis_url, families=pack.families)
    try:
        population = job.population(Scope(window, as_of, {}, {}))
        assert not isinstance(population, tuple)
        with here.data.reading() as db:
            keys = [str(row[0]) for row in db.execute(population)]
        for start in range(0, len(keys), job.batch):
            result = work(
                Batch(1, 1, 1, job.name, window, as_of, keys[start : start + job.batch], {}, 60.0), job, tools
            )
            assert result.broken is None, result
        return len(keys)
    finally:
        tools.close()


def measure_warming(here: Environment, as_of: datetime, rounds: int) -> tuple[list[float], list[float]]:
    """Users per second of practice.warm_cache, and of a baseline with the same queries and plain pipelines."""
    moment = MOMENT.at(as_of, ZONE)
    rates, bare = [], []
    for number in range(rounds + 1):
        here.cache.flushall()
        began = time.perf_counter()
        users = run_job(here, warm_cache, moment, as_of)
        took = time.perf_counter() - began
        found = [(key, here.cache.get(key), here.cache.ttl(key)) for key in here.cache.scan_iter(count=1000)]
        here.cache.flushall()
        began = time.perf_counter()
        send_bare(here, as_of, found, users)
        if number:
            rates.append(users / took)
            bare.append(users / (time.perf_counter() - began))
    return rates, bare


def send_bare(here: Environment, as_of: datetime, values: list[tuple[Any, Any, Any]], users: int) -> None:
    """The baseline of warming: the same queries and values in pages of the same size."""
    population = warm_cache.population(Scope(MOMENT.at(as_of, ZONE), as_of, {}, {}))
    assert not isinstance(population, tuple)
    with here.data.reading() as db:
        keys = [str(row[0]) for row in db.execute(population)]
    pages = range(0, users, warm_cache.batch)
    a_page = -(-len(values) // len(pages))
    for n, start in enumerate(pages):
        page = keys[start : start + warm_cache.batch]
        with here.data.reading() as db:

            def among(column: Any, page: list[str] = page) -> Any:
                return column.in_(page)

            queries.performances(db, among, as_of)
            queries.current_topics(db, among, as_of)
            queries.weak_concepts(db, among)
            queries.revision_topics(db, among, as_of)
        pipeline = here.cache.pipeline(transaction=False)
        for key, value, ttl in values[n * a_page : (n + 1) * a_page]:
            pipeline.set(key, value, ex=ttl)
        pipeline.execute()


def measure_clearing(here: Environment, keys: int) -> list[tuple[str, float, int, int]]:
    """Scans the keys; returns name, seconds, keys found, and commands of over 10 ms for each scan."""
    here.cache.flushall()
    for start in range(0, keys, 5_000):
        here.cache.mset(
            {
                f"current:topics:u{n:07}:s{n % 8}" if n % 2 else f"cart:{n}": "x" * 60
                for n in range(start, min(keys, start + 5_000))
            }
        )
    here.cache.config_set("slowlog-log-slower-than", SLOW_MICROSECONDS)
    cache = Cache(here.redis_url)
    scans: dict[str, Callable[[], Any]] = {
        "figures of each family": lambda: list(survey(cache.client, pack.families))[-1].scanned,
        "count one user": lambda: matching_keys(cache.client, ClearFilter(user="u0000001"), remove=False),
        "clear one user": lambda: matching_keys(cache.client, ClearFilter(user="u0000001"), remove=True),
        "clear one subject": lambda: matching_keys(cache.client, ClearFilter(subject="s1"), remove=True),
        "clear a family": lambda: matching_keys(
            cache.client, ClearFilter(family="practice.current_topics"), remove=True
        ),
    }
    timings = []
    for name, scan in scans.items():
        here.cache.slowlog_reset()
        began = time.perf_counter()
        found = scan()
        timings.append((name, time.perf_counter() - began, found, len(here.cache.slowlog_get())))
    cache.close()
    here.cache.flushall()
    return timings


def matching_keys(client: redis.Redis, selection: ClearFilter, *, remove: bool) -> int:
    """The number of keys found or removed."""
    *_, last = sweep(client, pack.families, selection, remove=remove)
    return last.total


def measure_reads(here: Environment, rounds: int) -> tuple[list[float], list[float]]:
    """Milliseconds of `cache.read` of 250 days, and of a plain MGET of the same keys."""
    cache, bare = Cache(here.redis_url, (DAY_ATTEMPTS,)), here.cache
    owners = [f"u{n:05}" for n in range(READ_KEYS)]
    cache.replace(DAY_ATTEMPTS, dict.fromkeys(owners, b"[" * READ_BYTES), by="user", date="2026-01-01")

    def read() -> object:
        return cache.read(DAY_ATTEMPTS, owners, by="user", date="2026-01-01")

    def mget() -> object:
        found = bare.mget([f"date:user:2026-01-01:{owner}" for owner in owners])
        return dict(zip(owners, found, strict=True))

    assert read() == mget()
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(statistics.median(_milliseconds(read) for _ in range(READS)))
        theirs.append(statistics.median(_milliseconds(mget) for _ in range(READS)))
    cache.close()
    here.cache.flushall()
    return ours, theirs


def _milliseconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return (time.perf_counter() - began) * 1000


def measure_swap(here: Environment, members: int) -> tuple[float, int]:
    """Replaces a board twice; returns the seconds of the second time, and its commands over 10 ms."""
    cache = Cache(here.redis_url)
    here.cache.config_set("slowlog-log-slower-than", SLOW_MICROSECONDS)
    seconds = 0.0
    for turn in range(2):
        here.cache.slowlog_reset()
        began = time.perf_counter()
        entries = ((f"u{n:07}", float(n + turn), f"name {n}") for n in range(members))
        assert swap_ranking(cache, "leaderboard:bench", "leaderboard:bench:names", lambda e=entries: e) == members  # type: ignore[misc]
        seconds = time.perf_counter() - began
    slow = len(here.cache.slowlog_get())
    cache.close()
    here.cache.flushall()
    return seconds, slow
