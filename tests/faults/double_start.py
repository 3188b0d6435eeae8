"""Two processes that start at the same moment: one leads, the other waits, and the token grows by one."""

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
from tests.waiting import PATIENCE_SECONDS

LEASE_SECONDS = 5.0
"""Long: a leader on a busy machine must not lose it, as that would be a second takeover."""
BOTH_SECONDS = 0.3
"""From the first leader to the check of both: the second process has tried by then."""


@dataclass
class DoubleStarts:
    """The outcome of a number of double starts."""

    database: str
    seed: int
    actions: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def lines(self) -> list[str]:
        """The report, in lines."""
        message = ", ".join(f"{n:,} {what}" for what, n in sorted(self.actions.items()))
        head = f"double starts on {self.database}, seed {self.seed}: {message} in {self.seconds:.1f} s"
        return [f"{head}, {len(self.violations)} violations", *(f"  ! {violation}" for violation in self.violations)]


def start_twice(
    times: int, database: str, seed: int, folder: Path, new_database: Callable[[], str] | None, server: EmbeddedRedis
) -> DoubleStarts:
    """Starts two processes at the same moment, `times` times, after the previous two were killed or have ended."""
    found, rng, began = DoubleStarts(database, seed), random.Random(f"{seed}/{database}/twice"), time.monotonic()
    place = folder / "twice"
    place.mkdir()
    with ForkServer(folder / "twice.log") as fork_server:
        url = new_database() if new_database else None
        cluster = Cluster(place, fork_server, server.url, url, lease_seconds=LEASE_SECONDS)
        try:
            for token in range(1, times + 1):
                _start_both(cluster, token, found)
                found.actions["double starts"] += 1
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
        found.violations += write_monitor.wrong_writes(db)
    leading = [process.pid for process in both if process.has_logged("leading with token")]
    message = f"double start {token}"
    if leader is None or leader not in both:
        found.violations.append(f"{message}: no leader")
    if tokens != list(range(1, token + 1)):
        found.violations.append(f"{message}: the tokens are {tokens[-3:]}")
    if len(leading) != 1:
        found.violations.append(f"{message}: {len(leading)} of the two lead")
    if not all(process.is_running for process in both):
        found.violations.append(f"{message}: one of the two has ended; see {_logs(both)}")


def _logs(both: list[Process]) -> str:
    return " and ".join(str(process.log) for process in both)
