"""Generates exams with message batches: submits all parts at once and collects the results in a later run."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from jobs.exams import drafts, prompt, usage
from jobs.exams.api_client import ApiClient, CallFailed, Completion, Usage
from jobs.exams.blueprint import Part, blueprint
from jobs.exams.drafts import Draft
from jobs.exams.generation import usable_questions
from jobs.exams.options import Options, Price
from jobs.exams.questions import InvalidAnswer
from jobs.exams.tables import Outcome, RequestState, exam_calls
from jobs.exams.usage import Call
from opsconsole import Context, Unavailable, minutes

POLL_INTERVAL = minutes(5)
MAX_CLOCK_SKEW = minutes(5)
"""How far the service's clock may be behind ours."""

c = exam_calls.c
_PENDING = (c.batched, c.outcome == Outcome.PENDING.value)


class MessageBatches:
    """Submits and collects message batches during one try of a batch. Every method may raise Unavailable."""

    def __init__(self, ctx: Context, options: Options, price: Price, client: ApiClient) -> None:
        self._ctx, self._options, self._price, self._client = ctx, options, price, client

    # --- submitting ---------------------------------------------------------------------------------------------

    async def submit(self, exams: Iterable[Draft]) -> None:
        """Requests all missing parts of these exams in one message batch."""
        bodies: dict[str, dict[str, Any]] = {}
        calls: list[int] = []
        with self._ctx.writing() as db:
            usage.lock(db)
            for exam in exams:
                requests = self._admitted_requests(db, exam)
                if not requests:
                    continue
                for part, body in requests:
                    tokens = prompt.estimated_tokens(body, part)
                    call = Call(exam.key, part.seq, exam.attempt, self._ctx.run, tokens, batched=True)
                    calls.append(usage.record_call(db, call, self._options, self._price, self._ctx.now))
                    bodies[_custom_id(calls[-1], exam.key)] = body
                next_poll = self._ctx.now + POLL_INTERVAL
                drafts.postpone(db, exam.key, RequestState.SUBMITTED, next_poll, self._ctx.now)
                self._ctx.skip(exam.key, "submitted in a message batch")
        if not bodies:
            return
        try:
            batch = await self._client.submit_batch(bodies)
        except CallFailed as error:
            if not error.may_be_billed:
                self._return_to_queue(calls, error)
            raise Unavailable("claude", error.cause) from error
        self._ctx.count("calls", len(bodies))
        with self._ctx.writing() as db:
            db.execute(update(exam_calls).where(c.id.in_(calls)).values(batch=batch.id))

    def _admitted_requests(self, db: Connection, exam: Draft) -> list[tuple[Part, dict[str, Any]]]:
        """The request bodies for an exam's missing parts; none when its tries or the budget are exhausted."""
        parts = exam.missing_parts
        tried = [usage.previous_tries(db, exam.key, part.seq, exam.attempt) for part in parts]
        exhausted = next((cause for tries, cause in tried if tries >= usage.MAX_TRIES), None)
        if exhausted is not None:
            error = f"a part failed {usage.MAX_TRIES} times, the last time: {exhausted}"
            drafts.fail(db, exam.key, error, self._ctx.now)
            self._ctx.fail(exam.key, error, kind="tries_exhausted")
            return []
        requests = [(part, prompt.request(self._options, exam.exam, part, exam.accepted, exam.key)) for part in parts]
        if not exam.started:
            needed = sum(self._estimated_cost(part, body) for part, body in requests)
            reason = usage.exhausted_budget(db, self._options, needed, self._ctx.now, self._ctx.run)
            if reason is not None:
                self._ctx.skip(exam.key, reason)
                return []
        return requests

    def _estimated_cost(self, part: Part, body: dict[str, Any]) -> int:
        return usage.cost(Usage(*prompt.estimated_tokens(body, part)), self._price, batched=True)

    def _return_to_queue(self, calls: list[int], error: CallFailed) -> None:
        """Records that the service did not accept these calls; their requests wait again."""
        with self._ctx.writing() as db:
            keys = set()
            for call in calls:
                usage.record_failure(db, call, error, self._ctx.now)
                keys.add(db.execute(select(c.exam_key).where(c.id == call)).scalar_one())
            for key in sorted(keys):
                drafts.postpone(db, key, RequestState.WAITING, self._ctx.now, self._ctx.now)

    async def _recover(self, asked_at: datetime) -> None:
        """Finds the batch of calls whose process ended between submitting it and recording its id."""
        with self._ctx.reading() as db:
            calls = db.execute(select(c.id).where(c.asked_at == asked_at, c.batch.is_(None), *_PENDING)).scalars().all()
        try:
            newest = await self._client.batches_since(asked_at - MAX_CLOCK_SKEW)
        except CallFailed as error:
            raise Unavailable("claude", error.cause) from error
        with self._ctx.reading() as db:
            recorded = set(db.execute(select(c.batch).where(c.batch.in_([batch.id for batch in newest]))).scalars())
        matches = [batch for batch in newest if batch.id not in recorded and batch.size == len(calls)]
        if matches:
            with self._ctx.writing() as db:
                db.execute(update(exam_calls).where(c.id.in_(calls)).values(batch=matches[-1].id))
        else:
            self._return_to_queue(list(calls), CallFailed("the batch was never submitted", retryable=True))

    # --- collecting ---------------------------------------------------------------------------------------------

    async def collect(self, exams: Iterable[Draft]) -> None:
        """Collects the finished batches of these exams, for every exam in those batches."""
        with self._ctx.reading() as db:
            of_exams = c.exam_key.in_([exam.key for exam in exams])
            pending = db.execute(select(c.batch, c.asked_at).where(of_exams, *_PENDING).distinct()).all()
        for batch in sorted({row.batch for row in pending if row.batch is not None}):
            await self._collect_batch(batch)
        for asked_at in sorted({row.asked_at for row in pending if row.batch is None}):
            await self._recover(asked_at)

    async def _collect_batch(self, batch: str) -> None:
        try:
            status = await self._client.batch_status(batch)
            results = await self._client.batch_results(batch) if status.ended else None
        except CallFailed as error:
            if not error.not_found:
                raise Unavailable("claude", error.cause) from error
            results = {}
        with self._ctx.reading() as db:
            calls = db.execute(select(c.id, c.exam_key, c.seq).where(c.batch == batch, *_PENDING).order_by(c.id)).all()
        keys = sorted({call.exam_key for call in calls})
        now = self._ctx.now
        if results is None:
            with self._ctx.writing() as db:
                for key in keys:
                    drafts.postpone(db, key, RequestState.SUBMITTED, now + POLL_INTERVAL, now)
            return
        with self._ctx.reading() as db:
            exams = drafts.load(db, drafts.r.id.in_(keys))
        for exam in exams:
            for call in calls:
                if call.exam_key == exam.key:
                    self._record_result(exam, call, results.get(_custom_id(call.id, exam.key)))
            with self._ctx.writing() as db:
                if exam.missing_parts:
                    drafts.postpone(db, exam.key, RequestState.WAITING, now, now)
                else:
                    drafts.finish(db, exam, now)
                    self._ctx.count("exams")

    def _record_result(self, exam: Draft, call: Any, result: Completion | CallFailed | None) -> None:
        """Records the cost of one call of a batch, and stores its usable questions."""
        now = self._ctx.now
        if not isinstance(result, Completion):
            error = result or CallFailed("batch: no result", retryable=True)
            with self._ctx.writing() as db:
                usage.record_failure(db, call.id, error, now)
            return
        with self._ctx.writing() as db:
            usage.record_completion(db, call.id, result, self._price, now, batched=True)
        try:
            questions = usable_questions(exam, blueprint(exam.exam), result)
        except InvalidAnswer as invalid:
            with self._ctx.writing() as db:
                usage.record_outcome(db, call.id, Outcome.REJECTED, str(invalid))
            return
        with self._ctx.writing() as db:
            drafts.store_chunk(db, exam.key, call.seq, questions, result.usage, now)
            usage.record_outcome(db, call.id, Outcome.ACCEPTED)
        exam.add_part(call.seq, questions)


def _custom_id(call: int, key: str) -> str:
    """A call's id within a batch: unique also for other users of the same account, at most 64 plain characters."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", f"{call}-{key}")[:64]
