"""The HTTP API as one ASGI application: checks each request, then routes it."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect, Request as StarletteRequest
from starlette.routing import Route as StarletteRoute, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import SHORT_SECONDS, ExtensionContext, Resources
from opsconsole.authoring.extensions import ClearCache, Reply, Request, Route, StartRun
from opsconsole.authoring.pack import Pack
from opsconsole.cache.reads import Reads
from opsconsole.core.database import reason
from opsconsole.core.errors import BadSettings, OpsconsoleError
from opsconsole.core.text import safe
from opsconsole.http import alerts, health, requests, runs
from opsconsole.http.metrics import CONTENT_TYPE, Metrics
from opsconsole.http.request_guard import RequestGuard
from opsconsole.http.responses import FAILED, Busy, Document, encode, error_reply, response
from opsconsole.http.threads import Threads
from opsconsole.rules.actions import check_actor
from opsconsole.service.service import Service

log = logging.getLogger(__name__)

SERVICE_THREADS = 2
"""Fewer than the store has connections: the engine needs the others."""
PACK_THREADS = 5
"""One per connection to the data database."""
MAX_COMMANDS = 50
"""Requests that may wait for the leader to carry out a command. Further ones get the status 503."""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
UNIX_ORIGIN = "unix"
HEALTH = "/healthz"

Handler = Callable[[Request, str], Awaitable[Reply | Document]]
"""Handles a request from a client address."""


class App:
    """Serves `service` and the packs of its catalog. Raises BadSettings when their routes conflict."""

    def __init__(self, service: Service, guard: RequestGuard) -> None:
        self._service = service
        self._guard = guard
        self._metrics = Metrics(service)
        self.begin()
        self._resources, self._router = self._build(service.catalog)

    def begin(self) -> None:
        """Forgets the requests of an event loop that has ended: its threads and limits are of no use to another one."""
        self._service_threads, self._pack_threads = Threads(SERVICE_THREADS), Threads(PACK_THREADS)
        self._commands = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        origin = scope["client"][0] if scope["client"] else UNIX_ORIGIN
        refusal = self._guard.refusal(scope["headers"], origin, public=scope["path"] == HEALTH)
        handler = self._router if refusal is None else response(refusal)
        try:
            await handler(scope, *_reading_whole_body(receive, send))
        except asyncio.CancelledError:
            log.warning("http: %s %s was cut off by the end of this process", scope["method"], safe(scope["path"], 200))

    def reload(self, catalog: Catalog) -> None:
        """Serves the packs of another catalog. Raises BadSettings and changes nothing when their routes conflict."""
        previous = self._resources
        self._resources, self._router = self._build(catalog)
        previous.close()

    def cache_reads(self) -> Mapping[str, Reads]:
        """Outcomes of the reads of the cache by the packs' routes, by family."""
        return self._resources.reads()

    def close(self) -> None:
        """Closes the connections to the data database and Redis."""
        self._resources.close()

    # --- routes -------------------------------------------------------------------------------------------------

    def _build(self, catalog: Catalog) -> tuple[Resources, ASGIApp]:
        settings = self._service.settings
        assert settings.redis_url is not None  # noqa: S101 - the session sets a URL before it opens the service
        urls = settings.data_url.reveal(), settings.redis_url.reveal()
        resources = Resources(*urls, families=catalog.families, statement_seconds=SHORT_SECONDS)
        paths: dict[str, dict[str, Handler]] = {
            HEALTH: {"GET": self._healthz},
            "/readyz": {"GET": self._readyz},
            "/metrics": {"GET": self._metrics_text},
            "/api/alerts": {"GET": self._alerts},
            "/api/cron/run/{job}": {"POST": self._run},
        }
        problems: list[str] = []
        for pack in catalog.packs:
            queries = self._service.queries
            context = ExtensionContext(
                resources,
                catalog.options(pack),
                catalog.families,
                leader_notes=functools.partial(queries.leader_notes, pack.name),
                cache_days=self._service.cache.days,
            )
            for route in pack.routes:
                problems += _route_problems(pack, route, paths)
                paths.setdefault(route.path, {})[route.method] = functools.partial(self._pack_route, route, context)
        if problems:
            raise BadSettings(problems)
        routes = [StarletteRoute(path, _Endpoint(handlers)) for path, handlers in paths.items()]
        return resources, Router(routes, redirect_slashes=False, default=_not_found)

    async def _healthz(self, _request: Request, _origin: str) -> Reply:
        return health.liveness(self._service)

    async def _readyz(self, request: Request, _origin: str) -> Reply:
        verbose = "verbose" in request.query
        return await self._service_threads.run(lambda: health.readiness(self._service, verbose=verbose))

    async def _metrics_text(self, _request: Request, _origin: str) -> Document:
        return Document(await self._service_threads.run(self._metrics.exposition), CONTENT_TYPE)

    async def _alerts(self, request: Request, _origin: str) -> Reply:
        return await self._service_threads.run(lambda: alerts.list_alerts(self._service, request))

    async def _run(self, request: Request, origin: str) -> Reply:
        with self._waiting_for_leader():
            return await runs.start_run(self._service, request, origin, self._service_threads.run)

    @contextmanager
    def _waiting_for_leader(self) -> Iterator[None]:
        """Counts a request that waits for the leader. Raises Busy when too many do."""
        if self._commands >= MAX_COMMANDS:
            raise Busy
        self._commands += 1
        try:
            yield
        finally:
            self._commands -= 1

    async def _pack_route(self, route: Route, context: ExtensionContext, request: Request, origin: str) -> Reply:
        handler = route.handler
        if isinstance(handler, StartRun):
            return await self._run(replace(request, path={"job": handler.job}), origin)
        if isinstance(handler, ClearCache):
            with self._waiting_for_leader():
                return await runs.clear_cache(self._service, handler.fields, request, origin, self._service_threads.run)
        if route.has_effect:
            check_actor(f"{route.method} {route.path}", self._service.settings.actor)
        return await self._pack_threads.run(lambda: encode(handler(context, request)))


