"""Configures Celery so that no task is lost, and sends the message of a task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import msgspec
from celery import Celery
from kombu.exceptions import OperationalError
from redis.connection import SSLConnection, UnixDomainSocketConnection, parse_url

from opsconsole.cache.faults import ERRORS, unavailable
from opsconsole.core.errors import Unavailable
from opsconsole.worker.celery.broker import BROKER, QUEUE
from opsconsole.worker.messages import Work

TASK = "opsconsole.execute"
SOCKET_SECONDS = 5.0
"""A broker that is silent for this long is unreachable. Longer than Celery waits for a message at a time."""
RESTORE_SECONDS = 2
"""How often a worker looks for messages whose worker is lost. Celery's default makes it minutes."""


def celery_app(url: str, *, longest_batch_seconds: float) -> Celery:
    """The app of leaders and workers. `url` is a normalized URL of Redis."""
    broker, tls = _broker(url)
    app = Celery("opsconsole", broker=broker, set_as_current=False, loader="app")
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        event_serializer="json",
        task_ignore_result=True,
        task_default_queue=QUEUE,
        # A message is removed when its task has been executed, not when it has been received.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        worker_enable_prefetch_count_reduction=False,
        # Nothing reads results and events of Celery, and a broker that restarts would lose them.
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_pool_limit=2,
        broker_use_ssl=tls,
        broker_transport_options={
            # Shorter than a batch, it would give the batch to a second worker while the first still works.
            "visibility_timeout": longest_batch_seconds + 60,
            "unacked_restore_interval": RESTORE_SECONDS,
            "unacked_restore_throttle": 1,
            "socket_timeout": SOCKET_SECONDS,
            "socket_connect_timeout": SOCKET_SECONDS,
            "socket_keepalive": not broker.startswith("redis+socket"),
        },
    )
    return app


def send(app: Celery, token: int, task: str, work: Work) -> None:
    """Sends the message of a task. Raises Unavailable."""
    try:
        app.send_task(TASK, args=(token, task, msgspec.json.encode(work).decode()), task_id=task, retry=False)
    except (OperationalError, *ERRORS) as error:
        cause = error.__cause__ if isinstance(error, OperationalError) and error.__cause__ else error
        raise Unavailable(BROKER, unavailable(cause).reason) from error


def register(app: Celery, execute: Callable[[int, str, str], None]) -> None:
    """Has workers of this app call `execute` with the token, the id and the work of each task."""
    app.task(execute, name=TASK, ignore_result=True, acks_late=True)


def _broker(url: str) -> tuple[str, dict[str, Any] | None]:
    """A URL of Redis as Celery reads it, and its options for TLS."""
    options: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    user, password = quote(options.get("username") or "", safe=""), quote(options.get("password") or "", safe="")
    login = f"{user}:{password}@" if user or password else ""
    number = options.get("db", 0)
    if options.get("connection_class") is UnixDomainSocketConnection:
        return f"redis+socket://{login}{options['path']}?virtual_host={number}", None
    host = options["host"] if ":" not in options["host"] else f"[{options['host']}]"
    tls: dict[str, Any] | None = None
    if options.get("connection_class") is SSLConnection:
        tls = {"ssl_cert_reqs": "required"} | {name: found for name, found in options.items() if name[:4] == "ssl_"}
    return f"redis://{login}{host}:{options.get('port', 6379)}/{number}", tls
