"""What the console shows of exams: the queue, the stock, and what calls came to and cost."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import case, func, select

from jobs.exams.alarms import alarms, mean_size
from jobs.exams.ledger import c, midnight, spent
from jobs.exams.options import dollars, micros, settings_of, what_is_missing
from jobs.exams.stock import EXPIRES_SOON, e, r, unused, valid
from jobs.exams.tables import OPEN, ExamType, Outcome, RequestState
from opsconsole.extensions import ExtensionContext, Panel, PanelContent

SAID = {
    Outcome.ASKED: "under way, or lost",
    Outcome.ANSWERED: "not judged yet",
    Outcome.KEPT: "kept",
    Outcome.UNFIT: "failed the check",
    Outcome.AWAY: "no answer",
    Outcome.REFUSED: "refused",
}


def queue_now(serving: ExtensionContext) -> PanelContent:
    """Requests by state and type, what is not as it should be, and what today cost."""
    options, now = settings_of(serving.options), serving.now
    with serving.reading() as db:
        counted = {
            (row[0], row[1]): row[2]
            for row in db.execute(select(r.state, r.exam_type, func.count()).group_by(r.state, r.exam_type))
        }
        oldest = db.execute(select(func.min(r.created_at)).where(r.state.in_([state.value for state in OPEN]))).scalar()
        today = spent(db, since=midnight(now))
        wrong = list(alarms(db, options, now))
    facts = (
        ("exams can be made", "no" if what_is_missing(options) else f"yes, by {options.model}, as {options.mode}"),
        ("oldest open request", "-" if oldest is None else _age(now - oldest)),
        ("cost today", f"{dollars(today)} of {dollars(micros(options.budget_a_day))}"),
    )
    rows = tuple(
        (state.value, *(f"{counted.get((state.value, exam.value), 0):,}" for exam in ExamType))
        for state in RequestState
    )
    return PanelContent(facts, ("requests", *ExamType), rows, message="; ".join(wrong))


def stock_now(serving: ExtensionContext) -> PanelContent:
    """For each type how many exams there are, and how large they are."""
    now = serving.now
    soon = valid(now) & (e.expires_at <= now + EXPIRES_SOON)
    conditions = (valid(now), soon, unused() & (e.expires_at <= now), e.used.is_(True))
    counts = (func.sum(case((condition, 1), else_=0)) for condition in conditions)
    with serving.reading() as db:
        counted = {row[0]: row[1:] for row in db.execute(select(e.exam_type, *counts).group_by(e.exam_type))}
        sizes = {exam: mean_size(db, exam) for exam in ExamType}
    rows = tuple(
        (
            exam.value,
            *(f"{int(n):,}" for n in counted.get(exam.value, (0,) * len(conditions))),
            f"{sizes[exam] / 1000:,.0f} kB" if sizes[exam] else "-",
        )
        for exam in ExamType
    )
    return PanelContent(columns=("exams", "valid", "expire in a day", "expired", "taken", "mean size"), rows=rows)


def calls_now(serving: ExtensionContext) -> PanelContent:
    """What came of the calls of the last 24 hours, by cause, with their tokens and their cost."""
    since = serving.now - timedelta(hours=24)
    tokens_in = c.input_tokens + c.cache_write_tokens + c.cache_read_tokens
    sums = (tokens_in, c.output_tokens, func.coalesce(c.cost_micros, c.reserved_micros))
    with serving.reading() as db:
        found = db.execute(
            select(c.outcome, c.cause, func.count(), *(func.coalesce(func.sum(each), 0) for each in sums))
            .where(c.asked_at >= since)
            .group_by(c.outcome, c.cause)
            .order_by(func.count().desc(), c.outcome, c.cause)
        ).all()
    rows = tuple(
        (SAID[Outcome(outcome)], cause or "", f"{calls:,}", f"{int(read):,}", f"{int(made):,}", dollars(int(cost)))
        for outcome, cause, calls, read, made, cost in found
    )
    facts = (
        ("calls in 24 hours", f"{sum(row[2] for row in found):,}"),
        ("their tokens", f"{sum(int(row[3]) + int(row[4]) for row in found):,}"),
        ("their cost", dollars(sum(int(row[5]) for row in found))),
    )
    return PanelContent(facts, ("what came of them", "why", "calls", "tokens read", "tokens made", "cost"), rows)


def _age(length: timedelta) -> str:
    minutes = int(length.total_seconds() // 60)
    days, rest = divmod(minutes, 24 * 60)
    return f"{days} d {rest // 60} h" if days else f"{rest // 60} h {rest % 60} min" if rest >= 60 else f"{rest} min"


PANELS = (Panel("Exam requests", queue_now), Panel("Exams in stock", stock_now), Panel("Claude API calls", calls_now))
