"""Whether a leader has anything to do but wait for the next scheduled time."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from functools import cache

from sqlalchemy import exists, or_, select

from opsconsole.authoring.run import OPEN
from opsconsole.core.database import Connection
from opsconsole.core.file_changes import FileChanges
from opsconsole.rules.backfill_status import BackfillState
from opsconsole.store import Store
from opsconsole.store.commands import CommandState
from opsconsole.store.tables import backfills, commands, runs

_WORK = select(
    or_(
        exists().where(commands.c.state == CommandState.REQUESTED),
        exists().where(runs.c.state.in_(OPEN)),
        exists().where(backfills.c.state == BackfillState.RUNNING),
    )
)


@cache
def _work_on_sqlite() -> str:
    """The text of the query. A leader without work renews its lease, and queries after each renewal."""
    from sqlalchemy.dialects import sqlite

    return str(_WORK.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))


def has_work(db: Connection) -> bool:
    """Whether there is a requested command, an open run, or a running backfill."""
    return bool(db.execute(_WORK).scalar())


class WorkCheck:
    """Repeats `has_work`; an SQLite file without work is queried again only after a change."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changes = FileChanges(store)
        self._has_work = True

    def has_work(self) -> bool:
        """Whether there is work now. Raises SQLAlchemyError."""
        if self._changes.has_changed() or self._has_work:
            self._has_work = True  # if the query fails, the next call repeats it
            self._has_work = self._query()
        return self._has_work

    def _query(self) -> bool:
        if self._store.is_sqlite:
            with suppress(sqlite3.Error):  # the other way reports it
                return bool(self._changes.scalar(_work_on_sqlite()))
        with self._store.reading() as db:
            return has_work(db)

    def close(self) -> None:
        """Closes its connection."""
        self._changes.close()
