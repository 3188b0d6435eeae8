"""Starts the embedded Redis, prepares the databases, and loads the jobs for the service."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring import catalog
from opsconsole.authoring.pack import Pack
from opsconsole.cli.output import echo
from opsconsole.cli.store_access import data_trouble, lacks_rights, store_trouble
from opsconsole.core.clock import now
from opsconsole.core.database import Database
from opsconsole.core.errors import BadSettings, OpsconsoleError, Unavailable
from opsconsole.core.problems import Work
from opsconsole.core.settings import Role, Secret, Settings, masked
from opsconsole.core.supervision import Loop, Supervisor
from opsconsole.core.trust import make_private
from opsconsole.embedded.redis import EarlyStart, EmbeddedRedis, server_of
from opsconsole.rules.notifications import filter_problems
from opsconsole.store import Store, data_tables, lease, migrate, rights, tables as schema

if TYPE_CHECKING:
    from opsconsole.service.service import Service
    from opsconsole.worker.ahead import StartedAhead

log = logging.getLogger(__name__)

CHECK_SECONDS, OWN_CHECK_SECONDS = 1.0, 10.0
"""The time between two checks that the embedded Redis is running: one of another process, and one of this process,
which notices at once when it ends.
"""


@contextmanager
def open_service(
    settings: Settings,
    *,
    patient: bool,
    waits: bool,
    check: bool = True,
    reads: bool = False,
    report: Callable[[str], None] | None = None,
    starting: EarlyStart | None = None,
) -> Iterator[Service]:
    """The service until the end of the block: see `session.open_service`."""
    report = report or (lambda _step: None)
    make_private(settings.folder)
    supervisor = Supervisor(now)
    with ExitStack() as closing:
        redis = _redis(settings, supervisor, starting, patient=patient, note=waits)
        complete, wait_for_redis = closing.enter_context(redis)
        store = closing.enter_context(contextlib.closing(Store(complete.store_url.reveal())))
        ahead = _start_ahead(complete, store, closing) if waits and _is_file(store) else None
        report("loading the jobs")
        jobs = catalog.load(complete.packs, complete.overrides, complete.options, complete.compress_over)
        require_filters(complete, jobs)
        report("opening the store")
        try:
            changes = patient and settings.actor.role is Role.OPERATOR
            _prepare(complete, store, jobs.packs, rights.ALL if changes else rights.READ, data=not reads)
            if patient and check:
                require_intact(complete, store)
        except Unavailable as error:
            if not patient:
                raise
            log.warning("%s", error.sentence)
        if waits and ahead is None:
            ahead = _start_ahead(complete, store, closing)
        from opsconsole.service.service import Service  # takes as long as a worker that is started ahead needs

        report("starting Redis")
        wait_for_redis()
        service = closing.enter_context(
            contextlib.closing(Service(complete, store, jobs, supervisor=supervisor, ahead=ahead))
        )
        with suppress(Unavailable):  # reported when the store is used
            service.apply_schedules()
        yield service


def _is_file(store: Store) -> bool:
    """Whether the store is an existing SQLite file, which can be read before anything else is loaded."""
    return store.is_sqlite and Path(store.engine.url.database or "").exists()


def _start_ahead(settings: Settings, store: Store, closing: ExitStack) -> StartedAhead | None:
    """A worker for an engine of this process, if batches need one and no process leads."""
    if settings.engine.executor != "processes" or settings.actor.role is Role.VIEWER:
        return None
    with suppress(SQLAlchemyError, OSError):  # the one is reported when the store is used, the other by the engine
        with store.reading() as db:
            held = lease.read(db)
        if held is None or held.holder is None:
            from opsconsole.worker.ahead import StartedAhead  # commands that only read do without

            ahead = StartedAhead(settings)
            closing.callback(ahead.close)
            return ahead
    return None


def require_filters(settings: Settings, jobs: catalog.Catalog) -> None:
    """Raises BadSettings for a notification channel whose filter names a job or a pack that does not exist."""
    names = [job.name for job in jobs], [pack.name for pack in jobs.packs]
    if problems := list(filter_problems(settings.channels, *names)):
        raise BadSettings(problems)


def _prepare(
    settings: Settings, store: Store, packs: tuple[Pack, ...], privileges: Sequence[str], *, data: bool = True
) -> None:
    """Brings the embedded store up to date, and the `data` database if it is needed, and checks the others. Raises
    SchemaMismatch, BadSettings, Unavailable.
    """
    try:
        if settings.embedded_store:
            migrate.upgrade(store)
        else:
            if statements := rights.missing(store, schema.metadata.sorted_tables, privileges):
                raise BadSettings([lacks_rights("store", settings.store_url, statements)])
            migrate.require(store)
    except SQLAlchemyError as error:
        raise store_trouble(settings, error) from error
    if settings.embedded_data and data:
        database = Database(settings.data_url.reveal())
        try:
            data_tables.create_missing(database, packs)
        except SQLAlchemyError as error:
            raise data_trouble(settings, error) from error
        finally:
            database.close()


def require_intact(settings: Settings, store: Store) -> None:
    """Checks the whole file of an embedded store before anything is scheduled from it. Raises BadSettings. A store that
    is unreachable is left to those who use it.
    """
    if not store.is_sqlite:
        return
    try:
        fault = store.check_file()
    except SQLAlchemyError as error:
        trouble = store_trouble(settings, error)
        if not isinstance(trouble, Unavailable):
            raise trouble from error
        log.warning("%s", trouble.sentence)
        return
    if fault is not None:
        where = f"store {masked(settings.store_url)}"
        raise BadSettings([f"{where} is not usable: {fault}; it was not changed, restore it from a backup"])


@contextmanager
def _redis(
    settings: Settings, supervisor: Supervisor, starting: EarlyStart | None, *, patient: bool, note: bool
) -> Iterator[tuple[Settings, Callable[[], None]]]:
    """The configuration with the URL of a Redis server: the configured one, or an embedded one; and what waits until
    that has started, and then keeps it running at least as long as this process needs it. Raises BadSettings for a
    configured one of a kind that never works.
    """
    if settings.redis_url is not None:
        if patient:
            _require_supported(settings.redis_url)
        yield settings, lambda: None
        return
    server = starting.server if starting is not None else server_of(settings)
    keeper = Loop(
        Work.REDIS_KEEPER, lambda: _keep(server), seconds=CHECK_SECONDS, now=now, outage_seconds=CHECK_SECONDS
    )

    def wait() -> None:
        if starting is None:
            return
        if starting.result() and note:
            message = "note: the embedded Redis and its keys end with this command; set REDIS_URL to keep them"
            echo(message, err=True)
        supervisor.watch(keeper)
        server.ended = keeper.wake
        keeper.start()

    try:
        yield replace(settings, redis_url=Secret(server.url)), wait
    finally:
        keeper.stop(timeout=None)
        if starting is not None:
            with suppress(OpsconsoleError):
                starting.result()
            server.stop()


def _require_supported(url: Secret) -> None:
    from opsconsole.cache.inspection import why_unsupported  # redis-py, which commands that only read do without

    if why := why_unsupported(url.reveal()):
        raise BadSettings([f"redis.url {masked(url)}: {why}"])


def _keep(server: EmbeddedRedis) -> float:
    """Restarts the server when it has ended, also together with the process that had started it. Returns when to check
    again.
    """
    if server.ensure():
        log.warning("the embedded Redis had ended; it was restarted, empty")
    return OWN_CHECK_SECONDS if server.is_own else CHECK_SECONDS
