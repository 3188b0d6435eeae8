"""Practice served from the cache against the same from the database, on the same rows in one run."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import redis
from rich.console import Console
from rich.table import Table

from benchmarks.environment import POSTGRES, SQLITE, Ground, databases, ground, machine
from jobs.attempts.sample import add_attempts
from jobs.attempts.update_mastery import update_mastery
from jobs.attempts.update_performance import update_performance
from jobs.practice import pack, queries, sessions
from jobs.practice.families import PERFORMANCE
from jobs.practice.generator import SessionConfig, generate
from jobs.practice.queries import ZONE, Performance, only_user
from jobs.practice.routes import start_session
from jobs.practice.sample import add_practice
from jobs.practice.warm_cache import warm_cache
from jobs.sample_users import is_active, user_id
from opsconsole import DAY, FOUR_WEEKS_BEFORE, MOMENT, Window
from opsconsole.authoring.batch import Batch
from opsconsole.authoring.context import Resources
from opsconsole.authoring.job import Job
from opsconsole.authoring.scope import Scope
from opsconsole.cache.clearing import ClearFilter, sweep
from opsconsole.cache.client import Cache
from opsconsole.cache.statistics import survey
from opsconsole.core import clock
from opsconsole.extensions import ExtensionContext, Request
from opsconsole.worker.work import work

RESULTS = Path(__file__).parent / "results"
SUBJECT = "s1"
GOALS = {"user look-up": 0.95, "question selection": 0.90, "session generation": 0.80, "whole response": 0.70}
NOBODY = "unix:///nowhere/redis.sock"


@dataclass
class Pair:
    """One thing measured both ways: milliseconds, a round each, the median of that round's calls."""

    name: str
    cached: list[float] = field(default_factory=list)
    uncached: list[float] = field(default_factory=list)

    @property
    def faster(self) -> float:
        """By what share of the uncached time the cached way is faster."""
        return 1 - statistics.median(self.cached) / statistics.median(self.uncached)

    @property
    def spread(self) -> float:
        """Between the rounds' best and worst gain."""
        gains = [1 - fast / slow for fast, slow in zip(self.cached, self.uncached, strict=True)]
        return max(gains) - min(gains)


def measure(here: Ground, *, users: int, calls: int, rounds: int) -> list[Pair]:
    """Every pair, `rounds` times after one that does not count; in each round both ways in turn, call by call."""
    with serving_with(here, here.redis_url) as cached, serving_with(here, NOBODY) as uncached:
        pairs = {name: Pair(name) for name in GOALS}
        dice = Random(7)
        for turn in range(rounds + 1):
            here.cache.flushall()
            names = [user_id(n) for n in dice.sample([n for n in range(1, users + 1) if is_active(n)], calls)]
            taken: dict[str, tuple[list[float], list[float]]] = {name: ([], []) for name in GOALS}
            for user in names:
                for name, way in ways(user).items():
                    way(cached)  # what was not there is there now
                    taken[name][0].append(timed(way, cached))
                    taken[name][1].append(timed(way, uncached))
            if turn:
                for name, (fast, slow) in taken.items():
                    pairs[name].cached.append(statistics.median(fast))
                    pairs[name].uncached.append(statistics.median(slow))
    return list(pairs.values())


def ways(user: str) -> dict[str, Callable[[ExtensionContext], Any]]:
    """What is done for a user: each part of a response, and the whole of it."""

    def looked_up(ctx: ExtensionContext) -> Any:
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
        reply = start_session(ctx, Request(body={"userId": user, "subjectId": SUBJECT}))
        assert reply.status == 201, reply
        return msgspec.json.encode(reply.body)

    return {
        "user look-up": looked_up,
        "question selection": selected,
        "session generation": generated,
        "whole response": answered,
    }


def timed(way: Callable[[ExtensionContext], Any], ctx: ExtensionContext) -> float:
    """Milliseconds of one call."""
    began = time.perf_counter()
    way(ctx)
    return (time.perf_counter() - began) * 1000


@contextmanager
def serving_with(here: Ground, redis_url: str) -> Iterator[ExtensionContext]:
    """What routes receive, with a cache there or none."""
    tools = Resources(here.data_url, redis_url, families=pack.families)
    try:
        yield ExtensionContext(tools, {}, pack.families)
    finally:
        tools.close()


def prepare(here: Ground, users: int) -> datetime:
    """28 days of attempts, what the jobs make of them, and the statistics that databases plan with; the time after."""
    today = DAY.at(clock.now(), ZONE)
    since = today.start - timedelta(days=28)
    add_attempts(here.data, users, since, today.start)
    add_practice(here.data, users, since, today.start)
    here.settle()
    day = DAY.at(since, ZONE)
    while day.start < today.start:
        carried_out(here, update_performance, day, day.end)
        day = DAY.at(day.end, ZONE)
    week = FOUR_WEEKS_BEFORE.at(today.start, ZONE)
    carried_out(here, update_mastery, week, today.start)
    here.settle()
    return today.start


def carried_out(here: Ground, job: Job, window: Window, as_of: datetime) -> int:
    """A job over everybody, in this process; how many items it had."""
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


