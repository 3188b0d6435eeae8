"""Scheduled times, and explanations of them, as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from msgspec.structs import asdict

from opsconsole.authoring.occurrence import OccurrenceState, Reason
from opsconsole.core.times import utc
from opsconsole.rules.backfill import WindowState
from opsconsole.rules.explain import Answer
from opsconsole.service.documents import Document, Time
from opsconsole.service.occurrence_details import Explanation, OccurrenceRow, OccurrenceTotal


class OccurrenceDocument(Document, frozen=True, kw_only=True):
    """A scheduled time, or a range of `row_count` of them from `due_at` to `last_due_at`, of which `count` are in the
    requested range; not `exact` if the row crosses its ends and its schedule is no longer stored.
    """

    id: int
    job: str
    due_at: Time | None
    last_due_at: Time | None
    local: str
    tz: str
    state: OccurrenceState
    reason: Reason | None
    late_seconds: float | None
    run: int | None
    blocked_by: int | None
    count: int
    row_count: int
    exact: bool
    token: int
    recorded_at: Time | None


class TotalDocument(Document, frozen=True, kw_only=True):
    """How many scheduled times of a job had one outcome."""

    job: str
    state: OccurrenceState
    reason: Reason | None
    count: int
    exact: bool


class ProofDocument(Document, frozen=True, kw_only=True):
    """A row that proves an answer: its table, its number or name, and its content."""

    table: str
    row: int | str
    content: dict[str, Any]


class AnswerDocument(Document, frozen=True, kw_only=True):
    """What happened at a time, why, and the rows that prove it, the most important first."""

    utc: Time | None
    local: str
    scheduled: bool
    state: OccurrenceState | None
    reason: Reason | None
    explanation: tuple[str, ...]
    rows: tuple[ProofDocument, ...]


class WhyDocument(Document, frozen=True, kw_only=True):
    """Why a job ran or did not run: an answer for each time that the question can mean."""

    job: str
    cron: str | None
    tz: str
    notes: tuple[str, ...]
    answers: tuple[AnswerDocument, ...]
    previous: Time | None
    next: Time | None


def occurrence_document(row: OccurrenceRow) -> OccurrenceDocument:
    """A recorded scheduled time."""
    record = row.record
    return OccurrenceDocument(
        id=record.id,
        job=record.job,
        due_at=utc(record.due_at),
        last_due_at=utc(record.last_due_at),
        local=in_zone(record.due_at, row.tz),
        tz=row.tz,
        state=record.state,
        reason=record.reason,
        late_seconds=late_seconds(row),
        run=record.run,
        blocked_by=record.blocked_by,
        count=row.instants,
        row_count=record.instants,
        exact=row.exact,
        token=record.token,
        recorded_at=utc(record.recorded_at),
    )


def total_document(total: OccurrenceTotal) -> TotalDocument:
    """How often an outcome was recorded."""
    return TotalDocument(job=total.job, state=total.state, reason=total.reason, count=total.instants, exact=total.exact)


class WindowWhyDocument(WhyDocument, frozen=True, kw_only=True):
    """The same for a window, with its state; null where that cannot be read."""

    state: WindowState | None


def window_why_document(explanation: Explanation, state: WindowState | None) -> WindowWhyDocument:
    return WindowWhyDocument(**asdict(why_document(explanation)), state=state)


def why_document(explanation: Explanation) -> WhyDocument:
    return WhyDocument(
        job=explanation.job,
        cron=explanation.cron,
        tz=explanation.tz,
        notes=explanation.notes,
        answers=tuple(_answer(answer, explanation.tz) for answer in explanation.answers),
        previous=utc(explanation.previous),
        next=utc(explanation.next),
    )


def _answer(answer: Answer, tz: str) -> AnswerDocument:
    return AnswerDocument(
        utc=utc(answer.at),
        local=in_zone(answer.at, tz),
        scheduled=answer.is_scheduled,
        state=answer.state,
        reason=answer.reason,
        explanation=answer.explanation,
        rows=tuple(ProofDocument(table=row.table, row=row.key, content=dict(row.content)) for row in answer.rows),
    )


def late_seconds(row: OccurrenceRow) -> float | None:
    """How late its run started; None without a start."""
    started = row.record.started_at
    if started is None:
        return None
    return round((started - row.record.due_at - row.record.shift).total_seconds(), 3)


def in_zone(at: datetime, tz: str) -> str:
    """A time in ISO 8601, with the offset of a zone."""
    return at.astimezone(ZoneInfo(tz)).isoformat()
