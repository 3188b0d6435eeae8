"""attempts.cache_day through the engine, against a usual program and the best script, on the same rows in one run."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from benchmarks import bare, naive
from benchmarks.ground import Ground
from opsconsole import DAY, Window, clock
from opsconsole.cron import zone
from opsconsole.desk import Desk
from opsconsole.engine import Engine
from opsconsole.model import RunState

JOB = "attempts.cache_day"
NAIVE, BARE, RUN, COMMAND = "naive", "bare", "the run", "the command"
COMPARED = 400
"""So many users' values are compared byte by byte."""


@dataclass
class Figures:
    """What a way of doing it reached: users a second, a round each."""

    name: str
    users: int
    rates: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The middle round."""
        return statistics.median(self.rates)

    @property
    def spread(self) -> float:
        """Between the best and the worst round, as a share of the median."""
        return (max(self.rates) - min(self.rates)) / self.median


def measure(ground: Ground, *, users: int, naive_users: int, rounds: int, say: Callable[[str], None]) -> list[Figures]:
    """Every way in turn, `rounds` times after one that does not count, on a day of `users` users."""
    job = ground.catalog.find(JOB)
    day = (clock.now() - timedelta(days=1)).astimezone(zone(job.tz)).date()
    window = DAY.named(day, zone(job.tz))
    pack = next(pack for pack in ground.catalog.packs if pack.name == job.pack)
    assert pack.sample is not None
    began = time.perf_counter()
    pack.sample(ground.data, users, window.start, window.end)
    ground.settle()
    say(f"{users:,} users written in {time.perf_counter() - began:.1f} s")
    ways: dict[str, Callable[[], tuple[int, float]]] = {
        NAIVE: lambda: _timed(lambda: naive.run(ground.data_url, ground.redis_url, window, limit=naive_users)),
        BARE: lambda: _timed(lambda: bare.run(ground.data_url, ground.redis_url, window)),
        RUN: lambda: _through_the_engine(ground, window),
        COMMAND: lambda: _timed(lambda: _as_command(ground, window)),
    }
    found: dict[str, Figures] = {}
    values: dict[str, list[dict[bytes, bytes | None]]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        for name, way in ways.items():
            ground.cache.flushall()
            done, seconds = way()
            values[name].append(_values(ground, window, naive_users))
            if turn:
                found.setdefault(name, Figures(name, done)).rates.append(done / seconds)
                say(f"round {turn}: {name}: {done / seconds:,.0f} users/s")
    _compare(values)
    return list(found.values())


def _timed(way: Callable[[], int]) -> tuple[int, float]:
    began = time.perf_counter()
    users = way()
    return users, time.perf_counter() - began


def _through_the_engine(ground: Ground, window: Window) -> tuple[int, float]:
    """One run with worker processes; its time is the recorded one, from its own start to its own end."""
    desk = Desk(ground.settings, ground.store, ground.catalog)
    command = desk.trigger(JOB, window.label)
    engine = Engine(ground.settings, ground.store, ground.catalog, only=command)
    engine.start()
    try:
        outcome = desk.outcome(command, 30)
        assert outcome is not None, engine.problem or "nobody took the command"
        assert outcome.run is not None, outcome.refused
        run = desk.wait_for(outcome.run, 3600)
    finally:
        engine.stop()
        desk.close()
    assert run is not None
    assert run.seconds is not None
    # The sample has one user whose question is missing.
    assert (run.state, run.counts.failed) == (RunState.PARTIAL, 1), (run.state, run.counts, run.error)
    return run.counts.planned, run.seconds


def _as_command(ground: Ground, window: Window) -> int:
    command = [sys.executable, "-m", "opsconsole", "run", JOB, "--date", window.label, "--wait", "--json"]
    told = subprocess.run(
        command, env={**os.environ, **ground.environ}, cwd=ground.settings.folder, capture_output=True, check=False
    )
    assert told.stdout, told.stderr.decode()
    run = json.loads(told.stdout)
    assert (run["state"], run["failed"]) == ("partial", 1), run
    return int(run["planned"])


def _values(ground: Ground, window: Window, among: int) -> dict[bytes, bytes | None]:
    """What the cache holds for users that every way has been through."""
    keys = [f"date:user:{window.label}:u{n:05}".encode() for n in range(1, among + 1, max(1, among // COMPARED))]
    found: list[bytes | None] = ground.cache.mget(keys)  # type: ignore[assignment]  # it does not decode
    return dict(zip(keys, found, strict=True))


def _compare(values: dict[str, list[dict[bytes, bytes | None]]]) -> None:
    first = values[NAIVE][0]
    assert sum(value is not None for value in first.values()) > len(first) // 2, "hardly anything is in the cache"
    for name, rounds in values.items():
        for found in rounds:
            different = [key for key in first if found[key] != first[key]]
            assert not different, f"{name} wrote something else than naive: {different[0]!r}"
