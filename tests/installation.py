"""An installation of opsconsole for one test: a store, data, a Redis server, jobs, and an engine on request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opsconsole.authoring import catalog
from opsconsole.authoring.run import Run
from opsconsole.core import configuration
from opsconsole.core.database import Database
from opsconsole.core.problems import Work
from opsconsole.leader.engine import Engine
from opsconsole.rules.audit import AuditEntry
from opsconsole.service.service import Service
from opsconsole.store import Store, migrate
from tests import templates
from tests.waiting import PATIENCE_SECONDS


def is_at_work(engine: Engine) -> bool:
    """Whether the engine leads and its parts have started, which is a moment after it has taken the lease."""
    return engine.is_leading and any(status.work == Work.ADMISSION for status in engine.status())


class Installation:
    """An installation after `opsconsole migrate --data`. `environ` has OPSCONSOLE_ variables, `config` is the text of a
    configuration file.
    """

    def __init__(
        self,
        folder: Path,
        *,
        database_url: str | None,
        redis_url: str,
        packs: str = "jobs.attempts",
        environ: dict[str, str] | None = None,
        config: str | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        file = None
        if config is not None:
            file = folder / "opsconsole.toml"
            file.write_text(config)
        self.environ = {"REDIS_URL": redis_url, "OPSCONSOLE_JOBS__PACKS": packs, **(environ or {})}
        if database_url is not None:
            self.environ["DATABASE_URL"] = database_url
        self.settings = configuration.load(file, folder=folder, environ=self.environ, search=False)
        self.catalog = catalog.load(
            self.settings.packs, self.settings.overrides, self.settings.options, self.settings.compress_over
        )
        for url in (self.settings.store_url, self.settings.data_url):
            templates.copy_where_missing(url.reveal())
        self.store = Store(self.settings.store_url.reveal())
        self.data = Database(self.settings.data_url.reveal())
        migrate.upgrade(self.store)
        templates.create_missing(self.data, self.catalog.packs)
        self.service = Service(self.settings, self.store, self.catalog)

    @contextmanager
    def leading(self) -> Iterator[Engine]:
        """Runs an engine that leads and schedules until the end of the block."""
        engine = Engine(self.settings, self.store, self.catalog)
        self.service.use_engine(engine)
        engine.start()
        try:
            yield engine
        finally:
            engine.stop(grace_seconds=1)
            self.service.use_engine(None)

    def run(self, job: str, day: str | None = None) -> Run:
        """Triggers a job and waits until its run has ended; starts an engine if none is leading."""
        return self.ended_run(self.service.commands.trigger(job, day))

    def begin(self, job: str, day: str | None = None) -> int:
        """Triggers a job in the leading engine and returns the number of its run."""
        return self._made(self.service.commands.trigger(job, day))

    def retry(self, run: int, *, everything: bool = False) -> Run:
        """Retries a run and waits until the retry has ended."""
        return self.ended_run(self.service.commands.retry(run, everything=everything))

    def ended_run(self, command: int) -> Run:
        """Waits until the run of a command has ended; starts an engine if none is leading."""
        if self.service.engine is not None:
            return self._ended(command)
        engine = Engine(self.settings, self.store, self.catalog, only_command=command)
        engine.start()
        try:
            return self._ended(command)
        finally:
            engine.stop(grace_seconds=1)

    def _made(self, command: int) -> int:
        outcome = self.service.commands.outcome(command, PATIENCE_SECONDS)
        assert outcome is not None, "no leader executed the command"
        assert outcome.run is not None, outcome.refused
        return outcome.run

    def _ended(self, command: int) -> Run:
        run = self._made(command)
        ended = self.service.commands.wait_for_run(run, PATIENCE_SECONDS)
        assert ended is not None, f"run {run} has not ended: {self.service.queries.run(run)}"
        return ended

    def audited_commands(self) -> list[AuditEntry]:
        """The rows about commands in the audit trail, newest first; what happened to alerts is left out."""
        return [entry for entry in self.service.audit.newest(limit=100) if entry.command is not None]

    def close(self) -> None:
        """Closes every connection."""
        self.service.close()
        self.data.close()
        self.store.close()
