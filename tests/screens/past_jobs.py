"""Details of jobs, and explanations of scheduled times, as the service returns them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from opsconsole.authoring.job import Job, Limits, all_of
from opsconsole.authoring.occurrence import OccurrenceState, Reason
from opsconsole.authoring.run import RunState
from opsconsole.calendar.cron import Cron
from opsconsole.calendar.windows import DAY, hours, minutes
from opsconsole.rules.explain import Answer
from opsconsole.rules.job_history import usual_duration
from opsconsole.rules.proofs import Proof
from opsconsole.service.job_page import NO_ITEMS, JobPage
from opsconsole.service.occurrence_details import Explanation
from opsconsole.store.failing import FailingItem, FailingItems
from tests.screens import samples

CACHE_DAY = "attempts.cache_day"
KOLKATA = "Asia/Kolkata"
CRONS = {
    "game.life_regen": "*/30 * * * *",
    "game.session_cleanup": "0 * * * *",
    "game.leaderboard_recalc": "0 * * * *",
    "reporting.daily_report": "59 23 * * *",
}
DUE = datetime(2026, 1, 18, 18, 20, tzinfo=UTC)
"""The newest scheduled time of the job."""


def a_job(name: str = CACHE_DAY, **other: Any) -> Job:
    """A job of every evening in Kolkata."""
    values: dict[str, Any] = {
        "cron": "50 23 * * *",
        "tz": KOLKATA,
        "covers": DAY,
        "batch": 50,
        "workers": 2,
        "after": ("attempts.sync",),
        "exclusive": "attempts",
        "aliases": ("cache_day",),
        "catch_up": all_of(newest=7, within=hours(72)),
        "limits": Limits(max_age=hours(26), longest=minutes(10), pause_after=5),
        "description": "Caches the attempts of a day",
    }
    return Job(name, lambda scope: (), lambda ctx, items: None, **(values | other))


def a_page(job: Job | None = None, **other: Any) -> JobPage:
    """The details of a job, with runs of two weeks."""
    job = job or a_job()
    cron = Cron(job.cron, job.tz) if job.cron is not None else None
    newest = tuple(
        samples.a_run(
            4811 - day,
            job.name,
            RunState.FAILED if day == 6 else RunState.PARTIAL if day == 0 else RunState.SUCCEEDED,
            started_at=samples.ago(days=day, minutes=31),
            seconds=1.2 + day % 4 / 5,
        )
        for day in range(14)
    )
    items = FailingItems((4811, 4810, 4809, 4808, 4807), 2, (FailingItem("u0417", 2, 4811, "no such question"),))
    values: dict[str, Any] = {
        "at": samples.NOW,
        "job": job,
        "words": cron.describe() if cron is not None else "manual",
        "scheduled": _next(cron) if cron is not None else (),
        "newest": newest,
        "usual": usual_duration(newest),
        "excludes": ("attempts.suggest",),
        "followers": ("attempts.suggest", "attempts.update_performance"),
        "failing": items,
    }
    return JobPage(**(values | other))


def page_of(name: str) -> JobPage:
    """The details of a job that agree with its row: simple ones for the other jobs of the samples."""
    if name not in CRONS:
        return a_page(a_job(name))
    simple = Job(name, lambda scope: (), lambda ctx, items: None, cron=CRONS[name], description=f"what {name} does")
    recent = [run for run in samples.BUSY.recent if run.job == name]
    history = next(each.newest for each in samples.SUCCESS if each.job == name)
    newest = (*recent, *history)
    return a_page(simple, newest=newest, usual=usual_duration(newest), excludes=(), followers=(), failing=NO_ITEMS)


def an_explanation(at: datetime = DUE, **other: Any) -> Explanation:
    """Why the job was skipped at a scheduled time."""
    skipped = Answer(
        at,
        True,
        OccurrenceState.SKIPPED,
        Reason.PAUSED,
        ("it was skipped because the job was paused", "ben paused attempts from 2026-01-18 20:00 IST: ticket 81"),
        (Proof("ops_occurrences", 812, {}), Proof("ops_pauses", 3, {})),
    )
    values: dict[str, Any] = {
        "job": CACHE_DAY,
        "cron": "50 23 * * *",
        "tz": KOLKATA,
        "notes": (),
        "answers": (skipped,),
        "previous": at - timedelta(days=1),
        "next": at + timedelta(days=1),
    }
    return Explanation(**(values | other))


def around(at: datetime) -> dict[str, Any]:
    """The same answer at another time."""
    values = an_explanation(at)
    return {"answers": values.answers, "previous": values.previous, "next": values.next}


def _next(cron: Cron) -> tuple[datetime, ...]:
    return tuple(cron.between(samples.NOW, samples.NOW + timedelta(days=9)))
