"""Leadership: one process at a time holds the lease, and whoever holds it knows at once when it no longer does."""

from __future__ import annotations

import logging
import os
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.core.clock import Clock
from opsconsole.core.database import reason
from opsconsole.rules.leadership import Identity, Lease
from opsconsole.store import Store, lease as leases

log = logging.getLogger(__name__)


def identity(host: str, who: str) -> Identity:
    """This process."""
    pid = os.getpid()
    return Identity(uuid.uuid4().hex, host, pid, _started(pid), _boot(), who)


def is_dead(holder: Identity, me: Identity) -> bool:
    """Whether a holder is known to be gone: its machine has started anew since, or its process is no more.

    A number that another process has now counts as gone; of another machine nothing is known.
    """
    machine, boot, numbers = holder.boot.split("/")
    my_machine, my_boot, my_numbers = me.boot.split("/")
    if (holder.host, machine) != (me.host, my_machine):
        return False
    if boot != my_boot:
        return True
    if numbers != my_numbers:
        return False
    try:
        os.kill(holder.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return _started(holder.pid) != holder.pid_started


class Leadership:
    """Takes the lease for this process and keeps it.

    Whether another leader is gone is judged by this process's own steady clock: a lease whose beat has not changed for
    `seconds` has lapsed. No two machines' clocks are compared, and a clock that is set changes nothing.
    """

    def __init__(self, store: Store, me: Identity, *, seconds: float, now: Clock) -> None:
        self.me = me
        self._store, self._seconds, self._now = store, seconds, now
        self._seen: tuple[tuple[int, int], float] | None = None
        self._token: int | None = None
        self._renewed = 0.0
        self._given_up = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def sure(self) -> bool:
        """Whether the lease was renewed recently enough to begin new work."""
        return self._token is not None and time.monotonic() - self._renewed < self._seconds / 2

    @property
    def held(self) -> bool:
        """Whether the lease is still this process's; what goes on must end when it is not."""
        return self._token is not None and time.monotonic() - self._renewed < self._seconds * 0.8

    def try_take(self) -> int | None:
        """Takes the lease if it is free or its holder is gone; the token, or None.

        Raises SQLAlchemyError when the store is away.
        """
        began = time.monotonic()
        with self._store.reading() as db:
            seen = leases.read(db)
        if not self._is_free(seen, began):
            return None
        with self._store.writing() as db:
            token = leases.take(db, seen, self.me, self._now())
        if token is not None:
            self._token, self._renewed, self._seen = token, began, None
        return token

    def keep(self, lost: Callable[[], None], is_alive: Callable[[], bool]) -> None:
        """Renews the lease from a thread of its own until `release`; calls `lost` once when it is gone. While what the
        lease is held for stands still, by `is_alive`, it is not renewed: somebody else shall do it.
        """
        self._given_up.clear()
        self._thread = threading.Thread(target=self._renewing, args=(lost, is_alive), name="lease", daemon=True)
        self._thread.start()

    def release(self) -> None:
        """Gives the lease up, so that another process need not wait for it to lapse."""
        self._given_up.set()
        if self._thread is not None:
            self._thread.join()
        token, self._token = self._token, None
        if token is None:
            return
        try:
            with self._store.writing() as db:
                leases.release(db, token, self.me.owner)
        except SQLAlchemyError as error:
            log.warning("the lease could not be given up, it lapses by itself: %s", reason(error))

    def _renewing(self, lost: Callable[[], None], is_alive: Callable[[], bool]) -> None:
        token = self._token
        while token is not None and not self._given_up.wait(self._seconds / 4):
            if is_alive():
                mine = self._renew(token)
            else:
                log.warning("the schedule stands still; the lease is not renewed")
                mine = self.held
            if not mine:
                log.warning("this process no longer leads")
                self._token = None
                lost()
                return

    def _renew(self, token: int) -> bool:
        began = time.monotonic()
        try:
            with self._store.writing() as db:
                mine = leases.renew(db, token, self.me.owner, self._now())
        except SQLAlchemyError as error:
            log.warning("the lease could not be renewed: %s", reason(error))
            return self.held
        if mine:
            self._renewed = began
        return mine

    def _is_free(self, seen: Lease | None, now: float) -> bool:
        if seen is None or seen.holder is None or is_dead(seen.holder, self.me):
            return True
        beat = (seen.token, seen.beat)
        if self._seen is None or self._seen[0] != beat:
            self._seen = (beat, now)
        return now - self._seen[1] > self._seconds


def _started(pid: int) -> str:
    """When a process began, in the kernel's ticks; empty when it has ended, or where /proc is not there."""
    stat = _read(f"/proc/{pid}/stat")
    # The name in parentheses may hold anything; the state is the 3rd field, the start time the 22nd.
    fields = stat.rpartition(")")[2].split()
    return fields[19] if len(fields) > 19 and fields[0] not in "ZX" else ""


def _boot() -> str:
    """Machine, boot, and the set of process numbers: containers of one machine have numbers of their own."""
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
