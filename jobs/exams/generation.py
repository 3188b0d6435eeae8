"""Makes exams part by part: asks when it may, keeps what is paid for as it comes, and gives up in time."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from jobs.exams import ledger, making, prompt
from jobs.exams.blueprint import Counts, Part
from jobs.exams.ledger import Call
from jobs.exams.making import Making
from jobs.exams.options import Options, Price
from jobs.exams.questions import Question, Unfit, read
from jobs.exams.service import CALL_SECONDS, Answer, NoAnswer, Service, Usage
from jobs.exams.tables import Outcome
from opsconsole import Context, Retry, Unavailable, minutes

BACKOFF = Retry(first=timedelta(seconds=2), longest=minutes(1))
"""How long nobody asks after a call without an answer, when the service does not say."""
PATIENCE_SECONDS = minutes(30).total_seconds() - 2 * CALL_SECONDS
"""A batch has half an hour; a call that would begin later is left to the next run."""


class PutOff(Exception):
    """The exam is not made now, though nothing is wrong with it; says why."""


class OutOfTries(Exception):
    """A part was asked for as often as it may be; says what came of it."""


class Maker:
    """Makes exams for one try of a batch, which `ctx` is about."""

    def __init__(self, ctx: Context, options: Options, price: Price, service: Service) -> None:
        self._ctx, self._options, self._price, self._service = ctx, options, price, service
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()

    def _now(self) -> datetime:
        """The wall clock when the try began, and what has passed since on the steady one."""
        return self._ctx.now + timedelta(seconds=self._clock() - self._began)

    async def make(self, exam: Making) -> None:
        """Makes what is missing of an exam, and stores it when it is whole; says so when it failed or was put off.
        Raises Unavailable when the service is down.
        """
        try:
            while parts := exam.parts:
                await self._ask(exam, parts[0])
        except PutOff as why:
            self._ctx.skip(exam.key, str(why))
        except OutOfTries as why:
            with self._ctx.writing() as db:
                making.fail(db, exam.key, str(why), self._now())
            self._ctx.fail(exam.key, str(why))
        else:
            with self._ctx.writing() as db:
                making.finish(db, exam, self._now())
            self._ctx.count("exams")

    async def _ask(self, exam: Making, part: Part) -> None:
        """Asks for a part until questions come that can be kept. Raises PutOff, OutOfTries or Unavailable."""
        body = prompt.request(self._options, exam.exam, part, exam.kept, exam.key)
        while True:
            number, nth = await self._admitted(exam, part, prompt.tokens_reckoned(body, part))
            self._ctx.count("calls")
            try:
                answer = await self._service.ask(body)
            except NoAnswer as none:
                self._note(exam, number, nth, none)
                continue
            self._pay(number, answer)
            try:
                self._judge(exam, part, number, answer)
            except Unfit as why:
                with self._ctx.writing() as db:
                    ledger.judged(db, number, Outcome.UNFIT, str(why))
                continue
            return

    async def _admitted(self, exam: Making, part: Part, tokens: tuple[int, int]) -> tuple[int, int]:
        """Waits until the next call may be made, and writes that it is; its number, and the how manieth for this part
        it is.
        """
        call = Call(exam.key, part.seq, exam.attempt, self._ctx.run, tokens)
        while True:
            now = self._now()
            with self._ctx.writing() as db:
                ledger.alone(db)
                done, last = ledger.tries(db, exam.key, part.seq, exam.attempt)
                if done >= ledger.TRIES:
                    raise OutOfTries(f"asked {done} times for part {part.seq + 1}, the last time: {last}")
                ledger.require_service(db, self._ctx.run)
                if not exam.begun:
                    need = self._whole_exam(exam, tokens, part)
                    why = ledger.over_budget(db, self._options, need, now, self._ctx.run)
                    if why is not None:
                        raise PutOff(why)
                seconds = ledger.wait(db, self._options, tokens, now)
                if not seconds:
                    exam.begun = True
                    return ledger.begin(db, call, self._options, self._price, now), done + 1
            if self._clock() - self._began + seconds > PATIENCE_SECONDS:
                raise PutOff("its time in this run is over; the next one goes on with it")
            await asyncio.sleep(seconds)

    def _whole_exam(self, exam: Making, tokens: tuple[int, int], part: Part) -> int:
        """What an exam is reckoned to cost, in millionths of a dollar."""
        size = sum(each.size for each in exam.parts)
        one = ledger.cost(Usage(tokens[0], tokens[1]), self._price)
        return one * size // part.size

    def _note(self, exam: Making, number: int, nth: int, none: NoAnswer) -> None:
        """Writes why there is no answer. Raises Unavailable when none is to be had."""
        hold = timedelta(seconds=none.hold) if none.hold is not None else BACKOFF.delay(nth)
        now = self._now()
        with self._ctx.writing() as db:
            ledger.unanswered(db, number, none, now, hold=hold if none.again else None)
            if none.of_this_request:
                making.fail(db, exam.key, none.cause, now)
        if not none.again:
            raise Unavailable("claude", none.cause)

    def _pay(self, number: int, answer: Answer) -> None:
        with self._ctx.writing() as db:
            ledger.answered(db, number, answer, self._price, self._now())

    def _judge(self, exam: Making, part: Part, number: int, answer: Answer) -> None:
        """Keeps what is good of an answer. Raises Unfit."""
        found = fresh(exam, part.counts, answer)
        with self._ctx.writing() as db:
            making.store_chunk(db, exam.key, part.seq, found, answer.usage, self._now())
            ledger.judged(db, number, Outcome.KEPT)
        exam.keep(part.seq, found)


def fresh(exam: Making, counts: Counts, answer: Answer) -> list[Question]:
    """The questions of an answer, of the domains in `counts`, that the exam has not got. Raises Unfit."""
    if answer.stopped:
        raise Unfit(f"it was not finished: {answer.stopped}")
    found = exam.new(read(answer.text, counts))
    if not found:
        raise Unfit("all its questions are ones that the exam has")
    return found
