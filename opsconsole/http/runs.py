"""Carries out commands of other programs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

from opsconsole.authoring.extensions import Reply, Request
from opsconsole.cache.filters import ClearFilter
from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.settings import Actor, Role
from opsconsole.core.text import safe
from opsconsole.http.responses import HttpError, refusal
from opsconsole.service.service import Service
from opsconsole.service.snapshot import Outcome

T = TypeVar("T")

LEADER_SECONDS = 5.0
"""How long to wait for a leader, and then for the outcome of the command."""
POLL_SECONDS = 0.05


class RunInThread(Protocol):
    """Runs a blocking call in a thread."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]: ...


async def start_run(service: Service, request: Request, origin: str, in_thread: RunInThread) -> Reply:
    """Requests a run of the job in the path, and waits until a leader has created it. Raises OpsconsoleError."""
    day = _day(request)
    job = service.catalog.find(request.path["job"]).name
    actor = Actor("http", origin, service.settings.actor.role)
    outcome = await _carry_out(lambda: service.commands.trigger(job, day, actor=actor), service, actor, in_thread)
    number = outcome.run
    if number is None:
        return refusal(outcome.refused or "", outcome.exit_code)
    run = await in_thread(lambda: service.queries.run(number))
    document = {"id": run.id, "job": run.job, "window": run.window.label, "state": run.state}
    return Reply({"success": True, "run": document}, 202)


async def clear_cache(
    service: Service, fields: Mapping[str, str], request: Request, origin: str, in_thread: RunInThread
) -> Reply:
    """Requests that the keys which the body selects are cleared, and waits until they are. `fields` has the parts of a
    key by field of the body. Raises OpsconsoleError.
    """
    conditions = _conditions(service, request.body, fields)
    actor = Actor("http", origin, service.settings.actor.role)
    outcome = await _carry_out(lambda: service.commands.clear_cache(conditions, actor=actor), service, actor, in_thread)
    if outcome.refused is not None:
        return refusal(outcome.refused, outcome.exit_code)
    facts = outcome.facts
    return Reply({"success": True, "cleared": facts["cleared"], "families": facts["families"]})


async def _carry_out(request: Callable[[], int], service: Service, actor: Actor, in_thread: RunInThread) -> Outcome:
    """Requests a command once a process leads, and waits for its outcome. Raises HttpError when none leads, and
    NotAllowed at once for an actor who may only view.
    """
    deadline = time.monotonic() + LEADER_SECONDS
    while actor.role is Role.OPERATOR and await in_thread(service.queries.leader) is None:
        if time.monotonic() > deadline:
            raise HttpError(503, "no_leader", "no process is leading, so nothing was requested; try again later")
        await asyncio.sleep(POLL_SECONDS)
    command = await in_thread(request)
    deadline = time.monotonic() + LEADER_SECONDS
    while (outcome := await in_thread(lambda: service.commands.outcome(command, 0.0))) is None:
        if time.monotonic() > deadline:
            message = f"no leader has carried out command {command} yet; the next leader will"
            raise HttpError(503, "no_leader", message)
        await asyncio.sleep(POLL_SECONDS)
    return outcome


def _conditions(service: Service, body: Any, fields: Mapping[str, str]) -> ClearFilter:
    """The conditions in the body. Raises HttpError with the field that is missing or wrong."""
    names = list(fields)
    if not isinstance(body, dict):
        message = f"the body must be a JSON object with {' or '.join(names)}"
        raise HttpError(400, "bad_body", message, names[0])
    given = {name: body[name] for name in names if body.get(name) is not None}
    if not given:
        raise HttpError(400, "missing", f"{' or '.join(names)} is required", names[0])
    for name, value in given.items():
        if not isinstance(value, str) or not value:
            raise HttpError(400, "bad_field", f"{name} must be a non-empty string", name)
        try:
            service.commands.check_clear(ClearFilter(**{fields[name]: value}))
        except OpsconsoleError as error:
            raise HttpError(400, "bad_field", error.sentence, name) from error
    return ClearFilter(**{fields[name]: value for name, value in given.items()})


def _day(request: Request) -> str | None:
    """The date in the body or in the query, if any. Raises HttpError."""
    body: Any = dict(request.query) if request.body is None else request.body
    if request.query and request.body is not None:
        raise HttpError(400, "bad_query", "give the date in the query or in the body, not in both", "date")
    if not isinstance(body, dict):
        raise HttpError(400, "bad_body", 'the body must be a JSON object such as {"date": "2026-01-19"}')
    for name in body:
        if name != "date":
            raise HttpError(400, "unknown_field", 'the only field is "date"', safe(name, 100))
    day = body.get("date")
    if not isinstance(day, str | None):
        raise HttpError(400, "bad_date", "the date must be a string such as 2026-01-19", "date")
    return day
