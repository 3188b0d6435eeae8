"""The HTTP API as one ASGI application: checks each request, then routes it."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import ClientDisconnect, Request as StarletteRequest
from starlette.routing import Route as StarletteRoute, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.context import ExtensionContext
from opsconsole.authoring.extensions import Answer, ClearCache, Reply, Request, Route, StartRun
from opsconsole.cache.reads import Reads
from opsconsole.core.database_errors import reason
from opsconsole.core.errors import BadSettings, NotAllowed, OpsconsoleError
from opsconsole.core.settings import Actor, Role
from opsconsole.core.text import safe
from opsconsole.http import events, health, openapi, pack_routes, requests
from opsconsole.http.api import OPERATIONS
from opsconsole.http.commanding import Commanding
from opsconsole.http.fields import read_fields
from opsconsole.http.metrics import CONTENT_TYPE, Metrics
from opsconsole.http.operations import AnyOperation, Call, Sent
from opsconsole.http.request_guard import Client, RequestGuard
from opsconsole.http.responses import FAILED, Document, Stream, answered, encode, error_reply, response
from opsconsole.http.runs import TRIGGER
from opsconsole.http.threads import Threads
from opsconsole.rules.actions import Verb
from opsconsole.service.service import Service

log = logging.getLogger(__name__)

SERVICE_THREADS = 2
"""Fewer than the store has connections: the engine needs the others."""
SLOW_THREADS = 1
"""Threads for requests that scan Redis or count items, so that others do not wait for them."""
PACK_THREADS = 5
"""One per connection to the data database."""
UNIX_ORIGIN = "unix"
HEALTH = "/healthz"
NO_ROUTE = "none"
"""The route of requests that were refused before they were routed, in metrics."""
CALL = "opsconsole.call"
ROUTE = "opsconsole.route"

Handler = Callable[[Request, Call], Awaitable[Reply | Document | Stream]]
"""Handles a request, and the call that it is part of."""


@dataclass(frozen=True, slots=True)
class Method:
    """What a method of a path does. A viewer may not use one that `has_effect`; with `verb` the attempt is recorded."""

    handle: Handler
    has_effect: bool = False
    verb: Verb | None = None


class App:
    """Serves `service` and the packs of its catalog. Raises BadSettings when their routes conflict."""

    def __init__(self, service: Service, guard: RequestGuard) -> None:
        self._service = service
        self._guard = guard
        self._metrics = Metrics(service)
        self._viewed = pack_routes.data_for_viewers(service)
        self.begin()
        self._load(service.catalog)

    def begin(self) -> None:
        """Forgets the requests of an event loop that has ended: its threads and limits are of no use to another one."""
        self._service_threads, self._slow_threads = Threads(SERVICE_THREADS), Threads(SLOW_THREADS)
        self._pack_threads = Threads(PACK_THREADS)
        live = self._service.live_events()
        self._events = events.EventStreams(live, self._service_threads.run, self._metrics.set_event_clients)
        self._commanding = Commanding(self._service, self._service_threads.run)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        started, status = time.monotonic(), 0

        async def send_and_note(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        origin = scope["client"][0] if scope["client"] else UNIX_ORIGIN
        admitted = self._guard.admit(scope["headers"], origin, public=scope["path"] == HEALTH)
        handler: ASGIApp
        if isinstance(admitted, Client):
            handler = self._router
            scope[CALL] = Call(self._service, self._actor(admitted, origin))
        else:
            handler = response(admitted)
        try:
            await handler(scope, *_reading_whole_body(receive, send_and_note))
        except asyncio.CancelledError:
            log.warning("http: %s %s was cut off by the end of this process", scope["method"], safe(scope["path"], 200))
        method = scope["method"] if scope["method"] in (*pack_routes.METHODS, "HEAD") else "other"
        self._metrics.count_request(method, scope.get(ROUTE, NO_ROUTE), status, time.monotonic() - started)

    def reload(self, catalog: Catalog) -> None:
        """Serves the packs of another catalog. Raises BadSettings and changes nothing when their routes conflict."""
        previous = self._resources
        self._load(catalog)
        previous.close()

    def cache_reads(self) -> Mapping[str, Reads]:
        """Outcomes of the reads of the cache by the packs' routes, by family."""
        return self._resources.reads()

    def end_streams(self) -> None:
        """Ends the responses that otherwise last until their clients leave. Called in the event loop."""
        self._events.end()

    def close(self) -> None:
        """Closes the connections to the data database and Redis."""
        self._resources.close()
        self._viewed.close()

    def _actor(self, client: Client, origin: str) -> Actor:
        """The sender of a request. Nobody may do more than the user of this process."""
        own = self._service.settings.actor.role
        return Actor(client.name, origin, client.role if own is Role.OPERATOR else own)

    # --- routes -------------------------------------------------------------------------------------------------

    def _load(self, catalog: Catalog) -> None:
        """Makes the routes of a catalog's packs. Raises BadSettings and changes nothing when they conflict."""
        resources = pack_routes.resources_for(self._service, catalog)
        paths: dict[str, dict[str, Method]] = {
            HEALTH: {"GET": Method(self._healthz)},
            "/readyz": {"GET": Method(self._readyz)},
            "/metrics": {"GET": Method(self._metrics_text)},
            "/openapi.json": {"GET": Method(self._openapi)},
            events.PATH: {"GET": Method(self._follow_events)},
        }
        for operation in OPERATIONS:
            handle = functools.partial(self._operate, operation)
            method = Method(handle, has_effect=operation.method != "GET", verb=operation.verb)
            paths.setdefault(operation.path, {})[operation.method] = method
        problems: list[str] = []
        for pack in catalog.packs:
            context = pack_routes.context_for(self._service, catalog, pack, resources)
            viewing = pack_routes.context_for(self._service, catalog, pack, resources, self._viewed)
            for route in pack.routes:
                problems += pack_routes.problems(pack, route, paths)
                handle = functools.partial(self._pack_route, route, context, viewing)
                method = Method(handle, has_effect=route.has_effect, verb=pack_routes.verb(route))
                paths.setdefault(route.path, {})[route.method] = method
        if problems:
            resources.close()
            raise BadSettings(problems)
        # Paths without parameters come first: /api/runs/retry is no run.
        ordered = sorted(paths.items(), key=lambda each: "{" in each[0])
        routes = [StarletteRoute(path, _Endpoint(path, methods, self._refuse_viewer)) for path, methods in ordered]
        self._resources = resources
        self._document = encode(Reply(openapi.document(OPERATIONS, catalog.packs, openapi.PLAIN)))
        self._router = Router(routes, redirect_slashes=False, default=_not_found)

    async def _healthz(self, _request: Request, _call: Call) -> Reply:
        return health.liveness(self._service)

    async def _readyz(self, request: Request, _call: Call) -> Reply:
        verbose = "verbose" in request.query
        return await self._service_threads.run(lambda: health.readiness(self._service, verbose=verbose))

    async def _metrics_text(self, _request: Request, _call: Call) -> Document:
        return Document(await self._service_threads.run(self._metrics.exposition), CONTENT_TYPE)

    async def _openapi(self, _request: Request, _call: Call) -> Reply:
        return self._document

    async def _follow_events(self, _request: Request, _call: Call) -> Stream:
        return Stream(self._events.serve)

    async def _operate(self, operation: AnyOperation, request: Request, call: Call) -> Reply:
        fields = read_fields(operation.request, request, in_body=operation.method != "GET")
        if operation.check is not None:
            operation.check(call, fields)
        resolve = operation.resolve
        if resolve is not None and not call.is_viewers:
            given = fields
            fields = await self._slow_threads.run(lambda: resolve(call, given))
            if isinstance(fields, Answer):
                return answered(fields, operation.status)
        if operation.verb is not None and not operation.slow:
            answer = await self._commanding.answer(call.actor, lambda: _sent(operation.handler(call, fields)))
        else:
            threads = self._slow_threads if operation.slow else self._service_threads
            answer = await threads.run(lambda: _answer(operation.handler(call, fields)))
        return answered(answer, operation.status)

    async def _pack_route(
        self, route: Route, context: ExtensionContext, viewing: ExtensionContext, request: Request, call: Call
    ) -> Reply:
        handler = route.handler
        if isinstance(handler, StartRun):
            return await self._operate(TRIGGER, replace(request, path={"job": handler.job}), call)
        if isinstance(handler, ClearCache):
            fields = handler.fields
            answer = await self._commanding.answer(call.actor, lambda: pack_routes.clear_cache(call, fields, request))
            return answered(answer, 200)
        if route.has_effect and call.is_viewers:
            return await self._refuse_viewer(None, f"{route.method} {route.path}", call)
        given = pack_routes.arguments(route, request)
        return await self._pack_threads.run(lambda: encode(handler(viewing if call.is_viewers else context, given)))

    async def _refuse_viewer(self, verb: Verb | None, path: str, call: Call) -> Reply:
        """The reply to a viewer who requested something that is no command, or an invalid one, without what is invalid.
        The request is recorded.
        """
        try:
            if verb is not None:
                await self._service_threads.run(lambda: call.commands.send(verb, path, {}))
            return error_reply(await self._service_threads.run(lambda: call.commands.refuse(path)))
        except OpsconsoleError as error:
            return error_reply(error)


