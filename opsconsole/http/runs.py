"""Starts runs for other programs, and reports whether this process is ready."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from opsconsole.authoring.extensions import Reply, Request
from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.settings import Actor
from opsconsole.core.text import safe
from opsconsole.http.responses import HttpError, refusal
from opsconsole.service.service import Service

T = TypeVar("T")

LEADER_SECONDS = 5.0
"""How long to wait for a leader, and then for the outcome of the command."""
POLL_SECONDS = 0.05


class RunInThread(Protocol):
    """Runs a blocking call in a thread."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]: ...


async def start_run(service: Service, request: Request, origin: str, in_thread: RunInThread) -> Reply:
    """Requests a run of the job in the path, and waits until a leader has created it. Raises OpsconsoleError."""
    day = _day(request.body)
    job = service.catalog.find(request.path["job"]).name
    actor = Actor("http", origin, service.settings.actor.role)
    deadline = time.monotonic() + LEADER_SECONDS
    while await in_thread(service.queries.leader) is None:
        if time.monotonic() > deadline:
            raise HttpError(503, "no_leader", "no process is leading, so no run was requested; try again later")
        await asyncio.sleep(POLL_SECONDS)
    command = await in_thread(lambda: service.commands.trigger(job, day, actor=actor))
    deadline = time.monotonic() + LEADER_SECONDS
    while (outcome := await in_thread(lambda: service.commands.outcome(command, 0.0))) is None:
        if time.monotonic() > deadline:
            message = f"no leader has carried out command {command} yet; the next leader will"
            raise HttpError(503, "no_leader", message)
        await asyncio.sleep(POLL_SECONDS)
    if outcome.run is None:
        return refusal(outcome.refused or "", outcome.exit_code)
    number = outcome.run
    run = await in_thread(lambda: service.queries.run(number))
    document = {"id": run.id, "job": run.job, "window": run.window.label, "state": run.state}
    return Reply({"success": True, "run": document}, 202)


def readiness(service: Service) -> Reply:
    """Whether this process is leading or following a leader, and reaches the store and Redis; 503 when it does not."""
    problems: list[str] = []
    status = {"state": "waiting", "store": "ok", "redis": "ok"}
    try:
        leader = service.queries.leader()
        status["state"] = "leading" if leader and leader.is_me else "following" if leader else "waiting"
    except OpsconsoleError as error:
        problems.append(error.sentence)
        status["store"] = "unreachable"
    try:
        service.queries.redis_stats()
    except OpsconsoleError as error:
        problems.append(error.sentence)
        status["redis"] = "unreachable"
    if service.engine is not None and service.engine.problem is not None:
        problems.append(service.engine.problem)
    if not problems and status["state"] == "waiting":
        problems.append("no process is leading yet")
    if not problems:
        return Reply({"success": True, **status})
    return Reply({**Reply.error(503, "not_ready", safe("; ".join(problems))).body, **status}, 503)


def _day(body: Any) -> str | None:
    """The date in the body, if any. Raises HttpError."""
    if body is None:
        return None
    if not isinstance(body, dict):
        raise HttpError(400, "bad_body", 'the body must be a JSON object such as {"date": "2026-01-19"}')
    for name in body:
        if name != "date":
            raise HttpError(400, "unknown_field", 'the only field is "date"', safe(name, 100))
    day = body.get("date")
    if not isinstance(day, str | None):
        raise HttpError(400, "bad_date", "the date must be a string such as 2026-01-19", "date")
    return day
