"""Writes three customers and their charges."""

import os
from datetime import UTC, datetime

from sqlalchemy import create_engine, insert

from acme.billing.tables import charges, customers


def charge(number: int, customer: str, amount_minor: int, currency: str, hour: int) -> dict[str, object]:
    """A charge on 8 March 2026."""
    at = datetime(2026, 3, 8, hour, tzinfo=UTC)
    values = {"customer_id": customer, "amount_minor": amount_minor, "currency": currency}
    return {"id": f"charge-{number}", **values, "charged_at": at}


with create_engine(os.environ["DATABASE_URL"]).begin() as db:
    db.execute(insert(customers), [{"id": name.lower(), "name": name} for name in ("Asha", "Ben", "Chen")])
    db.execute(
        insert(charges),
        [
            charge(1, "asha", 1250, "EUR", 9),
            charge(2, "asha", 399, "EUR", 21),
            charge(3, "ben", 700, "EUR", 12),
            charge(4, "chen", 5000, "USD", 12),
        ],
    )
