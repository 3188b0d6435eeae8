"""Serves the page of textual-serve, behind a session guard, with a console for each of its websockets.

textual-serve has no authentication, starts a shell command for every connection, and does not check its origin. Only
its page, scripts and messages are used here.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping, Sequence

from aiohttp import web
from aiohttp.typedefs import Handler
from textual_serve.server import Server, to_int

from opsconsole.cli.browser.console_process import ConsoleProcess
from opsconsole.cli.browser.session_guard import SessionGuard, add_headers
from opsconsole.core.configuration import BROWSER_SESSION

log = logging.getLogger(__name__)

MAX_CONSOLES = 8
"""Consoles open at once. Each is a process of about 80 MB."""
MAX_MESSAGE_BYTES = 65_536
HEARTBEAT_SECONDS = 15
"""A browser that does not answer for half as long again is gone."""
DEFAULT_SIZE = 80, 24


class BrowserServer(Server):
    """Serves consoles that are started by `command` with `environ`, to browsers that open `origin`."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], origin: str, guard: SessionGuard) -> None:
        super().__init__("", title="opsconsole", public_url=origin)
        self._command, self._environ, self._guard = command, environ, guard
        self._consoles: set[asyncio.Task[None]] = set()
        self._number = 0

    async def _make_app(self) -> web.Application:
        """The application, with every request checked by the session guard."""
        app = await super()._make_app()
        app.middlewares.append(self._respond)
        app.on_response_prepare.append(add_headers)
        return app

    @web.middleware
    async def _respond(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        return await self._guard.respond(request, handler)

    async def on_startup(self, app: web.Application) -> None:
        """Prints nothing: the session guard prints the address."""

    async def handle_download(self, _request: web.Request) -> web.StreamResponse:
        """The console offers no downloads."""
        raise web.HTTPNotFound

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Runs a console until the browser or the console ends."""
        if len(self._consoles) >= MAX_CONSOLES:
            raise web.HTTPServiceUnavailable(text=f"{MAX_CONSOLES} consoles are open; close one\n")
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - aiohttp handles requests in tasks
        self._consoles.add(task)
        websocket = web.WebSocketResponse(heartbeat=HEARTBEAT_SECONDS, max_msg_size=MAX_MESSAGE_BYTES)
        try:
            await self._run(request, websocket)
        finally:
            self._consoles.discard(task)
        return websocket

    async def _run(self, request: web.Request, websocket: web.WebSocketResponse) -> None:
        self._number += 1
        address = request.remote or "local"
        width, height = (
            to_int(request.query.get(name, ""), usual)
            for name, usual in zip(("width", "height"), DEFAULT_SIZE, strict=True)
        )
        environ = {**self._environ, BROWSER_SESSION: f"{self._number} {address}"}
        console = ConsoleProcess(self._command, environ, width, height)
        log.info("browser %s at %s opens a console", self._number, address)
        await websocket.prepare(request)
        sending: asyncio.Task[None] | None = None
        try:
            await console.start()
            sending = asyncio.create_task(_send(console, websocket))
            await self._process_messages(websocket, console)  # type: ignore[arg-type] # has what it calls
        except (OSError, ValueError, TypeError, KeyError, IndexError, AssertionError, AttributeError) as error:
            log.warning("browser %s: its console is closed: %s", self._number, type(error).__name__)
        finally:
            if sending is not None:
                sending.cancel()
            await console.stop()
            await websocket.close()


async def _send(console: ConsoleProcess, websocket: web.WebSocketResponse) -> None:
    """Sends what the console draws, and closes the websocket when it ends."""
    try:
        async for data in console.output():
            await websocket.send_bytes(data)
    except ConnectionError:
        return
    await websocket.close()


async def serve(
    listener: socket.socket,
    command: Sequence[str],
    environ: Mapping[str, str],
    origin: str,
    *,
    issued: Callable[[str], None],
) -> None:
    """Serves until it is cancelled; then every console has ended. `issued` is called with each address to open."""
    guard = SessionGuard(origin, issued=issued)
    server = BrowserServer(command, environ, origin, guard)
    runner = web.AppRunner(await server._make_app(), handle_signals=False, access_log=None, shutdown_timeout=10.0)
    await runner.setup()
    try:
        await web.SockSite(runner, listener).start()
        await asyncio.Event().wait()
    finally:
        for task in tuple(server._consoles):
            task.cancel()
        await runner.cleanup()
