"""Installations to measure: few jobs, many jobs, and a long history."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from benchmarks import history
from benchmarks.console.tty import Tty
from opsconsole.authoring.catalog import Catalog, load as load_catalog
from opsconsole.authoring.run import Trigger
from opsconsole.core import clock, configuration, trust
from opsconsole.core.database import Database
from opsconsole.embedded import sample
from opsconsole.rules.actions import Verb
from opsconsole.store import Store, commands, data_tables, lease, migrate, registrations, runs

JOB = "attempts.cache_day"
EVERY_MINUTE = f'[jobs."{JOB}"]\ncron = "* * * * *"\n'
ROOT = Path(__file__).resolve().parents[2]
COLUMNS, ROWS = 120, 40

MANY = '''"""Many jobs that do nothing, once a day each."""

from sqlalchemy import MetaData

from opsconsole import DAY, Job, Pack


def nobody(scope):
    return ()


def nothing(ctx, items):
    pass


pack = Pack(
    "many",
    jobs=tuple(
        Job(f"many.job_{{n:04}}", nobody, nothing, cron=f"{{n % 60}} {{n % 24}} * * *", covers=DAY)
        for n in range({jobs})
    ),
    metadata=MetaData(),
)
'''


class Place:
    """An installation in a folder. With `jobs`, a pack of that many jobs is loaded instead of those that come with
    opsconsole; with `runs`, the store has that many in its history.
    """

    def __init__(self, folder: Path, *, users: int = 0, jobs: int = 0, runs: int = 0, config: str = "") -> None:
        folder.mkdir(parents=True)
        self.folder, self.file = folder, folder / "opsconsole.toml"
        if jobs:
            (folder / "many.py").write_text(MANY.format(jobs=jobs))
            config += '[jobs]\npacks = ["many"]\n'
        self.file.write_text(config)
        paths = os.pathsep.join([str(folder), str(ROOT)])
        self.env = {**os.environ, "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder), "PYTHONPATH": paths}
        self.env |= {"XDG_STATE_HOME": str(folder)}
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
        self.settings = configuration.load(self.file, folder=folder / "opsconsole", environ={}, search=False)
        trust.make_private(self.settings.folder)
        self.catalog: Catalog = load_catalog(self.settings.packs, {}, {})
        self._create_data(users)
        with self.store() as store:
            migrate.upgrade(store)
            with store.writing() as db:
                for job in self.catalog:
                    registrations.register(db, job, clock.now())
            if runs:
                history.fill(store, [job.name for job in self.catalog], runs, clock.now())

    @contextmanager
    def store(self) -> Iterator[Store]:
        """The store until the end of the block."""
        store = Store(self.settings.store_url.reveal())
        try:
            yield store
        finally:
            store.close()

    def command(self, *arguments: str) -> list[str]:
        """The words that start opsconsole on this installation."""
        return [sys.executable, "-m", "opsconsole", "--config", str(self.file), *arguments]

    @contextmanager
    def console(self) -> Iterator[Tty]:
        """A console until the end of the block, from its start on."""
        tty = Tty(self.command(), self.env, self.folder, (COLUMNS, ROWS))
        try:
            yield tty
        finally:
            tty.close()

    @contextmanager
    def runs_without_end(self) -> Iterator[None]:
        """Keeps starting runs during the block."""
        done = threading.Event()

        def request() -> None:
            with self.store() as store:
                while not done.wait(0.1):
                    with store.writing() as db:
                        if runs.open_run(db, JOB) is None and not commands.requested(db):
                            commands.request(db, Verb.TRIGGER, JOB, {}, self.settings.actor, clock.now())

        requesting = threading.Thread(target=request)
        requesting.start()
        try:
            yield
        finally:
            done.set()
            requesting.join()

    def is_led(self) -> bool:
        """Whether a process holds the lease."""
        with self.store() as store, store.reading() as db:
            held = lease.read(db)
        return held is not None and held.holder is not None

    def delays(self, since: datetime) -> list[float]:
        """How late the runs of the job started that were scheduled since then, in seconds."""
        with self.store() as store, store.reading() as db:
            found = [run for run in runs.newest(db, limit=50, job=JOB) if run.trigger is Trigger.SCHEDULE]
        started = [(run.as_of, run.started_at) for run in found if run.started_at is not None]
        return [(at - as_of).total_seconds() for as_of, at in started if as_of > since]

    def _create_data(self, users: int) -> None:
        data = Database(self.settings.data_url.reveal())
        data_tables.create_missing(data, self.catalog.packs)
        if users:
            sample.fill(data, self.catalog.packs, users, clock.now())
        data.close()
