"""Leadership: one process at a time holds the lease, and knows at once when it has lost it."""

from __future__ import annotations

import logging
import math
import os
import threading
import uuid
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.core.clock import Clock, boottime
from opsconsole.core.database_errors import reason
from opsconsole.core.errors import LeaseExpired
from opsconsole.core.failpoints import reach
from opsconsole.core.problems import Problem, Work
from opsconsole.core.supervision import Repeated
from opsconsole.rules.leadership import Identity, Lease
from opsconsole.store import Store, lease as leases
from opsconsole.worker.lease_deadline import LeaseDeadline

log = logging.getLogger(__name__)

RENEWAL_SHARE, RETRY_SHARE = 0.3, 0.05
"""The parts of the lease between two renewals, and before another attempt: a lost connection can be replaced before the
lease is lost."""
HELD_SHARE = 0.8
"""The part of the lease after which its holder and its workers stop; the rest is for them to stop in."""


def identity(host: str, who: str) -> Identity:
    """The identity of this process."""
    pid = os.getpid()
    return Identity(uuid.uuid4().hex, host, pid, _started(pid), _boot(), who)


class Fate(StrEnum):
    """What is known about the process of a holder."""

    ALIVE = "alive"
    DEAD = "dead"
    UNKNOWN = "unknown"


def fate(holder: Identity, me: Identity) -> Fate:
    """Whether a holder has ended: its machine has rebooted, or its process no longer exists. A reused process id counts
    as ended. A holder on another machine, or in another container, is unknown.
    """
    machine, boot, numbers = holder.boot.split("/")
    my_machine, my_boot, my_numbers = me.boot.split("/")
    if not boot or boot != my_boot:
        # Containers of one image on two machines have the same name, and often no machine id.
        is_same = (holder.host, machine) == (me.host, my_machine)
        return Fate.DEAD if is_same and all((machine, boot, my_boot)) else Fate.UNKNOWN
    if numbers != my_numbers:
        return Fate.UNKNOWN
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return Fate.DEAD
    except PermissionError:
        pass
    return Fate.ALIVE if _started(holder.pid) == holder.pid_started else Fate.DEAD


def is_dead(holder: Identity, me: Identity) -> bool:
    """Whether a holder has certainly ended."""
    return fate(holder, me) is Fate.DEAD


