"""The process that leads, as far as its lease proves it."""

from __future__ import annotations

import time
from datetime import datetime, timedelta

from opsconsole.core.database import Connection
from opsconsole.core.problems import Fault
from opsconsole.leader.lease import identity, is_dead
from opsconsole.rules.leadership import Lease
from opsconsole.service.snapshot import Leader
from opsconsole.store import lease as leases

UNRENEWED = timedelta(minutes=1)
"""A lease that this process reads for the first time counts as expired when it was last renewed this long ago. Clocks
of two machines differ, so that less proves nothing; afterwards the steady clock of this process decides."""
SLACK_SECONDS = 1.0


class LeaseWatch:
    """Reads the lease again and again, and notices when it is no longer renewed."""

    def __init__(self, host: str, *, seconds: float) -> None:
        self._me = identity(host, "")
        self._seconds = seconds
        self._seen: tuple[tuple[int, int], float] | None = None

    def leader(self, db: Connection, own: str | None, now: datetime, *, is_leading: bool = False) -> Leader | None:
        """The holder of the lease; None when there is none, it has died, or the lease has expired. `own` is this
        process's name in the lease, and `is_leading` whether it still holds it, which the row alone does not prove.
        """
        lease = leases.read(db)
        if lease is None or lease.holder is None or lease.since is None:
            return None
        holder = lease.holder
        is_me, age = holder.owner == own, self._age(lease, now)
        if not is_leading if is_me else (age > self._seconds + SLACK_SECONDS or is_dead(holder, self._me)):
            return None
        notes = tuple((each.work, each.reason) for each in lease.problems if each.fault is Fault.NOT_CONFIGURED)
        problems = tuple(each for each in lease.problems if each.fault is not Fault.NOT_CONFIGURED)
        known = notes if lease.beat else None  # they are written with the first renewal
        is_late = age > self._seconds / 2
        return Leader(is_me, holder.who, holder.host, holder.pid, lease.since, age, is_late, problems, known)

    def _age(self, lease: Lease, now: datetime) -> float:
        """Seconds since the last renewal, by the steady clock of this process."""
        beat, at = (lease.token, lease.beat), time.monotonic()
        if self._seen is None:
            long_ago = lease.renewed_at is not None and now - lease.renewed_at > UNRENEWED
            self._seen = beat, float("-inf") if long_ago else at
        elif self._seen[0] != beat:
            self._seen = beat, at
        return at - self._seen[1]
