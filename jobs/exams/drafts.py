"""Exams in progress: the parts generated and paid for so far."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func, select, update

from jobs.exams import blueprint, questions
from jobs.exams.api_client import Usage
from jobs.exams.blueprint import Part
from jobs.exams.inventory import LIFETIME
from jobs.exams.questions import Question
from jobs.exams.tables import (
    ExamType,
    RequestState,
    exam_calls,
    exam_chunks,
    exam_requests,
    pre_generated_exams,
)
from opsconsole.sql import inserting

r = exam_requests.c


@dataclass
class Draft:
    """A request with the `accepted` questions of its `stored` parts.

    `started` is true once a call was made for it; `last_run` is the newest run that made one.
    """

    key: str
    user: str
    exam: ExamType
    state: RequestState
    attempt: int
    last_error: str | None
    started: bool
    last_run: int | None
    accepted: list[Question] = field(default_factory=list)
    stored: set[int] = field(default_factory=set)

    @property
    def missing_parts(self) -> list[Part]:
        """The parts still to request; empty when the exam is complete."""
        counts = blueprint.blueprint(self.exam)
        return blueprint.parts(questions.missing_counts(self.accepted, counts), self.stored)

    def new(self, candidates: Iterable[Question]) -> list[Question]:
        """The candidates that the exam needs and does not have yet."""
        counts = blueprint.blueprint(self.exam)
        return questions.select_questions([*self.accepted, *candidates], counts)[len(self.accepted) :]

    def add_part(self, seq: int, part: Iterable[Question]) -> None:
        """Adds the questions of a part."""
        self.stored.add(seq)
        self.accepted += self.new(part)


def load(db: Connection, which: Any) -> list[Draft]:
    """The requests that meet a condition with their stored parts, oldest first."""
    newest_run = select(func.max(exam_calls.c.run)).where(exam_calls.c.exam_key == r.id).scalar_subquery()
    rows = db.execute(select(exam_requests, newest_run.label("run")).where(which).order_by(r.created_at, r.id)).all()
    drafts = {
        row.id: Draft(
            row.id,
            row.user_id,
            ExamType(row.exam_type),
            RequestState(row.state),
            row.attempts,
            row.last_error,
            started=row.run is not None,
            last_run=row.run,
        )
        for row in rows
    }
    chunks = exam_chunks.c
    of_drafts = chunks.exam_key.in_(select(r.id).where(which))
    for row in db.execute(
        select(chunks.exam_key, chunks.seq, chunks.questions).where(of_drafts).order_by(chunks.exam_key, chunks.seq)
    ):
        drafts[row.exam_key].add_part(row.seq, msgspec.convert(row.questions, list[Question]))
    return list(drafts.values())


def reopen(db: Connection, draft: Draft, now: datetime) -> None:
    """Starts another attempt of a failed request; its stored parts remain."""
    draft.attempt += 1
    draft.state = RequestState.WAITING
    _set(db, draft.key, now, state=draft.state.value, attempts=draft.attempt, next_attempt_at=now)


def store_chunk(db: Connection, key: str, seq: int, part: list[Question], used: Usage, now: datetime) -> None:
    """Stores a part that was paid for; an existing part is not replaced."""
    row = {
        "exam_key": key,
        "seq": seq,
        "questions": msgspec.to_builtins(part),
        "input_tokens": used.input + used.cache_write + used.cache_read,
        "output_tokens": used.output,
        "created_at": now,
    }
    db.execute(inserting(db, exam_chunks).values(row).on_conflict_do_nothing())


def finish(db: Connection, draft: Draft, now: datetime) -> None:
    """Stores the complete exam with the cost of all its calls, and deletes its parts."""
    calls = exam_calls.c
    paid = db.execute(
        select(
            func.coalesce(func.sum(calls.input_tokens + calls.cache_write_tokens + calls.cache_read_tokens), 0),
            func.coalesce(func.sum(calls.output_tokens), 0),
            func.coalesce(func.sum(calls.cost_micros), 0),
        ).where(calls.exam_key == draft.key)
    ).one()
    model = db.execute(
        select(calls.model)
        .where(calls.exam_key == draft.key, calls.output_tokens > 0)
        .order_by(calls.id.desc())
        .limit(1)
    ).scalar()
    row = {
        "id": draft.key,
        "user_id": draft.user,
        "exam_type": draft.exam.value,
        "questions": questions.assemble(draft.key, draft.accepted),
        "model": model or "",
        "input_tokens": int(paid[0]),
        "output_tokens": int(paid[1]),
        "cost_micros": int(paid[2]),
        "created_at": now,
        "expires_at": now + LIFETIME,
        "used": False,
    }
    db.execute(inserting(db, pre_generated_exams).values(row).on_conflict_do_nothing())
    db.execute(delete(exam_chunks).where(exam_chunks.c.exam_key == draft.key))
    _set(db, draft.key, now, state=RequestState.DONE.value, last_error=None)


def fail(db: Connection, key: str, error: str, now: datetime) -> None:
    """Marks a request as failed; its parts remain for the next attempt."""
    _set(db, key, now, state=RequestState.FAILED.value, last_error=error)


def postpone(db: Connection, key: str, state: RequestState, until: datetime, now: datetime) -> None:
    """Schedules the next work on a request for `until`."""
    _set(db, key, now, state=state.value, next_attempt_at=until)


def _set(db: Connection, key: str, now: datetime, **values: Any) -> None:
    db.execute(update(exam_requests).where(r.id == key).values(updated_at=now, **values))
