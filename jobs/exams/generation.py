"""Generates exams one part per call, within rate limits and budgets, and stores each part as it arrives."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from jobs.exams import drafts, prompt, usage
from jobs.exams.api_client import CALL_TIMEOUT_SECONDS, ApiClient, CallFailed, Completion, Usage
from jobs.exams.blueprint import Counts, Part
from jobs.exams.drafts import Draft
from jobs.exams.options import Options, Price
from jobs.exams.questions import InvalidAnswer, Question, parse
from jobs.exams.tables import Outcome
from jobs.exams.usage import Call
from opsconsole import Context, Retry, Unavailable, minutes

BACKOFF = Retry(first=timedelta(seconds=2), longest=minutes(1))
"""The wait after a failed call, unless the service specifies one."""
LATEST_CALL_SECONDS = minutes(30).total_seconds() - 2 * CALL_TIMEOUT_SECONDS
"""A batch times out after 30 minutes; a call that would start later than this is left to the next run."""


class Postponed(Exception):
    """The exam is left to a later run; the message gives the reason."""


class TriesExhausted(Exception):
    """A part has failed the maximum number of times; the message gives the last cause."""


class Generator:
    """Generates exams during one try of a batch."""

    def __init__(self, ctx: Context, options: Options, price: Price, client: ApiClient) -> None:
        self._ctx, self._options, self._price, self._client = ctx, options, price, client
        self._clock = asyncio.get_running_loop().time
        self._started = self._clock()

    def _now(self) -> datetime:
        """The wall clock, advanced by the monotonic clock since the try began."""
        return self._ctx.now + timedelta(seconds=self._elapsed())

    def _elapsed(self) -> float:
        return self._clock() - self._started

    async def generate(self, exam: Draft) -> None:
        """Requests the missing parts of an exam and stores it once complete, or records why it is not.

        Raises Unavailable when the service is down.
        """
        try:
            while parts := exam.missing_parts:
                await self._request_part(exam, parts[0])
        except Postponed as reason:
            self._ctx.skip(exam.key, str(reason))
        except TriesExhausted as error:
            with self._ctx.writing() as db:
                drafts.fail(db, exam.key, str(error), self._now())
            self._ctx.fail(exam.key, str(error), kind="tries_exhausted")
        else:
            with self._ctx.writing() as db:
                drafts.finish(db, exam, self._now())
            self._ctx.count("exams")

    async def _request_part(self, exam: Draft, part: Part) -> None:
        """Calls the service until it returns usable questions. Raises Postponed, TriesExhausted or Unavailable."""
        body = prompt.request(self._options, exam.exam, part, exam.accepted, exam.key)
        while True:
            call, attempt = await self._admit(exam, part, prompt.estimated_tokens(body, part))
            self._ctx.count("calls")
            self._ctx.check_lease()  # the call is paid for
            try:
                completion = await self._client.create_message(body)
            except CallFailed as error:
                self._record_failure(exam, call, attempt, error)
                continue
            with self._ctx.writing() as db:
                usage.record_completion(db, call, completion, self._price, self._now())
            try:
                self._accept(exam, part, call, completion)
            except InvalidAnswer as error:
                with self._ctx.writing() as db:
                    usage.record_outcome(db, call, Outcome.REJECTED, str(error))
                continue
            return

    async def _admit(self, exam: Draft, part: Part, tokens: tuple[int, int]) -> tuple[int, int]:
        """Waits until limits allow the next call, and records it. Returns its id and its number for this part."""
        call = Call(exam.key, part.seq, exam.attempt, self._ctx.run, tokens)
        while True:
            now = self._now()
            with self._ctx.writing() as db:
                usage.lock(db)
                tries, cause = usage.previous_tries(db, exam.key, part.seq, exam.attempt)
                if tries >= usage.MAX_TRIES:
                    raise TriesExhausted(f"part {part.seq + 1} failed {tries} times, the last time: {cause}")
                usage.require_available(db, self._ctx.run)
                if not exam.started:
                    needed = self._estimated_cost(exam, tokens, part)
                    reason = usage.exhausted_budget(db, self._options, needed, now, self._ctx.run)
                    if reason is not None:
                        raise Postponed(reason)
                seconds = usage.seconds_to_wait(db, self._options, tokens, now)
                if not seconds:
                    exam.started = True
                    return usage.record_call(db, call, self._options, self._price, now), tries + 1
            if self._elapsed() + seconds > LATEST_CALL_SECONDS:
                raise Postponed("the time of this run is used up; the next run continues")
            await asyncio.sleep(seconds)

    def _estimated_cost(self, exam: Draft, tokens: tuple[int, int], part: Part) -> int:
        """The estimated cost of all missing parts, in millionths of a dollar."""
        size = sum(each.size for each in exam.missing_parts)
        return usage.cost(Usage(*tokens), self._price) * size // part.size

    def _record_failure(self, exam: Draft, call: int, attempt: int, error: CallFailed) -> None:
        """Records a failed call. Raises Unavailable when another try cannot succeed."""
        hold = timedelta(seconds=error.retry_after) if error.retry_after is not None else BACKOFF.delay(attempt)
        now = self._now()
        with self._ctx.writing() as db:
            usage.record_failure(db, call, error, now, hold=hold if error.retryable else None)
            if error.request_invalid:
                drafts.fail(db, exam.key, error.cause, now)
        if not error.retryable:
            raise Unavailable("claude", error.cause)

    def _accept(self, exam: Draft, part: Part, call: int, completion: Completion) -> None:
        """Stores the usable questions of a completion. Raises InvalidAnswer."""
        questions = usable_questions(exam, part.counts, completion)
        with self._ctx.writing() as db:
            drafts.store_chunk(db, exam.key, part.seq, questions, completion.usage, self._now())
            usage.record_outcome(db, call, Outcome.ACCEPTED)
        exam.add_part(part.seq, questions)


def usable_questions(exam: Draft, counts: Counts, completion: Completion) -> list[Question]:
    """The questions of a completion, of the domains in `counts`, that the exam needs. Raises InvalidAnswer."""
    if completion.stop_reason:
        raise InvalidAnswer(f"it is incomplete: {completion.stop_reason}")
    questions = exam.new(parse(completion.text, counts))
    if not questions:
        raise InvalidAnswer("the exam already has all its questions")
    return questions
