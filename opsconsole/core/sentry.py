"""Sends reports to Sentry. Its SDK is imported with the first report."""

from __future__ import annotations

import atexit
import logging
import threading
import traceback
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any

from opsconsole.core.redaction import redacted
from opsconsole.core.settings import Secret
from opsconsole.core.text import safe
from opsconsole.core.version import VERSION

if TYPE_CHECKING:
    from sentry_sdk import Client
    from sentry_sdk.types import Event

log = logging.getLogger(__name__)

MAX_CAUSES = 10
MAX_FRAMES = 50
FLUSH_SECONDS = 2.0


class Reporter:
    """The client of one project. It is made when it is needed, once."""

    def __init__(self, dsn: Secret, environment: str, host: str) -> None:
        self._dsn, self._environment, self._host = dsn, environment, host
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._failed = False

    def send(self, event: Event) -> None:
        """Queues an event; the SDK sends it in a thread of its own. Raises nothing."""
        try:
            client = self._made()
            if client is not None:
                client.capture_event(event)
        except Exception as error:  # noqa: BLE001 - a report must not break its caller
            self._failed = True
            log.warning("errors cannot be reported to Sentry: %s", safe(error, 200))

    def _made(self) -> Client | None:
        with self._lock:
            if self._client is None and not self._failed:
                from sentry_sdk import Client

                self._client = Client(
                    dsn=self._dsn.reveal(),
                    environment=self._environment or "production",
                    release=f"opsconsole@{VERSION}",
                    server_name=self._host,
                    default_integrations=False,
                    auto_enabling_integrations=False,
                    include_local_variables=False,
                    max_breadcrumbs=0,
                    auto_session_tracking=False,
                    send_client_reports=False,
                    enable_backpressure_handling=False,
                    spotlight=False,
                    debug=False,
                    before_send=lambda event, _: _without_secrets(event),
                )
                atexit.register(self.flush)
            return self._client

    def flush(self) -> None:
        """Waits a moment for what is queued."""
        if self._client is not None:
            self._client.flush(timeout=FLUSH_SECONDS)


def exceptions(error: BaseException) -> list[dict[str, Any]]:
    """An error and its causes, as Sentry lists them: causes first."""
    return list(map(_exception, reversed(_chain(error))))


def _chain(error: BaseException) -> list[BaseException]:
    """An error and its causes, as a traceback shows them."""
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found and len(found) < MAX_CAUSES:
        found.append(current)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return found


def _exception(error: BaseException) -> dict[str, Any]:
    kind = type(error)
    return {
        "type": kind.__name__,
        "module": kind.__module__,
        "value": _message(error),
        "stacktrace": {"frames": _frames(error.__traceback__)},
    }


def _message(error: BaseException) -> str:
    """Its message, if it is one of this program or of Python: those of others may repeat data, as a database's do."""
    module = type(error).__module__.partition(".")[0]
    return safe(error, 200) if module in ("opsconsole", "builtins") else "(see the log)"


def _frames(trace: TracebackType | None) -> list[dict[str, Any]]:
    return [
        {
            "filename": frame.filename,
            "function": frame.name,
            "lineno": frame.lineno,
            "context_line": frame.line or "",
            "in_app": "site-packages" not in frame.filename,
        }
        for frame in traceback.extract_tb(trace)[-MAX_FRAMES:]
    ]


def _without_secrets(value: Any) -> Any:
    if isinstance(value, str):
        return redacted(value)
    if isinstance(value, Mapping):
        return {key: _without_secrets(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(each) for each in value]
    return value
