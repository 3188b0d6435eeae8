#!/opt/opsconsole/bin/python
"""Saves the databases of an installation to a folder, and restores them from there.

    backup.py [--config FILE] save FOLDER       while opsconsole runs
    backup.py [--config FILE] restore FOLDER    into databases that are empty or do not exist

Run it with the Python of opsconsole, as its user and with its configuration. PostgreSQL needs pg_dump, pg_restore and
psql, which must not be older than the server. Redis is not saved: jobs compute what is in it from the databases.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote, unquote

from sqlalchemy import make_url

from opsconsole.core.configuration import load
from opsconsole.core.errors import BadSettings
from opsconsole.core.settings import Settings

MANIFEST = "manifest.json"
FAILED, REFUSED = 1, 4
SERVICE = "opsconsole"
COUNT_TABLES = r"""
SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
"""


class Problem(Exception):
    """What prevents a backup or a restore, as one sentence."""

    def __init__(self, sentence: str, code: int = FAILED) -> None:
        super().__init__(sentence)
        self.code = code


@dataclass(frozen=True)
class SqliteDatabase:
    """A database in a file."""

    suffix: ClassVar[str] = "sqlite"

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def save(self, file: Path) -> None:
        """Copies the database while others use it, and checks the copy. Raises Problem."""
        if not self.path.is_file():
            raise Problem(f"{self} does not exist; start opsconsole once, or correct the configuration")
        try:
            with closing(self._open()) as source, closing(sqlite3.connect(file)) as copy:
                source.backup(copy)
                found = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        except sqlite3.Error as error:
            raise Problem(f"{self} cannot be copied: {error}") from error
        if found != "ok":
            raise Problem(f"{self} is damaged: {found}")

    def require_empty(self) -> None:
        """Raises Problem if the file exists."""
        if self.path.exists():
            raise Problem(f"{self} exists and is not replaced; move it away first", REFUSED)

    def restore(self, file: Path) -> None:
        """Copies a saved database to its place. Raises Problem."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with closing(sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True)) as saved:
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
                with closing(sqlite3.connect(self.path)) as target:
                    saved.backup(target)
        except (sqlite3.Error, OSError) as error:
            raise Problem(f"{self} cannot be written: {error}") from error

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{quote(str(self.path))}?mode=ro", uri=True)


