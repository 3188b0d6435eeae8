"""PostgreSQL servers for one test file that can be stopped, restarted, filled with connections, and followed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

import psycopg
from sqlalchemy.engine import make_url

from tests.services import SERVER_USER, WATCH, PrivatePostgres, find_postgres, free_port
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

    def sessions(self, *database_urls: str) -> list[int]:
        """The process ids of the sessions on these databases, oldest first."""
        with self._connect() as db:
            return _sessions(db, database_urls)

    @contextmanager
    def locking_out(self, *database_urls: str) -> Iterator[None]:
        """Refuses the password, and has cut the sessions on these databases."""
        role, password = make_url(self.url).username, make_url(self.url).password
        with self._connect() as db:
            db.execute(f"ALTER ROLE {role} PASSWORD 'another'".encode())
            db.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s) AS pid", [_sessions(db, database_urls)])
            try:
                yield
            finally:
                db.execute(f"ALTER ROLE {role} PASSWORD '{password}'".encode())

    @contextmanager
    def crowded(self, *, cutting: str) -> Iterator[int]:
        """Holds every free connection, and those of the database `cutting`; how many."""
        held: list[psycopg.Connection[tuple[object, ...]]] = []
        try:
            self._fill(held)
            target = len(held) + _cut(held[0], cutting)
            # On a busy machine their owner may be back first.
            eventually(
                lambda: self._fill(held) >= target or _cut(held[0], cutting) < 0, "what was cut is held by others"
            )
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


class Standby(PrivatePostgres):
    """A hot standby that streams from `primary` until it is promoted, when it is a server of its own."""

    def __init__(self, primary: PrivatePostgres) -> None:
        super().__init__()
        self._primary = primary

    def address(self, url: str) -> str:
        """The URL of a database of the primary, on this server."""
        return make_url(url).set(port=self.port).render_as_string(hide_password=False)

    def promote(self) -> None:
        """Makes it a primary; returns when it accepts writes."""
        self.execute("SELECT pg_promote()")
        eventually(lambda: self.ask("SELECT pg_is_in_recovery()") is False, "it is promoted")

    def catch_up(self) -> None:
        """Waits until it has everything that was committed."""
        position = self._primary.ask("SELECT pg_current_wal_insert_lsn()::text")
        self._primary.execute("SELECT pg_switch_wal()")  # so that it is sent
        query = f"SELECT pg_last_wal_replay_lsn() >= '{position}'"
        eventually(lambda: self.ask(query) is True, "the standby has caught up")

    def _initdb(self, programs: Path, folder: Path, owner: str | None, log: IO[bytes]) -> None:
        source = make_url(self._primary.url)
        self._password = str(source.password)
        command: list[str | Path] = [programs / "pg_basebackup", "-h", "127.0.0.1", "-p", str(source.port)]
        command += [
            "-U",
            str(source.username),
            "-D",
            folder / "data",
            "--write-recovery-conf",
            "--checkpoint=fast",
            "--no-sync",
        ]
        self._run(command, folder, owner, log, PGPASSWORD=self._password)


class NoPgBouncer(Exception):
    """PgBouncer is not installed, or could not be started; the message has the cause."""


class PgBouncer:
    """PgBouncer in transaction mode in front of `server`, with `pool` sessions for each database."""

    def __init__(self, server: PrivatePostgres, *, pool: int) -> None:
        self._url = make_url(server.url)
        self._pool = pool
        self._folder = Path(tempfile.mkdtemp(prefix="opsconsole-pgbouncer-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def url(self, url: str) -> str:
        """The URL of a database, through PgBouncer."""
        return make_url(url).set(port=self.port).render_as_string(hide_password=False)

    def start(self) -> Self:
        """Starts it, again at the same port; returns when it answers. Raises NoPgBouncer."""
        program = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            raise NoPgBouncer("found no pgbouncer on PATH or in /usr/sbin; install it")
        settings = {
            "listen_addr": "127.0.0.1",
            "listen_port": self.port,
            "unix_socket_dir": "",
            "auth_type": "scram-sha-256",
            "auth_file": self._folder / "users",
            "pool_mode": "transaction",
            "default_pool_size": self._pool,
            "max_client_conn": 100,
        }
        (self._folder / "users").write_text(f'"{self._url.username}" "{self._url.password}"\n')
        lines = ["[databases]", f"* = host=127.0.0.1 port={self._url.port}", "[pgbouncer]"]
        lines += [f"{name} = {value}" for name, value in settings.items()]
        (self._folder / "pgbouncer.ini").write_text("\n".join(lines) + "\n")
        owner = SERVER_USER if os.geteuid() == 0 else None
        if owner is not None:
            for path in (self._folder, *self._folder.iterdir()):
                shutil.chown(path, owner, owner)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, self._folder / "pgbouncer.ini"],
                stdout=log,
                stderr=log,
                user=owner,
                group=owner,
                extra_groups=None if owner is None else [],
            )
        eventually(self._answers, f"PgBouncer answers; see {self._folder / 'log'}")
        return self

    def kill(self) -> None:
        """Kills it with signal 9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """Kills it, and removes its files."""
        self.kill()
        shutil.rmtree(self._folder)

    def _answers(self) -> bool:
        assert self._process is not None
        if self._process.poll() is not None:
            raise NoPgBouncer((self._folder / "log").read_text()[-500:])
        try:
            psycopg.connect(self.url(str(self._url.set(drivername="postgresql").render_as_string(False)))).close()
        except psycopg.OperationalError:
            return False
        return True


def _sessions(db: psycopg.Connection[tuple[object, ...]], database_urls: Sequence[str]) -> list[int]:
    names = [make_url(url).database for url in database_urls]
    query = "SELECT pid FROM pg_stat_activity WHERE datname = ANY(%s) ORDER BY backend_start"
    return [int(str(pid)) for (pid,) in db.execute(query, [names]).fetchall()]


def _cut(db: psycopg.Connection[tuple[object, ...]], database_url: str) -> int:
    query = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s AND state = 'idle'"
    row = db.execute(query, [make_url(database_url).database]).fetchone()
    assert row is not None
    return int(str(row[0]))
