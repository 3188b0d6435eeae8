"""Generates the exams that were requested."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from sqlalchemy import Select, case, or_, select

from jobs.exams import drafts
from jobs.exams.api_client import ApiClient, CallFailed, connect
from jobs.exams.drafts import Draft
from jobs.exams.generation import Generator
from jobs.exams.message_batches import POLL_INTERVAL, MessageBatches
from jobs.exams.options import Options, Price, configuration_problem, price_of, read_options
from jobs.exams.tables import OPEN, RequestState, exam_calls, exam_requests
from opsconsole import Context, Items, Job, Limits, Scope, Unavailable, hours, minutes

REQUESTED_BY_JOB = "generate"
"""`requested_by` of requests that exams.generate made."""

r = exam_requests.c


def is_due(as_of: Any) -> tuple[Any, ...]:
    """The conditions that a request may be worked on."""
    # Only a clock that was ahead writes a time later than the next poll of a message batch.
    is_ahead = r.next_attempt_at > as_of + POLL_INTERVAL
    return r.state.in_([state.value for state in OPEN]), or_(r.next_attempt_at <= as_of, is_ahead)


def due_requests(scope: Scope) -> Select[tuple[str]]:
    """The due requests: first those that already cost money, then those made by people, then the oldest.

    Their number is limited, so that a new request does not wait for hours. Without a configuration there is one,
    whose failure reports what to set.
    """
    options = read_options(scope.options)
    most = options.requests_per_run if configuration_problem(options) is None else 1
    started = select(1).where(exam_calls.c.exam_key == r.id).exists()
    order = (case((started, 0), (r.requested_by != REQUESTED_BY_JOB, 1), else_=2), r.created_at, r.id)
    return select(r.id).where(*is_due(scope.as_of)).order_by(*order).limit(most)


def generate_exams(ctx: Context, requests: Items) -> None:
    """Generates the exam of each request, or records why not. Raises Unavailable when the service is down."""
    options = read_options(ctx.options)
    problem, price = configuration_problem(options), price_of(options)
    if problem is not None or price is None:
        for key in requests:
            ctx.skip(key, problem or "")
        return
    asyncio.run(_generate(ctx, options, price, requests.among(r.id)))


async def _generate(ctx: Context, options: Options, price: Price, which: Any) -> None:
    exams = _load(ctx, which)
    if not exams:
        return
    async with _connected() as client:
        batches = MessageBatches(ctx, options, price, client)
        submitted = [exam for exam in exams if exam.state is RequestState.SUBMITTED]
        if submitted:
            await batches.collect(submitted)
            exams = _load(ctx, which)
        ready = [exam for exam in exams if _is_ready(ctx, exam)]
        if options.mode == "batch":
            await batches.submit(ready)
            return
        generator = Generator(ctx, options, price, client)
        for exam in ready:
            await generator.generate(exam)


@asynccontextmanager
async def _connected() -> AsyncIterator[ApiClient]:
    """A client. Raises Unavailable when the environment is unusable, so that no request fails for it."""
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(connect())
        except CallFailed as error:
            raise Unavailable("claude", error.cause) from error
        yield client


def _load(ctx: Context, which: Any) -> list[Draft]:
    with ctx.reading() as db:
        return drafts.load(db, which)


def _is_ready(ctx: Context, exam: Draft) -> bool:
    """Whether calls may be made for an exam. One that failed in an earlier run is reopened: this run is its retry."""
    if exam.state is RequestState.SUBMITTED:
        ctx.skip(exam.key, "its message batch has not ended yet")
    if exam.state is RequestState.FAILED and exam.last_run == ctx.run:
        ctx.fail(exam.key, exam.last_error or "generation failed")
        return False
    if exam.state is RequestState.FAILED:
        with ctx.writing() as db:
            drafts.reopen(db, exam, ctx.now)
    return exam.state is RequestState.WAITING


work_queue = Job(
    "exams.work_queue",
    due_requests,
    generate_exams,
    cron="* * * * *",
    batch=1,
    batch_timeout=minutes(30),
    timeout=hours(5),
    limits=Limits(max_age=hours(6), low_work=None),  # it has as much to do as users request
    skip_when_empty=True,
    # Two runs at once would pay twice for the same part.
    exclusive="exams.work_queue",
    description="Generates the exams that were requested",
)
