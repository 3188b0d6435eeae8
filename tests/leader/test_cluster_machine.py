"""A whole cluster in one thread: processes start, die at any boundary, are paused and resume too late, while clocks are
set, operators request actions and the configuration changes. The invariants are checked after each step.

The scheduler, the runner, the command handlers and the lease are real; the clock and the loop that drives them are not.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Table, select
from sqlalchemy.exc import OperationalError, SQLAlchemyError

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import Resources
from opsconsole.authoring.job import Job
from opsconsole.authoring.run import TERMINAL, RunState
from opsconsole.calendar.windows import Unit
from opsconsole.core import failpoints
from opsconsole.core.database import Connection, Database
from opsconsole.core.errors import Fenced
from opsconsole.core.failpoints import Point
from opsconsole.core.settings import Actor
from opsconsole.leader import (
    clock_watch,
    command_handlers,
    live_run as live_runs,
    runner as runners,
    scheduler as schedulers,
)
from opsconsole.leader.containment import Containment
from opsconsole.leader.empty_checks import EmptyChecks
from opsconsole.leader.planned_runs import PlannedRuns
from opsconsole.leader.runner import Runner
from opsconsole.leader.scheduler import Scheduler
from opsconsole.rules.actions import MATCHING, Verb
from opsconsole.rules.leadership import Identity
from opsconsole.store import (
    Store,
    audit,
    batches,
    commands,
    data_tables as datatables,
    lease,
    migrate,
    runs,
    tables as schema,
)
from opsconsole.store.registrations import registrations
from opsconsole.worker import inline
from opsconsole.worker.counting import InlineCounter
from tests.packs import counting
from tests.packs.machine import pack

FEW, MANY, STEPS = 15, 200, 25
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
START = datetime(2025, 1, 19, 12, 0, tzinfo=UTC)
KOLKATA = timedelta(hours=5, minutes=30)
ANNA = Actor("anna", "here")
TURN = timedelta(seconds=0.2)
"""How far the clock advances with each turn of a process's loop."""

# Every schedule that a job may get, with its meaning in Python; in Kolkata, which has no clock changes.
MEANINGS: dict[str, Callable[[datetime], bool]] = {
    "0 * * * *": lambda t: t.minute == 0,
    "*/30 * * * *": lambda t: t.minute % 30 == 0,
    "*/7 * * * *": lambda t: t.minute % 7 == 0,
    "10 * * * *": lambda t: t.minute == 10,
    "15 */2 * * *": lambda t: t.minute == 15 and t.hour % 2 == 0,
    "0 */3 * * *": lambda t: t.minute == 0 and t.hour % 3 == 0,
    "30 0 * * *": lambda t: (t.hour, t.minute) == (0, 30),
    "0 1 * * *": lambda t: (t.hour, t.minute) == (1, 0),
    "0 9-17 * * 1-5": lambda t: t.minute == 0 and 9 <= t.hour <= 17 and t.weekday() < 5,
}
JOBS = {job.name: job for job in pack.jobs}
names = st.sampled_from(sorted(JOBS))
targets = st.sampled_from([*sorted(JOBS), "machine", "all"])
people = {"anna": "fine", "ben": "fine", "chen": "fine", "dora": "fine", "emil": "fine"}


class Killed(BaseException):
    """Ends a process like kill -9: no code of the program catches it."""


@dataclass
class Clocks:
    """The wall clock and the steady clock, and the number of boundaries until the process dies or gets an error."""

    wall: datetime = START
    steady: float = 0.0
    countdown: int = 0
    dies: bool = True

    def now(self) -> datetime:
        return self.wall

    def advance(self, time: timedelta) -> None:
        self.wall += time
        self.steady += time.total_seconds()

    def reach(self, point: Point) -> None:
        self.countdown -= 1
        if self.countdown != 0:
            return
        if self.dies:
            raise Killed(point)
        refused = sqlite3.OperationalError("database is locked")
        refused.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise OperationalError(None, None, refused)


