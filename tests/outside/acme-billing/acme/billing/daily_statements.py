"""Writes each customer's statement of the day before."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import Select, and_, exists, func, select

from acme.billing.tables import charges, customers, statements
from opsconsole import DAY_BEFORE, Context, Items, Job, Limits, Scope, all_of, hours, minutes
from opsconsole.cache import Family
from opsconsole.sql import inserting

STATEMENT = Family(
    "billing.statement",
    "billing:statement:{date}:{user}",
    ttl=hours(36),
    of=("user",),
    computed_from=("statements",),
    filled_by=("billing.daily_statements",),
)


class Statement(msgspec.Struct):
    """A statement as it is cached, in JSON."""

    charges: int
    amount_minor: int
    currency: str


def charged_customers(scope: Scope) -> Select[tuple[str]]:
    """Customers with a charge on that day."""
    charge = exists().where(charges.c.customer_id == customers.c.id, scope.window.holds(charges.c.charged_at))
    return select(customers.c.id).where(charge)


def outdated_customers(scope: Scope) -> Select[tuple[str]]:
    """Customers without a statement of that day, or with one that lacks a charge."""
    c = charges.c
    written = and_(statements.c.customer_id == c.customer_id, statements.c.day == scope.window.label)
    return (
        select(c.customer_id)
        .outerjoin(statements, written)
        .where(scope.window.holds(c.charged_at))
        .group_by(c.customer_id, statements.c.charges)
        .having(func.count() != func.coalesce(statements.c.charges, 0))
    )


def write_statements(ctx: Context, batch: Items) -> None:
    """Writes one row, one event and one cache key per customer."""
    with ctx.reading() as db:
        sums = db.execute(_sums(ctx, batch)).all()
    written: dict[str, Statement] = {}
    for customer, number, amount, foreign in sums:
        if foreign:
            ctx.fail(customer, f"{foreign} charges are not in {ctx.options['currency']}", kind="foreign_currency")
        else:
            written[customer] = Statement(number, int(amount), ctx.options["currency"])
    if not written:
        return
    with ctx.writing() as db:
        statement = inserting(db, statements)
        new = statement.excluded
        columns = {name: new[name] for name in ("charges", "amount_minor", "currency", "generated_at")}
        is_newer = statements.c.generated_at <= new.generated_at
        db.execute(
            statement.on_conflict_do_update(index_elements=["customer_id", "day"], set_=columns, where=is_newer),
            [
                {
                    "customer_id": customer,
                    "day": ctx.window.label,
                    "generated_at": ctx.now,
                    **msgspec.structs.asdict(row),
                }
                for customer, row in written.items()
            ],
        )
        for customer in written:
            payload = {"customer_id": customer, "day": ctx.window.label}
            ctx.emit("StatementWritten", f"{customer}:{ctx.window.label}", payload)
    values = {customer: msgspec.json.encode(row) for customer, row in written.items()}
    for customer, error in ctx.cache.replace(STATEMENT, values, by="user", date=ctx.window.label).items():
        ctx.fail(customer, error)
    ctx.count("charges", sum(row.charges for row in written.values()))


def _sums(ctx: Context, batch: Items) -> Select[Any]:
    """A row per customer: number and sum of the day's charges, and how many are in another currency."""
    c = charges.c
    foreign = func.count().filter(c.currency != ctx.options["currency"])
    return (
        select(c.customer_id, func.count(), func.sum(c.amount_minor), foreign)
        .where(batch.among(c.customer_id), ctx.window.holds(c.charged_at))
        .group_by(c.customer_id)
    )


daily_statements = Job(
    "billing.daily_statements",
    charged_customers,
    write_statements,
    stale=outdated_customers,
    cron="15 0 * * *",
    tz="Europe/Berlin",
    covers=DAY_BEFORE,
    batch=500,
    catch_up=all_of(newest=7),
    limits=Limits(max_age=hours(25), longest=minutes(10)),
    description="Writes the statements of the day before",
)