class Leadership:
    """Takes the lease for this process and renews it.

    A lease whose beat has not changed for `seconds`, by this process's steady clock, has expired. Its holder and the
    workers that share its `deadline` stop before that, and do not continue: the process takes the lease again. Clocks
    of two machines are never compared, and setting a clock has no effect. A `deadline` that is given is that of the
    first term.
    """

    def __init__(
        self, store: Store, me: Identity, *, seconds: float, now: Clock, deadline: LeaseDeadline | None = None
    ) -> None:
        self.me = me
        self._store, self._seconds, self._now = store, seconds, now
        self._last_beat: tuple[tuple[int, int], float] | None = None
        self._token: int | None = None
        self._taken: int | None = None
        self._renewed = self._store_failed = -math.inf
        self.renewals = Repeated(Work.LEASE, now=now)
        self.deadline = deadline or LeaseDeadline()
        self._is_deadline_new = True
        self._released = threading.Event()
        self._thread: threading.Thread | None = None
        self.dead_predecessor: Identity | None = None
        """The last leader, if its process has probably died, and did not just lose the store or its lease."""

    @property
    def may_start_work(self) -> bool:
        """Whether the lease was renewed recently enough to start new work."""
        return self._token is not None and boottime() - self._renewed < self._seconds / 2

    @property
    def is_held(self) -> bool:
        """Whether this process still holds the lease; all its work must stop when it does not."""
        return self._token is not None and not self.deadline.is_over

    def check(self) -> None:
        """Raises LeaseExpired unless this process holds the lease."""
        if not self.is_held:
            raise LeaseExpired

    def try_take(self) -> int | None:
        """Takes the lease if it is free, expired, or its holder has ended. Returns the token, or None.

        Raises SQLAlchemyError when the store is unreachable.
        """
        started = boottime()
        try:
            with self._store.reading() as db:
                current = leases.read(db)
            if not self._is_free(current, started):
                return None
            with self._store.writing() as db:
                taken = boottime()
                token = leases.take(db, current, self.me, self._now())
        except SQLAlchemyError:
            self._store_failed = boottime()
            raise
        if token is not None:
            self._token = self._taken = token
            died = current is not None and self._has_died(current, started)
            self.dead_predecessor = current.holder if current is not None and died else None
            self._last_beat = None
            if not self._is_deadline_new:
                self.deadline = LeaseDeadline()  # a worker of an earlier term must not live on in this one
            self._is_deadline_new = False
            self._extend(taken)
        return token

    def keep(
        self,
        lost: Callable[[], None],
        is_alive: Callable[[], bool],
        problems: Callable[[], tuple[Problem, ...]] = tuple,
    ) -> None:
        """Renews the lease in a background thread until `release`, and writes this process's `problems` with it; calls
        `lost` once when it is lost. While `is_alive` is False the lease is not renewed, so that another process can
        take over.
        """
        self._released.clear()
        self._thread = threading.Thread(
            target=self._renewing, args=(lost, is_alive, problems), name="lease", daemon=True
        )
        self._thread.start()

    def release(self) -> None:
        """Releases the lease, so that another process need not wait until it expires."""
        self._released.set()
        if self._thread is not None:
            self._thread.join()
        token, self._token, self._taken = self._taken, None, None
        if token is None:
            return
        try:
            with self._store.writing() as db:
                leases.release(db, token, self.me.owner)
        except SQLAlchemyError as error:
            log.warning("the lease could not be released, it will expire: %s", reason(error))

    def _renewing(
        self, lost: Callable[[], None], is_alive: Callable[[], bool], problems: Callable[[], tuple[Problem, ...]]
    ) -> None:
        token, wait = self._token, self._seconds * RENEWAL_SHARE
        while token is not None and not self._released.wait(wait):
            is_mine, started = True, boottime()
            try:
                if not is_alive():
                    log.warning("the engine is stalled; the lease is not renewed")
                elif self.is_held:
                    is_mine = self._renew(token, problems())
            except BaseException as error:  # noqa: BLE001 - not renewed; it is held until it lapses
                self.renewals.failed(error)
            wait = self._seconds * (RENEWAL_SHARE if self._renewed >= started else RETRY_SHARE)
            if not (is_mine and self.is_held):
                log.warning("this process no longer leads")
                self._token = None
                lost()
                return

    def _renew(self, token: int, problems: tuple[Problem, ...]) -> bool:
        """Renews the lease; False when another process has taken it."""
        reach(Work.LEASE)
        try:
            with self._store.writing(quiet=True) as db:
                started = boottime()
                mine = leases.renew(db, token, self.me.owner, self._now(), problems)
        except SQLAlchemyError as error:
            log.warning("the lease could not be renewed: %s", reason(error))
            return True
        if mine and self.is_held:
            self._extend(started)
            self.renewals.succeeded()
        return mine

    def _has_died(self, lease: Lease, now: float) -> bool:
        if lease.holder is None:
            return False  # a process that releases the lease is alive
        known = fate(lease.holder, self.me)
        # A holder elsewhere that lost the lease when this process lost the store, lost the store, too.
        return known is Fate.DEAD or (known is Fate.UNKNOWN and now - self._store_failed > 2 * self._seconds)

    def _extend(self, started: float) -> None:
        """Counts from when the transaction of the renewal began: other processes read it later, if at all."""
        self._renewed = started
        self.deadline.extend(started + self._seconds * HELD_SHARE)

    def _is_free(self, lease: Lease | None, now: float) -> bool:
        if lease is None or lease.holder is None or is_dead(lease.holder, self.me):
            return True
        if lease.holder.owner == self.me.owner:
            return True  # of a term that has ended here, and could not be released
        beat = (lease.token, lease.beat)
        if self._last_beat is None or self._last_beat[0] != beat:
            self._last_beat = (beat, now)
        return now - self._last_beat[1] > self._seconds


def _started(pid: int) -> str:
    """When a process started, in kernel ticks; empty when it has ended with all its threads, or on a system without
    /proc. A worker ends with the thread that started it.
    """
    stat = _read(f"/proc/{pid}/stat")
    # The name in parentheses may hold anything. The state is the 3rd field, the number of threads the 20th, the start
    # time the 22nd.
    fields = stat.rpartition(")")[2].split()
    if len(fields) <= 19 or (fields[0] in "ZX" and fields[17] in ("0", "1")):
        return ""
    return fields[19]


def _boot() -> str:
    """Machine, boot and pid namespace: containers on one machine have separate process ids."""
    try:
        numbers = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        numbers = ""
    return f"{_read('/etc/machine-id')}/{_read('/proc/sys/kernel/random/boot_id')}/{numbers}"


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
