"""What billing shows in the console, and answers over HTTP."""

from __future__ import annotations

from sqlalchemy import func, select

from acme.billing.daily_statements import STATEMENT, Statement
from acme.billing.tables import statements
from opsconsole.extensions import ExtensionContext, PanelContent, Reply, Request


def newest_day(serving: ExtensionContext) -> PanelContent:
    """How many statements the newest day has, and what they come to."""
    c = statements.c
    newest = select(func.max(c.day)).scalar_subquery()
    with serving.reading() as db:
        many, amount, day = db.execute(
            select(func.count(), func.sum(c.amount_minor), func.max(c.day)).where(c.day == newest)
        ).one()
    if not many:
        return PanelContent(message="no statement has been written yet")
    total = f"{int(amount) / 100:,.2f} {serving.options['currency']}"
    return PanelContent(facts=(("day", day), ("statements", f"{many:,}"), ("amount", total)))


def statement(serving: ExtensionContext, asked: Request) -> Reply:
    """A customer's statement of a day: from the cache, and from the database when it is not there."""
    customer, day = asked.path["customer"], asked.path["day"]
    found = serving.cache.reader.get(
        STATEMENT, Statement | None, lambda: _written(serving, customer, day), user=customer, date=day
    )
    if found is None:
        return Reply.error(404, "not_found", f"{customer} has no statement of {day}")
    return Reply(found)


def _written(serving: ExtensionContext, customer: str, day: str) -> Statement | None:
    c = statements.c
    of_the_day = (c.customer_id == customer) & (c.day == day)
    with serving.reading() as db:
        row = db.execute(select(c.charges, c.amount_minor, c.currency).where(of_the_day)).first()
    return None if row is None else Statement(*row)
