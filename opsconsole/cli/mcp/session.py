"""The session of one client: opens the service for its tools, and bounds the size of their answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import msgspec
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError

from opsconsole.cli.session import open_service
from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.garbage import end_loading
from opsconsole.core.settings import Role, Settings
from opsconsole.core.text import safe
from opsconsole.service.service import Service

MAX_BYTES = 60_000
"""The size of an answer as JSON: a model reads all of it."""
MAX_TEXT = 1_000
MAX_CLIENT = 60
OUTCOME_SECONDS = 5.0
"""How long a request waits for a leader."""

Answer = dict[str, Any]


class Session:
    """Answers from one thread, in which the service is opened for the first request. With `may_act`, its client has the
    role of this process's user; otherwise it is a viewer.
    """

    def __init__(self, settings: Settings, *, may_act: bool) -> None:
        self._settings, self._may_act = settings, may_act
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mcp")
        self._closing = ExitStack()
        self._service: Service | None = None

    async def answer(self, ctx: Context, query: Callable[[Service], Mapping[str, object]]) -> Answer:
        """The result of a query as JSON of a bounded size. Raises ToolError with a sentence."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._answer, _client(ctx), query)

    async def command(self, ctx: Context, send: Callable[[Service], int]) -> Answer:
        """The outcome of the command that `send` requests. Raises ToolError with a sentence."""
        return await self.answer(ctx, lambda service: _outcome(service, send(service)))

    def close(self) -> None:
        """Closes the service."""
        self._thread.submit(self._closing.close).result()
        self._thread.shutdown()

    def _answer(self, client: str, query: Callable[[Service], Mapping[str, object]]) -> Answer:
        try:
            return bounded(query(self._open(client)))
        except OpsconsoleError as error:
            raise ToolError(safe(error.sentence, MAX_TEXT)) from None

    def _open(self, client: str) -> Service:
        if self._service is None:
            actor = self._settings.actor
            role = actor.role if self._may_act else Role.VIEWER
            actor = replace(actor, name=f"{actor.name} via {client}", role=role)
            settings = replace(self._settings, actor=actor)
            self._service = self._closing.enter_context(open_service(settings, reads=True))
            end_loading()
        return self._service


def bounded(answer: Mapping[str, object]) -> Answer:
    """An answer as JSON with safe texts. Its longest lists are cut until it is small enough; `left_out` counts the
    elements that were cut.
    """
    found: Answer = _cleaned(msgspec.to_builtins(answer))
    left_out: dict[str, int] = {}
    while len(msgspec.json.encode(found)) > MAX_BYTES:
        lists = {name: value for name, value in found.items() if isinstance(value, list) and len(value) > 1}
        if not lists:
            raise ToolError("the answer is too large; request less")
        name = max(lists, key=lambda each: len(msgspec.json.encode(lists[each])))
        kept = lists[name][: len(lists[name]) // 2]
        left_out[name] = left_out.get(name, 0) + len(lists[name]) - len(kept)
        found[name] = kept
    return {**found, "left_out": left_out} if left_out else found


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return safe(value, MAX_TEXT)
    if isinstance(value, dict):
        return {safe(name, MAX_TEXT): _cleaned(each) for name, each in value.items()}
    return [_cleaned(each) for each in value] if isinstance(value, list | tuple) else value


def _client(ctx: Context) -> str:
    """The name that the client has chosen."""
    given = ctx.session.client_params
    name = safe(given.client_info.name, MAX_CLIENT).strip() if given is not None else ""
    return name or "an unnamed client"


def _outcome(service: Service, command: int) -> Answer:
    outcome = service.commands.outcome(command, OUTCOME_SECONDS)
    if outcome is None:
        message = "no process has carried it out yet; it waits for a leader"
        return {"command": command, "state": "requested", "message": message}
    if outcome.refused is not None:
        raise ToolError(safe(outcome.refused, MAX_TEXT))
    return {"command": command, "state": "done", "message": outcome.done or "", "run": outcome.run}
