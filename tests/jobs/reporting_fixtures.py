"""Fixtures for the tests of the reporting pack."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, Table, event, insert, select, text, update

from jobs.common import metadata, users
from jobs.reporting.daily_report import daily_report
from jobs.reporting.daily_snapshot import daily_snapshot
from jobs.reporting.monthly_summary import monthly_summary
from jobs.reporting.tables import (
    daily_financial_reports,
    daily_financial_snapshots,
    monthly_financial_summaries,
    pockets,
    transactions,
)
from opsconsole.authoring.batch import Batch, BatchResult
from opsconsole.authoring.context import ExtensionContext, Resources
from opsconsole.authoring.job import Job
from opsconsole.authoring.scope import Scope
from opsconsole.calendar.windows import Window
from opsconsole.core.database import Database
from opsconsole.worker.planning import population
from opsconsole.worker.work import work

TABLE = {
    daily_report.name: daily_financial_reports,
    daily_snapshot.name: daily_financial_snapshots,
    monthly_summary.name: monthly_financial_summaries,
}
JOBS = (daily_report, daily_snapshot, monthly_summary)
ADDING = ("income", "transfer_in")


def at(moment: str) -> datetime:
    """Parses a time in UTC: `2026-03-08 14:30`."""
    return datetime.fromisoformat(moment).replace(tzinfo=UTC)


def window(job: Job, label: str) -> Window:
    """The job's window with that label: `2026-03-08`, or `2026-03` for a month."""
    return job.covers.named(date.fromisoformat(label if len(label) == 10 else f"{label}-01"), ZoneInfo("UTC"))


class ReportingFixture:
    """A data database whose balances agree with its transactions. `now` is the workers' wall clock."""

    def __init__(self, data_url: str) -> None:
        self.data = Database(data_url)
        metadata.create_all(self.data.engine, tables=[users, pockets, transactions, *TABLE.values()])
        self.now = at("2027-01-01 12:00")
        self._tools = Resources(data_url, "redis://localhost:1", now=lambda: self.now)
        self._made = 0

    @property
    def engine(self) -> Engine:
        """The engine that the jobs use."""
        return self._tools.data.engine

    def close(self) -> None:
        """Closes every connection."""
        self._tools.close()
        self.data.close()

    def serving(self) -> ExtensionContext:
        """The context that panels receive."""
        return ExtensionContext(self._tools, {}, families=())

    # --- users, pockets and transactions ---

    def enrol(self, *names: str) -> None:
        """Adds users."""
        born = at("2024-01-01 00:00")
        self.add(users, *({"id": name, "name": name, "active": True, "created_at": born} for name in names))

    def open(self, pocket: str, user: str, balance: int = 0, created: str = "2025-01-01 00:00") -> None:
        """Adds a pocket with a balance."""
        row = {"id": pocket, "user_id": user, "name": pocket, "currency": "INR"}
        self.add(pockets, {**row, "balance_minor": balance, "created_at": at(created)})

    def move(
        self,
        pocket: str,
        type_: str,
        amount: Any,
        occurred: str,
        *,
        recorded: str | None = None,
        category: str | None = "groceries",
        id_: str | None = None,
        user: str | None = None,
    ) -> None:
        """Adds a transaction, by default recorded when it occurred, and updates the balance."""
        self._made += 1
        owner = user or self.owner(pocket)
        row = {"id": id_ or f"t{self._made:05}", "user_id": owner, "pocket_id": pocket, "type": type_}
        times = {"occurred_at": at(occurred), "recorded_at": at(recorded or occurred)}
        self.add(transactions, {**row, **times, "category": category, "amount_minor": amount})
        change = amount if type_ in ADDING else -amount
        with self.data.writing() as db:
            changed = update(pockets).where(pockets.c.id == pocket)
            db.execute(changed.values(balance_minor=pockets.c.balance_minor + change))

    def transfer(self, from_: str, to: str, amount: int, occurred: str, *, recorded: str | None = None) -> None:
        """Adds the two transactions of a transfer."""
        self.move(from_, "transfer_out", amount, occurred, recorded=recorded, category="transfer")
        self.move(to, "transfer_in", amount, occurred, recorded=recorded, category="transfer")

    def owner(self, pocket: str) -> str:
        """The owner of a pocket."""
        with self.data.reading() as db:
            return str(db.execute(select(pockets.c.user_id).where(pockets.c.id == pocket)).scalar_one())

    def add(self, table: Table, *rows: dict[str, Any]) -> None:
        """Inserts rows."""
        with self.data.writing() as db:
            db.execute(insert(table), list(rows))

    # --- jobs and their results ---

    def keys(self, job: Job, label: str, as_of: datetime | None = None, *, stale: bool = False) -> list[str]:
        """The items of a run."""
        mine = window(job, label)
        scope = Scope(mine, as_of or mine.end, {}, {})
        query = job.stale(scope) if stale and job.stale else population(job, scope)
        with self.data.reading() as db:
            return sorted(db.execute(query).scalars())  # type: ignore[arg-type]

    def run(
        self,
        job: Job,
        label: str,
        *,
        as_of: str | None = None,
        keys: Iterable[str] | None = None,
        stale: bool = False,
    ) -> BatchResult:
        """Runs one batch over the whole population or `keys`, by default as of the window's end."""
        until = at(as_of) if as_of else window(job, label).end
        whom = self.keys(job, label, until, stale=stale) if keys is None else list(keys)
        return work(Batch(1, 1, 1, job.name, window(job, label), until, whom, {}, 60.0), job, self._tools)

    def rows(self, job: Job, *, stamps: bool = True) -> dict[tuple[str, str], dict[str, Any]]:
        """The job's rows by user and day or month, with or without stamps."""
        table = TABLE[job.name]
        with self.data.reading() as db:
            found = [dict(row) for row in db.execute(select(table)).mappings()]
        keyed = {}
        for row in found:
            if not stamps:
                row.pop("generated_at"), row.pop("through", None)
            period = row.get("month") or row["date"].isoformat()
            keyed[row["user_id"], period] = row
        return keyed

    def row(self, job: Job, user: str, period: str) -> dict[str, Any]:
        """The row of a user and a day or month."""
        return self.rows(job)[user, period]

    def everything(self) -> dict[str, Any]:
        """All rows of the jobs with stamps, JSON in its stored form."""
        found = {}
        with self.data.reading() as db:
            for table in TABLE.values():
                query = f"SELECT * FROM {table.name} ORDER BY 1, 2"  # noqa: S608 - our own tables
                found[table.name] = [tuple(row) for row in db.execute(text(query))]
        return found

    def statements(self, job: Job, label: str, keys: list[str]) -> list[str]:
        """The SQL statements of a batch, without those that begin a transaction."""
        executed: list[str] = []

        def record(_connection: object, _cursor: object, statement: str, *_: object) -> None:
            executed.append(statement)

        event.listen(self.engine, "before_cursor_execute", record)
        assert self.run(job, label, keys=keys).ok == len(keys)
        event.remove(self.engine, "before_cursor_execute", record)
        begins = ("BEGIN", "SHOW transaction_read_only", "SELECT pg_is_in_recovery()")
        return [statement for statement in executed if not statement.startswith(begins)]
