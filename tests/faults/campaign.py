"""A campaign against real processes: they are killed and paused at random while schedules and operators continue, and
then every scheduled time, every run and every effect must be accounted for.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles

import redis

from opsconsole.core.errors import OpsconsoleError
from opsconsole.embedded.redis import EmbeddedRedis
from tests.faults import accounting
from tests.faults.accounting import Account
from tests.faults.cluster import Cluster
from tests.faults.fault_injection import FaultInjection, NoRecovery
from tests.faults.fork_server import ForkServer
from tests.services import PrivatePostgres

CLUSTERS = 3
"""How many clusters get faults at once: while one waits for a takeover, another works."""
MOST_CLUSTERS = 16
"""The databases of a Redis server."""
SLOW_SHARE = 8
"""The kills of another cluster for one kill of a cluster with worker processes, whose leaders start slowly."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of a campaign. `executor` is inline, processes, or mixed: one of the clusters has worker processes."""

    kills: int
    pauses: int
    database: str
    seed: int
    executor: str = "mixed"
    clusters: int = CLUSTERS

    def shares(self) -> list[tuple[str, int, int]]:
        """The executor, kills and pauses of each cluster."""
        n = max(1, min(self.clusters, self.kills + self.pauses, MOST_CLUSTERS))
        executors = [self.executor if self.executor != "mixed" else "inline"] * n
        if self.executor == "mixed" and n > 1:
            executors[-1] = "processes"
        weights = [1 if executor == "processes" and self.executor == "mixed" else SLOW_SHARE for executor in executors]
        return list(zip(executors, _shared(self.kills, weights), _shared(self.pauses, weights), strict=True))


@dataclass
class Report:
    """The actions and the findings of a campaign."""

    plan: Plan
    account: Account = field(default_factory=Account)
    actions: Counter[str] = field(default_factory=Counter)
    takeovers: list[float] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether nothing was doubled, lost, or not accounted for."""
        return not self.account.violations

    def lines(self) -> Iterator[str]:
        """The report, in lines."""
        plan, kills = self.plan, self.actions["kills"]
        yield (
            f"campaign on {plan.database}, seed {plan.seed}: {kills:,} kills and {self.actions['pauses']:,} pauses "
            f"in {self.seconds:.1f} s, {self.seconds / max(1, kills):.2f} s a kill"
        )
        yield f"  takeover after kill -9 of the leader: {_spread(self.takeovers)}"
        for name, n in sorted(self.actions.items()):
            yield f"  {name:<44} {n:>9,}"
        yield from self.account.lines()


def campaign(plan: Plan, folder: Path, new_database: Callable[[], str] | None, server: EmbeddedRedis) -> Report:
    """Runs a plan. `new_database` gives an empty PostgreSQL database; None for SQLite files in `folder`."""
    report, began = Report(plan), time.monotonic()
    with ForkServer(folder / "fork_server.log") as fork_server, ThreadPoolExecutor(plan.clusters) as pool:
        futures = []
        for n, (executor, kills, pauses) in enumerate(plan.shares()):
            place = folder / f"cluster{n}"
            place.mkdir()
            url = new_database() if new_database else None
            cluster = Cluster(place, fork_server, server.url.replace("db=0", f"db={n}"), url, executor)
            injection = FaultInjection(cluster, random.Random(f"{plan.seed}/{plan.database}/{n}"), kills, pauses)
            futures.append(pool.submit(_run_cluster, injection))
        for future in futures:
            injection, account = future.result()
            report.account.add(account)
            report.actions.update(injection.actions)
            report.takeovers += injection.takeovers
    report.seconds = time.monotonic() - began
    return report


def _run_cluster(injection: FaultInjection) -> tuple[FaultInjection, Account]:
    """Runs one cluster, from its first process to its account."""
    cluster, account = injection.cluster, Account()
    try:
        injection.inject()
        planned_past = injection.settle()
        with redis.Redis.from_url(cluster.redis_url) as cache:
            account = accounting.audited(cluster.place.store, cluster.place.data, cache, planned_past=planned_past)
    except (NoRecovery, OpsconsoleError) as error:
        account.violations.append(f"{type(error).__name__}: {error}")
    finally:
        injection.abort()
        account.violations += [f"{violation} ({cluster.folder.name})" for violation in injection.violations]
        cluster.close()
    return injection, account


@contextmanager
def servers(database: str) -> Iterator[tuple[Path, Callable[[], str] | None, EmbeddedRedis]]:
    """What a campaign needs, until the end of the block: a new folder, which stays, a function that creates PostgreSQL
    databases (None for SQLite), and a Redis server.
    """
    folder = Path(tempfile.mkdtemp(prefix="opsconsole-chaos-"))
    server = EmbeddedRedis(folder / "redis")
    server.ensure()
    try:
        if database == "sqlite":
            yield folder, None, server
        else:
            with PrivatePostgres() as postgres:
                yield folder, postgres.new_database, server
    finally:
        server.stop()


def _shared(n: int, weights: Sequence[int]) -> list[int]:
    """`n` in parts that are as `weights`; the first takes what is left."""
    parts = [n * weight // sum(weights) for weight in weights]
    parts[0] += n - sum(parts)
    return parts


def _spread(seconds: Sequence[float]) -> str:
    if len(seconds) < 2:
        return "too few"
    cuts = quantiles(seconds, n=100, method="inclusive")
    return f"p50 {cuts[49]:.2f} s, p99 {cuts[98]:.2f} s, max {max(seconds):.2f} s, of {len(seconds):,}"