@dataclass
class Span:
    """A job's schedule for the time later than `since` and not later than `until`."""

    cron: str
    spec: str
    since: datetime
    until: datetime | None = None
    times: list[datetime] = field(default_factory=list)
    walked: datetime | None = None

    def walk(self, until: datetime) -> None:
        """Finds the scheduled times up to a time by testing each minute."""
        until = until if self.until is None else min(until, self.until)
        at = self.walked or self.since.replace(second=0, microsecond=0)
        while at + MINUTE <= until:
            at += MINUTE
            if MEANINGS[self.cron]((at + KOLKATA).replace(tzinfo=None)):
                self.times.append(at)
        self.walked = at

    def up_to(self, until: datetime) -> list[datetime]:
        self.walk(until)
        return [at for at in self.times if at <= until and (self.until is None or at <= self.until)]


@dataclass
class Databases:
    """The databases, created once; each example starts with a copy."""

    folder: Path
    store: Store
    data: Database
    clocks: Clocks

    def begin(self) -> None:
        for database, name in ((self.store, "store"), (self.data, "data")):
            database.close()
            for end in ("-wal", "-shm"):
                (self.folder / f"{name}.db{end}").unlink(missing_ok=True)
            shutil.copyfile(self.folder / f"{name}.new", self.folder / f"{name}.db")
        self.clocks.wall, self.clocks.steady, self.clocks.countdown = START, 0.0, 0


class Process:
    """A process that leads, or did so until it was paused."""

    def __init__(self, databases: Databases, jobs: dict[str, Job], number: int) -> None:
        self.clocks, self.store = databases.clocks, databases.store
        self.catalog = Catalog((pack,), jobs, {})
        self.me = Identity(f"process {number}", "here", number, "1", "machine/boot/pid:[1]", "anna")
        with self.store.reading() as db:
            current = lease.read(db)
        with self.store.writing() as db:
            token = lease.take(db, current, self.me, self.clocks.now())
        assert token == (1 if current is None else current.token + 1), "tokens grow by one"
        self.token = token
        tools = Resources("sqlite://", "unix:///nowhere/redis.sock", now=self.clocks.now)
        tools.data.close()
        tools.data = databases.data
        self.containment, planned = Containment(self.clocks.now), PlannedRuns(lambda: None)
        self.runner = Runner(
            self.store,
            self.catalog,
            inline.Inline(self.catalog, tools),
            token=token,
            host="here",
            may_start_work=lambda: True,
            now=self.clocks.now,
            containment=self.containment,
            planned=planned,
        )
        self.scheduler = Scheduler(
            self.store,
            self.catalog,
            token,
            planned=planned,
            now=self.clocks.now,
            containment=self.containment,
            empty_checks=EmptyChecks(InlineCounter(self.catalog, tools), now=self.clocks.now),
        )
        self.scheduler._ticker.start = lambda: None  # the test calls tick()

    def open(self) -> None:
        self.runner.open(leader_died=True)
        self.scheduler.start()

    def poll(self) -> None:
        command_handlers.execute_commands(self.store, self.catalog, self.token, self.clocks.now)
        self.runner.admit()

    def work(self, turns: int) -> None:
        """Runs an engine's loop for some turns, and checks in each that no runs overlap."""
        for _ in range(turns):
            if self.runner.has_planned:
                self.runner.start_planned()
                none_overlap(self.store)
            self.poll()
            none_overlap(self.store)
            self.scheduler.tick()
            self.runner.step()
            self.clocks.advance(TURN)

    def stop(self) -> None:
        self.runner.drain(1.0)
        self.runner.interrupt()
        self.let_go()

    def let_go(self) -> None:
        self.runner.close()
        with self.store.writing() as db:
            lease.release(db, self.token, self.me.owner)
        failpoints.reach(Point.LEASE_RELEASED)

    def dies(self) -> None:
        """Frees memory; writes nothing."""
        self.runner._results.close()


