"""Hand-made Snapshots of one evening, and a service that records its calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from opsconsole.authoring.batch import BatchState
from opsconsole.authoring.extensions import PanelContent
from opsconsole.authoring.run import Counts, Run, RunState, Selection, Stop, Trigger
from opsconsole.cache.clearing import ClearProgress
from opsconsole.cache.families import Family
from opsconsole.cache.filters import ClearFilter
from opsconsole.cache.statistics import RedisStats
from opsconsole.calendar.windows import Unit, Window
from opsconsole.core.errors import OpsconsoleError, UnknownBackfill, UnknownRun
from opsconsole.rules.admission import Wait, WaitReason
from opsconsole.rules.backfill import Only, Step, StepReason, StepState, WindowRecord, WindowState, WindowStatus
from opsconsole.rules.backfill_status import Backfill, BackfillState, StepView
from opsconsole.service.backfills import PlanProgress, WindowedJob
from opsconsole.service.snapshot import (
    Attached,
    BatchCell,
    Cause,
    CommandProgress,
    Finding,
    FindingKind,
    JobCard,
    JobHistory,
    Leader,
    Outage,
    Outcome,
    PanelView,
    Pause,
    Preview,
    Progress,
    Rates,
    RedisView,
    RunPage,
    Severity,
    Snapshot,
)

NOW = datetime(2026, 1, 19, 18, 20, 7, tzinfo=UTC)


def ago(**length: float) -> datetime:
    """A moment before NOW."""
    return NOW - timedelta(**length)


def day(date: str = "2026-01-19") -> Window:
    """A local day in Kolkata."""
    start = datetime.fromisoformat(f"{date}T00:00:00+05:30").astimezone(UTC)
    return Window(start, start + timedelta(days=1), date)


def a_run(number: int, job: str = "attempts.cache_day", state: RunState = RunState.SUCCEEDED, **other: Any) -> Run:
    """An ordinary run, with some other values."""
    queued = state is RunState.QUEUED
    live = state in (RunState.QUEUED, RunState.RUNNING, RunState.INTERRUPTED)
    started = None if queued else other.pop("started_at", ago(minutes=2))
    seconds = other.pop("seconds", 1.4)
    made = Run(
        id=number,
        job=job,
        window=day(),
        as_of=NOW,
        trigger=Trigger.SCHEDULE,
        state=state,
        attempt=1,
        parent=None,
        selection=Selection.ALL,
        requested_by="schedule",
        host="web1",
        created_at=started or ago(seconds=12),
        started_at=started,
        ended_at=None if live or started is None else started + timedelta(seconds=seconds),
        counts=Counts(planned=10_000, ok=10_000),
        planning_done=not queued,
        batches=200,
        batches_done=200,
        kinds={},
        metrics={},
        facts={},
        error=None,
        log_lines=3,
        command=None,
    )
    return replace(made, **other)


def partial(number: int, **other: Any) -> Run:
    """A run in which three items failed."""
    counts = Counts(planned=10_000, ok=9_997, failed=3)
    return a_run(number, state=RunState.PARTIAL, **{"counts": counts, "kinds": {"KeyError": 2, "Timeout": 1}, **other})


def running(number: int = 4812, **other: Any) -> Progress:
    """A running run."""
    counts = Counts(planned=10_000, ok=6_149, failed=1)
    run = a_run(number, state=RunState.RUNNING, **{"counts": counts, "kinds": {"KeyError": 1}, **other})
    return Progress(run, "Asia/Kolkata", 7400.0, 1.2)


def card(
    name: str, minutes: float | None, words: str = "every hour", tz: str = "UTC", last: Run | None = None
) -> JobCard:
    """A job whose next run is some minutes after half past six."""
    due = None if minutes is None else NOW.replace(minute=30, second=0) + timedelta(minutes=minutes)
    return JobCard(name, f"what {name} does", "0 * * * *", tz, words, (), due, last)


STATS = RedisStats(
    version="9.0.1",
    uptime_seconds=93_784,
    ping_ms=0.3,
    memory=54 * 1024 * 1024,
    peak_memory=61 * 1024 * 1024,
    max_memory=256 * 1024 * 1024,
    fragmentation=1.1,
    clients=4,
    ops_per_second=212,
    hits=9_720,
    misses=280,
    evicted=0,
    expired=1_204,
    keys=41_204,
)
ME = Leader(True, "asha", "web1", 4711, ago(hours=12, minutes=14))
OTHER = Leader(False, "ben", "web2", 912, ago(hours=3))

CACHE_DAY = card("attempts.cache_day", 1430, "at 23:50", "Asia/Kolkata", partial(4811))
JOBS = (
    CACHE_DAY,
    card("game.life_regen", 0, "every 30 minutes"),
    card("game.session_cleanup", 30),
    card("game.leaderboard_recalc", 30),
    card("reporting.daily_report", 329, "at 23:59"),
)


def _history(job: str, first: int, odd: dict[int, RunState]) -> tuple[Run, ...]:
    return tuple(
        a_run(first - i, job, odd.get(i, RunState.SUCCEEDED), started_at=ago(days=i, minutes=30), seconds=1.2 + i % 3)
        for i in range(14)
    )


SUCCESS = (
    JobHistory(
        "attempts.cache_day",
        Rates(0.9997, 0.9991, 1.0),
        _history("attempts.cache_day", 4811, {0: RunState.PARTIAL}),
        1.3,
    ),
    JobHistory("game.life_regen", Rates(1.0, 1.0, 1.0), _history("game.life_regen", 4790, {}), 0.09),
    JobHistory(
        "game.session_cleanup",
        Rates(0.93, 0.997, 0.998),
        _history("game.session_cleanup", 4770, {3: RunState.FAILED}),
        0.7,
    ),
    JobHistory(
        "game.leaderboard_recalc",
        Rates(None, 0.88, 0.91),
        _history("game.leaderboard_recalc", 4750, {9: RunState.TIMED_OUT})[2:],
        65.0,
    ),
    JobHistory("reporting.daily_report", Rates(None, None, None), (), None),
)

BUSY = Snapshot(
    at=NOW,
    environment="staging",
    leader=ME,
    jobs=JOBS,
    live=(running(), Progress(a_run(4813, "game.life_regen", RunState.QUEUED), "UTC", None, None)),
    recent=(
        partial(4811, started_at=ago(minutes=31)),
        a_run(4810, "game.life_regen", started_at=ago(minutes=50), counts=Counts(planned=12, ok=10, skipped=2)),
        a_run(4809, "game.session_cleanup", RunState.FAILED, started_at=ago(hours=26), error="no such table"),
    ),
    histories=SUCCESS,
    redis=RedisView(STATS, None, (0.91, 0.95, None, 0.97, 0.99, 0.98, 0.97, 0.99)),
)
QUIET = replace(BUSY, live=())


def paused(target: str, hours: float | None = 5, who: str = "ben", note: str = "", number: int = 1) -> Pause:
    """A pause that ends in some hours."""
    end = None if hours is None else NOW.replace(minute=0, second=0) + timedelta(hours=hours)
    return Pause(number, target, ago(hours=1), end, who, note)


def attached(who: str, number: int = 1, face: str = "console", host: str = "web1") -> Attached:
    """A process that started an hour ago."""
    return Attached(f"{host}-{number}", who, "10.0.0.7", host, 4000 + number, face, "Dashboard", ago(hours=1), NOW)


WAITING = Progress(
    a_run(4814, "attempts.suggest", RunState.QUEUED),
    "Asia/Kolkata",
    None,
    None,
    Wait(WaitReason.AFTER, 4811, "attempts.cache_day"),
)
STOP = Stop("ben", ago(seconds=3), NOW + timedelta(seconds=7), note="too slow")
PAUSED = replace(
    BUSY,
    live=(running(stop=STOP), WAITING),
    pauses=(paused("game.life_regen"), paused("reporting", None, "chen", "ledger is moved")),
    attached=(attached("asha"), attached("ben", 2), attached("cron", 3, "headless")),
)
EMPTY = Snapshot(at=NOW, environment="", leader=ME)
NEW = replace(
    EMPTY,
    jobs=JOBS[:1],
    histories=(JobHistory("attempts.cache_day", Rates(None, None, None), (), None),),
    redis=BUSY.redis,
)

OVERDUE = Finding(Severity.CRITICAL, FindingKind.OVERDUE, "reporting.daily_report", ago(minutes=4))
FAILED = Finding(
    Severity.WARNING,
    FindingKind.FAILED_RUN,
    "attempts.cache_day",
    ago(hours=3),
    a_run(4811, state=RunState.PARTIAL, counts=Counts(10_000, 9_997, 3), kinds={"KeyError": 3}),
)
REDIS_DOWN = Finding(Severity.CRITICAL, FindingKind.UNREACHABLE, "Redis", ago(minutes=8), reason="Connection refused")
TROUBLE = replace(
    BUSY,
    at=ago(seconds=40),
    environment="production",
    leader=None,
    live=(Progress(a_run(4812, state=RunState.INTERRUPTED), "Asia/Kolkata", None, None),),
    redis=replace(BUSY.redis, outage=Outage(ago(minutes=8), "Connection refused")),
    findings=(
        Finding(Severity.CRITICAL, FindingKind.UNREACHABLE, "the store", ago(minutes=2), reason="database is locked"),
        REDIS_DOWN,
        OVERDUE,
        FAILED,
    ),
    store_outage=Outage(ago(minutes=2), "database is locked"),
)

PAGE = RunPage(
    at=NOW,
    progress=Progress(partial(4811, metrics={"cached_days": 9_997, "bytes": 1_204_331}), "Asia/Kolkata", None, None),
    grid=tuple(BatchCell(i, BatchState.DONE, 50, {40: 2, 133: 1}.get(i, 0)) for i in range(200)),
    causes=(
        Cause("question_is_missing", "question q-7781 is missing", 2, ("u0417", "u1290")),
        Cause("redis_unreachable", "Redis refused the write: out of memory", 1, ("u8833",)),
    ),
    log=(
        (ago(minutes=2), "10,000 users in 200 batches"),
        (ago(minutes=1, seconds=59.05), "batch 41 of 200: 49 ok, 1 failed"),
        (ago(minutes=1, seconds=58.6), "9,997 ok, 3 failed of 10,000 users in 1.4 s"),
    ),
    retried_by=(),
)


DAY_FAMILY = Family("attempts.day", "date:user:{date}:{user}", timedelta(hours=2), of=("user",))
LEVEL_FAMILY = Family("practice.level", "level:{user}:{subject}", timedelta(hours=1), of=("user", "subject"))
BOARD_FAMILY = Family("game.board", "leaderboard:{board}", None)
FAMILIES = (DAY_FAMILY, LEVEL_FAMILY, BOARD_FAMILY)
COUNT_STARTED = ClearProgress({"attempts.day": 0, "practice.level": 0}, 0, 41_204)
HALFWAY = ClearProgress({"attempts.day": 310, "practice.level": 0}, 12_000, 41_204, ("date:user:2026-01-19:asha",))
COUNTED = ClearProgress(
    {"attempts.day": 910, "practice.level": 30},
    41_204,
    41_204,
    ("date:user:2026-01-19:asha", "date:user:2026-01-18:asha", "level:asha:maths"),
    ("game.board",),
    done=True,
)
MANY = replace(COUNTED, found={"attempts.day": 41_000, "practice.level": 30})
PANELS = (
    PanelView(
        "game",
        "Players",
        PanelContent(facts=(("lives due", "1,204"), ("streaks in danger", "3"), ("sessions left open", "12"))),
    ),
    PanelView(
        "game",
        "Leaderboards",
        PanelContent(
            columns=("board", "players", "first", "XP", "since"),
            rows=(
                ("all time", "10,000", "asha", "91,240", "2025-11-02 08:12 UTC"),
                ("week", "812", "日本語", "4,031", "2026-01-19 06:40 UTC"),
                ("maths", "0", "", "", ""),
            ),
        ),
    ),
    PanelView("exams", "Queue", PanelContent(message="the data database is unreachable: timeout"), failed=True),
    PanelView("reporting", "Reports", PanelContent(columns=("day", "users"), message="no day is reported yet")),
)


# --- backfills ----------------------------------------------------------------------------------------------------

REPORT, SNAPSHOT, SUMMARY = "reporting.daily_report", "reporting.daily_snapshot", "reporting.monthly_summary"
MASTERY = "attempts.update_mastery"
CALENDARS = (
    WindowedJob(MASTERY, "Asia/Kolkata", Unit.FOUR_WEEKS, newest_only=True),
    WindowedJob(REPORT, "UTC", Unit.DAY, finds_stale=True),
    WindowedJob(SNAPSHOT, "UTC", Unit.DAY, after=(REPORT,)),
    WindowedJob(SUMMARY, "UTC", Unit.MONTH, after=(SNAPSHOT,), finds_stale=True),
)


def utc_day(day_: date) -> Window:
    """A day in UTC."""
    start = datetime(day_.year, day_.month, day_.day, tzinfo=UTC)
    return Window(start, start + timedelta(days=1), day_.isoformat())


def a_window(window: Window, state: WindowState = WindowState.FRESH, **other: Any) -> WindowStatus:
    """A window covered by a run, unless it is missing."""
    if state in (WindowState.MISSING, WindowState.NOT_DUE):
        return WindowStatus(window, state, WindowRecord(**other))
    record = {"run": 4000, "result": state, "items": 1203, "seconds": 2.1, **other}
    return WindowStatus(window, state, WindowRecord(**record), 4900 if state is WindowState.RUNNING else None)


def _odd(n: int) -> WindowState:
    """The state of the day `n` days ago."""
    states = {0: WindowState.NOT_DUE, 33: WindowState.FAILED, 100: WindowState.PARTIAL}
    missing, stale = range(48, 52), range(200, 208)
    return states.get(n) or (
        WindowState.MISSING if n in missing else WindowState.STALE if n in stale else WindowState.FRESH
    )


A_YEAR = tuple(
    a_window(utc_day(NOW.date() - timedelta(days=n)), _odd(n), checked_at=ago(minutes=5), stale=12 * (200 <= n < 208))
    for n in range(380, -1, -1)
)
MONTHS = tuple(
    a_window(
        Window(datetime(y, m, 1, tzinfo=UTC), datetime(y + m // 12, m % 12 + 1, 1, tzinfo=UTC), f"{y}-{m:02}"),
        WindowState.MISSING if (y, m) < (2024, 6) else WindowState.FRESH,
    )
    for y in (2024, 2025)
    for m in range(1, 13)
)


def a_step(seq: int, day_: date, state: StepState = StepState.PENDING, job: str = REPORT, **other: Any) -> StepView:
    """A missing window of a plan."""
    made = Step(job, utc_day(day_), True, StepReason.MISSING, Selection.ALL, 1203, 0.5, False, None, "spec")
    run = None if state in (StepState.PENDING, StepState.SKIPPED) else 4900 + seq
    return StepView(seq, replace(made, runs=state is not StepState.SKIPPED, **other), state, run)


def a_backfill(number: int, state: BackfillState = BackfillState.DONE, **other: Any) -> Backfill:
    """A backfill of last December by ben, this morning."""
    made = Backfill(
        id=number,
        state=state,
        jobs=(REPORT,),
        since="2025-12-01",
        until="2025-12-31",
        only=Only.MISSING,
        stop_on_failure=False,
        requested_by="ben",
        created_at=ago(hours=8, minutes=17),
        command=17,
        started_at=ago(hours=8, minutes=16),
        ended_at=ago(hours=8, minutes=16) + timedelta(seconds=22) if state is BackfillState.DONE else None,
        stop=None,
        counts={StepState.DONE: 31},
        items=37_293,
        seconds=15.0,
    )
    return replace(made, **other)


_FOUR = [date(2025, 12, n) for n in range(1, 6)]
PLAN_STEPS: Sequence[StepView] = (
    *(a_step(n, day_) for n, day_ in enumerate(_FOUR[:4], 1)),
    a_step(5, _FOUR[4], StepState.SKIPPED, reason=StepReason.FRESH, items=0),
)
PLAN = a_backfill(
    12,
    BackfillState.PLANNED,
    since="2025-12-01",
    until="2025-12-05",
    requested_by="asha",
    started_at=None,
    counts={StepState.PENDING: 4, StepState.SKIPPED: 1},
    items=4812,
    seconds=2.0,
)
PAST_BACKFILLS = [
    a_backfill(11),
    a_backfill(
        10,
        jobs=(REPORT, SNAPSHOT),
        since="2025-10-30",
        counts={StepState.DONE: 120, StepState.PARTIAL: 1, StepState.FAILED: 3},
    ),
    a_backfill(9, BackfillState.PLANNED, started_at=None),
]
ACTIVE_BACKFILL = a_backfill(
    12,
    BackfillState.RUNNING,
    since="2025-12-01",
    until="2026-01-18",
    requested_by="asha",
    started_at=ago(seconds=20),
    counts={StepState.DONE: 19, StepState.FAILED: 1, StepState.RUNNING: 1, StepState.PENDING: 27},
)


@dataclass(frozen=True)
class Done(Outcome):
    """The outcome of a command that was executed, with this sentence."""

    sentence: str = ""

    @property
    def done(self) -> str:
        return self.sentence


def refused(message: str, exit_code: int = 4) -> Outcome:
    """The outcome of a command that was refused."""
    return Outcome("trigger", {"error": "refused", "message": message, "exit_code": exit_code})


class FakeService:
    """A service that returns prepared values and records its calls."""

    def __init__(self, pages: Sequence[RunPage] = (PAGE,)) -> None:
        self.calls: list[tuple[object, ...]] = []
        self.pages = {page.progress.run.id: page for page in pages}
        self.result: Outcome | None = Outcome("trigger", {"run": 4900})
        self.local_runs: tuple[Run, ...] = ()
        self.hand_over_error: OpsconsoleError | None = None
        self.read_only = False
        self.presence: list[str] = []
        self.error: OpsconsoleError | None = None
        self.items = 10_000
        self.cache_families: tuple[Family, ...] = FAMILIES
        self.steps: Sequence[ClearProgress] = (COUNT_STARTED, HALFWAY, COUNTED)
        self.counting = threading.Event()
        self.counting.set()
        self.unreachable: OpsconsoleError | None = None
        self.panel_views: tuple[PanelView, ...] = PANELS
        self.jobs_with_windows: tuple[WindowedJob, ...] = CALENDARS
        self.window_statuses: dict[str, Sequence[WindowStatus]] = {
            REPORT: A_YEAR,
            SNAPSHOT: A_YEAR[:-9],
            SUMMARY: MONTHS,
        }
        self.past_backfills: list[Backfill] = []
        self.plan, self.plan_steps, self.warnings = PLAN, PLAN_STEPS, ["results expire soon"]
        self.progress_steps: list[CommandProgress] = []
        self.answering = threading.Event()
        self.answering.set()
        self.callback: Callable[[Snapshot], None] | None = None
        self.queries = self.commands = self
        self.backfills = FakeBackfills(self)

    def set_screen(self, screen: str, /) -> None:
        self.presence.append(screen)

    def watch(self, callback: Callable[[Snapshot], None], /) -> None:
        self.callback = callback

    def close(self) -> None:
        self.callback = None

    def preview(self, job: str, day_: str | None, /) -> Preview:
        self.record("preview", job, day_)
        return Preview(job, day(day_ or "2026-01-19"), "Asia/Kolkata", self.items, "staging")

    def trigger(self, job: str, day_: str | None, /) -> int:
        self.record("trigger", job, day_)
        return 17

    def retry(self, run: int, /) -> int:
        self.record("retry", run)
        return 18

    def cancel(self, run: int, /, *, force: bool = False, note: str = "") -> int:
        self.record("cancel", run, force, note)
        return 19

    def pause(self, target: str, /, *, until: datetime | None, note: str = "") -> int:
        self.record("pause", target, until, note)
        return 20

    def resume(self, target: str, /) -> int:
        self.record("resume", target)
        return 21

    def families(self) -> tuple[Family, ...]:
        return self.cache_families

    def count_keys(self, selected: ClearFilter, /) -> Iterator[ClearProgress]:
        """Waits for `counting` before the last step."""
        self.calls.append(("count_keys", selected))
        if self.unreachable is not None:
            raise self.unreachable
        yield from self.steps[:-1]
        self.counting.wait(5)
        yield self.steps[-1]

    def clear_cache(self, selected: ClearFilter, /, *, counted: int | None = None) -> int:
        self.record("clear", selected, counted)
        return 22

    def panels(self) -> tuple[PanelView, ...]:
        self.calls.append(("panels",))
        if self.unreachable is not None:
            raise self.unreachable
        return self.panel_views

    def progress(self, command: int, /) -> CommandProgress | None:
        return self.progress_steps.pop(0) if self.progress_steps else None

    def outcome(self, command: int, wait_seconds: float, /) -> Outcome | None:
        self.answering.wait(30)
        return self.result

    def run_page(self, number: int, /) -> RunPage:
        self.calls.append(("run_page", number))
        if number not in self.pages:
            raise UnknownRun(number)
        return self.pages[number]

    def runs_here(self) -> tuple[Run, ...]:
        self.answering.wait(5)
        return self.local_runs

    def hand_over(self) -> None:
        self.calls.append(("hand_over",))
        if self.hand_over_error is not None:
            raise self.hand_over_error

    def record(self, *what: object) -> None:
        self.calls.append(what)
        if self.error is not None:
            raise self.error


class FakeBackfills:
    """The backfills of a FakeService, which holds their values."""

    def __init__(self, fake: FakeService) -> None:
        self._fake = fake

    def windowed_jobs(self) -> tuple[WindowedJob, ...]:
        return self._fake.jobs_with_windows

    def windows(self, job: str, since: date | None, until: date | None, /) -> list[WindowStatus]:
        self._fake.calls.append(("windows", job, since, until))
        statuses = self._fake.window_statuses.get(job, ())
        return [each for each in statuses if str(since)[: len(each.window.label)] <= each.window.label <= str(until)]

    def plan(
        self, jobs: Sequence[str], since: date, until: date, /, *, only: Only, progress: PlanProgress | None
    ) -> int:
        """Waits for `counting` before the last window."""
        self._fake.calls.append(("plan_backfill", tuple(jobs), str(since), str(until), only))
        if progress is not None:
            for n in (1, 2):
                progress(jobs[0], n, 3)
            self._fake.counting.wait(5)
            progress(jobs[0], 3, 3)
        if self._fake.unreachable is not None:
            raise self._fake.unreachable
        return self._fake.plan.id

    def get(self, number: int, /) -> Backfill:
        found = next((about for about in (self._fake.plan, *self._fake.past_backfills) if about.id == number), None)
        if found is None:
            raise UnknownBackfill(number)
        return found

    def steps(self, number: int, /) -> list[StepView]:
        return list(self._fake.plan_steps)

    def warnings(self, number: int, /) -> list[str]:
        return list(self._fake.warnings)

    def newest(self, *, limit: int) -> list[Backfill]:
        if self._fake.unreachable is not None:
            raise self._fake.unreachable
        return list(self._fake.past_backfills)

    def apply(self, number: int, /) -> int:
        self._fake.record("apply_backfill", number)
        return 23

    def pause(self, number: int, /, *, note: str = "") -> int:
        self._fake.record("pause_backfill", number)
        return 24

    def resume(self, number: int, /) -> int:
        self._fake.record("resume_backfill", number)
        return 25

    def cancel(self, number: int, /, *, note: str = "") -> int:
        self._fake.record("cancel_backfill", number)
        return 26
