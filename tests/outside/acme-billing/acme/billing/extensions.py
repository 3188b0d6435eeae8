"""The panel, the check and the HTTP route of billing."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from sqlalchemy import func, select

from acme.billing.daily_statements import STATEMENT, Statement
from acme.billing.tables import charges, statements
from opsconsole.extensions import Condition, ExtensionContext, PanelContent, Reply, Severity


def newest_day(ctx: ExtensionContext) -> PanelContent:
    """The number and the sum of the newest day's statements."""
    c = statements.c
    newest = select(func.max(c.day)).scalar_subquery()
    with ctx.reading() as db:
        number, amount, day = db.execute(
            select(func.count(), func.sum(c.amount_minor), func.max(c.day)).where(c.day == newest)
        ).one()
    if not number:
        return PanelContent(message="no statements yet; run billing.daily_statements")
    total = f"{int(amount) / 100:,.2f} {ctx.options['currency']}"
    return PanelContent(facts=(("day", day), ("statements", f"{number:,}"), ("amount", total)))


def currency(ctx: ExtensionContext) -> Iterator[Condition]:
    """Whether there are charges that no statement can have."""
    expected = ctx.options["currency"]
    with ctx.reading() as db:
        number = db.execute(select(func.count()).where(charges.c.currency != expected)).scalar_one()
    if number:
        yield Condition(Severity.WARNING, f"{number:,} charges are not in {expected}")


class StatementRequest(msgspec.Struct, frozen=True):
    """Which statement."""

    customer: str
    day: str


def statement(ctx: ExtensionContext, request: StatementRequest) -> Reply:
    """A customer's statement of a day, from the cache or, on a miss, from the database."""
    customer, day = request.customer, request.day
    cached = ctx.cache.reader.get(
        STATEMENT, Statement | None, lambda: _stored(ctx, customer, day), user=customer, date=day
    )
    if cached is None:
        return Reply.error(404, "not_found", f"customer {customer} has no statement of {day}")
    return Reply(cached)


def _stored(ctx: ExtensionContext, customer: str, day: str) -> Statement | None:
    c = statements.c
    of_the_day = (c.customer_id == customer) & (c.day == day)
    with ctx.reading() as db:
        row = db.execute(select(c.charges, c.amount_minor, c.currency).where(of_the_day)).first()
    return None if row is None else Statement(*row)
