"""Sample pockets and transactions for the demo, benchmarks and tests."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sqlalchemy import BindParameter, bindparam, func, select, update

from jobs.reporting.balances import EXPENSE, INCOME, TRANSFER_IN, TRANSFER_OUT, signed
from jobs.reporting.tables import pockets, transactions
from jobs.sample_users import CHUNK, FIRST_JOINED, add_users, user_id
from opsconsole import DAY, Window
from opsconsole.sql import inserting

if TYPE_CHECKING:
    from opsconsole.sql import Database

ZONE = ZoneInfo("UTC")

NAMES = ("Cash", "Bank", "Savings", "Travel", "घर", "Card")
CURRENCIES = ("INR", "INR", "INR", "USD", "EUR")
SPENT_ON = ("groceries", "rent", "transport", "eating out", "चाय", "books", "health", "phone", "gifts", "clothes")
EARNED_BY = ("refund", "gift", "interest", "freelance")
CURVE = tuple(accumulate((1, 0, 0, 0, 0, 1, 3, 6, 9, 9, 8, 9, 11, 11, 9, 8, 9, 11, 13, 14, 12, 8, 5, 3)))
HOURS = range(24)
TICK = timedelta(microseconds=1)
MAX_PER_DAY = 12

NO_POCKET_SHARE, IDLE_SHARE = 0.05, 0.20
NEWCOMER_SHARE = 0.10
"""The share of users who join over years, not at the beginning."""
LATE_SHARE = 0.01
"""The share of a user's days with a transaction that is recorded days later."""
MAX_DELAY_DAYS = 3
LATE_USERS = 12
"""The first users, who record every fourth day late: three users a day."""


def add_reporting(data: Database, users: int, since: datetime, until: datetime, *, seed: int = 1) -> None:
    """Writes the transactions of `users` users recorded in [since, until), and users and pockets first.

    A user's day depends on seed, user and date only. Periods are by `recorded_at`: consecutive periods add up to the
    whole, and writing a period again adds nothing. Some transactions of a day are recorded up to three days later.
    """
    if users < 1 or since >= until:
        return
    add_users(data, users, seed=seed)
    period = Window(since, until, "")
    days = list(_days(period))
    pocket_rows: list[dict[str, Any]] = []
    transaction_rows: list[dict[str, Any]] = []
    for number in range(1, users + 1):
        user_rng = Random(f"{seed}/{user_id(number)}/money")
        user_pockets = [pocket for pocket in _pockets(number, user_rng) if pocket["created_at"] < until]
        pocket_rows += user_pockets
        transaction_rows += _transactions(number, user_rng, user_pockets, days, period, seed)
        if len(pocket_rows) + len(transaction_rows) >= CHUNK:
            _write(data, pocket_rows, transaction_rows)
            pocket_rows, transaction_rows = [], []
    _write(data, pocket_rows, transaction_rows)


def _write(data: Database, pocket_rows: list[dict[str, Any]], transaction_rows: list[dict[str, Any]]) -> None:
    """Writes the rows and updates the balances of the pockets."""
    if not pocket_rows:
        return
    t = transactions.c
    pocket: BindParameter[str] = bindparam("pocket")
    initial: BindParameter[int] = bindparam("initial")
    net = select(func.coalesce(func.sum(signed), 0)).where(t.user_id == bindparam("owner"), t.pocket_id == pocket)
    updating_balance = (
        update(pockets).where(pockets.c.id == pocket).values(balance_minor=initial + net.scalar_subquery())
    )
    active = {row["pocket_id"] for row in transaction_rows}
    with data.writing() as db:
        db.execute(inserting(db, pockets).on_conflict_do_nothing(), pocket_rows)
        if transaction_rows:
            db.execute(inserting(db, transactions).on_conflict_do_nothing(), transaction_rows)
            db.execute(
                updating_balance,
                [
                    {"pocket": row["id"], "owner": row["user_id"], "initial": row["balance_minor"]}
                    for row in pocket_rows
                    if row["id"] in active
                ],
            )


