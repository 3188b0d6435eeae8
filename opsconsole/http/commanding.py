"""Requests commands for clients, and waits until a leader has carried them out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, TypeVar

from opsconsole.authoring.extensions import Answer
from opsconsole.core.settings import Actor, Role
from opsconsole.http.operations import Sent
from opsconsole.http.responses import Busy, CommandRefused, HttpError
from opsconsole.service.outcomes import Outcome
from opsconsole.service.service import Service

T = TypeVar("T")

LEADER_SECONDS = 5.0
"""How long to wait for a leader, and then for the outcome of the command."""
FIRST_POLL_SECONDS, POLL_SECONDS = 0.02, 0.05
MAX_WAITING = 50
"""Requests that may wait for the leader to carry out a command. Further ones get the status 503."""


class RunInThread(Protocol):
    """Runs a blocking call in a thread."""

    def __call__(self, call: Callable[[], T], /) -> Awaitable[T]: ...


class Commanding:
    """Carries out commands in the threads of `in_thread`, a limited number at a time."""

    def __init__(self, service: Service, in_thread: RunInThread) -> None:
        self._service, self._in_thread = service, in_thread
        self._waiting = 0

    async def answer(self, actor: Actor, send: Callable[[], Sent]) -> Answer:
        """Requests a command of `actor` by calling `send`, and answers with its outcome. Raises OpsconsoleError:
        HttpError when no process leads, NotAllowed at once for an actor who may only view, and CommandRefused with the
        leader's reason.
        """
        with self._counted():
            if actor.role is Role.OPERATOR:
                await self._leader()
            sent = await self._in_thread(send)
            outcome = await self._outcome(sent.command)
            if outcome.refused is not None:
                raise CommandRefused(outcome.error or "", outcome.refused, outcome.exit_code)
            return await self._in_thread(lambda: sent.answer(outcome))

    async def _leader(self) -> None:
        engine = self._service.engine
        if engine is not None and engine.is_leading:
            return
        deadline = time.monotonic() + LEADER_SECONDS
        while await self._in_thread(self._service.queries.leader) is None:
            if time.monotonic() > deadline:
                raise HttpError(503, "no_leader", "no process is leading, so nothing was requested; try again later")
            await asyncio.sleep(POLL_SECONDS)

    async def _outcome(self, command: int) -> Outcome:
        deadline = time.monotonic() + LEADER_SECONDS
        await asyncio.sleep(FIRST_POLL_SECONDS)
        while (outcome := await self._in_thread(lambda: self._service.commands.outcome(command, 0.0))) is None:
            if time.monotonic() > deadline:
                message = f"no leader has carried out command {command} yet; the next leader will"
                raise HttpError(503, "no_leader", message)
            await asyncio.sleep(POLL_SECONDS)
        return outcome

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Counts a request that waits for the leader. Raises Busy when too many do."""
        if self._waiting >= MAX_WAITING:
            raise Busy
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
