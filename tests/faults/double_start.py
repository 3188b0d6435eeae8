"""Two processes that start in the same instant: one leads, the other waits, and the token grows by one."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from opsconsole.embedded.redis import EmbeddedRedis
from tests.faults import write_monitor
from tests.faults.cluster import Cluster, Process
from tests.faults.fork_server import ForkServer

LEASE_SECONDS = 5.0
"""Long: a leader that a busy machine keeps waiting is not to lose it, as that would be a second takeover."""
PATIENCE_SECONDS = 20.0
BOTH_SECONDS = 0.3
"""Between the first sign of a leader and the look at both: who comes second has tried by then."""


@dataclass
class DoubleStarts:
    """What came of them."""

    database: str
    seed: int
    deeds: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def lines(self) -> list[str]:
        """The report, in lines."""
        told = ", ".join(f"{n:,} {what}" for what, n in sorted(self.deeds.items()))
        head = f"double starts on {self.database}, seed {self.seed}: {told} in {self.seconds:.1f} s"
        return [f"{head}, {len(self.violations)} violations", *(f"  ! {violation}" for violation in self.violations)]


def start_twice(
    times: int, database: str, seed: int, folder: Path, new_database: Callable[[], str] | None, server: EmbeddedRedis
) -> DoubleStarts:
    """Starts two processes in the same instant, so many times, after the ones before were killed or have ended."""
    found, rng, began = DoubleStarts(database, seed), random.Random(f"{seed}/{database}/twice"), time.monotonic()
    place = folder / "twice"
    place.mkdir()
    with ForkServer(folder / "twice.log") as fork_server:
        url = new_database() if new_database else None
        cluster = Cluster(place, fork_server, server.url, url, lease_seconds=LEASE_SECONDS)
        try:
            for token in range(1, times + 1):
                _start_both(cluster, token, found)
                found.deeds["double starts"] += 1
                if rng.random() < 0.5:
                    cluster.kill_all()
                else:
                    cluster.end()
        finally:
            cluster.close()
    found.seconds = time.monotonic() - began
    return found


def _start_both(cluster: Cluster, token: int, found: DoubleStarts) -> None:
    at = time.time() + 0.1
    both = [cluster.start(begin_at=at), cluster.start(begin_at=at)]
    leader = cluster.await_leader(PATIENCE_SECONDS)
    time.sleep(BOTH_SECONDS)
    with cluster.place.store.reading() as db:
        tokens = [taken.token for taken in write_monitor.tokens(db)]
        found.violations += write_monitor.wrongs(db)
    leading = [process.pid for process in both if process.says("leading with token")]
    told = f"double start {token}"
    if leader is None or leader not in both:
        found.violations.append(f"{told}: nobody leads")
    if tokens != list(range(1, token + 1)):
        found.violations.append(f"{told}: the tokens are {tokens[-3:]}")
    if len(leading) != 1:
        found.violations.append(f"{told}: {len(leading)} of the two lead")
    if not all(process.lives for process in both):
        found.violations.append(f"{told}: one of the two has ended; see {_logs(both)}")


def _logs(both: list[Process]) -> str:
    return " and ".join(str(process.log) for process in both)
