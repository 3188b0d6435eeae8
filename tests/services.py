"""Private servers for tests and benchmarks: started on demand, and stopped when the process that started them ends."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psycopg
from psycopg import sql

from tests.waiting import PATIENCE_SECONDS

STARTS = 3  # another process may take the free port first

COPYING_SINCE = 150_000
"""The version of the server that has a choice how a database is copied, as a number."""
OWNER = "opsconsole"
MEMORY = "/dev/shm"  # noqa: S108 - of Linux; elsewhere the data is on disk
MEMORY_NEEDED = 1 << 30
SERVER_USER = "postgres"
"""The user that the server runs as when it is started by root: it refuses to run as root."""

# Runs the server, as the server's user, and waits for the end of standard input: the pipe closes however the process
# that started it ends. It then stops the server. When the server has ended, it removes the data.
WATCH = """
folder=$1; shift
exec 3<&0
"$@" & server=$!
{ read -r _ <&3; kill -QUIT $server; } 2>/dev/null & watcher=$!
wait $server; code=$?
kill $watcher 2>/dev/null
rm -rf "$folder"
exit $code
"""


class NoPostgres(Exception):
    """No PostgreSQL server is installed, or it could not be started; the message has the cause."""


def find_postgres() -> Path:
    """The folder with PostgreSQL's programs: on PATH, otherwise the newest version where distributions install it.

    Raises NoPostgres.
    """
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    places = [*Path("/usr/lib/postgresql").glob("*/bin"), *Path("/usr").glob("pgsql-*/bin")]
    for folder in sorted(places, key=_version_in, reverse=True):
        if os.access(folder / "initdb", os.X_OK):
            return folder
    raise NoPostgres("found no PostgreSQL server (initdb on PATH, or /usr/lib/postgresql); install one")


def _version_in(folder: Path) -> int:
    return int("".join(filter(str.isdigit, folder.parent.name)) or 0)


class PrivatePostgres:
    """A PostgreSQL server on a free port of 127.0.0.1, with a random password and a private data folder.

    `durable` keeps the server's defaults, for benchmarks; otherwise nothing waits for the disk, for tests. Also a
    context manager.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._durable = durable
        self._password = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._names = count(1)

    def start(self) -> Self:
        """Starts the server and waits until it accepts connections. Raises NoPostgres."""
        programs = find_postgres()
        for attempt in range(1, STARTS + 1):
            try:
                self._start(programs)
                break
            except NoPostgres:
                self.stop()
                if attempt == STARTS:
                    raise
        atexit.register(self.stop)
        return self

    def stop(self) -> None:
        """Stops the server and removes its data. Does nothing if it is not running."""
        process, self._process = self._process, None
        atexit.unregister(self.stop)
        if process is None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port of 127.0.0.1."""
        return self._port

    @property
    def url(self) -> str:
        """The SQLAlchemy URL of the default database."""
        return self._url("postgres")

    @property
    def version(self) -> str:
        """The server's version, such as `17.2`."""
        return str(self.ask("SHOW server_version")).split()[0]

    def new_database(self, template: str | None = None, *, encoding: str = "UTF8") -> str:
        """Creates a database and returns its SQLAlchemy URL. It is empty, or a copy of the database at the URL
        `template`, which must have no connections.
        """
        name = f"opsconsole_{os.getpid()}_{next(self._names)}"
        source = "template0" if template is None else template.rpartition("/")[2]
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} ENCODING {} {}")
        with self._connect() as db:
            # Copying files takes half the time of the default of newer servers, which writes each page to the log too.
            copies = not self._durable and db.info.server_version >= COPYING_SINCE
            strategy = sql.SQL("STRATEGY FILE_COPY" if copies else "")
            db.execute(statement.format(sql.Identifier(name), sql.Identifier(source), encoding, strategy))
        return self._url(name)

    def execute(self, statement: str) -> None:
        """Executes a statement of the administrator."""
        with self._connect() as db:
            db.execute(statement.encode())

    def ask(self, query: str) -> object:
        """The first value that a query of the administrator returns."""
        with self._connect() as db:
            row = db.execute(query.encode()).fetchone()
        return None if row is None else row[0]

    def drop_database(self, url: str) -> None:
        """Drops a database and ends the connections to it."""
        name = url.rpartition("/")[2]
        with self._connect() as db:
            db.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))

    def _url(self, name: str) -> str:
        return f"postgresql+psycopg://{OWNER}:{self._password}@127.0.0.1:{self._port}/{name}"

    def _connect(self) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self._url("postgres").replace("+psycopg", ""), autocommit=True, connect_timeout=10)

    def _start(self, programs: Path) -> None:
        owner = SERVER_USER if os.geteuid() == 0 else None
        folder = _folder_of(owner, in_memory=not self._durable)
        self._port = free_port()
        log: IO[bytes]
        with tempfile.TemporaryFile() as log:
            try:
                self._initdb(programs, folder, owner, log)
                command = [str(programs / "postgres"), "-D", str(folder / "data"), *self._options()]
                self._process = subprocess.Popen(
                    ["/bin/sh", "-c", WATCH, "sh", str(folder), *command],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    cwd=folder,
                    env=_environment(folder),
                    start_new_session=True,  # so that Ctrl-C in the terminal does not reach it
                    user=owner,
                    group=owner,
                    extra_groups=None if owner is None else [],
                )
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
            self._await(log)

    def _initdb(self, programs: Path, folder: Path, owner: str | None, log: IO[bytes]) -> None:
        password = folder / "password"
        password.touch(0o600)
        password.write_text(self._password)
        if owner is not None:
            shutil.chown(password, owner)
        command: list[str | Path] = [programs / "initdb", "-D", folder / "data", "-U", OWNER, "--pwfile", password]
        command += ["-A", "scram-sha-256", "-E", "UTF8", "--no-locale", "--no-instructions"]
        if not self._durable:
            command.append("--no-sync")
        self._run(command, folder, owner, log)
        password.unlink()

    def _run(
        self, command: Sequence[str | Path], folder: Path, owner: str | None, log: IO[bytes], **environ: str
    ) -> None:
        """Runs one of the server's programs as its user. Raises NoPostgres."""
        done = subprocess.run(
            command,
            stdout=log,
            stderr=log,
            cwd=folder,
            env=_environment(folder) | environ,
            check=False,
            user=owner,
            group=owner,
            extra_groups=None if owner is None else [],
        )
        if done.returncode != 0:
            raise NoPostgres(f"{Path(command[0]).name} could not create a server's data: {_last_line(log)}")

    def _options(self) -> list[str]:
        set_to = {"listen_addresses": "127.0.0.1", "port": str(self._port), "unix_socket_directories": ""}
        if not self._durable:
            set_to |= dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off")
            set_to |= {"min_wal_size": "32MB", "max_wal_size": "128MB"}  # the data may be in memory
        return [word for name, value in set_to.items() for word in ("-c", f"{name}={value}")]

    def _await(self, log: IO[bytes]) -> None:
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                self._connect().close()
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise NoPostgres(f"the PostgreSQL server did not start: {_last_line(log)}") from None
                time.sleep(0.02)
            else:
                return


def _folder_of(owner: str | None, *, in_memory: bool) -> Path:
    """A new folder that `owner` can reach: root's temporary folder may be closed to other users.

    A database has about 300 files: in memory, if there is room, it is created ten times as fast as on a busy disk.
    """
    parent = "/tmp" if owner else None  # noqa: S108
    if in_memory and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free >= MEMORY_NEEDED:
        parent = MEMORY
    folder = Path(tempfile.mkdtemp(prefix="opsconsole-postgres-", dir=parent))
    if owner is not None:
        try:
            shutil.chown(folder, owner, owner)
        except LookupError:
            folder.rmdir()
            raise NoPostgres(f"PostgreSQL will not run as root, and there is no user {owner!r} to run it as") from None
    return folder


def _environment(folder: Path) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C"}


def free_port() -> int:
    """A port of 127.0.0.1 that refuses connections until a server of this test binds it.

    This process keeps it bound, so that no other one is given the same; a server with SO_REUSEADDR can still bind it.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    port = int(held.getsockname()[1])
    held.detach()  # open until the process ends
    return port


def _last_line(log: IO[bytes]) -> str:
    log.seek(0)
    lines = [line.strip() for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "no output"
