"""The environment of a benchmark: private databases, a private Redis, settings, and facts about the machine."""

from __future__ import annotations

import contextlib
import os
import platform
import sqlite3
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import redis
from sqlalchemy import text

from opsconsole.authoring import catalog
from opsconsole.authoring.catalog import Catalog
from opsconsole.core import configuration
from opsconsole.core.database import Database
from opsconsole.core.settings import Settings
from opsconsole.embedded.redis import EmbeddedRedis
from opsconsole.store import Store, data_tables as datatables, migrate
from tests.services import NoPostgres, PrivatePostgres, find_postgres

SQLITE, POSTGRES = "SQLite", "PostgreSQL"
REDIS_MEMORY = "2gb"  # enough for a day of 100,000 users


@dataclass(frozen=True)
class Environment:
    """An empty database with the packs' tables, a store and a Redis. `environ` points a process to them."""

    database: str
    version: str
    environ: dict[str, str]
    settings: Settings
    store: Store
    catalog: Catalog
    data: Database
    cache: redis.Redis

    @property
    def data_url(self) -> str:
        """The data database's SQLAlchemy URL."""
        return self.settings.data_url.reveal()

    @property
    def redis_url(self) -> str:
        """The Redis server's URL."""
        assert self.settings.redis_url is not None
        return self.settings.redis_url.reveal()

    def settle(self) -> None:
        """Runs database maintenance now, so that it does not disturb a measurement."""
        if self.data.is_sqlite:
            with self.data.engine.connect() as db:
                db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            return
        with self.data.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as db:
            db.execute(text("VACUUM ANALYZE"))
            db.execute(text("CHECKPOINT"))


@contextlib.contextmanager
def environment(database: str, folder: Path) -> Iterator[Environment]:
    """A new environment in `folder`, removed after the block. Raises NoPostgres when PostgreSQL is not installed."""
    with contextlib.ExitStack() as opened:
        server = EmbeddedRedis(folder / "redis", max_memory=REDIS_MEMORY)
        server.ensure()
        opened.callback(server.stop)
        environ = {"XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "REDIS_URL": server.url}
        if database == POSTGRES:
            postgres = opened.enter_context(PrivatePostgres(durable=True))
            environ["DATABASE_URL"] = postgres.new_database()
        loaded = configuration.load(environ=environ)
        loaded.folder.mkdir(parents=True, exist_ok=True)
        jobs = catalog.load(loaded.packs, loaded.overrides, loaded.options)
        store, data = Store(loaded.store_url.reveal()), Database(loaded.data_url.reveal())
        opened.callback(store.close)
        opened.callback(data.close)
        migrate.upgrade(store)
        datatables.create_missing(data, jobs.packs)
        cache = redis.Redis.from_url(server.url)
        opened.callback(cache.close)
        yield Environment(database, _server_version(data), environ, loaded, store, jobs, data, cache)


def databases(names: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """The requested databases, each with the reason why it is unavailable, or None."""
    for name in names:
        why = None
        if name == POSTGRES:
            try:
                find_postgres()
            except NoPostgres as error:
                why = str(error)
        yield name, why


def machine() -> dict[str, Any]:
    """Facts about the machine, its load now, and the versions of servers and packages."""
    packages = ("opsconsole", "SQLAlchemy", "psycopg", "redis", "hiredis", "msgspec")
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processors": os.cpu_count(),
        "load before": round(os.getloadavg()[0], 2),
        "servers": {"SQLite": sqlite3.sqlite_version, **_postgres_version()},
        "packages": {name: version(name) for name in packages},
    }


def _postgres_version() -> dict[str, str]:
    """The version of the installed PostgreSQL, if there is one."""
    try:
        program = find_postgres() / "postgres"
    except NoPostgres:
        return {}
    printed = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return {"PostgreSQL": printed.stdout.split()[2]}


def _server_version(data: Database) -> str:
    with data.reading() as db:
        if data.is_sqlite:
            return str(db.execute(text("SELECT sqlite_version()")).scalar_one())
        return str(db.execute(text("SHOW server_version")).scalar_one()).split()[0]
