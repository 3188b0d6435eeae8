"""The store: all state of opsconsole in one SQL database, one module a subject."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import select

from opsconsole.core.database import Connection, Database
from opsconsole.core.errors import Fenced
from opsconsole.core.text import safe
from opsconsole.store import tables as schema

# KEY SHARE conflicts with a takeover, which changes the unique token, and not with renewals.
_HELD = select(schema.lease.c.token).where(schema.lease.c.id == 1).with_for_update(key_share=True, read=True)


class Store(Database):
    """The store's database, with the transaction that only the leader may make."""

    @contextmanager
    def fenced(self, token: int) -> Iterator[Connection]:
        """A write transaction that holds only while `token` is the lease's. Raises Fenced when it no longer is."""
        with self.writing() as db:
            if db.execute(_HELD).scalar() != token:
                raise Fenced(token)
            yield db

    def first_fault(self) -> str | None:
        """What is wrong with an SQLite file as a file; None when nothing is. Reads all of it."""
        with self.reading() as db:
            found = str(db.exec_driver_sql("PRAGMA quick_check(1)").scalar())
        return None if found == "ok" else safe(found, 200)
