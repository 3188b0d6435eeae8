"""Panels: the request queue, the stored exams, and API calls with their cost."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import case, func, select

from jobs.exams.checks import CHECKS, lacking, mean_size
from jobs.exams.inventory import EXPIRES_SOON, unused, valid
from jobs.exams.options import dollars, micros, read_options
from jobs.exams.tables import OPEN, ExamType, Outcome, RequestState, exam_calls, exam_requests, pre_generated_exams
from jobs.exams.usage import spent, start_of_day
from opsconsole.extensions import ExtensionContext, Panel, PanelContent, duration

c, e, r = exam_calls.c, pre_generated_exams.c, exam_requests.c

OUTCOME_TEXT = {
    Outcome.PENDING: "in progress or lost",
    Outcome.RECEIVED: "not checked yet",
    Outcome.ACCEPTED: "accepted",
    Outcome.REJECTED: "invalid content",
    Outcome.UNAVAILABLE: "no response",
    Outcome.REFUSED: "refused",
}


def request_queue(ctx: ExtensionContext) -> PanelContent:
    """Requests by state and type, what is wrong, and the cost of today."""
    options, now = read_options(ctx.options), ctx.now
    with ctx.reading() as db:
        counts = {
            (row[0], row[1]): row[2]
            for row in db.execute(select(r.state, r.exam_type, func.count()).group_by(r.state, r.exam_type))
        }
        oldest = db.execute(select(func.min(r.created_at)).where(r.state.in_([state.value for state in OPEN]))).scalar()
        today = spent(db, since=start_of_day(now))
    problem = lacking(ctx, options)
    found = [condition.message for check in CHECKS for condition in check.read(ctx)]
    wrong = [*([problem] if problem else []), *found]
    facts = (
        ("generation", "not configured" if problem else f"{options.model}, mode {options.mode}"),
        ("oldest open request", "-" if oldest is None else duration(now - oldest)),
        ("cost today", f"{dollars(today)} of {dollars(micros(options.daily_budget))}"),
    )
    rows = tuple(
        (state.value, *(f"{counts.get((state.value, exam.value), 0):,}" for exam in ExamType)) for state in RequestState
    )
    return PanelContent(facts, ("requests", *ExamType), rows, message="; ".join(wrong))


def stored_exams(ctx: ExtensionContext) -> PanelContent:
    """The number and mean size of stored exams by type."""
    now = ctx.now
    soon = valid(now) & (e.expires_at <= now + EXPIRES_SOON)
    conditions = (valid(now), soon, unused() & (e.expires_at <= now), e.used.is_(True))
    sums = (func.sum(case((condition, 1), else_=0)) for condition in conditions)
    with ctx.reading() as db:
        counts = {row[0]: row[1:] for row in db.execute(select(e.exam_type, *sums).group_by(e.exam_type))}
        sizes = {exam: mean_size(db, exam) for exam in ExamType}
    rows = tuple(
        (
            exam.value,
            *(f"{int(n):,}" for n in counts.get(exam.value, (0,) * len(conditions))),
            f"{sizes[exam] / 1000:,.0f} kB" if sizes[exam] else "-",
        )
        for exam in ExamType
    )
    return PanelContent(columns=("exams", "valid", "expiring in 24 h", "expired", "used", "mean size"), rows=rows)


def api_calls(ctx: ExtensionContext) -> PanelContent:
    """The calls of the last 24 hours by outcome and cause, with tokens and cost."""
    since = ctx.now - timedelta(hours=24)
    tokens_in = c.input_tokens + c.cache_write_tokens + c.cache_read_tokens
    totals = (tokens_in, c.output_tokens, func.coalesce(c.cost_micros, c.reserved_micros))
    with ctx.reading() as db:
        found = db.execute(
            select(c.outcome, c.cause, func.count(), *(func.coalesce(func.sum(each), 0) for each in totals))
            .where(c.asked_at >= since)
            .group_by(c.outcome, c.cause)
            .order_by(func.count().desc(), c.outcome, c.cause)
        ).all()
    rows = tuple(
        (
            OUTCOME_TEXT[Outcome(outcome)],
            cause or "",
            f"{calls:,}",
            f"{int(tokens_read):,}",
            f"{int(tokens_written):,}",
            dollars(int(cost)),
        )
        for outcome, cause, calls, tokens_read, tokens_written, cost in found
    )
    facts = (
        ("calls in 24 hours", f"{sum(row[2] for row in found):,}"),
        ("tokens", f"{sum(int(row[3]) + int(row[4]) for row in found):,}"),
        ("cost", dollars(sum(int(row[5]) for row in found))),
    )
    return PanelContent(facts, ("outcome", "cause", "calls", "input tokens", "output tokens", "cost"), rows)


PANELS = (
    Panel("Exam requests", request_queue),
    Panel("Stored exams", stored_exams),
    Panel("Claude API calls", api_calls),
)
