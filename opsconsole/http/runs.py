"""Starts runs for other programs, and says whether this process is of use to them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

from opsconsole.authoring.extensions import Reply, Request
from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.settings import Actor
from opsconsole.core.text import safe
from opsconsole.http.responses import HttpError, refused
from opsconsole.service.service import Service

T = TypeVar("T")

LEADER_SECONDS = 5.0
"""So long somebody is waited for who leads, and then for what comes of the command."""
POLL_SECONDS = 0.05


class Threaded(Protocol):
    """Calls what may block, in a thread."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]: ...


async def start_run(service: Service, asked: Request, origin: str, threaded: Threaded) -> Reply:
    """Asks for a run of the job that the path names, and waits until a leader has made it. Raises OpsconsoleError."""
    day = _day(asked.body)
    job = service.catalog.find(asked.path["job"]).name
    actor = Actor("http", origin, service.settings.actor.role)
    end = time.monotonic() + LEADER_SECONDS
    while await threaded(service.queries.leader) is None:
        if time.monotonic() > end:
            raise HttpError(503, "no_leader", "nobody leads now, so nothing was asked for; try again later")
        await asyncio.sleep(POLL_SECONDS)
    command = await threaded(lambda: service.commands.trigger(job, day, actor=actor))
    end = time.monotonic() + LEADER_SECONDS
    while (outcome := await threaded(lambda: service.commands.outcome(command, 0.0))) is None:
        if time.monotonic() > end:
            said = f"nobody has carried command {command} out yet; whoever leads next does"
            raise HttpError(503, "no_leader", said)
        await asyncio.sleep(POLL_SECONDS)
    if outcome.run is None:
        return refused(outcome.refused or "", outcome.exit_code)
    number = outcome.run
    run = await threaded(lambda: service.queries.run(number))
    made = {"id": run.id, "job": run.job, "window": run.window.label, "state": run.state}
    return Reply({"success": True, "run": made}, 202)


def readiness(service: Service) -> Reply:
    """Whether this process leads or follows a leader, and reaches the store and Redis; 503 when it does not."""
    problems: list[str] = []
    found = {"state": "waiting", "store": "ok", "redis": "ok"}
    try:
        leader = service.queries.leader()
        found["state"] = "leading" if leader and leader.is_me else "following" if leader else "waiting"
    except OpsconsoleError as error:
        problems.append(error.sentence)
        found["store"] = "away"
    try:
        service.queries.redis_stats()
    except OpsconsoleError as error:
        problems.append(error.sentence)
        found["redis"] = "away"
    if service.engine is not None and service.engine.problem is not None:
        problems.append(service.engine.problem)
    if not problems and found["state"] == "waiting":
        problems.append("nobody leads yet")
    if not problems:
        return Reply({"success": True, **found})
    return Reply({**Reply.error(503, "not_ready", safe("; ".join(problems))).body, **found}, 503)


def _day(body: Any) -> str | None:
    """The date that the body names, if there is one. Raises HttpError."""
    if body is None:
        return None
    if not isinstance(body, dict):
        raise HttpError(400, "bad_body", 'the body is a JSON object, such as {"date": "2026-01-19"}')
    for name in body:
        if name != "date":
            raise HttpError(400, "unknown_field", 'there is only "date" to say', safe(name, 100))
    day = body.get("date")
    if not isinstance(day, str | None):
        raise HttpError(400, "bad_date", "a date is a text, written as 2026-01-19", "date")
    return day