def _sent(result: Answer | Sent) -> Sent:
    assert isinstance(result, Sent)  # noqa: S101 - what the handler of an operation with a verb returns
    return result


def _answer(result: Answer | Sent) -> Answer:
    assert isinstance(result, Answer)  # noqa: S101 - what the handler of an operation without a verb returns
    return result


class _Endpoint:
    """One path with its methods, as an ASGI application."""

    def __init__(
        self,
        path: str,
        methods: Mapping[str, Method],
        refuse_viewer: Callable[[Verb | None, str, Call], Awaitable[Reply]],
    ) -> None:
        self._path, self._refuse_viewer = path, refuse_viewer
        self._methods = dict(methods)
        if "GET" in methods and not methods["GET"].has_effect:
            self._methods["HEAD"] = methods["GET"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[ROUTE] = self._path
        name, shown = scope["method"], safe(scope["path"], 200)
        method = self._methods.get(name)
        if method is None:
            allowed = ", ".join(sorted(self._methods))
            refusal = Reply.error(405, "method_not_allowed", f"use {allowed} for this path")
            await response(refusal, {"allow": allowed})(scope, receive, send)
            return
        call: Call = scope[CALL]
        try:
            request = StarletteRequest(scope, receive)
            call = replace(call, key=requests.idempotency_key(request))
            reply = await method.handle(await requests.read(request), call)
            if isinstance(reply, Stream):
                await reply.serve(scope, receive, send)
                return
        except ClientDisconnect:
            return
        except OpsconsoleError as error:
            reply = error_reply(error)
            if reply.status < 500 and not isinstance(error, NotAllowed) and method.has_effect and call.is_viewers:
                reply = await self._refuse_viewer(method.verb, shown, call)
        except SQLAlchemyError as error:
            # The error's own text contains the statement and its parameters.
            log.error("http: %s %s failed: %s", name, shown, reason(error))
            reply = FAILED
        except Exception as error:
            log.exception("http: %s %s failed: %s: %s", name, shown, type(error).__name__, safe(error, 200))
            reply = FAILED
        if isinstance(reply, Reply) and reply.status == 504:
            log.warning("http: %s %s has not answered in time; its thread is busy", name, shown)
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
