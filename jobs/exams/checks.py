"""Checks of exams. What they find becomes an alert, and is shown on the panel."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import ColumnElement, Connection, func, select

from jobs.exams.inventory import finished, unused
from jobs.exams.options import Options, configuration_problem, dollars, micros, read_options
from jobs.exams.tables import OPEN, ExamType, RequestState, exam_requests, pre_generated_exams
from jobs.exams.usage import spent, start_of_day
from opsconsole import hours, minutes
from opsconsole.extensions import Check, Condition, ExtensionContext, Severity, count, duration

e, r = pre_generated_exams.c, exam_requests.c

TYPICAL_BYTES = {ExamType.DIAGNOSTIC: 100_000, ExamType.PRACTICE: 300_000}
SIZE_ALERT_FACTOR = 3
"""Alert when the mean size exceeds the typical size this many times."""
SIZE_SAMPLE = 20
"""Exams of a type that are measured: measuring all of them is slow."""
MANY_FAILURES = 3
LONGEST_WAIT = {"messages": hours(6), "batch": hours(26)}
"""How long a request may wait, by mode: a message batch takes up to a day."""
CLEANUP_GRACE = hours(7)
"""exams.generate cleans up every six hours."""


def lacking(ctx: ExtensionContext, options: Options) -> str | None:
    """What keeps exams from being generated: in the process that leads, or in this one when none does."""
    notes = ctx.leader_notes()
    if notes is not None:
        return "; ".join(notes) or None
    problem = configuration_problem(options)
    return None if problem is None else f"this process: {problem}"


def daily_budget(ctx: ExtensionContext) -> Iterator[Condition]:
    """Whether today's budget is spent."""
    budget = micros(read_options(ctx.options).daily_budget)
    with ctx.reading() as db:
        today = spent(db, since=start_of_day(ctx.now))
    if today >= budget:
        yield Condition(Severity.WARNING, f"the daily budget is reached: {dollars(today)} of {dollars(budget)}")


def failures(ctx: ExtensionContext) -> Iterator[Condition]:
    """Whether requests fail again and again."""
    with ctx.reading() as db:
        failed = _count(db, r.state == RequestState.FAILED.value, r.updated_at > ctx.now - hours(1))
    if failed >= MANY_FAILURES:
        yield Condition(Severity.WARNING, f"{count(failed, 'request')} failed in the last hour")


def queue(ctx: ExtensionContext) -> Iterator[Condition]:
    """Whether requests arrive faster than exams are generated, and how long the oldest one has waited."""
    now, an_hour_ago = ctx.now, ctx.now - hours(1)
    is_open = r.state.in_([state.value for state in OPEN])
    with ctx.reading() as db:
        oldest = db.execute(select(func.min(r.created_at)).where(is_open)).scalar()
        if oldest is None or oldest > an_hour_ago:
            return
        added = _count(db, r.created_at > an_hour_ago)
        completed = _count(db, r.state == RequestState.DONE.value, r.updated_at > an_hour_ago)
    if added > completed:
        message = f"the queue is growing: {added:,} requests added and {completed:,} completed in the last hour"
        yield Condition(Severity.WARNING, message)
    if now - oldest > LONGEST_WAIT[read_options(ctx.options).mode]:
        yield Condition(Severity.WARNING, f"the oldest request has waited for {duration(now - oldest)}", since=oldest)


def cleanup(ctx: ExtensionContext) -> Iterator[Condition]:
    """Whether exams are kept that should have been deleted."""
    overdue = select(func.count()).select_from(pre_generated_exams).where(finished(ctx.now - CLEANUP_GRACE))
    with ctx.reading() as db:
        remaining = db.execute(overdue).scalar_one()
    if remaining:
        message = f"{count(remaining, 'exam')} should have been deleted by now; run exams.cleanup"
        yield Condition(Severity.WARNING, message)


def exam_size(ctx: ExtensionContext) -> Iterator[Condition]:
    """Whether the exams of a type are unusually large."""
    with ctx.reading() as db:
        sizes = {exam: mean_size(db, exam) for exam in ExamType}
    for exam, typical in TYPICAL_BYTES.items():
        if sizes[exam] > SIZE_ALERT_FACTOR * typical:
            message = f"{exam} exams have {sizes[exam] / 1000:,.0f} kB on average; {typical / 1000:,.0f} kB is typical"
            yield Condition(Severity.WARNING, message)


def mean_size(db: Connection, exam: ExamType) -> float:
    """The mean length of the newest unused exams of a type, in characters of JSON; 0 without any."""
    of_type = (unused(), e.exam_type == exam.value)
    newest = select(e.id).where(*of_type).order_by(e.created_at.desc()).limit(SIZE_SAMPLE)
    length = func.avg(func.length(e.questions))
    return float(db.execute(select(func.coalesce(length, 0)).where(e.id.in_(newest))).scalar_one())


def _count(db: Connection, *conditions: ColumnElement[bool]) -> int:
    return int(db.execute(select(func.count(r.id)).where(*conditions)).scalar_one())


CHECKS = (
    Check("daily_budget", daily_budget),
    Check("failures", failures),
    Check("queue", queue),
    Check("cleanup", cleanup, after=minutes(15)),
    Check("exam_size", exam_size),
)
"""The most urgent first."""