def measure_warming(here: Ground, as_of: datetime, rounds: int) -> tuple[list[float], list[float]]:
    """Users a second of the warm-up, and of sending the values that it wrote in pipelines of as many, after the same
    queries: what it would be without the job.
    """
    moment = MOMENT.at(as_of, ZONE)
    ours, bare = [], []
    for turn in range(rounds + 1):
        here.cache.flushall()
        began = time.perf_counter()
        users = carried_out(here, warm_cache, moment, as_of)
        took = time.perf_counter() - began
        found = [(key, here.cache.get(key), here.cache.ttl(key)) for key in here.cache.scan_iter(count=1000)]
        here.cache.flushall()
        began = time.perf_counter()
        sent_bare(here, as_of, found, users)
        if turn:
            ours.append(users / took)
            bare.append(users / (time.perf_counter() - began))
    return ours, bare


def sent_bare(here: Ground, as_of: datetime, values: list[tuple[Any, Any, Any]], users: int) -> None:
    """The warm-up's queries over pages of its size, and its values in as many pipelines."""
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


def measure_clearing(here: Ground, keys: int) -> list[tuple[str, float, int, int]]:
    """Walks through so many keys: the name, seconds, keys found, and commands that took the server over 10 ms."""
    here.cache.flushall()
    for start in range(0, keys, 5_000):
        here.cache.mset(
            {
                f"current:topics:u{n:07}:s{n % 8}" if n % 2 else f"cart:{n}": "x" * 60
                for n in range(start, min(keys, start + 5_000))
            }
        )
    here.cache.config_set("slowlog-log-slower-than", 10_000)
    cache = Cache(here.redis_url)
    walks: dict[str, Callable[[], Any]] = {
        "figures of each family": lambda: list(survey(cache.client, pack.families))[-1].scanned,
        "count one user": lambda: swept(cache.client, ClearFilter(user="u0000001"), remove=False),
        "clear one user": lambda: swept(cache.client, ClearFilter(user="u0000001"), remove=True),
        "clear one subject": lambda: swept(cache.client, ClearFilter(subject="s1"), remove=True),
        "clear a family": lambda: swept(cache.client, ClearFilter(family="practice.current_topics"), remove=True),
    }
    told = []
    for name, walk in walks.items():
        here.cache.slowlog_reset()
        began = time.perf_counter()
        found = walk()
        told.append((name, time.perf_counter() - began, found, len(here.cache.slowlog_get())))
    cache.close()
    here.cache.flushall()
    return told


def swept(client: redis.Redis, wanted: ClearFilter, *, remove: bool) -> int:
    """How many keys were found or removed."""
    *_, last = sweep(client, pack.families, wanted, remove=remove)
    return last.total


def main() -> int:
    """Returns the exit code: 1 when a goal was missed on PostgreSQL."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.caches", description=__doc__)
    parser.add_argument("--users", type=int, default=1_000)
    parser.add_argument("--calls", type=int, default=100, help="users a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--keys", type=int, default=1_000_000, help="in the cache that is cleared")
    parser.add_argument("--databases", nargs="+", choices=(SQLITE, POSTGRES), default=[POSTGRES, SQLITE])
    asked = parser.parse_args()
    console = Console(highlight=False)
    began = clock.now()
    results: dict[str, Any] = {"at": began.isoformat(), "machine": machine()}
    missed = False
    for name, missing in databases(asked.databases):
        if missing:
            console.print(f"{name} is not measured: {missing}")
            continue
        say(name)
        with tempfile.TemporaryDirectory(prefix="opsconsole-bench-") as folder, ground(name, Path(folder)) as here:
            as_of = prepare(here, asked.users)
            say("28 days are there")
            pairs = measure(here, users=asked.users, calls=asked.calls, rounds=asked.rounds)
            console.print(pairs_table(f"{name} {here.version}, {asked.users:,} users", pairs))
            missed |= name == POSTGRES and any(pair.faster < GOALS[pair.name] for pair in pairs)
            ours, bare = measure_warming(here, as_of, asked.rounds)
            ratio = statistics.median(bare) / statistics.median(ours)
            console.print(
                f"warming {statistics.median(ours):,.0f} users/s, bare pipelines take 1/{ratio:.2f} of its time\n"
            )
            results[name] = {
                "pairs": [asdict(pair) | {"faster": pair.faster} for pair in pairs],
                "warming": {"users a second": ours, "bare": bare},
            }
            if "walks" not in results:
                results["walks"] = walks = measure_clearing(here, asked.keys)
                console.print(walks_table(asked.keys, walks))
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"caches-{began:%Y%m%dT%H%M%SZ}.json"
    file.write_text(json.dumps(results, indent=1) + "\n")
    console.print(f"load {machine()['load'][0]}; figures in {file}")
    return int(missed)


def pairs_table(title: str, pairs: list[Pair]) -> Table:
    """Cached against uncached, with the goals."""
    table = Table(title=title, title_justify="left", show_edge=False)
    table.add_column("")
    for heading in ("cached, ms", "uncached, ms", "faster by", "spread", "goal"):
        table.add_column(heading, justify="right")
    for pair in pairs:
        cached, uncached = statistics.median(pair.cached), statistics.median(pair.uncached)
        table.add_row(
            pair.name,
            f"{cached:.2f}",
            f"{uncached:.2f}",
            f"{pair.faster:.1%}",
            f"{pair.spread:.1%}",
            f"{GOALS[pair.name]:.0%}",
        )
    return table


def walks_table(keys: int, walks: list[tuple[str, float, int, int]]) -> Table:
    """How long it takes to look through all keys."""
    table = Table(title=f"{keys:,} keys in Redis", title_justify="left", show_edge=False)
    table.add_column("")
    for heading in ("s", "keys", "commands over 10 ms"):
        table.add_column(heading, justify="right")
    for name, seconds, found, slow in walks:
        table.add_row(name, f"{seconds:.2f}", f"{found:,}", str(slow))
    return table


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