class _Endpoint:
    """One path with its methods, as an ASGI application."""

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        self._handlers = handlers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        handler = self._handlers.get(method)
        if handler is None:
            allowed = ", ".join(sorted(self._handlers))
            refusal = Reply.error(405, "method_not_allowed", f"use {allowed} for this path")
            await response(refusal, {"allow": allowed})(scope, receive, send)
            return
        origin = scope["client"][0] if scope["client"] else UNIX_ORIGIN
        reply: Reply | Document
        try:
            reply = await handler(await requests.read(StarletteRequest(scope, receive)), origin)
        except ClientDisconnect:
            return
        except OpsconsoleError as error:
            reply = error_reply(error)
        except SQLAlchemyError as error:
            # The error's own text contains the statement and its parameters.
            log.error("http: %s %s failed: %s", method, safe(scope["path"], 200), reason(error))
            reply = FAILED
        except Exception as error:
            log.exception(
                "http: %s %s failed: %s: %s", method, safe(scope["path"], 200), type(error).__name__, safe(error, 200)
            )
            reply = FAILED
        if isinstance(reply, Reply) and reply.status == 504:
            log.warning("http: %s %s has not answered in time; its thread is busy", method, safe(scope["path"], 200))
        await response(reply)(scope, receive, send)


def _reading_whole_body(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Reads what is left of a request's body between the response and its end: a client that sends everything first
    then still gets the response, and not a reset connection. The connection limits this in time and size.
    """
    has_more = True

    async def receive_and_note() -> Message:
        nonlocal has_more
        message = await receive()
        has_more = message.get("more_body", False)
        return message

    async def send_then_read(message: Message) -> None:
        if message["type"] == "http.response.body" and has_more:
            await send({**message, "more_body": True})
            while has_more:
                await receive_and_note()
            message = {"type": "http.response.body"}
        await send(message)

    return receive_and_note, send_then_read


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    await response(Reply.error(404, "not_found", "no route has this path"))(scope, receive, send)


def _route_problems(pack: Pack, route: Route, paths: Mapping[str, Mapping[str, Handler]]) -> list[str]:
    """What is wrong with a route, also in relation to the routes that are registered already; sentences."""
    name = f"pack {pack.name}: the route {route.method} {route.path}"
    if route.method not in METHODS:
        return [f"{name} must use one of the methods {', '.join(METHODS)}"]
    try:
        StarletteRoute(route.path, _Endpoint({}))
    except (AssertionError, ValueError):
        return [f"{name} has an invalid path; write it as /api/orders/{{order}}"]
    shape = _shape(route.path)
    if any(route.method in handlers and _shape(path) == shape for path, handlers in paths.items()):
        return [f"{name} is already in use"]
    return []


def _shape(path: str) -> str:
    return re.sub(r"{[^}]*}", "{}", path)
