"""Makes exams with message batches: all parts at once, handed over now, remembered, collected when they are ready."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import select, update

from jobs.exams import ledger, making, prompt
from jobs.exams.asking import fresh
from jobs.exams.blueprint import Part, blueprint
from jobs.exams.ledger import Call
from jobs.exams.making import Making
from jobs.exams.options import Options, Price
from jobs.exams.questions import Unfit
from jobs.exams.service import Answer, NoAnswer, Service, Usage
from jobs.exams.tables import Outcome, RequestState, exam_calls
from opsconsole import Context, Unavailable, minutes

LOOKED_AT_AGAIN = minutes(5)
"""A batch that is not ready is looked at again after this time."""
CLOCKS_APART = minutes(5)
"""So much the service's clock may be behind ours."""

c = exam_calls.c
_SENT = (c.batched, c.outcome == Outcome.ASKED.value)


class Batching:
    """Works with message batches for one try of a batch of requests, which `ctx` is about. Every method may raise
    Unavailable.
    """

    def __init__(self, ctx: Context, options: Options, price: Price, service: Service) -> None:
        self._ctx, self._options, self._price, self._service = ctx, options, price, service

    # --- handing over -------------------------------------------------------------------------------------------

    async def hand_over(self, exams: Iterable[Making]) -> None:
        """Asks for all that these exams still want, in one message batch."""
        bodies: dict[str, dict[str, Any]] = {}
        numbers: list[int] = []
        now = self._ctx.now
        with self._ctx.writing() as db:
            ledger.alone(db)
            for exam in exams:
                parts = exam.parts
                tried = [ledger.tries(db, exam.key, part.seq, exam.attempt) for part in parts]
                out = next((last for done, last in tried if done >= ledger.TRIES), None)
                if out is not None:
                    why = f"asked {ledger.TRIES} times for a part, the last time: {out}"
                    making.fail(db, exam.key, why, now)
                    self._ctx.fail(exam.key, why)
                    continue
                asked = [(part, prompt.request(self._options, exam.exam, part, exam.kept, exam.key)) for part in parts]
                if not exam.begun:
                    need = sum(self._reckoned(part, body) for part, body in asked)
                    why_not = ledger.over_budget(db, self._options, need, now, self._ctx.run)
                    if why_not is not None:
                        self._ctx.skip(exam.key, why_not)
                        continue
                for part, body in asked:
                    tokens = prompt.tokens_reckoned(body, part)
                    call = Call(exam.key, part.seq, exam.attempt, self._ctx.run, tokens, batched=True)
                    number = ledger.begin(db, call, self._options, self._price, now)
                    numbers.append(number)
                    bodies[_name(number, exam.key)] = body
                making.put_off(db, exam.key, RequestState.SUBMITTED, now + LOOKED_AT_AGAIN, now)
                self._ctx.skip(exam.key, "it was handed over in a message batch")
        if not bodies:
            return
        try:
            batch = await self._service.submit(bodies)
        except NoAnswer as none:
            if not none.paid:
                self._taken_back(numbers, none)
            raise Unavailable("claude", none.cause) from none
        self._ctx.count("calls", len(bodies))
        with self._ctx.writing() as db:
            db.execute(update(exam_calls).where(c.id.in_(numbers)).values(batch=batch.id))

    def _reckoned(self, part: Part, body: dict[str, Any]) -> int:
        return ledger.cost(Usage(*prompt.tokens_reckoned(body, part)), self._price, batched=True)

    def _taken_back(self, numbers: list[int], none: NoAnswer) -> None:
        """The service did not take them: they wait as before."""
        with self._ctx.writing() as db:
            keys = set()
            for number in numbers:
                ledger.unanswered(db, number, none, self._ctx.now)
                keys.add(db.execute(select(c.exam_key).where(c.id == number)).scalar_one())
            for key in sorted(keys):
                making.put_off(db, key, RequestState.WAITING, self._ctx.now, self._ctx.now)

    async def _find(self, asked_at: datetime) -> None:
        """Looks for a batch that was handed over by a process that ended before it could write the batch's name."""
        with self._ctx.reading() as db:
            mine = db.execute(select(c.id).where(c.asked_at == asked_at, c.batch.is_(None), *_SENT)).scalars().all()
        try:
            newest = await self._service.submitted_since(asked_at - CLOCKS_APART)
        except NoAnswer as none:
            raise Unavailable("claude", none.cause) from none
        with self._ctx.reading() as db:
            known = set(db.execute(select(c.batch).where(c.batch.in_([batch.id for batch in newest]))).scalars())
        found = [batch for batch in newest if batch.id not in known and batch.size == len(mine)]
        if found:
            with self._ctx.writing() as db:
                db.execute(update(exam_calls).where(c.id.in_(mine)).values(batch=found[-1].id))
        else:
            never = NoAnswer("the batch was never handed over", again=True)
            self._taken_back(list(mine), never)

    # --- collecting ---------------------------------------------------------------------------------------------

    async def collect(self, exams: Iterable[Making]) -> None:
        """Takes in what is ready of the batches that these exams are in, for every exam in them."""
        with self._ctx.reading() as db:
            mine = c.exam_key.in_([exam.key for exam in exams])
            sent = db.execute(select(c.batch, c.asked_at).where(mine, *_SENT).distinct()).all()
        for batch in sorted({row.batch for row in sent if row.batch is not None}):
            await self._collect(batch)
        for lost in sorted({row.asked_at for row in sent if row.batch is None}):
            await self._find(lost)

    async def _collect(self, batch: str) -> None:
        """Judges what a batch brought, for all requests it was about."""
        try:
            seen = await self._service.look(batch)
            results = await self._service.results(batch) if seen.ended else None
        except NoAnswer as none:
            if not none.gone:
                raise Unavailable("claude", none.cause) from none
            results = {}
        with self._ctx.reading() as db:
            calls = db.execute(select(c.id, c.exam_key, c.seq).where(c.batch == batch, *_SENT).order_by(c.id)).all()
        keys = sorted({call.exam_key for call in calls})
        now = self._ctx.now
        if results is None:
            with self._ctx.writing() as db:
                for key in keys:
                    making.put_off(db, key, RequestState.SUBMITTED, now + LOOKED_AT_AGAIN, now)
            return
        with self._ctx.reading() as db:
            exams = making.load(db, making.r.id.in_(keys))
        for exam in exams:
            for call in calls:
                if call.exam_key == exam.key:
                    self._take(exam, call, results.get(_name(call.id, exam.key)))
            with self._ctx.writing() as db:
                if exam.parts:
                    making.put_off(db, exam.key, RequestState.WAITING, now, now)
                else:
                    making.finish(db, exam, now)
                    self._ctx.count("exams")

    def _take(self, exam: Making, call: Any, result: Answer | NoAnswer | None) -> None:
        """Writes what one request of a batch cost, and keeps what is good of it."""
        now = self._ctx.now
        if not isinstance(result, Answer):
            none = result or NoAnswer("batch: no result", again=True)
            with self._ctx.writing() as db:
                ledger.unanswered(db, call.id, none, now)
            return
        with self._ctx.writing() as db:
            ledger.answered(db, call.id, result, self._price, now, batched=True)
        try:
            found = fresh(exam, blueprint(exam.exam), result)
        except Unfit as why:
            with self._ctx.writing() as db:
                ledger.judged(db, call.id, Outcome.UNFIT, str(why))
            return
        with self._ctx.writing() as db:
            making.store_chunk(db, exam.key, call.seq, found, result.usage, now)
            ledger.judged(db, call.id, Outcome.KEPT)
        exam.keep(call.seq, found)


def _name(number: int, key: str) -> str:
    """What a call is called in a batch, also by those who share the service's account with us: 64 plain characters."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", f"{number}-{key}")[:64]
