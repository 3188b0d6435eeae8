"""Notifies other processes that the store has changed, so that they need not poll it often.

For an SQLite file, each listening process has a datagram socket in a folder beside it; on PostgreSQL, NOTIFY is used. A
signal may get lost, for example behind PgBouncer or between machines that share a file, so listeners also poll.
"""

from __future__ import annotations

import os
import select
import socket
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.core.clock import Clock
from opsconsole.core.problems import Work
from opsconsole.core.supervision import Loop
from opsconsole.store import Store

CHANNEL = "opsconsole"
SHORTEST_SECONDS = 0.1
"""The shortest time between two signals of a process, and between two calls of a listener."""
CHECK_SECONDS = 60.0
"""How often a listener checks that signals can still reach it."""
RETRY_SECONDS = 5.0
"""The time between two attempts to listen. Failures are not reported: changes are then only noticed a moment later."""

_OWN_NAME = f"{os.getpid()}-{uuid.uuid4().hex}"
"""The name of this process as a sender and as a listener."""


def send(store: Store) -> None:
    """Sends a signal to all other processes. Never raises: a lost signal only delays them a moment."""
    if not store.is_sqlite:
        with suppress(SQLAlchemyError), store.writing(quiet=True) as db:
            db.execute(sqlalchemy.select(sqlalchemy.func.pg_notify(CHANNEL, _OWN_NAME)))
        return
    with suppress(OSError), _folder(store) as folder, closing(_datagram_socket()) as sender:
        for file in folder.path.iterdir():
            if file.name == _OWN_NAME:
                continue
            try:
                sender.sendto(b"\0", folder.address(file.name))
            except ConnectionRefusedError:  # its process has ended
                with suppress(OSError):
                    file.unlink()
            except OSError:  # its buffer is full, or it belongs to another user
                continue


class Sender:
    """Sends a signal soon after this process changes the store: one signal for several changes in a row."""

    def __init__(self, store: Store, *, now: Clock) -> None:
        self._store = store
        self._loop = Loop(Work.SIGNALS, self._step, seconds=CHECK_SECONDS, now=now, last=self._step)

    def start(self) -> None:
        """Starts the thread."""
        self._store.subscribe(self._loop.wake)
        self._loop.start()

    def stop(self) -> None:
        """Sends a last signal, and stops the thread."""
        self._store.unsubscribe(self._loop.wake)
        self._loop.stop()

    def _step(self) -> None:
        send(self._store)
        self._loop.pause(SHORTEST_SECONDS)


class Listener:
    """Calls `changed` from a thread when another process has sent a signal."""

    def __init__(self, store: Store, changed: Callable[[], object], *, now: Clock) -> None:
        self._store, self._changed = store, changed
        self._ours, self._stops = socket.socketpair()
        self._source: _Socket | _Session | None = None
        self._loop = Loop(Work.SIGNALS, self._step, seconds=0.0, now=now, last=self._close)

    def start(self) -> None:
        """Starts the thread."""
        self._loop.start()

    def stop(self) -> None:
        """Stops the thread."""
        self._stops.send(b"\0")
        self._loop.stop()
        self._stops.close()

    def _step(self) -> None:
        try:
            if self._source is None:
                self._source = _Socket(self._store) if self._store.is_sqlite else _Session(self._store)
                self._changed()  # signals may have been missed until now
            ready, _, _ = select.select([self._source, self._ours], [], [], CHECK_SECONDS)
            if not ready:
                self._source.check()
            if self._source in ready and self._source.has_signal() and not self._loop.is_stopping:
                self._changed()
                self._loop.pause(SHORTEST_SECONDS)
        except (OSError, SQLAlchemyError):
            self._close_source()
            self._loop.pause(RETRY_SECONDS)

    def _close_source(self) -> None:
        source, self._source = self._source, None
        if source is not None:
            source.close()

    def _close(self) -> None:
        self._close_source()
        self._ours.close()


class _Socket:
    """The socket of this process beside an SQLite file."""

    def __init__(self, store: Store) -> None:
        self._socket = _datagram_socket()
        with _folder(store, create=True) as folder:
            self._file = folder.path / _OWN_NAME
            self._socket.bind(folder.address(_OWN_NAME))

    def fileno(self) -> int:
        """For `select`."""
        return self._socket.fileno()

    def check(self) -> None:
        """Raises OSError when the socket was removed."""
        self._file.lstat()

    def has_signal(self) -> bool:
        """Receives all signals that have arrived. True: a process does not signal itself."""
        with suppress(BlockingIOError):
            while True:
                self._socket.recv(16)
        return True

    def close(self) -> None:
        """Closes and removes the socket."""
        self._socket.close()
        self._file.unlink(missing_ok=True)


class _Session:
    """A PostgreSQL session that only listens. Raises ConnectionError, an OSError, when it was lost."""

    def __init__(self, store: Store) -> None:
        pooled = store.engine.raw_connection()
        session: Any = pooled.driver_connection
        self._session, self._own = session, _OWN_NAME
        pooled.detach()
        with _as_connection_errors():
            self._session.rollback()
            self._session.autocommit = True
            self._session.execute(f"LISTEN {CHANNEL}")

    def fileno(self) -> int:
        """For `select`."""
        with _as_connection_errors():
            return int(self._session.fileno())

    def check(self) -> None:
        """Raises OSError when the session was lost."""
        with _as_connection_errors():
            self._session.execute("SELECT 1")

    def has_signal(self) -> bool:
        """Receives all signals that have arrived; whether one is from another process."""
        found = False
        with _as_connection_errors():
            self._session.pgconn.consume_input()
            while (notice := self._session.pgconn.notifies()) is not None:
                found = found or notice.extra.decode() != self._own
        return found

    def close(self) -> None:
        """Closes the session."""
        self._session.close()


@contextmanager
def _as_connection_errors() -> Iterator[None]:
    from psycopg import Error  # SQLite does without

    try:
        yield
    except Error as error:
        raise ConnectionError("the session was lost") from error


class _Folder:
    """An open folder. `address` reaches a socket in it however long the path is."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self._descriptor = path, descriptor

    def address(self, name: str) -> str:
        there = Path(f"/proc/self/fd/{self._descriptor}")
        return str((there if there.exists() else self.path) / name)


@contextmanager
def _folder(store: Store, *, create: bool = False) -> Iterator[_Folder]:
    """The folder of the sockets. Raises OSError."""
    path = Path(f"{store.engine.url.database}.listeners")
    if create:
        path.mkdir(exist_ok=True)
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield _Folder(path, descriptor)
    finally:
        os.close(descriptor)


def _datagram_socket() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.setblocking(False)
    return made
