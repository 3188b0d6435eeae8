"""A year of schedules with the retention on: does the size of the store level off, and does the pruning keep up?

The clock goes from one scheduled time to the next as fast as the runs allow; everything runs in one thread, so that the
figures are those of the work itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

from sqlalchemy import func, select

from opsconsole.authoring import catalog as catalogs
from opsconsole.authoring.context import Resources
from opsconsole.core import configuration
from opsconsole.core.database import Database
from opsconsole.core.settings import Settings
from opsconsole.embedded import sample
from opsconsole.leader import clock_watch, scheduler as schedulers
from opsconsole.leader.containment import Containment
from opsconsole.leader.empty_checks import EmptyChecks
from opsconsole.leader.planned_runs import PlannedRuns
from opsconsole.leader.retention import Pruning
from opsconsole.leader.runner import Runner
from opsconsole.leader.scheduler import Scheduler
from opsconsole.rules.health import jobs_findings
from opsconsole.rules.job_state import JobState, job_states
from opsconsole.rules.leadership import Identity
from opsconsole.store import Store, data_tables, health_checks, job_facts, lease, migrate, tables
from opsconsole.worker.counting import InlineCounter
from opsconsole.worker.inline import Inline

START = datetime(2025, 1, 1, tzinfo=UTC)
FIVE_MINUTES, SIX_HOURS, DAY = timedelta(minutes=5), timedelta(hours=6), timedelta(days=1)
MONTH = timedelta(days=30)
MINUTES_OF_HOUR = 60
PACKS = "jobs.game,jobs.exams,tests.faults.year_pack"
ME = Identity("uuid", "here", 1, "1", "m/b/n", "year")
SHOWN = ("ops_runs", "ops_batches", "ops_failures", "ops_log", "ops_occurrences", "ops_health_checks")


@dataclass
class Year:
    """How far the campaign came. `months` are the rows by table and the store's megabytes, used and of its file."""

    days: int = 0
    times: int = 0
    runs: int = 0
    seconds: float = 0.0
    pruned: int = 0
    pruning_seconds: float = 0.0
    longest_seconds: float = 0.0
    months: list[tuple[int, dict[str, int], float, float]] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        """The figures as text."""
        speed = self.days * 86_400 / max(self.seconds, 1e-9)
        yield f"{self.days} days in {self.seconds:.0f} s, {speed:,.0f} times as fast as the clock"
        yield f"{self.times:,} scheduled times, {self.runs:,} runs"
        longest = f"the longest transaction took {self.longest_seconds * 1000:.0f} ms"
        yield f"{self.pruned:,} rows pruned in {self.pruning_seconds:.1f} s; {longest}"
        yield "day   " + " ".join(f"{name.removeprefix('ops_'):>14}" for name in SHOWN) + "      used MB   file MB"
        for day, rows, used, file in self.months:
            counted = " ".join(f"{rows[name]:>14,}" for name in SHOWN)
            yield f"{day:>4}  {counted} {used:>12.1f} {file:>9.1f}"

    @property
    def levels_off(self) -> bool:
        """Whether the store's used size grows by less than a tenth in the last three months that were measured."""
        used = [used for _, _, used, _ in self.months]
        return len(used) > 4 and used[-1] <= used[-4] * 1.1


def year(
    folder: Path,
    redis_url: str,
    *,
    days: int,
    users: int,
    queue_minutes: int,
    budget_seconds: float,
    settings: str = "",
) -> Year:
    """Passes `days`, as far as the seconds allow. The queue of exams is due every `queue_minutes`. `settings` are more
    lines of the configuration file.
    """
    environ = {
        "REDIS_URL": redis_url,
        "OPSCONSOLE_JOBS__PACKS": PACKS,
        "OPSCONSOLE_JOBS__ENTRY_POINTS": "false",
        "OPSCONSOLE_ENGINE__EXECUTOR": "inline",
    }
    config = folder / "opsconsole.toml"
    cron = f"*/{queue_minutes} * * * *" if queue_minutes < MINUTES_OF_HOUR else "0 * * * *"
    config.write_text(f'{settings}[jobs."exams.work_queue"]\ncron = "{cron}"\n')
    loaded = configuration.load(config, folder=folder, environ=environ, search=False)
    store = Store(loaded.store_url.reveal())
    try:
        migrate.upgrade(store)
        machine = _Machine(loaded, store)
        with patch.object(schedulers, "steady", machine.steady), patch.object(clock_watch, "steady", machine.steady):
            return machine.run(days=days, users=users, budget_seconds=budget_seconds)
    finally:
        store.close()


