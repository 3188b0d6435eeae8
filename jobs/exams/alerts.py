"""Alerts about exams, one sentence each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, func, select

from jobs.exams.inventory import finished, unused
from jobs.exams.options import Options, configuration_problem, dollars, micros
from jobs.exams.tables import OPEN, ExamType, RequestState, exam_requests, pre_generated_exams
from jobs.exams.usage import spent, start_of_day
from opsconsole import hours
from opsconsole.extensions import ExtensionContext, count

e, r = pre_generated_exams.c, exam_requests.c

TYPICAL_BYTES = {ExamType.DIAGNOSTIC: 100_000, ExamType.PRACTICE: 300_000}
SIZE_ALERT_FACTOR = 3
"""Alert when the mean size exceeds the typical size this many times."""
SIZE_SAMPLE = 20
"""Exams of a type that are measured: measuring all of them is slow."""
MANY_FAILURES = 3
CLEANUP_GRACE = hours(7)
"""exams.generate cleans up every six hours."""


def lacking(ctx: ExtensionContext, options: Options) -> str | None:
    """What keeps exams from being generated: in the process that leads, or in this one when none does."""
    notes = ctx.leader_notes()
    if notes is not None:
        return "; ".join(notes) or None
    problem = configuration_problem(options)
    return None if problem is None else f"this process: {problem}"


def current_alerts(db: Connection, options: Options, now: datetime) -> Iterator[str]:
    """The current alerts, most urgent first."""
    budget, today = micros(options.daily_budget), spent(db, since=start_of_day(now))
    if today >= budget:
        yield f"the daily budget is reached: {dollars(today)} of {dollars(budget)}"
    an_hour_ago = now - hours(1)
    failed = _count(db, r.state == RequestState.FAILED.value, r.updated_at > an_hour_ago)
    if failed >= MANY_FAILURES:
        yield f"{count(failed, 'request')} failed in the last hour"
    added = _count(db, r.created_at > an_hour_ago)
    completed = _count(db, r.state == RequestState.DONE.value, r.updated_at > an_hour_ago)
    waiting = _count(db, r.state.in_([state.value for state in OPEN]), r.created_at <= an_hour_ago)
    if waiting and added > completed:
        yield f"the queue is growing: {added:,} requests added and {completed:,} completed in the last hour"
    overdue = select(func.count()).select_from(pre_generated_exams).where(finished(now - CLEANUP_GRACE))
    remaining = db.execute(overdue).scalar_one()
    if remaining:
        yield f"{count(remaining, 'exam')} should have been deleted by now; run exams.cleanup"
    for exam, typical in TYPICAL_BYTES.items():
        size = mean_size(db, exam)
        if size > SIZE_ALERT_FACTOR * typical:
            yield f"{exam} exams have {size / 1000:,.0f} kB on average; {typical / 1000:,.0f} kB is typical"


def mean_size(db: Connection, exam: ExamType) -> float:
    """The mean length of the newest unused exams of a type, in characters of JSON; 0 without any."""
    of_type = (unused(), e.exam_type == exam.value)
    newest = select(e.id).where(*of_type).order_by(e.created_at.desc()).limit(SIZE_SAMPLE)
    length = func.avg(func.length(e.questions))
    return float(db.execute(select(func.coalesce(length, 0)).where(e.id.in_(newest))).scalar_one())


def _count(db: Connection, *conditions: object) -> int:
    return int(db.execute(select(func.count(r.id)).where(*conditions)).scalar_one())  # type: ignore[arg-type]
