"""Opens the store alone, for commands that need nothing else, and explains errors of the databases."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from opsconsole.authoring.changed_schedule import ChangedSchedule
from opsconsole.cli.output import echo
from opsconsole.core.database_errors import ErrorKind, error_kind, lacks_right, reason
from opsconsole.core.errors import BadSettings, Exit, OpsconsoleError, Unavailable
from opsconsole.core.settings import Secret, Settings, masked
from opsconsole.store import Store, migrate, schedules

STORE_SECONDS = 5.0
"""How long a statement may take when only the store is read."""


class NoStore(OpsconsoleError):
    """An SQLite file that does not exist."""

    exit_code = Exit.CONFIGURATION

    def __init__(self, url: Secret) -> None:
        super().__init__(f"there is no store at {masked(url)} yet; start a console or `opsconsole headless`")


@contextmanager
def open_store(settings: Settings) -> Iterator[Store]:
    """The store, and nothing else: nothing is started, created or migrated. Raises NoStore, SchemaMismatch,
    BadSettings, Unavailable.
    """
    url = settings.store_url.reveal()
    file = make_url(url).database if url.startswith("sqlite") else None
    if file is not None and not Path(file).exists():
        raise NoStore(settings.store_url)
    store = Store(url, statement_seconds=STORE_SECONDS)
    try:
        migrate.require(store)
        yield store
    except SQLAlchemyError as error:
        raise store_trouble(settings, error) from error
    finally:
        store.close()


def changed_schedules(settings: Settings) -> Mapping[str, ChangedSchedule]:
    """The schedules that operators changed: see `session.changed_schedules`."""
    try:
        with open_store(settings) as store, store.reading() as db:
            return schedules.changed(db)
    except NoStore:
        return {}
    except OpsconsoleError as error:
        echo(f"schedules that were changed by operators are not considered: {error.sentence}", err=True)
        return {}


def store_trouble(settings: Settings, error: SQLAlchemyError) -> OpsconsoleError:
    """The error to show for an error of the store: it is unreachable, or it is unusable."""
    return _trouble("store", settings.store_url, error)


def data_trouble(settings: Settings, error: SQLAlchemyError) -> OpsconsoleError:
    """The error to show for an error of the data database."""
    return _trouble("data", settings.data_url, error)


def lacks_rights(name: str, url: Secret, statements: list[str]) -> str:
    """The sentence about a role that may not do what opsconsole needs."""
    return f"{name} {masked(url)}: its role lacks rights; let the owner run: {'; '.join(statements)}"


def _trouble(name: str, url: Secret, error: SQLAlchemyError) -> OpsconsoleError:
    if error_kind(error) is not ErrorKind.STATEMENT:
        return Unavailable(name, reason(error))
    where = f"{name} {masked(url)}"
    if lacks_right(error):
        return BadSettings([f"{where}: {reason(error)}"])
    return BadSettings([f"{where} is not usable: {reason(error)}; it was not changed, restore it from a backup"])