ACTIONS: dict[str, Callable[[Process], object]] = {
    "polls": Process.poll,
    "ticks": lambda process: process.scheduler.tick(),
    "steps": lambda process: process.runner.step(),
    "works": lambda process: process.work(3),
    "opens": lambda process: process.runner.open(leader_died=True),
    "interrupts": lambda process: process.runner.interrupt(),
}


class Cluster(RuleBasedStateMachine):
    """The rules and the invariants. The model has the schedules of each job over time, and the runs that have ended."""

    databases: ClassVar[Databases]
    steps: ClassVar[int] = 0

    def __init__(self) -> None:
        super().__init__()
        self.databases.begin()
        self.clocks, self.store, self.data = self.databases.clocks, self.databases.store, self.databases.data
        self.jobs = dict(JOBS)
        self.leader: Process | None = None
        self.frozen: list[Process] = []
        self.made = 0
        self.spans: dict[str, list[Span]] = {name: [] for name in JOBS}
        self.cursors: dict[str, datetime] = {}
        self.was_set_back = False
        self.set_back: set[str] = set()
        self.ended: dict[int, Any] = {}
        self.token = 0

    # --- processes ----------------------------------------------------------------------------------------------

    @rule(countdown=st.one_of(st.just(0), st.integers(1, 4)))
    @precondition(lambda self: self.leader is None)
    def start(self, countdown: int = 0) -> None:
        self.made += 1
        process = Process(self.databases, self.jobs, self.made)
        with self._dying_at(countdown, process):
            self.leader = process
            failpoints.reach(Point.LEASE_TAKEN)
            self._begin_spans()
            process.open()
        self._is_planned()

    @rule(turns=st.integers(1, 12))
    @precondition(lambda self: self.leader is not None)
    def work(self, turns: int) -> None:
        assert self.leader is not None
        self.leader.work(turns)
        self._is_planned()
        with self.store.reading() as db:
            assert commands.requested(db) == [], "every requested command was executed"

    @rule(countdown=st.integers(1, 25))
    @precondition(lambda self: self.leader is not None)
    def kill(self, countdown: int) -> None:
        assert self.leader is not None
        process = self.leader
        with self._dying_at(countdown, process):
            process.work(30)
            raise Killed

    @rule(countdown=st.integers(1, 25))
    @precondition(lambda self: self.leader is not None)
    def a_database_refuses(self, countdown: int) -> None:
        assert self.leader is not None
        process = self.leader
        try:
            with self._dying_at(countdown, process, dies=False):
                process.work(30)
        except SQLAlchemyError:
            process.let_go()
            self.leader = None

    @rule(name=names, cron=st.sampled_from([None, *sorted(MEANINGS)]))
    @precondition(lambda self: self.leader is not None)
    def restart_with(self, name: str, cron: str | None) -> None:
        self.stop()
        if cron is None:
            self.a_job_is_removed(name)
        else:
            self.a_schedule_is_edited(name, cron)
        self.start()

    @rule(countdown=st.one_of(st.just(0), st.integers(1, 3)))
    @precondition(lambda self: self.leader is not None)
    def stop(self, countdown: int = 0) -> None:
        assert self.leader is not None
        process = self.leader
        with self._dying_at(countdown, process):
            process.stop()
        self.leader = None

    @rule()
    @precondition(lambda self: self.leader is not None)
    def freeze(self) -> None:
        assert self.leader is not None
        self.frozen.append(self.leader)
        self.leader = None

    @rule(action=st.sampled_from(sorted(ACTIONS)))
    @precondition(lambda self: self.frozen)
    def thaw(self, action: str) -> None:
        process = self.frozen.pop()
        with self.store.reading() as db:
            found = lease.read(db)
        assert found is not None
        if found.token == process.token:
            self.leader = process
            return
        before = self._written()
        with suppress(Fenced):
            ACTIONS[action](process)
        with pytest.raises(Fenced):
            process.runner.interrupt()
        with self.store.writing() as db:
            assert not lease.renew(db, process.token, process.me.owner, self.clocks.now())
        process.let_go()
        assert self._written() == before, "a process that lost the lease changes nothing"

    # --- time, data, configuration ------------------------------------------------------------------------------

    @rule(minutes=st.sampled_from([1, 7, 29, 30, 31, 60, 61, 125]))
    def time_passes(self, minutes: int) -> None:
        self.clocks.advance(minutes * MINUTE)

    @rule()
    def time_passes_to_the_next_half_hour(self) -> None:
        whole = self.clocks.wall.replace(minute=0, second=0, microsecond=0)
        halves = [half for n in range(1, 4) if (half := whole + n * HOUR / 2) > self.clocks.wall]
        self.clocks.advance(halves[0] - self.clocks.wall)

    @rule(days=st.integers(1, 3))
    def days_pass(self, days: int) -> None:
        self.clocks.advance(days * DAY)

    @rule(minutes=st.sampled_from([1, 6, 90, 1500]))
    def the_clock_is_set_forward(self, minutes: int) -> None:
        self.clocks.wall += minutes * MINUTE

    @rule(minutes=st.sampled_from([1, 6, 45, 130]))
    def the_clock_is_set_back(self, minutes: int) -> None:
        self.clocks.wall -= minutes * MINUTE
        self.was_set_back = True

    @rule(item=st.sampled_from(sorted(people)), mood=st.sampled_from(["fine", "fails", "raises", "waits"]))
    def a_mood_changes(self, item: str, mood: str) -> None:
        counting.change(self.data, item, mood)

    @rule(name=names, cron=st.sampled_from(sorted(MEANINGS)))
    def a_schedule_is_edited(self, name: str, cron: str) -> None:
        self.jobs[name] = replace(self.jobs.get(name, JOBS[name]), cron=cron)

    @rule(name=names)
    def a_job_is_removed(self, name: str) -> None:
        self.jobs.pop(name, None)

    @rule()
    def removed_jobs_return(self) -> None:
        self.jobs = {**JOBS, **self.jobs}

    # --- operators ----------------------------------------------------------------------------------------------

    @rule(name=names, days_back=st.sampled_from([None, -1, 0, 1, 2]))
    def trigger(self, name: str, days_back: int | None) -> None:
        day = None if days_back is None else (self.clocks.wall + KOLKATA - days_back * DAY).date().isoformat()
        self._request(Verb.TRIGGER, name, {"date": day})

    @rule(number=st.integers(1, 40), force=st.booleans())
    def cancel(self, number: int, force: bool) -> None:
        self._request(Verb.CANCEL, str(number), {"force": force})

    @rule(number=st.integers(1, 40), everything=st.booleans())
    def retry(self, number: int, everything: bool) -> None:
        self._request(Verb.RETRY, str(number), {"all": everything})

    @rule()
    def retry_what_failed(self) -> None:
        self._request(Verb.RETRY, MATCHING, {"runs": list(range(1, 41))})

    @rule(whom=targets, minutes=st.sampled_from([None, -5, 45, 3000]))
    def pause(self, whom: str, minutes: int | None) -> None:
        until = None if minutes is None else (self.clocks.wall + minutes * MINUTE).isoformat()
        self._request(Verb.PAUSE, whom, {"until": until})

    @rule(whom=targets)
    def resume(self, whom: str) -> None:
        self._request(Verb.RESUME, whom, {})

    # --- what must always hold ----------------------------------------------------------------------------------

    @invariant()
    def invariants_hold(self) -> None:
        type(self).steps += 1
        none_overlap(self.store)
        with self.store.reading() as db:
            self._tokens_grow(db)
            self._scheduled_times_are_recorded_once(db)
            rows = rows_of(db, schema.runs)
            self._occurrences_have_their_runs(db, rows)
            self._runs_end_once_and_add_up(db, rows)
            self._commands_have_audit_rows(db)

    def teardown(self) -> None:
        """Repairs everything; then the cluster must finish all its work."""
        for _ in range(len(self.frozen)):
            if self.leader is None:
                self.start()
            self.thaw("works")
        for item in people:
            counting.change(self.data, item, "fine")
        if self.leader is not None:
            self.stop()
        self.jobs = {**JOBS, **self.jobs}
        self.start()
        assert self.leader is not None
        for round_ in range(150):
            self.leader.work(12)
            with self.store.reading() as db:
                if not runs.unfinished(db):
                    break
            self.clocks.advance(MINUTE if round_ < 50 else HOUR)
        else:
            raise AssertionError("the cluster does not finish its work")
        self._is_planned()
        self.invariants_hold()
        with self.store.reading() as db:
            assert commands.requested(db) == []
            checked = audit.verify(db)
            assert (checked.broken, checked.problem) == (None, None)
            for row in rows_of(db, schema.runs):
                assert row["state"] in TERMINAL
        self._items_have_their_effects()
        self.leader.dies()

    # --- checks -------------------------------------------------------------------------------------------------

    def _tokens_grow(self, db: Connection) -> None:
        found = lease.read(db)
        token = found.token if found else 0
        assert token >= self.token, "tokens only grow"
        self.token = token
        for table in (schema.occurrences, schema.runs):
            newest = db.execute(select(table.c.token).order_by(table.c.token.desc()).limit(1)).scalar()
            assert (newest or 0) <= token

    def _scheduled_times_are_recorded_once(self, db: Connection) -> None:
        for name, registration in registrations(db).items():
            cursor = registration.planned_until
            if cursor < self.cursors.get(name, cursor):
                assert self.was_set_back, f"the cursor of {name} went back"
                self._bring_back(name, cursor)
            self.cursors[name] = cursor
            expected = [(at, span.spec) for span in self.spans[name] for at in span.up_to(cursor)]
            table = schema.occurrences
            rows = db.execute(select(table).where(table.c.job == name).order_by(table.c.due_at)).all()
            if name in self.set_back:
                for time, spec in expected:
                    covering = [row for row in rows if row.due_at <= time <= row.last_due_at]
                    own = [row for row in covering if row.spec == spec or time in (row.due_at, row.last_due_at)]
                    assert own, f"{name}: {time} has no row"
                    assert sum(row.spec == spec for row in own) <= 1, f"{name}: {time} has two rows"
                continue
            at = 0
            for row in rows:
                assert row.instants > 0
                covered = expected[at : at + row.instants]
                assert len(covered) == row.instants, f"{name}: {row} covers times that are not scheduled"
                assert (covered[0][0], covered[-1][0]) == (row.due_at, row.last_due_at), f"{name}: {row}"
                assert {spec for _, spec in covered} == {row.spec}, f"{name}: {row} has another schedule"
                at += row.instants
            assert expected[at:] == [], f"{name}: times without a row"

    def _is_planned(self) -> None:
        """Asserts that a leader that has just ticked has planned every scheduled time up to now."""
        if self.leader is None:
            return
        with self.store.reading() as db:
            registered = registrations(db)
        now = self.clocks.wall - TURN  # the last turn advanced the clock after its tick
        for job in self.leader.catalog:
            cursor = registered[job.name].planned_until
            unplanned = [at for at in self.spans[job.name][-1].up_to(now) if at > cursor]
            assert unplanned == [], f"{job.name} has unplanned times"

    def _occurrences_have_their_runs(self, db: Connection, rows: list[dict[str, Any]]) -> None:
        scheduled = {row["occurrence_id"]: row for row in rows if row["occurrence_id"] is not None}
        assert len(scheduled) == sum(row["trigger"] == "schedule" for row in rows)
        for row in rows_of(db, schema.occurrences):
            run = scheduled.pop(row["id"], None)
            if row["state"] in ("missed", "skipped"):
                assert run is None
                assert row["reason"] is not None
                continue
            assert run is not None, f"{row} has no run"
            assert (run["job"], run["as_of"], row["instants"]) == (row["job"], row["due_at"], 1)
            assert (row["state"] == "due") == (run["state"] == RunState.QUEUED)
        assert scheduled == {}

    def _runs_end_once_and_add_up(self, db: Connection, rows: list[dict[str, Any]]) -> None:
        table = schema.batches
        todo = [row["id"] for row in rows if row["id"] not in self.ended]
        found: dict[int, list[Any]] = {number: [] for number in todo}
        for each in db.execute(select(table).where(table.c.run_id.in_(todo))):
            found[each.run_id].append(each)
        for row in rows:
            number = row["id"]
            if number in self.ended:
                assert row == self.ended[number], f"run {number} was changed after its end"
                continue
            whole = [each for each in found[number] if each.state != "replaced"]
            for what in ("ok", "failed", "skipped"):
                assert row[what] == sum(getattr(each, what) for each in found[number]), f"run {number}: {what}"
            if row["state"] not in TERMINAL:
                assert row["ended_at"] is None
                continue
            self.ended[number] = row
            assert row["ended_at"] is not None
            total = row["ok"] + row["failed"] + row["skipped"] + row["not_reached"]
            assert row["planned"] == total, f"run {number} does not add up: {row}"
            assert {each.state for each in whole} <= {"done", "failed", "not_reached"}
            if row["state"] == RunState.SUCCEEDED:
                assert (row["failed"], row["not_reached"], row["planning_done"]) == (0, 0, True)
                assert {each.state for each in whole} <= {"done"}
            if row["state"] == RunState.PARTIAL:
                assert row["failed"]
                assert row["ok"] or row["skipped"]

    def _commands_have_audit_rows(self, db: Connection) -> None:
        outcomes: dict[int, list[str]] = {}
        for row in rows_of(db, schema.audit):
            outcomes.setdefault(row["command_id"], []).append(row["outcome"])
        for row in rows_of(db, schema.commands):
            settled = [] if row["state"] == "requested" else [row["state"]]
            assert outcomes.pop(row["id"]) == ["requested", *settled]
        assert outcomes == {}

    def _items_have_their_effects(self) -> None:
        marked = {name: set(counting.marks(self.data, name)) for name in JOBS}
        with self.store.reading() as db:
            for run in runs.newest(db, limit=10_000):
                page = batches.planned_keys(db, run.id)
                keys = set(page.keys if page else ())
                assert len(keys) == run.counts.planned, f"run {run.id} planned an item twice"
                missing = [key for key in keys if (run.window.label, key) not in marked[run.job]]
                undone = run.counts.planned - run.counts.ok
                assert len(missing) <= undone, f"run {run.id}: {missing} count as ok and have no effect"

    # --- helpers ------------------------------------------------------------------------------------------------

    def _bring_back(self, name: str, cursor: datetime) -> None:
        """The spans of a job after the clock was set back and a leader has noticed: rows that were written before stand
        for times of today's schedule, and some for none.
        """
        self.set_back.add(name)
        for span in self.spans[name]:
            if span.until is not None:
                span.until = min(span.until, cursor)
            elif span.since > cursor:
                span.since, span.times, span.walked = cursor, [], None

    def _begin_spans(self) -> None:
        """Begins a span for each changed schedule."""
        for name in JOBS:
            spans, job, begin = self.spans[name], self.jobs.get(name), self.clocks.wall
            current = spans[-1] if spans and spans[-1].until is None else None
            if current and (job is None or job.cron != current.cron):
                current.until, current = begin, None
            if job is not None and job.cron is not None and current is None:
                spans.append(Span(job.cron, job.spec, begin))

    def _request(self, verb: Verb, target: str, arguments: dict[str, Any]) -> None:
        with self.store.writing() as db:
            commands.request(db, verb, target, arguments, ANNA, self.clocks.now())

    @contextmanager
    def _dying_at(self, countdown: int, process: Process, *, dies: bool = True) -> Iterator[None]:
        self.clocks.countdown, self.clocks.dies = countdown, dies
        try:
            yield
        except Killed:
            process.dies()
            self.leader = None
        finally:
            self.clocks.countdown = 0

    def _written(self) -> dict[str, list[dict[str, Any]]]:
        """All rows of the store."""
        with self.store.reading() as db:
            return {table.name: rows_of(db, table) for table in schema.metadata.sorted_tables}


