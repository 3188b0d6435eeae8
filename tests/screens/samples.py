"""Hand-made Snapshots and runs of one evening."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from opsconsole.authoring.batch import BatchState
from opsconsole.authoring.extensions import PanelContent
from opsconsole.authoring.run import Counts, Run, RunState, Selection, Stop, Trigger
from opsconsole.cache.clearing import ClearProgress
from opsconsole.cache.families import Family
from opsconsole.cache.figures import RedisStats
from opsconsole.calendar.windows import Window
from opsconsole.rules.admission import Wait, WaitReason
from opsconsole.service.run_details import BatchCell, Cause, RunPage
from opsconsole.service.snapshot import (
    Finding,
    FindingKind,
    JobCard,
    JobHistory,
    Leader,
    Outage,
    PanelView,
    Pause,
    Progress,
    RedisView,
    Severity,
    Snapshot,
)
from opsconsole.store.presence import Attached
from opsconsole.store.statistics import Rates

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


def _history(job: str, first: int, states: dict[int, RunState]) -> tuple[Run, ...]:
    return tuple(
        a_run(
            first - i, job, states.get(i, RunState.SUCCEEDED), started_at=ago(days=i, minutes=30), seconds=1.2 + i % 3
        )
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


TIDY = replace(BUSY, recent=())
"""Nothing has failed lately."""


def paused(target: str, hours: float | None = 5, who: str = "ben", note: str = "", number: int = 1) -> Pause:
    """A pause that ends in some hours."""
    end = None if hours is None else NOW.replace(minute=0, second=0) + timedelta(hours=hours)
    return Pause(number, target, ago(hours=1), end, who, note)


def attached(who: str, number: int = 1, interface: str = "console", host: str = "web1") -> Attached:
    """A process that started an hour ago."""
    return Attached(f"{host}-{number}", who, "10.0.0.7", host, 4000 + number, interface, "Dashboard", ago(hours=1), NOW)


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
    reason="KeyError",
    count=3,
    numbers={"planned": 10_000, "ok": 9_997, "failed": 3, "retries": 0, "same_cause": 1, "broken": 0},
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
)
RECENT_PAGES = {
    run.id: RunPage(
        at=NOW,
        progress=Progress(run, "UTC", None, None),
        grid=(BatchCell(1, BatchState.FAILED if run.error else BatchState.DONE, run.counts.planned, 0),),
        causes=(),
        log=((ago(hours=26), run.error or f"{run.counts.ok} ok of {run.counts.planned}"),),
    )
    for run in BUSY.recent
    if run.id != PAGE.progress.run.id
}


DAY_FAMILY = Family(
    "attempts.day",
    "date:user:{date}:{user}",
    timedelta(hours=2),
    of=("user",),
    computed_from=("attempts", "questions"),
    filled_by=("attempts.cache_day",),
)


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