class _Machine:
    """The parts of a leader that write to its store, driven by a clock that is set."""

    def __init__(self, settings: Settings, store: Store) -> None:
        assert settings.redis_url is not None
        self.at = START
        self.store = store
        self.catalog = catalogs.load(settings.packs, settings.overrides, settings.options)
        urls = settings.data_url.reveal(), settings.redis_url.reveal()
        self.tools = Resources(*urls, families=self.catalog.families, now=self.now)
        self.data = Database(settings.data_url.reveal())
        data_tables.create_missing(self.data, self.catalog.packs)
        with store.writing() as db:
            token = lease.take(db, lease.read(db), ME, START)
        assert token is not None
        containment, planned = Containment(self.now), PlannedRuns(lambda: None)
        self.checks = EmptyChecks(InlineCounter(self.catalog, self.tools), now=self.now)
        self.scheduler = Scheduler(
            store,
            self.catalog,
            token,
            planned=planned,
            now=self.now,
            containment=containment,
            empty_checks=self.checks,
        )
        self.scheduler._ticker.start = lambda: None  # the campaign calls tick()
        self.runner = Runner(
            store,
            self.catalog,
            Inline(self.catalog, self.tools),
            token=token,
            host="here",
            may_start_work=lambda: True,
            now=self.now,
            containment=containment,
            planned=planned,
        )
        self.pruning = Pruning(store, settings.retention, token, may_start_work=lambda: True, now=self.now)
        self.token = token
        self._next_health = self._next_judged = START
        self._states: Mapping[str, JobState] = {}
        self._kept: job_facts.ReadState | None = None

    def now(self) -> datetime:
        return self.at

    def steady(self) -> float:
        return (self.at - START).total_seconds()

    def run(self, *, days: int, users: int, budget_seconds: float) -> Year:
        found, began, end = Year(), time.monotonic(), START + days * DAY
        crons = [cron for job in self.catalog if (cron := self.catalog.cron(job)) is not None]
        sample.fill(self.data, self.catalog.packs, users, self.at)
        self.runner.open(leader_died=False)
        self.scheduler.start()
        next_prune, next_month, next_day = START + SIX_HOURS, START + MONTH, START + DAY
        while self.at < end and time.monotonic() - began < budget_seconds:
            self.at = min(due for cron in crons if (due := cron.next(self.at)) is not None)
            found.times += 1
            self._work()
            self._record_health()
            if self.at >= next_prune:
                self._prune(found)
                next_prune += SIX_HOURS
            if self.at >= next_day:
                found.days += 1
                next_day += DAY
                sample.fill(self.data, self.catalog.packs, users, self.at)
            if self.at >= next_month:
                found.months.append(self._measured(found.days))
                next_month += MONTH
        found.seconds = time.monotonic() - began
        with self.store.reading() as db:
            found.runs = db.execute(select(func.max(tables.runs.c.id))).scalar() or 0
        self.runner.close()
        self.data.close()
        return found

    def _work(self) -> None:
        """Plans what is due, and executes it."""
        self.scheduler.tick()
        self.checks.check()
        self.scheduler.tick()
        self.runner.admit()
        while self.runner.step() or self.runner.needs_admission:
            self.runner.admit()

    def _record_health(self) -> None:
        """A record for every five minutes, as a leader writes; the states are judged less often, to save time."""
        if self.at >= self._next_judged:
            with self.store.reading() as db:
                facts, self._kept = job_facts.read(db, self.catalog, self.at, self._kept)
            found = jobs_findings(facts, self.at)
            self._states = job_states(facts, found)
            self._next_judged = self.at + SIX_HOURS
        with self.store.fenced(self.token) as db:
            while self._next_health <= self.at:
                health_checks.record(db, self._next_health, self._states)
                self._next_health += FIVE_MINUTES

    def _prune(self, found: Year) -> None:
        began = time.monotonic()
        for step in self.pruning.passes():
            found.pruned += step.rows
            found.longest_seconds = max(found.longest_seconds, step.seconds)
        found.pruning_seconds += time.monotonic() - began

    def _measured(self, days: int) -> tuple[int, dict[str, int], float, float]:
        with self.store.reading() as db:
            rows = {
                name: db.execute(select(func.count()).select_from(tables.metadata.tables[name])).scalar_one()
                for name in SHOWN
            }
            pages, free, size = (
                int(db.exec_driver_sql(f"PRAGMA {pragma}").scalar() or 0)
                for pragma in ("page_count", "freelist_count", "page_size")
            )
        return days, rows, (pages - free) * size / 1e6, pages * size / 1e6