@dataclass(frozen=True)
class PostgresDatabase:
    """A database on a server, by the parameters of libpq."""

    suffix: ClassVar[str] = "dump"

    parameters: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"the database {dict(self.parameters).get('dbname', '')}"

    def save(self, file: Path) -> None:
        """Dumps the database as of one moment while others use it. Raises Problem."""
        self._run("pg_dump", "--format=custom", "--no-owner", "--no-privileges", f"--file={file}")

    def require_empty(self) -> None:
        """Raises Problem if the database has tables, or cannot be reached."""
        found = self._run("psql", "--no-psqlrc", "--tuples-only", "--no-align", f"--command={COUNT_TABLES}").strip()
        if found != "0":
            raise Problem(f"{self} has {found} tables and is not replaced; restore into an empty database", REFUSED)

    def restore(self, file: Path) -> None:
        """Restores a dump in one transaction. Raises Problem."""
        options = ("--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction")
        self._run("pg_restore", *options, f"--dbname=service={SERVICE}", str(file))

    def _run(self, *command: str) -> str:
        """What a program prints. It reads the parameters, the password among them, from a private file."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "services")
            file.write_text(f"[{SERVICE}]\n" + "".join(f"{name}={value}\n" for name, value in self.parameters))
            environ = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "HOME": folder}
            environ |= {"PGSERVICEFILE": str(file), "PGSERVICE": SERVICE}
            try:
                done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
            except FileNotFoundError:
                raise Problem(f"{command[0]} is not installed; install PostgreSQL's client programs") from None
        if done.returncode != 0:
            lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            raise Problem(f"{self}: {lines[0] if lines else f'{command[0]} ended with {done.returncode}'}")
        return done.stdout


Database = SqliteDatabase | PostgresDatabase


def database(url: str) -> Database:
    """The database at a URL of the configuration."""
    if url.startswith("sqlite:///"):
        return SqliteDatabase(Path(unquote(url.removeprefix("sqlite:///"))))
    parsed = make_url(url)
    _, parameters = parsed.get_dialect()().create_connect_args(parsed)
    return PostgresDatabase(tuple((name, str(value)) for name, value in parameters.items() if name != "context"))


def databases(settings: Settings) -> dict[str, Database]:
    """The store and, unless it is the same, the data. The store comes first: work that only the data has is repeated
    after a restore, which changes nothing, but work that only the store has would be missing.
    """
    store, data = database(settings.store_url.reveal()), database(settings.data_url.reveal())
    return {"store": store} if store == data else {"store": store, "data": data}


def save(settings: Settings, folder: Path) -> None:
    """Saves the databases to a new folder. Raises Problem."""
    with _new_folder(folder) as unfinished:
        files = {}
        for name, each in databases(settings).items():
            file = unfinished / f"{name}.{each.suffix}"
            each.save(file)
            file.chmod(0o600)
            files[name] = {"file": file.name, "bytes": file.stat().st_size, "sha256": _hash(file)}
        document = {"saved_at": datetime.now(UTC).isoformat(timespec="seconds"), "files": files}
        (unfinished / MANIFEST).write_text(json.dumps(document, indent=2) + "\n")
    for name, about in files.items():
        print(f"{folder / str(about['file'])}: {name}, {about['bytes']:,} bytes")


def restore(settings: Settings, folder: Path) -> None:
    """Restores what `save` has saved, after everything was checked. Raises Problem."""
    try:
        files = json.loads((folder / MANIFEST).read_text())["files"]
    except (OSError, ValueError, KeyError):
        raise Problem(f"{folder} is not a backup: it has no readable {MANIFEST}") from None
    targets = databases(settings)
    if set(files) != set(targets):
        raise Problem(f"{folder} has {_listed(files)}, but the configuration names {_listed(targets)}", REFUSED)
    for name, target in targets.items():
        file = folder / files[name]["file"]
        if file.suffix != f".{target.suffix}":
            raise Problem(f"{file} is of another kind of database than {target}", REFUSED)
        if not file.is_file() or _hash(file) != files[name]["sha256"]:
            raise Problem(f"{file} is missing, or was changed after it was saved")
        target.require_empty()
    for name, target in targets.items():
        target.restore(folder / files[name]["file"])
        print(f"restored {name} to {target}")


@contextmanager
def _new_folder(folder: Path) -> Iterator[Path]:
    """A private folder that gets its name at the end of the block, if nothing was raised. Raises Problem."""
    unfinished = folder.with_name(f".{folder.name}.unfinished-{os.getpid()}")
    if folder.exists():
        raise Problem(f"{folder} exists and is not replaced; name a new folder", REFUSED)
    try:
        unfinished.mkdir(mode=0o700)
    except OSError as error:
        raise Problem(f"{folder} cannot be created: {error.strerror}") from None
    try:
        yield unfinished
        unfinished.rename(folder)
    except BaseException:
        for file in unfinished.iterdir():
            file.unlink()
        unfinished.rmdir()
        raise


def _listed(names: Mapping[str, object]) -> str:
    return " and ".join(sorted(names, reverse=True))


def _hash(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def main() -> int:
    """The exit code: 1 when something failed, 4 when something exists that would be overwritten."""
    parser = argparse.ArgumentParser(description="Saves and restores the databases of opsconsole.")
    parser.add_argument("--config", type=Path, metavar="FILE", help="the configuration file of opsconsole")
    parser.add_argument("action", choices=("save", "restore"))
    parser.add_argument("folder", type=Path, help="a folder that does not exist yet, or one that was saved")
    given = parser.parse_args()
    os.umask(0o077)
    try:
        settings = load(given.config)
        (save if given.action == "save" else restore)(settings, given.folder)
    except BadSettings as error:
        for problem in error.problems:
            print(f"backup: {problem}", file=sys.stderr)
        return error.exit_code
    except Problem as error:
        print(f"backup: {error}", file=sys.stderr)
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(main())
