"""What somebody has to look at: a finished sentence for each thing that is not as it should be."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, func, select

from jobs.exams.ledger import midnight, spent
from jobs.exams.options import Options, dollars, micros, what_is_missing
from jobs.exams.stock import e, over, r, unused
from jobs.exams.tables import OPEN, ExamType, RequestState, pre_generated_exams
from opsconsole import hours

USUAL_BYTES = {ExamType.DIAGNOSTIC: 100_000, ExamType.PRACTICE: 300_000}
TOO_LARGE = 3
"""An exam of so many times its usual size is worth a look."""
NEWEST = 20
"""So many exams of a type are measured: all of them would take a while."""
AGAIN_AND_AGAIN = 3
CLEANED_EVERY = hours(7)


def alarms(db: Connection, options: Options, now: datetime) -> Iterator[str]:
    """Everything that is not as it should be, most urgent first."""
    missing = what_is_missing(options)
    if missing is not None:
        yield missing
    budget, today = micros(options.budget_a_day), spent(db, since=midnight(now))
    if today >= budget:
        yield f"the day's budget is reached: {dollars(today)} of {dollars(budget)}"
    an_hour_ago = now - hours(1)
    failed = _count(db, r.state == RequestState.FAILED.value, r.updated_at > an_hour_ago)
    if failed >= AGAIN_AND_AGAIN:
        yield f"{failed:,} requests failed within the last hour"
    came = _count(db, r.created_at > an_hour_ago)
    went = _count(db, r.state == RequestState.DONE.value, r.updated_at > an_hour_ago)
    waited = _count(db, r.state.in_([state.value for state in OPEN]), r.created_at <= an_hour_ago)
    if waited and came > went:
        yield f"the queue is growing: within the last hour {came:,} requests came and {went:,} were met"
    left = db.execute(select(func.count()).select_from(pre_generated_exams).where(over(now - CLEANED_EVERY))).scalar()
    if left:
        yield f"{left:,} exams should have been deleted by now: exams.generate and exams.cleanup do it"
    for exam, usual in USUAL_BYTES.items():
        size = mean_size(db, exam)
        if size > TOO_LARGE * usual:
            yield f"{exam} exams have {size / 1000:,.0f} kB, and usually {usual / 1000:,.0f}"


def mean_size(db: Connection, exam: ExamType) -> float:
    """The mean length of the newest exams of a type that nobody took, in characters of JSON; 0 when there is none."""
    mine = (unused(), e.exam_type == exam.value)
    newest = select(e.id).where(*mine).order_by(e.created_at.desc()).limit(NEWEST)
    length = func.avg(func.length(e.questions))
    return float(db.execute(select(func.coalesce(length, 0)).where(e.id.in_(newest))).scalar_one())


def _count(db: Connection, *conditions: object) -> int:
    return int(db.execute(select(func.count(r.id)).where(*conditions)).scalar_one())  # type: ignore[arg-type]