def none_overlap(store: Store) -> None:
    """Asserts that each window has at most one running run, and so does each group of exclusive jobs."""
    with store.reading() as db:
        live = [run for run in runs.unfinished(db) if run.state is RunState.RUNNING]
    for run in live:
        job = JOBS[run.job]
        others = [other for other in live if other is not run]
        of_job = [other for other in others if other.job == job.name]
        same = [other for other in of_job if job.covers.unit is Unit.MOMENT or other.window.label == run.window.label]
        assert same == [], f"{job.name}: two runs of one window are running"
        assert len(of_job) < job.parallel
        groups = {JOBS[other.job].exclusive for other in others if other not in of_job}
        assert job.exclusive is None or job.exclusive not in groups, f"{job.name} is running with an exclusive job"


def rows_of(db: Connection, table: Table) -> list[dict[str, Any]]:
    return [dict(row) for row in db.execute(select(table).order_by(*table.primary_key.columns)).mappings()]


@pytest.fixture
def databases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Databases]:
    store, data = Store(f"sqlite:///{tmp_path / 'store.db'}"), Database(f"sqlite:///{tmp_path / 'data.db'}")
    migrate.upgrade(store)
    datatables.create_missing(data, [pack])
    counting.put(data, people)
    for database, name in ((store, "store"), (data, "data")):
        with database.engine.connect() as db:
            db.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        database.close()
        shutil.copyfile(tmp_path / f"{name}.db", tmp_path / f"{name}.new")
    clocks = Clocks()
    for module in (clock_watch, schedulers, live_runs):
        monkeypatch.setattr(module, "steady", lambda: clocks.steady)
    monkeypatch.setattr(failpoints, "_SETTING", "set by the test")
    monkeypatch.setattr(failpoints, "_pass", clocks.reach)
    # What the store has is planned in one turn, so that an example is reproducible; nothing here waits.
    monkeypatch.setattr(runners, "PLAN_SECONDS", 30.0)
    monkeypatch.setattr(runners, "FLUSH_SECONDS", -1.0)
    monkeypatch.setattr(inline, "TICK_SECONDS", 0.0)
    yield Databases(tmp_path, store, data, clocks)
    store.close()
    data.close()


