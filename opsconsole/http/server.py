"""Serves the HTTP API from a thread while the process is running."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn

from opsconsole.authoring.catalog import Catalog
from opsconsole.core.errors import OpsconsoleError
from opsconsole.core.problems import Work
from opsconsole.core.settings import Settings
from opsconsole.core.supervision import Loop
from opsconsole.http.app import App
from opsconsole.http.connection import ANNOUNCED_SECONDS, GRACE_SECONDS, Connection
from opsconsole.http.listener import BACKLOG, Listener
from opsconsole.http.request_guard import RequestGuard, tokens_of
from opsconsole.service.cache_reads import CacheReadsRecorder
from opsconsole.service.service import Service

log = logging.getLogger(__name__)

TICK_SECONDS = 1.0
"""How often the time in the headers of responses is updated."""


class ServerEnded(OpsconsoleError):
    """The server ended although nobody stopped it."""


class Server:
    """Serves requests on `listener` until `stop`. Raises BadSettings when the packs' routes conflict."""

    def __init__(self, listener: Listener, service: Service) -> None:
        tokens = tokens_of(service.settings)
        self._guard = RequestGuard(tokens, listener.hosts)
        self._app = App(service, self._guard)
        self._config = uvicorn.Config(
            self._app,
            http=Connection,
            loop="asyncio",
            backlog=BACKLOG,
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            proxy_headers=False,  # any client could put another address into them
            server_header=False,
            headers=[("keep-alive", f"timeout={ANNOUNCED_SECONDS}")],
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        self._socket = listener.socket
        self._uvicorn = _Uvicorn(self._config, started=self._started)
        self._loop = Loop(Work.HTTP, self._serve, seconds=0.0, now=service.now, stalled_seconds=None)
        self._recorder = CacheReadsRecorder(service.store, self._app.cache_reads, now=service.now)
        service.supervisor.watch(self._loop, self._recorder.loop)
        self._loop.start()
        log.info("http: listening on %s", listener.address)
        if not tokens:
            log.warning("http: open to every user of this machine; set CRON_SECRET to require a secret")

    def reload(self, settings: Settings, catalog: Catalog) -> None:
        """Serves the packs of another catalog, and accepts the tokens of `settings`. Raises BadSettings and changes
        nothing when the packs' routes conflict.
        """
        self._app.reload(catalog)
        self._guard.use(tokens_of(settings))

    def stop(self) -> None:
        """Accepts no more requests, and returns when the active ones are done or the grace period is over."""
        self._loop.request_stop()
        self._uvicorn.should_exit = True
        self._uvicorn.end(self._app.end_streams)
        self._loop.stop(timeout=None)
        self._recorder.stop()
        self._app.close()

    def _serve(self) -> None:
        """Serves until `stop`, or until something ends the server, which then starts again."""
        self._app.begin()
        self._uvicorn = _Uvicorn(self._config, started=self._started)
        self._uvicorn.should_exit = self._loop.is_stopping
        self._uvicorn.run([self._socket.dup()])  # it closes the socket when it ends
        if not self._loop.is_stopping:
            raise ServerEnded("the HTTP server ended; it starts again")

    def _started(self) -> None:
        self._loop.repeated.succeeded()


class _Uvicorn(uvicorn.Server):
    """Calls `started` when it accepts requests."""

    def __init__(self, config: uvicorn.Config, *, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_start = started
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._ending = asyncio.Event()

    async def main_loop(self) -> None:
        """Waits for the end. Uvicorn's own loop looks for it ten times a second."""
        while not await self.on_tick(0):  # 0: also the time in the headers
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), TICK_SECONDS)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._event_loop = asyncio.get_running_loop()
        self._on_start()

    def end(self, streams: Callable[[], None]) -> None:
        """Calls `streams` in the event loop, if there is one, and ends it once `should_exit` is set."""
        if self._event_loop is not None:
            with suppress(RuntimeError):  # the loop has ended
                self._event_loop.call_soon_threadsafe(streams)
                self._event_loop.call_soon_threadsafe(self._ending.set)
