"""Checks and migrates an installation."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, unquote

from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring import catalog
from opsconsole.authoring.pack import Pack
from opsconsole.cache.inspection import UNSUPPORTED, Server, ServerKind, inspect
from opsconsole.cli.store_access import data_trouble, lacks_rights, store_trouble
from opsconsole.core.clock import now
from opsconsole.core.configuration import NO_LONGER_NEEDED
from opsconsole.core.database import UTF8, Database
from opsconsole.core.errors import BadSettings, NotPermitted, OpsconsoleError, Unavailable
from opsconsole.core.settings import Role, Secret, Settings, environment, masked
from opsconsole.core.trust import make_private, privacy_problems
from opsconsole.embedded.redis import find_server
from opsconsole.http.listener import read_address
from opsconsole.rules import finding_text
from opsconsole.rules.actions import check_actor
from opsconsole.rules.notifications import filter_problems
from opsconsole.rules.system_health import degraded
from opsconsole.service.leader import LeaseWatch
from opsconsole.service.snapshot import Leader
from opsconsole.store import Store, data_tables, migrate, rights, tables as schema


def find_problems(settings: Settings) -> list[str]:
    """Everything that is wrong with an installation, one sentence each. Starts and changes nothing."""
    packs: tuple[Pack, ...] = ()
    problems: list[str] = []
    try:
        jobs = catalog.load(settings.packs, settings.overrides, settings.options, settings.compress_over)
        packs = jobs.packs
        problems += filter_problems(settings.channels, [job.name for job in jobs], [pack.name for pack in packs])
    except BadSettings as error:
        problems += error.problems
    problems += _folder(settings)
    problems += _address(settings)
    problems += _channels(settings)
    problems += _store(settings)
    problems += _data(settings, packs)
    problems += _redis_problems(settings)
    problems += _broker_problems(settings)
    return problems


def find_notes(settings: Settings) -> list[str]:
    """What is no problem but good to know, one sentence each: encodings, what packs do without, and what Redis is."""
    notes = list(_encodings(settings))
    with suppress(OpsconsoleError):
        if settings.redis_url is not None:
            notes += _redis_notes(inspect(settings.redis_url.reveal()))
    notes += _leader_notes(settings)
    notes += _unused_variables(environment())
    return notes


def _unused_variables(env: Mapping[str, str]) -> Iterator[str]:
    """The names of variables that are set but no longer used; their values may be secrets."""
    for name in NO_LONGER_NEEDED:
        if env.get(name):
            yield f"{name} is set, but no longer used; remove it, as it may contain a secret"


def run_migrations(settings: Settings, *, with_data: bool) -> Iterator[str]:
    """Migrates, and yields a line for each thing done. Raises SchemaMismatch, Unavailable, BadSettings, and NotAllowed
    for an actor who may only view.
    """
    check_actor("migrate", settings.actor)
    make_private(settings.folder)
    packs = catalog.load(settings.packs, settings.overrides, settings.options, settings.compress_over).packs
    store = Store(settings.store_url.reveal())
    try:
        if migrate.version(store) != migrate.NEWEST and (statements := rights.missing_to_create(store)):
            raise BadSettings([lacks_rights("store", settings.store_url, statements)])
        if migrate.upgrade(store):
            yield f"the store was upgraded to version {migrate.NEWEST}"
        else:
            yield f"the store is already at version {migrate.NEWEST}"
    except SQLAlchemyError as error:
        raise store_trouble(settings, error) from error
    finally:
        store.close()
    if not with_data:
        return
    data = Database(settings.data_url.reveal())
    try:
        if data_tables.lacks_tables(data, packs) and (statements := rights.missing_to_create(data)):
            raise BadSettings([lacks_rights("data", settings.data_url, statements)])
        done = data_tables.create_missing(data, packs)
        yield from done or ("all tables of the packs exist",)
    except SQLAlchemyError as error:
        raise data_trouble(settings, error) from error
    finally:
        data.close()


def _folder(settings: Settings) -> Iterator[str]:
    existing = next(path for path in (settings.folder, *settings.folder.parents) if os.access(path, os.F_OK))
    if existing == settings.folder and existing.is_dir() and os.access(existing, os.R_OK | os.X_OK):
        yield from privacy_problems(existing)
    if not existing.is_dir():
        yield f"the data folder {settings.folder} cannot be used: {existing} is not a folder; set XDG_DATA_HOME"
    elif not os.access(existing, os.W_OK | os.X_OK):
        yield f"the data folder {settings.folder} cannot be written; change its mode, or set XDG_DATA_HOME"


def _address(settings: Settings) -> Iterator[str]:
    if settings.http.bind:
        try:
            read_address(settings.http.bind)
        except OpsconsoleError as error:
            yield f"http.bind: {error.sentence}"


def _channels(settings: Settings) -> Iterator[str]:
    if settings.channels:
        from opsconsole.leader.channels import url_problem

        yield from filter(None, map(url_problem, settings.channels))


def _unchanging(url: Secret) -> str:
    """The URL of a database for a connection that changes no file, and creates none beside it either. Raises OSError
    for an SQLite file that cannot be read.
    """
    if not url.reveal().startswith("sqlite"):
        return url.reveal()
    file = _file(url)
    with file.open("rb") as database:
        has_log_mode = database.read(20)[18:] == b"\2\2"
    # To read a file in this mode SQLite creates a log beside it. Where there is none, nobody has the file open.
    is_closed = has_log_mode and not file.with_name(f"{file.name}-wal").exists()
    return f"sqlite:///file:{quote(quote(str(file)))}?mode=ro{'&immutable=1' if is_closed else ''}&uri=true"


def _file(url: Secret) -> Path:
    return Path(unquote(url.reveal().removeprefix("sqlite:///")))


def _file_problem(name: str, url: Secret, missing: str) -> str | None:
    """What is wrong with the file of an SQLite database; None when nothing is, and for PostgreSQL."""
    if not url.reveal().startswith("sqlite"):
        return None
    file = _file(url)
    try:
        if not file.exists():
            return f"{name} {masked(url)} does not exist; {missing}"
        if not file.is_file():
            return f"{name} {masked(url)} is not a file; correct {name}.url"
        file.open("rb").close()
    except OSError as error:
        return f"{name} {masked(url)} cannot be read: {error.strerror}; check its file and folder"
    if not os.access(file, os.W_OK) or not os.access(file.parent, os.W_OK):
        return f"{name} {masked(url)} cannot be written by this user; change the mode of the file and of its folder"
    return None


def _leader_notes(settings: Settings) -> Iterator[str]:
    """What the leading process cannot do and what its packs lack, as it reports itself: its environment may be another
    one. Without a leader, what the packs lack in this process.
    """
    leader = _leader(settings)
    if leader is not None:
        found = degraded(leader.problems, ())
        yield from (f"the leader: {finding_text.subject(each)} {finding_text.degraded(each)}" for each in found)
    if leader is not None and leader.notes is not None:
        yield from (f"the leader ({leader.who} on {leader.host}): {note}" for _, note in leader.notes)
        return
    with suppress(BadSettings):
        notes = catalog.load(settings.packs, settings.overrides, settings.options, settings.compress_over).notes()
        yield from (f"this process: {note}" for _, note in notes)


def _leader(settings: Settings) -> Leader | None:
    with suppress(SQLAlchemyError, OSError):  # a problem, which is listed
        store = Store(_unchanging(settings.store_url))
        try:
            with store.reading() as db:
                return LeaseWatch(settings.host, seconds=settings.engine.lease_seconds).leader(db, None, now())
        finally:
            store.close()
    return None


def _encodings(settings: Settings) -> Iterator[str]:
    """A sentence for each database that is not in UTF8."""
    for name, url in (("store", settings.store_url), ("data", settings.data_url)):
        if masked(url).startswith("sqlite"):
            continue
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
    if settings.embedded_store and not os.access(settings.folder / "store.db", os.F_OK):
        return
    if problem := _file_problem("store", settings.store_url, "run `opsconsole migrate`"):
        yield problem
        return
    privileges = rights.ALL if settings.actor.role is Role.OPERATOR else rights.READ
    store = Store(_unchanging(settings.store_url), primary_only=True)
    try:
        if statements := rights.missing(store, schema.metadata.sorted_tables, privileges):
            yield lacks_rights("store", settings.store_url, statements)
            return
        migrate.require(store)
    except OpsconsoleError as error:
        yield error.sentence
    except SQLAlchemyError as error:
        yield _line(settings.store_url, store_trouble(settings, error))
    finally:
        store.close()


def _data(settings: Settings, packs: tuple[Pack, ...]) -> Iterator[str]:
    if settings.embedded_data and not os.access(settings.folder / "data.db", os.F_OK):
        return
    if problem := _file_problem("data", settings.data_url, "run `opsconsole migrate --data`, or correct data.url"):
        yield problem
        return
    data = Database(_unchanging(settings.data_url), primary_only=True)
    try:
        if statements := rights.missing(data, data_tables.tables(packs), rights.READ):
            yield lacks_rights("data", settings.data_url, statements)
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


def _broker_problems(settings: Settings) -> Iterator[str]:
    if settings.broker_url is None:
        return
    where = f"celery.broker_url {masked(settings.broker_url)}"
    try:
        server = inspect(settings.broker_url.reveal())
    except OpsconsoleError as error:
        reason = error.reason if isinstance(error, Unavailable) else error.sentence
        yield f"{where}: the broker is unreachable: {reason}"
        return
    if server.kind is ServerKind.REPLICA:
        yield f"{where}: it is a read-only replica; give the address of its primary"
    elif server.kind in UNSUPPORTED:
        yield f"{where}: {UNSUPPORTED[server.kind]}"
    elif server.policy is None:
        yield f"{where}: its maxmemory-policy is unknown, as its user may not run INFO; allow it, or check it yourself"
    elif server.policy != "noeviction":
        yield (
            f"{where}: its maxmemory-policy is {server.policy}, so it may evict batches and results; "
            "run CONFIG SET maxmemory-policy noeviction there, and set it in its configuration"
        )


def _redis_notes(server: Server) -> Iterator[str]:
    yield f"Redis {server.version or 'of unknown version'}, maxmemory-policy {server.policy or 'unknown'}"
    for command in server.denied:
        yield f"{NotPermitted(command).reason}: what needs it is shown as unknown, or refused"
    if server.policy is not None and server.policy.startswith("allkeys-"):
        yield f"with maxmemory-policy {server.policy} Redis may evict leaderboards and events, which have no TTL"