def _pockets(number: int, user_rng: Random) -> Iterator[dict[str, Any]]:
    """A user's pockets with their initial balances."""
    count = user_rng.choices((1, 2, 3, 4), weights=(3, 4, 2, 1))[0]
    has_none = user_rng.random() < NO_POCKET_SHARE and number > LATE_USERS
    is_newcomer = user_rng.random() < NEWCOMER_SHARE
    opened = FIRST_JOINED + timedelta(seconds=user_rng.randrange((1000 if is_newcomer else 200) * 86400))
    currency = user_rng.choice(CURRENCIES)
    for n in range(0 if has_none else count):
        yield {
            "id": f"{user_id(number)}-p{n + 1}",
            "user_id": user_id(number),
            "name": NAMES[n if n < 2 else user_rng.randrange(2, len(NAMES))],
            "currency": currency,
            "balance_minor": user_rng.choice((0, user_rng.randrange(500_000), user_rng.randrange(50_000_000))),
            "created_at": opened,
        }
        opened += timedelta(seconds=user_rng.randrange(300 * 86400))


def _days(period: Window) -> Iterator[Window]:
    """The days of the period, and earlier days whose transactions may be recorded in it."""
    day = DAY.at(period.start - timedelta(days=MAX_DELAY_DAYS), ZONE)
    while day.start < period.end:
        yield day
        day = DAY.at(day.end, ZONE)


def _transactions(
    number: int, user_rng: Random, pockets_of_user: list[dict[str, Any]], days: list[Window], period: Window, seed: int
) -> Iterator[dict[str, Any]]:
    is_idle = user_rng.random() < IDLE_SHARE and number > LATE_USERS
    daily_transactions = user_rng.uniform(0.5, 4.5)
    for day in days:
        is_late_day = number <= LATE_USERS and (number + day.start.toordinal()) % 4 == 0
        rng = Random(f"{seed}/{user_id(number)}/money/{day.label}")
        late, is_idle_day = rng.random() < LATE_SHARE, rng.random() < 0.98 and is_idle
        if is_idle_day or (day.end <= period.start and not (late or is_late_day)):
            continue
        prefix = f"{user_id(number)}-{day.label[2:].replace('-', '')}-"
        for n in range(min(MAX_PER_DAY, max(int(is_late_day), round(rng.gauss(daily_transactions, 1.5))))):
            moment = day.start + timedelta(hours=rng.choices(HOURS, cum_weights=CURVE)[0] + rng.random())
            recorded_at = min(moment + timedelta(seconds=rng.randrange(9)), day.end - TICK)
            if is_late_day:
                recorded_at = day.end + timedelta(hours=9, seconds=40 * n)
            elif late and n == 0:
                recorded_at = day.end + timedelta(seconds=rng.randrange((MAX_DELAY_DAYS - 1) * 86400))
            # Drawn for the whole day, even if only a part of it is requested.
            rows = list(_payment(f"{prefix}{n:02}", moment, pockets_of_user, rng))
            if period.start <= recorded_at < period.end:
                yield from ({**row, "recorded_at": recorded_at} for row in rows)


def _payment(
    prefix: str, moment: datetime, pockets_of_user: list[dict[str, Any]], rng: Random
) -> Iterator[dict[str, Any]]:
    """One payment or the two sides of a transfer; nothing before the first pocket exists."""
    luck, size = rng.random(), rng.random()
    available = [pocket for pocket in pockets_of_user if pocket["created_at"] <= moment]
    first, second = int(rng.random() * len(available)), int(rng.random() * (len(available) - 1))
    if not available:
        return
    of = {"user_id": available[first]["user_id"], "pocket_id": available[first]["id"], "occurred_at": moment}
    if luck < 0.08 and len(available) > 1:
        other = available[second if second < first else second + 1]["id"]
        amount = {"category": "transfer", "amount_minor": 1000 * round(1 + 40 * size)}
        yield {"id": f"{prefix}a", **of, "type": TRANSFER_OUT, **amount}
        yield {"id": f"{prefix}b", **of, "pocket_id": other, "type": TRANSFER_IN, **amount}
    elif luck < 0.10:
        yield {"id": prefix, **of, "type": INCOME, "category": "salary", "amount_minor": 2_000_000 + round(size * 9e6)}
    elif luck < 0.18:
        category = EARNED_BY[int(size * len(EARNED_BY))]
        yield {"id": prefix, **of, "type": INCOME, "category": category, "amount_minor": 100 + round(size * 90_000)}
    else:
        on = SPENT_ON[int(rng.random() * len(SPENT_ON))] if luck < 0.97 else None
        yield {"id": prefix, **of, "type": EXPENSE, "category": on, "amount_minor": 1 + round(size**4 * 900_000)}
