"""Queries about jobs, runs, occurrences, tables and panels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import partial
from zoneinfo import ZoneInfo

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring import parameters
from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import ExtensionContext
from opsconsole.authoring.occurrence import OccurrenceFilter
from opsconsole.authoring.pack import Pack
from opsconsole.authoring.run import NO_PARAMS, Run, RunState, Selection
from opsconsole.core.database import Connection
from opsconsole.core.database_errors import reason
from opsconsole.core.errors import StoreLocked, Unavailable
from opsconsole.rules import actions
from opsconsole.rules.pauses import Pause
from opsconsole.rules.storage_health import by_name
from opsconsole.service import job_page, occurrences, runs as run_views, tables_panel
from opsconsole.service.backend import Backend
from opsconsole.service.cache import CacheQueries
from opsconsole.service.job_page import JobPage, ScheduleTrial
from opsconsole.service.occurrence_details import Explanation, Occurrences
from opsconsole.service.panels import PanelReader
from opsconsole.service.run_details import RunPage
from opsconsole.service.snapshot import JobCard, Leader, PanelView, Preview
from opsconsole.service.store_probe import StoreProbe
from opsconsole.service.tables_panel import Tables, TablesPanels
from opsconsole.store import (
    data_tables,
    failing,
    logs,
    newest_runs,
    pauses,
    runs,
    schedules,
    schema,
    set_aside,
    table_days,
)
from opsconsole.store.failing import FailingItems
from opsconsole.store.logs import LogLine as LogLine
from opsconsole.store.set_aside import Kind, SetAside
from opsconsole.store.table_sizes import TableSize, table_sizes
from opsconsole.worker import counting

TABLE_DAYS = 35
LOG_PAGE = 1000
"""Log lines per page."""


class Queries:
    """Reads the store and the data database. Methods block, and raise OpsconsoleError with a message for the
    operator.
    """

    def __init__(self, backend: Backend, cache: CacheQueries) -> None:
        self._backend, self._cache = backend, cache
        self._panels = PanelReader()
        self._tables = TablesPanels(self.tables)

    # --- jobs and runs ------------------------------------------------------------------------------------------

    def jobs(self) -> tuple[JobCard, ...]:
        """Every job with its next scheduled time and its newest run."""
        return self.jobs_and_pauses()[0]

    def jobs_and_pauses(self) -> tuple[tuple[JobCard, ...], list[Pause]]:
        """Every job, and the active pauses, oldest first."""
        now = self._backend.now()
        with self._backend.reading() as db:
            catalog = self._catalog(db)
            last = newest_runs.newest(db, [job.name for job in catalog])
            return run_views.cards(db, catalog, now, last), pauses.in_force(db, now)

    def job_page(self, job: str) -> JobPage:
        """A job in detail: its scheduled times, its newest runs, and what its runs wait for. Raises UnknownJob."""
        with self._backend.reading() as db:
            return job_page.read(db, self._catalog(db), job, self._backend.now())

    def runs(self, *, limit: int, job: str | None = None, states: Sequence[RunState] | None = None) -> list[Run]:
        """Runs, newest first."""
        name = self._backend.catalog.find(job).name if job is not None else None
        with self._backend.reading() as db:
            return runs.newest(db, limit=limit, job=name, states=states)

    def run(self, number: int) -> Run:
        """One run. Raises UnknownRun."""
        with self._backend.reading() as db:
            return runs.get(db, number)

    def run_page(self, number: int) -> RunPage:
        """A run with its batches, its failures by cause and its log. Raises UnknownRun."""
        with self._backend.reading() as db:
            return run_views.page(db, self._backend.catalog, number, self._backend.now())

    def log(self, run: int, *, after: int = 0) -> list[LogLine]:
        """The next lines of a run's log, up to 1,000, numbered above `after`. Raises UnknownRun."""
        with self._backend.reading() as db:
            runs.get(db, run)
            return logs.after(db, run, after, limit=LOG_PAGE)

    def failing_items(self, job: str, *, last: int, least: int, limit: int) -> FailingItems:
        """The items that failed in `least` or more of a job's last runs, those that failed most often first. Raises
        UnknownJob.
        """
        name = self._backend.catalog.find(job).name
        with self._backend.reading() as db:
            return failing.failing_items(db, name, last=last, least=least, limit=limit)

    def preview(
        self,
        job: str,
        day: str | None = None,
        *,
        only: Selection = Selection.ALL,
        params: Mapping[str, object] = NO_PARAMS,
    ) -> Preview:
        """What a trigger would do now: its window and its number of items. Raises BadWindow, UnknownJob, BadParameter,
        StaleNotSupported, Unavailable, CannotCount.
        """
        backend = self._backend
        found, now = backend.catalog.find(job), backend.now()
        window = actions.trigger_window(found, day, now)
        given = parameters.checked(found, params)
        stale = only is Selection.STALE
        items = backend.counter.count(counting.request(found, window, now, stale=stale, params=given))
        return Preview(found.name, window, found.tz, items, backend.settings.console.environment)

    def _catalog(self, db: Connection) -> Catalog:
        """The jobs, with the schedules that operators have changed by now."""
        self._backend.catalog.apply(schedules.changed(db))
        return self._backend.catalog

    # --- schedules ----------------------------------------------------------------------------------------------

    def occurrences(self, filter_: OccurrenceFilter, *, limit: int) -> Occurrences:
        """The outcomes of scheduled times: the newest records, and the totals of all. Raises UnknownJob."""
        with self._backend.reading() as db:
            return occurrences.occurrences(db, self._backend.catalog, filter_, limit=limit)

    def try_schedule(self, cron: str, tz: str, job: str | None = None) -> ScheduleTrial:
        """What a cron expression means in a zone, and what would be wrong with it for a job. Reads no database. Raises
        BadCron, BadZone, UnknownJob.
        """
        return job_page.try_schedule(self._backend.catalog, cron, tz, job, self._backend.now())

    def why(self, job: str, at: str | None = None) -> Explanation:
        """Why a job ran or did not run at a scheduled time, with the rows that prove it. `at` is a time in ISO 8601, or
        a wall-clock time in the job's zone; None is the newest scheduled time. Raises UnknownJob, BadTime.
        """
        with self._backend.reading() as db:
            retention = self._backend.settings.retention
            return occurrences.why(db, self._catalog(db), job, at, self._backend.now(), retention)

    def why_window(self, job: str, label: str) -> Explanation:
        """The same for the scheduled time that covers a window. Raises UnknownJob, BadWindow."""
        with self._backend.reading() as db:
            retention = self._backend.settings.retention
            return occurrences.why_window(db, self._catalog(db), job, label, self._backend.now(), retention)

    def zone(self, target: str | None) -> ZoneInfo:
        """The zone that times about `target` are in: a job's own, and UTC for a pack, `all` or None."""
        with self._backend.reading() as db:
            return occurrences.zone_of(db, self._backend.catalog, target)

    def pauses(self) -> list[Pause]:
        """The active pauses, oldest first."""
        with self._backend.reading() as db:
            return pauses.in_force(db, self._backend.now())

    def leader(self) -> Leader | None:
        """The leading process; None when the lease is free or has expired, or its holder has died."""
        with self._backend.reading() as db:
            return self._backend.leader(db, self._backend.now())

    def require_writable(self) -> None:
        """Proves that the store accepts writes; for a viewer, who may not write, that it can be read. Raises
        StoreLocked, Unavailable.
        """
        try:
            lock = StoreProbe(self._backend.store, self._backend.settings.actor.role).check(self._backend.now())
        except SQLAlchemyError as error:
            raise Unavailable("store", reason(error)) from error
        if lock is not None:
            raise StoreLocked(lock.reason)

    # --- data ------------------------------------------------------------------------------------------------------

    def failed_events(self, *, limit: int) -> list[SetAside]:
        """The events that could not be published, newest first."""
        with self._backend.reading() as db:
            return set_aside.newest(db, Kind.EVENT, limit=limit)

    def table_sizes(self) -> dict[str, list[TableSize]]:
        """The tables of the store and of the packs, by database. Raises Unavailable."""
        backend = self._backend
        of_data = [table.name for table in data_tables.tables(backend.catalog.packs)]
        sizes: dict[str, list[TableSize]] = {}
        for name, database, names in (
            ("store", backend.store, list(schema.metadata.tables)),
            ("data", backend.resources.data, of_data),
        ):
            try:
                sizes[name] = table_sizes(database, names)
            except SQLAlchemyError as error:
                raise Unavailable(name, reason(error)) from error
        return sizes

    def tables(self) -> Tables:
        """The tables of both databases, with their sizes of the last days. Raises Unavailable."""
        today = self._backend.now().date()
        sizes = self.table_sizes()
        with self._backend.reading() as db:
            return Tables(sizes, by_name(table_days.since(db, today - timedelta(days=TABLE_DAYS))), today)

    # --- packs -----------------------------------------------------------------------------------------------------

    def panels(self) -> tuple[PanelView, ...]:
        """The panels of all packs, read from their databases now, and those about the tables. A panel that cannot be
        read shows the cause.
        """
        packs = self._backend.catalog.packs
        panels = [(pack.name, panel, self._extension_context(pack)) for pack in packs for panel in pack.panels]
        own = ExtensionContext(self._backend.resources, {}, ())
        own_panels = [(tables_panel.PACK, panel, own) for panel in self._tables.panels]
        return self._panels.read([*panels, *own_panels])

    def leader_notes(self, pack: str) -> tuple[str, ...] | None:
        """What a pack lacks in the process that leads, one sentence each; None while that is unknown."""
        with suppress(Unavailable):
            if (leader := self.leader()) and leader.notes is not None:
                return tuple(note for name, note in leader.notes if name == pack)
        return None

    def _extension_context(self, pack: Pack) -> ExtensionContext:
        """What the panels of a pack receive."""
        return ExtensionContext(
            self._backend.resources,
            self._backend.catalog.options(pack),
            self._backend.catalog.families,
            cache_days=self._cache.days,
            leader_notes=partial(self.leader_notes, pack.name),
        )