def cluster_after(databases: Databases, *steps: tuple[Any, ...]) -> Cluster:
    """Returns a cluster after these steps, with the invariants checked after each."""
    machine: Cluster = type("Machine", (Cluster,), {"databases": databases})()
    for name, *arguments in steps:
        getattr(machine, name)(*arguments)
        machine.invariants_hold()
    return machine


@pytest.mark.parametrize("cron", ["*/30 * * * *", None], ids=["edited", "removed and restored"])
def test_setting_the_clock_back_before_a_job_changes_runs_no_time_twice(databases: Databases, cron: str | None) -> None:
    machine = cluster_after(
        databases,
        ("start",),
        ("time_passes", 61),
        ("work", 10),
        ("stop",),
        ("the_clock_is_set_back", 130),
        ("start",),
        ("restart_with", "machine.hourly", cron),
        ("removed_jobs_return",),
        ("stop",),
        ("start",),
        ("time_passes", 125),
        ("work", 10),
    )
    machine.teardown()


@pytest.mark.parametrize("examples", [FEW, pytest.param(MANY, marks=pytest.mark.soak)])
def test_no_fault_of_a_cluster_loses_or_doubles_work(
    examples: int, databases: Databases, capsys: pytest.CaptureFixture[str]
) -> None:
    machine = type("Machine", (Cluster,), {"databases": databases, "steps": 0})
    how = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        # A failure takes minutes to shrink, longer than a test may take; its steps are printed without it.
        phases=[Phase.explicit, Phase.reuse, Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )

    run_state_machine_as_test(machine, settings=how)

    with capsys.disabled():
        print(f"\n{machine.steps:,} steps checked in {examples} examples")  # type: ignore[attr-defined] # noqa: T201
