"""The caches: practice with and without them, warming, the read of a batch, and long scans."""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks import caches
from benchmarks.environment import POSTGRES, Environment, databases, environment
from benchmarks.figures import Figure, of_rounds
from benchmarks.options import Figures, Options, Size

WARMING_GOAL, READ_GOAL = 1.3, 1.5
BOARD_MEMBERS = 300_000
SCANNED_KEYS = {Size.QUICK: 50_000, Size.NORMAL: 1_000_000, Size.FULL: 1_000_000}


def measure(options: Options) -> Figures:
    """Savings by the cache, warming against bare pipelines, and commands that hold the server over 10 ms."""
    is_scanned = False
    users, calls = (200, 20) if options.size is Size.QUICK else (1_000, 100)
    for name, missing in databases(options.databases):
        if missing:
            print(f"skipping {name}: {missing}", file=sys.stderr, flush=True)
            continue
        with tempfile.TemporaryDirectory(prefix="opsconsole-bench-") as folder, environment(name, Path(folder)) as here:
            as_of = caches.prepare(here, users)
            place = f"{name} {here.version}, {users:,} users"
            for pair in caches.measure(here, users=users, calls=calls, rounds=options.rounds):
                cached, uncached = statistics.median(pair.cached), statistics.median(pair.uncached)
                savings = [100 * (1 - fast / slow) for fast, slow in zip(pair.cached, pair.uncached, strict=True)]
                goal = 100 * caches.GOALS[pair.name] if name == POSTGRES else None
                note = f"{cached:.2f} ms, uncached {uncached:.2f} ms"
                yield of_rounds(place, f"{pair.name} faster by", savings, "%", goal, at_least=True, note=note)
            rates, bare = caches.measure_warming(here, as_of, options.rounds)
            ratios = [theirs / ours for ours, theirs in zip(rates, bare, strict=True)]
            yield of_rounds(place, "warming, times bare pipelines", ratios, "x", WARMING_GOAL)
            if not is_scanned:
                is_scanned = True
                yield from _reads(here, options.rounds)
                yield from _scans(here, SCANNED_KEYS[options.size])


def _reads(here: Environment, rounds: int) -> Figures:
    ours, bare = caches.measure_reads(here, 3 * rounds)
    ratios = [mine / theirs for mine, theirs in zip(ours, bare, strict=True)]
    note = f"{statistics.median(ours):.2f} ms, MGET {statistics.median(bare):.2f} ms"
    place = f"a batch of {caches.READ_KEYS} keys"
    yield of_rounds(place, "cache.read, times a bare MGET", ratios, "x", READ_GOAL, note=note)


def _scans(here: Environment, keys: int) -> Figures:
    for name, seconds, found, slow in caches.measure_clearing(here, keys):
        note = f"{found:,} keys in {seconds:.2f} s"
        yield Figure(f"{keys:,} keys in Redis", f"{name}: commands over 10 ms", slow, "", 0, note=note)
    members = BOARD_MEMBERS if keys >= BOARD_MEMBERS else keys
    seconds, slow = caches.measure_swap(here, members)
    note = f"{seconds:.2f} s"
    yield Figure(f"a board of {members:,}", "replaced: commands over 10 ms", slow, "", 0, note=note)
