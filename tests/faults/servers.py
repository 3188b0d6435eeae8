"""A PostgreSQL server for one test file that can be stopped, restarted with its data, and filled with connections."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from sqlalchemy.engine import make_url

from tests.services import SERVER_USER, WATCH, NoPostgres, PrivatePostgres, find_postgres
from tests.waiting import eventually

FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT
"""What `pg_ctl stop -m` sends: sessions are cut and all is written; or nothing is, and the log is replayed."""


class Restartable(PrivatePostgres):
    """A server that can be halted and resumed. `options` are the server's own, such as max_connections."""

    def __init__(self, **options: str) -> None:
        super().__init__()
        # What was committed survives the end of the server, though not that of the machine.
        self._more = options | {"synchronous_commit": "on", "full_page_writes": "on"}
        self._halted: Path | None = None

    def halt(self, how: signal.Signals) -> None:
        """Ends the server and keeps its data; returns when it has ended."""
        assert self._process is not None
        with self._connect() as db:
            row = db.execute("SHOW data_directory").fetchone()
        assert row is not None
        data = Path(str(row[0]))
        file = data / "postmaster.pid"
        server = int(file.read_text().split()[0])
        # The shell that watches it would remove the data: it is stopped until it is killed.
        self._process.send_signal(signal.SIGSTOP)
        os.kill(server, how)
        eventually(lambda: not file.exists(), "the server has ended")
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process = None
        self._halted = data.parent

    def resume(self) -> None:
        """Starts it again, at the same port and with the same data; returns when it answers."""
        assert self._halted is not None
        folder, self._halted = self._halted, None
        owner = SERVER_USER if os.geteuid() == 0 else None
        command = [str(find_postgres() / "postgres"), "-D", str(folder / "data"), *self._options()]
        with (folder / "again.log").open("wb+") as log:
            self._process = subprocess.Popen(
                ["/bin/sh", "-c", WATCH, "sh", str(folder), *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                cwd=folder,
                env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C"},
                start_new_session=True,
                user=owner,
                group=owner,
                extra_groups=None if owner is None else [],
            )
            self._await(log)

    def revive(self) -> None:
        """Resumes it if it is halted."""
        if self._halted is not None:
            self.resume()

    def stop(self) -> None:
        """Ends the server and removes its data, halted or not."""
        self.revive()
        super().stop()

    def cut(self, database_url: str) -> int:
        """Ends the idle sessions of a database; how many."""
        with self._connect() as db:
            return _cut(db, database_url)

    @contextmanager
    def crowded(self, *, cutting: str) -> Iterator[int]:
        """Holds every free connection, and those of the database `cutting`; how many."""
        held: list[psycopg.Connection[tuple[object, ...]]] = []
        try:
            self._fill(held)
            target = len(held) + _cut(held[0], cutting)
            eventually(lambda: self._fill(held) >= target, "what was cut is held by others")
            yield len(held)
        finally:
            for connection in held:
                connection.close()

    def _fill(self, held: list[psycopg.Connection[tuple[object, ...]]]) -> int:
        while True:
            try:
                held.append(self._connect())
            except psycopg.OperationalError:
                return len(held)

    def _options(self) -> list[str]:
        return [
            *super()._options(),
            *(word for name, value in self._more.items() for word in ("-c", f"{name}={value}")),
        ]


def _cut(db: psycopg.Connection[tuple[object, ...]], database_url: str) -> int:
    query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s AND state = 'idle'"
    row = db.execute(query, [make_url(database_url).database]).fetchone()
    assert row is not None
    return int(str(row[0]))


__all__ = ["FAST", "IMMEDIATE", "NoPostgres", "Restartable"]
