"""Puts the rooms together for a command: configuration, embedded Redis, store, jobs, and the service before them."""

from __future__ import annotations

import dataclasses
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TYPE_CHECKING

import click

from opsconsole.core.errors import BadSettings, OpsconsoleError, Unavailable
from opsconsole.core.settings import Role, Secret, Settings, load, masked, private_folder

if TYPE_CHECKING:
    from sqlalchemy.exc import SQLAlchemyError

    from opsconsole.authoring.pack import Pack
    from opsconsole.embedded.redis import EmbeddedRedis
    from opsconsole.http.listener import Listener
    from opsconsole.service.service import Service
    from opsconsole.store import Store

log = logging.getLogger(__name__)

LOG_BYTES, LOG_FILES = 1_000_000, 3
KEEP_SECONDS = 1.0


@dataclass(frozen=True)
class Options:
    """What stands before a command's name."""

    config: Path | None = None
    debug: bool = False
    ascii_only: bool = False
    observe: bool = False
    read_only: bool = False


def settings_of(options: Options) -> Settings:
    """The configuration; packs beside its file can be imported from then on. Raises BadSettings."""
    settings = load(options.config)
    if options.read_only:
        viewer = dataclasses.replace(settings.actor, role=Role.VIEWER)
        settings = dataclasses.replace(settings, actor=viewer)
    if settings.source is not None:
        sys.path.insert(0, str(settings.source.resolve().parent))
    return settings


def log_to_file(folder: Path) -> None:
    """From now on the program's log goes to a file; nothing of it reaches the screen."""
    handler = RotatingFileHandler(folder / "opsconsole.log", maxBytes=LOG_BYTES, backupCount=LOG_FILES)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    log_with(handler)


def log_with(handler: logging.Handler) -> None:
    """From now on the program's log goes to `handler` alone."""
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("opsconsole").setLevel(logging.INFO)
    # A log that cannot be written must not stop a run.
    logging.raiseExceptions = False


@contextmanager
def door_of(settings: Settings, address: str | None) -> Iterator[Listener | None]:
    """Where other programs are answered, by the command line or the configuration; None when nowhere.

    Raises BadAddress, BadSettings, CannotListen.
    """
    text = settings.http.bind if address is None else address
    if not text:
        yield None
        return
    from opsconsole.http.listener import BadAddress, listening, read_address

    if find_spec("starlette") is None or find_spec("uvicorn") is None:
        raise BadSettings(["HTTP needs starlette and uvicorn, which are not installed: pip install 'opsconsole[http]'"])
    try:
        place = read_address(text)
    except BadAddress as error:
        if address is not None:
            raise
        raise BadSettings([f"http.bind: {error.sentence}"]) from error
    private_folder(settings.folder)
    with listening(place, protected=settings.http_secret is not None) as door:
        yield door


@contextmanager
def open_service(settings: Settings, *, patient: bool = False, note: bool = False) -> Iterator[Service]:
    """The service, with what is embedded started and up to date.

    With `patient` a store that is away is no reason to stop: whoever opened it shows that and waits. With `note` an
    operator is told when the cache will end with this command. Raises BadSettings, SchemaMismatch, or Unavailable.
    """
    from opsconsole.authoring import catalog
    from opsconsole.service.service import Service
    from opsconsole.store import Store

    private_folder(settings.folder)
    with _redis(settings, note=note) as wired:
        jobs = catalog.load(wired.packs, wired.overrides, wired.options)
        store = Store(wired.store_url.reveal())
        try:
            prepare(wired, store, jobs.packs)
            if patient and store.is_sqlite:
                _require_intact(wired, store)
        except Unavailable as error:
            if not patient:
                raise
            log.warning("%s", error.sentence)
        service = Service(wired, store, jobs)
        try:
            yield service
        finally:
            service.close()
            store.close()


def prepare(settings: Settings, store: Store, packs: tuple[Pack, ...]) -> None:
    """Brings embedded databases up to date, and checks the others. Raises SchemaMismatch, BadSettings, Unavailable."""
    from sqlalchemy.exc import SQLAlchemyError

    from opsconsole.core.database import Database
    from opsconsole.store import data_tables as datatables, migrate

    try:
        if settings.embedded_store:
            migrate.upgrade(store)
        else:
            migrate.require(store)
        if settings.embedded_data:
            data = Database(settings.data_url.reveal())
            datatables.create_missing(data, packs)
            data.close()
    except SQLAlchemyError as error:
        raise store_trouble(settings, error) from error


def store_trouble(settings: Settings, error: SQLAlchemyError) -> OpsconsoleError:
    """What an error of the store means for whoever opens it: it is away, or cannot be used as it is."""
    from opsconsole.core.database import Trouble, reason, trouble

    if trouble(error) is Trouble.OWN:
        return _unusable(settings, reason(error))
    return Unavailable("store", reason(error))


def _unusable(settings: Settings, why: str) -> BadSettings:
    where = masked(settings.store_url)
    return BadSettings([f"the store {where} cannot be used: {why}; it is left as it is, restore a copy of it"])


def _require_intact(settings: Settings, store: Store) -> None:
    """Looks at the whole file before anything is scheduled from it. Raises BadSettings, or Unavailable."""
    from sqlalchemy.exc import SQLAlchemyError

    try:
        fault = store.first_fault()
    except SQLAlchemyError as error:
        raise store_trouble(settings, error) from error
    if fault is not None:
        raise _unusable(settings, fault)


@contextmanager
def _redis(settings: Settings, *, note: bool) -> Iterator[Settings]:
    """The configuration with the URL of a Redis server that is there: the configured one, or an embedded one that is
    kept running as long as this process needs it.
    """
    if settings.redis_url is not None:
        yield settings
        return
    from opsconsole.embedded.redis import EmbeddedRedis

    server = EmbeddedRedis(
        settings.folder, max_memory=settings.redis_limits.max_memory, policy=settings.redis_limits.policy
    )
    if server.ensure() and note:
        told = "note: the embedded Redis ends with this command, and its keys with it; set REDIS_URL to keep them"
        click.echo(told, err=True)
    done = threading.Event()
    keeper = threading.Thread(target=_keep, args=(server, done), name="redis-keeper", daemon=True)
    keeper.start()
    try:
        yield dataclasses.replace(settings, redis_url=Secret(server.url))
    finally:
        done.set()
        keeper.join()
        server.stop()


def _keep(server: EmbeddedRedis, done: threading.Event) -> None:
    """Starts the server again when it, or the process that had started it, is gone."""
    while not done.wait(KEEP_SECONDS):
        try:
            if server.ensure():
                log.warning("the embedded Redis was gone and was started again, empty")
        except OpsconsoleError as error:
            log.warning("%s", error.sentence)
