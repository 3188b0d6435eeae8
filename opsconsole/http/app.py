"""Everything that is answered over HTTP, as one ASGI application: first whether, then what."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import TypeVar

import anyio.to_thread
from anyio import CapacityLimiter
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect, Request as Asked
from starlette.routing import Route as Path, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import ExtensionContext, Resources
from opsconsole.authoring.extensions import Reply, Request, Route, StartRun
from opsconsole.authoring.pack import Pack
from opsconsole.core.database import reason
from opsconsole.core.errors import BadSettings, OpsconsoleError
from opsconsole.core.text import safe
from opsconsole.http import requests as asking, runs as running
from opsconsole.http.request_guard import RequestGuard
from opsconsole.http.responses import FAILED, HttpError, encoded, of_error, response
from opsconsole.service.service import Service

log = logging.getLogger(__name__)

SERVICE_THREADS = 2
"""Fewer than the store has connections: who leads needs them more."""
PACK_THREADS = 5
"""As many as there are connections to the data database."""
WAITING = 50
"""So many questions wait for a thread; further ones are told to come back."""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
UNIX_ORIGIN = "unix"
HEALTH = "/healthz"

T = TypeVar("T")
Answer = Callable[[Request, str], Awaitable[Reply]]
"""What is answered to a question from an address."""


class App:
    """Answers for `service` and for the packs of its catalog. Raises BadSettings when their routes clash."""

    def __init__(self, service: Service, doorkeeper: RequestGuard) -> None:
        self._service = service
        self._doorkeeper = doorkeeper
        self._desk_threads, self._pack_threads = CapacityLimiter(SERVICE_THREADS), CapacityLimiter(PACK_THREADS)
        self._tools, self._router = self._made(service.catalog)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request."""
        origin = scope["client"][0] if scope["client"] else UNIX_ORIGIN
        refusal = self._doorkeeper.refusal(scope["headers"], origin, public=scope["path"] == HEALTH)
        if refusal is not None:
            await response(refusal, {"connection": "close"})(scope, receive, send)
            return
        await self._router(scope, receive, send)

    def reload(self, catalog: Catalog) -> None:
        """Goes on with the packs of another catalog. Raises BadSettings and changes nothing when their routes clash."""
        before = self._tools
        self._tools, self._router = self._made(catalog)
        before.close()

    def close(self) -> None:
        """Closes every connection of its own."""
        self._tools.close()

    # --- what is answered ---------------------------------------------------------------------------------------

    def _made(self, catalog: Catalog) -> tuple[Resources, ASGIApp]:
        settings = self._service.settings
        assert settings.redis_url is not None  # noqa: S101 - whoever opens the program names a server
        tools = Resources(settings.data_url.reveal(), settings.redis_url.reveal(), families=catalog.families)
        paths: dict[str, dict[str, Answer]] = {
            HEALTH: {"GET": self._healthz},
            "/readyz": {"GET": self._readyz},
            "/api/cron/run/{job}": {"POST": self._run},
        }
        problems: list[str] = []
        for pack in catalog.packs:
            serving = ExtensionContext(tools, catalog.options(pack), catalog.families)
            for route in pack.routes:
                problems += _faults(pack, route, paths)
                answer = functools.partial(self._of_pack, route, serving)
                paths.setdefault(route.path, {})[route.method] = answer
        if problems:
            raise BadSettings(problems)
        routes = [Path(path, _Answers(answers)) for path, answers in paths.items()]
        return tools, Router(routes, redirect_slashes=False, default=_nothing_here)

    async def _healthz(self, _asked: Request, _origin: str) -> Reply:
        return Reply({"success": True})

    async def _readyz(self, _asked: Request, _origin: str) -> Reply:
        return await self._by_service(lambda: running.readiness(self._service))

    async def _run(self, asked: Request, origin: str) -> Reply:
        return await running.start_run(self._service, asked, origin, self._by_service)

    async def _of_pack(self, route: Route, serving: ExtensionContext, asked: Request, origin: str) -> Reply:
        if isinstance(route.handler, StartRun):
            return await self._run(replace(asked, path={"job": route.handler.job}), origin)
        handler = route.handler
        return await _in_thread(self._pack_threads, lambda: encoded(handler(serving, asked)))

    async def _by_service(self, call: Callable[[], T]) -> T:
        return await _in_thread(self._desk_threads, call)


class _Answers:
    """One path with its methods, as an ASGI application."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self._answers = answers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        answer = self._answers.get(method)
        if answer is None:
            said = ", ".join(sorted(self._answers))
            reply = Reply.error(405, "method_not_allowed", f"this is asked with {said}")
            await response(reply, {"allow": said})(scope, receive, send)
            return
        origin = scope["client"][0] if scope["client"] else UNIX_ORIGIN
        try:
            reply = await answer(await asking.read(Asked(scope, receive)), origin)
        except ClientDisconnect:
            return
        except OpsconsoleError as error:
            reply = of_error(error)
        except SQLAlchemyError as error:
            # Its own text has the statement and what was put in.
            log.error("http: %s %s failed: %s", method, safe(scope["path"], 200), reason(error))
            reply = FAILED
        except Exception as error:
            log.exception(
                "http: %s %s failed: %s: %s", method, safe(scope["path"], 200), type(error).__name__, safe(error, 200)
            )
            reply = FAILED
        closing = {"connection": "close"} if reply.status in (408, 413) else None
        await response(reply, closing)(scope, receive, send)


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    await response(Reply.error(404, "not_found", "there is nothing at this path"))(scope, receive, send)


async def _in_thread(threads: CapacityLimiter, call: Callable[[], T]) -> T:
    """What `call` returns, which may block. Raises HttpError when too many wait for a thread already."""
    if threads.statistics().tasks_waiting >= WAITING:
        raise HttpError(503, "busy", "too many questions wait for an answer; try again later")
    return await anyio.to_thread.run_sync(call, limiter=threads, abandon_on_cancel=True)


def _faults(pack: Pack, route: Route, paths: Mapping[str, Mapping[str, Answer]]) -> list[str]:
    """What is wrong with a route, beside those that are there already."""
    said = f"{pack.name}: its route {route.method} {route.path}"
    if route.method not in METHODS:
        return [f"{said} has none of the methods {', '.join(METHODS)}"]
    try:
        Path(route.path, _Answers({}))
    except (AssertionError, ValueError):
        return [f"{said} is no path; write it as /api/orders/{{order}}"]
    shape = _shape(route.path)
    if any(route.method in answers and _shape(path) == shape for path, answers in paths.items()):
        return [f"{said} is taken"]
    return []


def _shape(path: str) -> str:
    return re.sub(r"{[^}]*}", "{}", path)
