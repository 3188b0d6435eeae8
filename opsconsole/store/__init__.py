"""The store: the state of opsconsole in one SQL database, with one module for each subject."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

from sqlalchemy import select

from opsconsole.core.database import Connection, Database
from opsconsole.core.errors import Fenced
from opsconsole.core.text import safe
from opsconsole.store import tables as schema

if TYPE_CHECKING:
    from opsconsole.core.postgres import Session

STATEMENT_SECONDS = 10.0

_TOKEN = select(schema.lease.c.token).where(schema.lease.c.id == 1)
# KEY SHARE conflicts with a takeover, which changes the unique token, and not with renewals.
_LOCKED_TOKEN = "SELECT token FROM ops_lease WHERE id = 1 FOR KEY SHARE"  # noqa: S105 - the fencing token


class Store(Database):
    """The store's database, with transactions for the leader.

    Its statements are short: what takes longer waits for something that is broken. Any text can be stored in it,
    in any encoding of the database.
    """

    name = "the store"
    escapes_text = True

    def __init__(
        self, url: str, *, pool: int = 5, primary_only: bool = False, statement_seconds: float | None = None
    ) -> None:
        limit = statement_seconds or STATEMENT_SECONDS
        super().__init__(url, pool=pool, primary_only=primary_only, statement_seconds=limit)
        self.version = 0
        """Grows with each transaction of this process that may change what is judged or shown."""
        self._subscribers: tuple[Callable[[], object], ...] = ()

    def subscribe(self, changed: Callable[[], object]) -> None:
        """Calls `changed` after each transaction that `version` counts. It must return at once, and raise nothing."""
        self._subscribers = (*self._subscribers, changed)

    def unsubscribe(self, changed: Callable[[], object]) -> None:
        """Ends a subscription."""
        self._subscribers = tuple(each for each in self._subscribers if each != changed)

    @contextmanager
    def writing(
        self, *, patient: bool = False, by_key: bool = False, first_query: str = "", quiet: bool = False
    ) -> Iterator[Connection]:
        """See Database. A `quiet` transaction only shows that somebody is alive."""
        with super().writing(patient=patient, by_key=by_key, first_query=first_query) as db:
            yield db
        if not quiet:
            self.version += 1
            for changed in self._subscribers:
                changed()

    @contextmanager
    def fenced(self, token: int) -> Iterator[Connection]:
        """A write transaction that only the holder of the lease's `token` can make. Raises Fenced for another token."""
        with self.writing(first_query=_LOCKED_TOKEN) as db:
            if self._current_token(db) != token:
                raise Fenced(token)
            yield db

    def _current_token(self, db: Connection) -> int | None:
        if self.is_sqlite:
            return db.execute(_TOKEN).scalar()
        found: tuple[int] | None = cast("Session", db.connection.driver_connection).first_row
        return None if found is None else found[0]

    def check_file(self) -> str | None:
        """The first problem of an SQLite file; None when it is intact. Reads the whole file."""
        with self.reading() as db:
            result = str(db.exec_driver_sql("PRAGMA quick_check(1)").scalar())
        return None if result == "ok" else safe(result, 200)
