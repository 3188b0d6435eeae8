"""Makes the exams that were requested."""

from __future__ import annotations

import asyncio
from typing import Any

from sqlalchemy import Select, case, select

from jobs.exams import making
from jobs.exams.asking import Maker
from jobs.exams.batching import Batching
from jobs.exams.making import Making
from jobs.exams.options import KEY, Options, Price, price_of, settings_of, what_is_missing
from jobs.exams.service import connected
from jobs.exams.tables import OPEN, RequestState, exam_calls, exam_requests
from opsconsole import Context, Items, Job, Limits, Scope, hours, minutes

GENERATED = "generate"
"""Who requested what nobody asked for by hand."""

r = exam_requests.c


def due(as_of: Any) -> tuple[Any, ...]:
    """The conditions that a request may be worked on."""
    return r.state.in_([state.value for state in OPEN]), r.next_attempt_at <= as_of


def open_requests(scope: Scope) -> Select[tuple[str]] | tuple[str, ...]:
    """The requests whose time has come: first those that are begun and would be paid for in vain, then those of
    people, then the oldest; not so many that one made by hand meanwhile waits for hours. Where no exam can be made,
    one item that says so.
    """
    options = settings_of(scope.options)
    if what_is_missing(options) is not None:
        return (KEY,)
    begun = select(1).where(exam_calls.c.exam_key == r.id).exists()
    order = (case((begun, 0), (r.requested_by != GENERATED, 1), else_=2), r.created_at, r.id)
    return select(r.id).where(*due(scope.as_of)).order_by(*order).limit(options.requests_a_run)


def make_exams(ctx: Context, requests: Items) -> None:
    """Makes each request's exam, or says why it has none yet. Raises Unavailable when the service is down."""
    options = settings_of(ctx.options)
    missing, price = what_is_missing(options), price_of(options)
    if missing is not None or price is None:
        for key in requests:
            ctx.skip(key, missing or "")
        return
    asyncio.run(_make(ctx, options, price, requests.among(r.id)))


async def _make(ctx: Context, options: Options, price: Price, which: Any) -> None:
    exams = _load(ctx, which)
    if not exams:
        return
    async with connected() as service:
        batching = Batching(ctx, options, price, service)
        submitted = [exam for exam in exams if exam.state is RequestState.SUBMITTED]
        if submitted:
            await batching.collect(submitted)
            exams = _load(ctx, which)
        waiting = [exam for exam in exams if _waits(ctx, exam)]
        if options.mode == "batch":
            await batching.hand_over(waiting)
            return
        maker = Maker(ctx, options, price, service)
        for exam in waiting:
            await maker.make(exam)


def _load(ctx: Context, which: Any) -> list[Making]:
    with ctx.reading() as db:
        return making.load(db, which)


def _waits(ctx: Context, exam: Making) -> bool:
    """Whether an exam is to be asked for now. One that failed in an earlier run is: somebody retries that run."""
    if exam.state is RequestState.SUBMITTED:
        ctx.skip(exam.key, "it is in a message batch that is not ready yet")
    if exam.state is RequestState.FAILED and exam.last_run == ctx.run:
        ctx.fail(exam.key, exam.last_error or "it failed")
        return False
    if exam.state is RequestState.FAILED:
        with ctx.writing() as db:
            making.take_up_again(db, exam, ctx.now)
    return exam.state is RequestState.WAITING


work_queue = Job(
    "exams.work_queue",
    open_requests,
    make_exams,
    cron="* * * * *",
    batch=1,
    batch_timeout=minutes(30),
    timeout=hours(5),
    limits=Limits(max_age=hours(6)),
    # A part of an exam that two runs ask for at once is paid for twice.
    exclusive="exams.work_queue",
    description="makes the exams that were requested",
)
