"""Answers other programs in a thread of its own, for as long as the process lives."""

from __future__ import annotations

import asyncio
import logging
import threading

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from opsconsole.authoring.catalog import Catalog
from opsconsole.http.app import App
from opsconsole.http.listener import BACKLOG, Listener
from opsconsole.http.request_guard import RequestGuard
from opsconsole.service.service import Service

log = logging.getLogger(__name__)

GRACE_SECONDS = 2
"""So long questions in progress are answered when the process ends; runs are waited for afterwards."""
CONNECTIONS = 100
"""Each is an open file, of which the databases need some as well."""
FIRST_REQUEST_SECONDS = 10.0
SHORT = 16
"""A secret of fewer letters can be guessed."""


class Server:
    """Answers at `door` from now on, until `stop`. Raises BadSettings when the packs' routes clash."""

    def __init__(self, door: Listener, service: Service) -> None:
        secret = service.settings.http_secret
        self._app = App(service, RequestGuard(secret, door.hosts))
        self._uvicorn = uvicorn.Server(
            uvicorn.Config(
                self._app,
                http=_Connection,
                loop="asyncio",
                backlog=BACKLOG,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,  # anybody could write another address into them
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )
        self._thread = threading.Thread(target=self._uvicorn.run, args=([door.socket],), name="http", daemon=True)
        self._thread.start()
        log.info("http is served on %s", door.address)
        if secret is None:
            log.warning("http is open to everybody on this machine; set CRON_SECRET to ask for a secret")
        elif len(secret.reveal()) < SHORT:
            log.warning("CRON_SECRET is short; %s letters or more, drawn by chance, cannot be guessed", SHORT)

    def reload(self, catalog: Catalog) -> None:
        """Goes on with the packs of another catalog. Raises BadSettings and changes nothing when their routes clash."""
        self._app.reload(catalog)

    def stop(self) -> None:
        """Takes no more questions, and returns when those in progress are answered or the grace is over."""
        self._uvicorn.should_exit = True
        self._thread.join()
        self._app.close()


class _Connection(H11Protocol):
    """One of a limited number of connections, on which something must be asked soon."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.abort()
        else:
            self.loop.call_later(FIRST_REQUEST_SECONDS, self._end_unless_asked)

    def _end_unless_asked(self) -> None:
        if self.cycle is None:
            self.transport.abort()
