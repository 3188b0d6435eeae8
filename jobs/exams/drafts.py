"""An exam while it is being made: what of it has been paid for, and how it ends."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, delete, func, select, update

from jobs.exams import blueprint, questions
from jobs.exams.blueprint import Part
from jobs.exams.questions import Question
from jobs.exams.service import Usage
from jobs.exams.stock import LIVES
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
class Making:
    """A request with what is there of its exam: the `kept` questions of the parts that are `stored`. `begun` says
    whether anything has been asked for, `last_run` the newest run that did.
    """

    key: str
    user: str
    exam: ExamType
    state: RequestState
    attempt: int
    last_error: str | None
    begun: bool
    last_run: int | None
    kept: list[Question] = field(default_factory=list)
    stored: set[int] = field(default_factory=set)

    @property
    def is_open(self) -> bool:
        """Whether it waits for its exam."""
        return self.state in (RequestState.WAITING, RequestState.SUBMITTED)

    @property
    def parts(self) -> list[Part]:
        """What is still to be asked for: nothing when the exam is whole."""
        wanted = blueprint.blueprint(self.exam)
        return blueprint.parts(questions.missing(self.kept, wanted), self.stored)

    def new(self, found: Iterable[Question]) -> list[Question]:
        """Those of the questions that the exam still wants and has not got."""
        return questions.pick([*self.kept, *found], blueprint.blueprint(self.exam))[len(self.kept) :]

    def keep(self, seq: int, found: Iterable[Question]) -> None:
        """Takes in the questions of a part."""
        self.stored.add(seq)
        self.kept += self.new(found)


def load(db: Connection, which: Any) -> list[Making]:
    """The requests that meet a condition, oldest first, with all that is there of their exams."""
    newest = select(func.max(exam_calls.c.run)).where(exam_calls.c.exam_key == r.id).scalar_subquery()
    found = db.execute(select(exam_requests, newest.label("run")).where(which).order_by(r.created_at, r.id)).all()
    made = {
        row.id: Making(
            row.id,
            row.user_id,
            ExamType(row.exam_type),
            RequestState(row.state),
            row.attempts,
            row.last_error,
            begun=row.run is not None,
            last_run=row.run,
        )
        for row in found
    }
    chunks = exam_chunks.c
    mine = chunks.exam_key.in_(select(r.id).where(which))
    for row in db.execute(
        select(chunks.exam_key, chunks.seq, chunks.questions).where(mine).order_by(chunks.exam_key, chunks.seq)
    ):
        making = made[row.exam_key]
        making.keep(row.seq, msgspec.convert(row.questions, list[Question]))
    return list(made.values())


def take_up_again(db: Connection, making: Making, now: datetime) -> None:
    """A request that failed gets its tries anew; what was paid for stays."""
    making.attempt += 1
    making.state = RequestState.WAITING
    _set(db, making.key, now, state=making.state.value, attempts=making.attempt, next_attempt_at=now)


def store_chunk(db: Connection, key: str, seq: int, found: list[Question], used: Usage, now: datetime) -> None:
    """Keeps what has been paid for; a part that is there already stays as it is."""
    row = {
        "exam_key": key,
        "seq": seq,
        "questions": msgspec.to_builtins(found),
        "input_tokens": used.input + used.cache_write + used.cache_read,
        "output_tokens": used.output,
        "created_at": now,
    }
    db.execute(inserting(db, exam_chunks).values(row).on_conflict_do_nothing())


def finish(db: Connection, making: Making, now: datetime) -> None:
    """Stores the whole exam with what all its calls cost, in the place of its parts."""
    calls = exam_calls.c
    paid = db.execute(
        select(
            func.coalesce(func.sum(calls.input_tokens + calls.cache_write_tokens + calls.cache_read_tokens), 0),
            func.coalesce(func.sum(calls.output_tokens), 0),
            func.coalesce(func.sum(calls.cost_micros), 0),
        ).where(calls.exam_key == making.key)
    ).one()
    model = db.execute(
        select(calls.model)
        .where(calls.exam_key == making.key, calls.output_tokens > 0)
        .order_by(calls.id.desc())
        .limit(1)
    ).scalar()
    row = {
        "id": making.key,
        "user_id": making.user,
        "exam_type": making.exam.value,
        "questions": questions.put_together(making.key, making.kept),
        "model": model or "",
        "input_tokens": int(paid[0]),
        "output_tokens": int(paid[1]),
        "cost_micros": int(paid[2]),
        "created_at": now,
        "expires_at": now + LIVES,
        "used": False,
    }
    db.execute(inserting(db, pre_generated_exams).values(row).on_conflict_do_nothing())
    db.execute(delete(exam_chunks).where(exam_chunks.c.exam_key == making.key))
    _set(db, making.key, now, state=RequestState.DONE.value, last_error=None)


def fail(db: Connection, key: str, why: str, now: datetime) -> None:
    """Ends a request without its exam; its parts stay for whoever takes it up again."""
    _set(db, key, now, state=RequestState.FAILED.value, last_error=why)


def put_off(db: Connection, key: str, state: RequestState, until: datetime, now: datetime) -> None:
    """Nothing is to be done for a request before `until`."""
    _set(db, key, now, state=state.value, next_attempt_at=until)


def _set(db: Connection, key: str, now: datetime, **said: Any) -> None:
    db.execute(update(exam_requests).where(r.id == key).values(updated_at=now, **said))
