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
    "billing.statement", "billing:statement:{date}:{user}", ttl=hours(36), of=("user",), computed_from=("statements",)
)


class Statement(msgspec.Struct):
    """A statement as readers of the cache find it, in JSON."""

    charges: int
    amount_minor: int
    currency: str


def charged_customers(scope: Scope) -> Select[tuple[str]]:
    """Everyone who was charged on that day."""
    charge = exists().where(charges.c.customer_id == customers.c.id, scope.window.holds(charges.c.charged_at))
    return select(customers.c.id).where(charge)


def outdated_customers(scope: Scope) -> Select[tuple[str]]:
    """Everyone who has no statement of that day, or one that leaves out a charge."""
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
    """One row, one event and one cache key for each customer of the batch."""
    with ctx.reading() as db:
        sums = db.execute(_sums(ctx, batch)).all()
    made: dict[str, Statement] = {}
    for customer, many, amount, foreign in sums:
        if foreign:
            ctx.fail(customer, f"a charge is not in {ctx.options['currency']}")
        else:
            made[customer] = Statement(many, int(amount), ctx.options["currency"])
    if not made:
        return
    with ctx.writing() as db:
        adding = inserting(db, statements)
        new = adding.excluded
        said = {name: new[name] for name in ("charges", "amount_minor", "currency", "generated_at")}
        newer = statements.c.generated_at <= new.generated_at
        db.execute(
            adding.on_conflict_do_update(index_elements=["customer_id", "day"], set_=said, where=newer),
            [
                {
                    "customer_id": customer,
                    "day": ctx.window.label,
                    "generated_at": ctx.now,
                    **msgspec.structs.asdict(statement),
                }
                for customer, statement in made.items()
            ],
        )
        for customer in made:
            payload = {"customer_id": customer, "day": ctx.window.label}
            ctx.emit("StatementMade", f"{customer}:{ctx.window.label}", payload)
    kept = {customer: msgspec.json.encode(statement) for customer, statement in made.items()}
    for customer, why in ctx.cache.replace(STATEMENT, kept, by="user", date=ctx.window.label).items():
        ctx.fail(customer, why)
    ctx.count("charges", sum(statement.charges for statement in made.values()))


def _sums(ctx: Context, batch: Items) -> Select[Any]:
    """The batch's charges of the day, a row for each customer: how many, how much, how many in another currency."""
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
    description="writes the statements of the day before",
)
