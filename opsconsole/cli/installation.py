"""Checks and migrates an installation."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring import catalog
from opsconsole.authoring.pack import Pack
from opsconsole.cache.inspection import UNSUPPORTED, Server, ServerKind, inspect
from opsconsole.cli.startup import data_trouble, store_trouble
from opsconsole.core.clock import now
from opsconsole.core.database import UTF8, Database
from opsconsole.core.errors import BadSettings, NotPermitted, OpsconsoleError, Unavailable
from opsconsole.core.settings import Secret, Settings, masked
from opsconsole.core.trust import make_private
from opsconsole.embedded.redis import find_server
from opsconsole.http.listener import read_address
from opsconsole.rules.health import degraded
from opsconsole.service import wording
from opsconsole.service.leader import LeaseWatch
from opsconsole.store import Store, data_tables, migrate


def find_problems(settings: Settings) -> list[str]:
    """Everything that is wrong with an installation, one sentence each. Starts and changes nothing."""
    packs: tuple[Pack, ...] = ()
    problems: list[str] = []
    try:
        packs = catalog.load(settings.packs, settings.overrides, settings.options).packs
    except BadSettings as error:
        problems += error.problems
    problems += _folder(settings)
    problems += _address(settings)
    problems += _store(settings)
    problems += _data(settings, packs)
    problems += _redis_problems(settings)
    return problems


def find_notes(settings: Settings) -> list[str]:
    """What is no problem but good to know, one sentence each: encodings, what packs do without, and what Redis is."""
    notes = list(_encodings(settings))
    with suppress(BadSettings):
        loaded = catalog.load(settings.packs, settings.overrides, settings.options)
        notes += (line for pack in loaded.packs if pack.notes is not None for line in pack.notes(loaded.options(pack)))
    with suppress(OpsconsoleError):
        if settings.redis_url is not None:
            notes += _redis_notes(inspect(settings.redis_url.reveal()))
    notes += _leader_notes(settings)
    return notes


def _leader_notes(settings: Settings) -> list[str]:
    """What the leading process cannot do, as it reports itself."""
    if settings.embedded_store and not (settings.folder / "store.db").exists():
        return []
    store = Store(settings.store_url.reveal())
    try:
        with store.reading() as db:
            watch = LeaseWatch(settings.host, seconds=settings.engine.lease_seconds)
            leader = watch.leader(db, None, now())
    except SQLAlchemyError:
        return []  # a problem, which is listed
    finally:
        store.close()
    found = degraded(leader.problems if leader is not None else (), ())
    return [f"the leader: {wording.subject(each)} {wording.degraded(each)}" for each in found]


def run_migrations(settings: Settings, *, with_data: bool) -> Iterator[str]:
    """Migrates, and yields a line for each thing done. Raises SchemaMismatch or Unavailable."""
    make_private(settings.folder)
    packs = catalog.load(settings.packs, settings.overrides, settings.options).packs
    store, data = Store(settings.store_url.reveal()), Database(settings.data_url.reveal())
    try:
        if migrate.upgrade(store):
            yield f"the store was upgraded to version {migrate.NEWEST}"
        else:
            yield f"the store is already at version {migrate.NEWEST}"
        if with_data:
            done = data_tables.create_missing(data, packs)
            yield from done or ("all tables of the packs exist",)
    except SQLAlchemyError as error:
        raise store_trouble(settings, error) from error
    finally:
        store.close()
        data.close()


def _folder(settings: Settings) -> Iterator[str]:
    existing = next(path for path in (settings.folder, *settings.folder.parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        yield f"the data folder {settings.folder} cannot be written; change its mode, or set XDG_DATA_HOME"


def _address(settings: Settings) -> Iterator[str]:
    if settings.http.bind:
        try:
            read_address(settings.http.bind)
        except OpsconsoleError as error:
            yield f"http.bind: {error.sentence}"


def _encodings(settings: Settings) -> Iterator[str]:
    """A sentence for each database that is not in UTF8."""
    for name, url in (("store", settings.store_url), ("data", settings.data_url)):
        database = Database(url.reveal())
        try:
            encoding = database.encoding()
        except SQLAlchemyError:
            continue  # that is a problem, not a note
        finally:
            database.close()
        if encoding == UTF8 or (name, encoding) == ("store", "SQL_ASCII"):  # which keeps the bytes it gets
            continue
        effect = "characters outside ASCII are stored as escapes" if name == "store" else "other texts fail their items"
        yield f"{name} {masked(url)} is encoded in {encoding}: {effect}; a database in UTF8 has no such limit"


def _store(settings: Settings) -> Iterator[str]:
    if settings.embedded_store and not (settings.folder / "store.db").exists():
        return
    store = Store(settings.store_url.reveal(), primary_only=True)
    try:
        migrate.require(store)
    except OpsconsoleError as error:
        yield error.sentence
    except SQLAlchemyError as error:
        yield _line(settings.store_url, store_trouble(settings, error))
    finally:
        store.close()


def _data(settings: Settings, packs: tuple[Pack, ...]) -> Iterator[str]:
    if settings.embedded_data and not (settings.folder / "data.db").exists():
        return
    data = Database(settings.data_url.reveal(), primary_only=True)
    try:
        yield from data_tables.differences(data, packs)
    except SQLAlchemyError as error:
        yield _line(settings.data_url, data_trouble(settings, error))
    finally:
        data.close()


def _line(url: Secret, trouble: OpsconsoleError) -> str:
    if not isinstance(trouble, Unavailable):
        return trouble.sentence
    file = "its file and folder" if masked(url).startswith("sqlite") else "that it is running and that the URL is right"
    return f"{trouble.dependency} {masked(url)}: {trouble.reason}; check {file}"


def _redis_problems(settings: Settings) -> Iterator[str]:
    try:
        if settings.redis_url is None:
            find_server()
            return
        server = inspect(settings.redis_url.reveal())
    except OpsconsoleError as error:
        yield error.sentence
        return
    if server.kind is ServerKind.REPLICA:
        yield "Redis is a read-only replica; give the address of its primary, or one that follows it"
    elif server.kind in UNSUPPORTED:
        yield f"redis.url {masked(settings.redis_url)}: {UNSUPPORTED[server.kind]}"


def _redis_notes(server: Server) -> Iterator[str]:
    yield f"Redis {server.version or 'of unknown version'}, maxmemory-policy {server.policy or 'unknown'}"
    for command in server.denied:
        yield f"{NotPermitted(command).reason}: what needs it is shown as unknown, or refused"
    if server.policy is not None and server.policy.startswith("allkeys-"):
        yield f"with maxmemory-policy {server.policy} Redis may evict leaderboards and events, which have no TTL"
