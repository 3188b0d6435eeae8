"""Made-up pockets and transactions for the demo, the benchmarks and the tests: people who earn, spend and save."""

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
MOST_A_DAY = 12

NO_POCKET, IDLE = 0.05, 0.20
NEWCOMERS = 0.10
"""So many come in the course of years, not with the first."""
LATE = 0.01
"""On so many of a user's days one transaction is recorded days after it happened."""
LATEST_DAYS = 3
FORGETFUL = 12
"""The first so many users hand their receipts in late, each of them on every fourth day: three people a day."""


def add_reporting(data: Database, users: int, since: datetime, until: datetime, *, seed: int = 1) -> None:
    """Writes what `users` people recorded in [since, until), the pockets they had by then, and before it the people.

    A day depends on seed, user and date alone, and belongs to where it was recorded: stretches may be written one after
    another, and one that is there already adds nothing. What happened the day before yesterday is known to be
    incomplete: some of it was recorded only yesterday.
    """
    if users < 1 or since >= until:
        return
    add_users(data, users, seed=seed)
    stretch = Window(since, until, "")
    days = list(_days(stretch))
    held: list[dict[str, Any]] = []
    moved: list[dict[str, Any]] = []
    for number in range(1, users + 1):
        nature = Random(f"{seed}/{user_id(number)}/money")
        mine = [pocket for pocket in _pockets(number, nature) if pocket["created_at"] < until]
        held += mine
        moved += _transactions(number, nature, mine, days, stretch, seed)
        if len(held) + len(moved) >= CHUNK:
            _write(data, held, moved)
            held, moved = [], []
    _write(data, held, moved)


def _write(data: Database, held: list[dict[str, Any]], moved: list[dict[str, Any]]) -> None:
    """What happened, with the balances that it led to."""
    if not held:
        return
    t = transactions.c
    pocket: BindParameter[str] = bindparam("pocket")
    initial: BindParameter[int] = bindparam("initial")
    net = select(func.coalesce(func.sum(signed), 0)).where(t.user_id == bindparam("owner"), t.pocket_id == pocket)
    settling = update(pockets).where(pockets.c.id == pocket).values(balance_minor=initial + net.scalar_subquery())
    active = {row["pocket_id"] for row in moved}
    with data.writing() as db:
        db.execute(inserting(db, pockets).on_conflict_do_nothing(), held)
        if moved:
            db.execute(inserting(db, transactions).on_conflict_do_nothing(), moved)
            db.execute(
                settling,
                [
                    {"pocket": row["id"], "owner": row["user_id"], "initial": row["balance_minor"]}
                    for row in held
                    if row["id"] in active
                ],
            )


def _pockets(number: int, nature: Random) -> Iterator[dict[str, Any]]:
    """A user's pockets as they were opened: the balance is what was in them then."""
    many = nature.choices((1, 2, 3, 4), weights=(3, 4, 2, 1))[0]
    has_none = nature.random() < NO_POCKET and number > FORGETFUL
    years = nature.random() < NEWCOMERS
    opened = FIRST_JOINED + timedelta(seconds=nature.randrange((1000 if years else 200) * 86400))
    currency = nature.choice(CURRENCIES)
    for n in range(0 if has_none else many):
        yield {
            "id": f"{user_id(number)}-p{n + 1}",
            "user_id": user_id(number),
            "name": NAMES[n if n < 2 else nature.randrange(2, len(NAMES))],
            "currency": currency,
            "balance_minor": nature.choice((0, nature.randrange(500_000), nature.randrange(50_000_000))),
            "created_at": opened,
        }
        opened += timedelta(seconds=nature.randrange(300 * 86400))


def _days(stretch: Window) -> Iterator[Window]:
    """The days of the stretch, and those before it that something may still be recorded of."""
    day = DAY.at(stretch.start - timedelta(days=LATEST_DAYS), ZONE)
    while day.start < stretch.end:
        yield day
        day = DAY.at(day.end, ZONE)


def _transactions(
    number: int, nature: Random, held: list[dict[str, Any]], days: list[Window], stretch: Window, seed: int
) -> Iterator[dict[str, Any]]:
    is_idle = nature.random() < IDLE and number > FORGETFUL
    eager = nature.uniform(0.5, 4.5)
    for day in days:
        forgets = number <= FORGETFUL and (number + day.start.toordinal()) % 4 == 0
        dice = Random(f"{seed}/{user_id(number)}/money/{day.label}")
        late, stays_idle = dice.random() < LATE, dice.random() < 0.98 and is_idle
        if stays_idle or (day.end <= stretch.start and not (late or forgets)):
            continue
        prefix = f"{user_id(number)}-{day.label[2:].replace('-', '')}-"
        for n in range(min(MOST_A_DAY, max(int(forgets), round(dice.gauss(eager, 1.5))))):
            moment = day.start + timedelta(hours=dice.choices(HOURS, cum_weights=CURVE)[0] + dice.random())
            recorded_at = min(moment + timedelta(seconds=dice.randrange(9)), day.end - TICK)
            if forgets:
                recorded_at = day.end + timedelta(hours=9, seconds=40 * n)
            elif late and n == 0:
                recorded_at = day.end + timedelta(seconds=dice.randrange((LATEST_DAYS - 1) * 86400))
            # The chances are drawn for the whole day, whatever part of it is asked for.
            moved = list(_moved(f"{prefix}{n:02}", moment, held, dice))
            if stretch.start <= recorded_at < stretch.end:
                yield from ({**row, "recorded_at": recorded_at} for row in moved)


def _moved(prefix: str, moment: datetime, held: list[dict[str, Any]], dice: Random) -> Iterator[dict[str, Any]]:
    """One payment, or the two sides of a transfer; nothing where there is no pocket yet."""
    luck, size = dice.random(), dice.random()
    there = [pocket for pocket in held if pocket["created_at"] <= moment]
    first, second = int(dice.random() * len(there)), int(dice.random() * (len(there) - 1))
    if not there:
        return
    of = {"user_id": there[first]["user_id"], "pocket_id": there[first]["id"], "occurred_at": moment}
    if luck < 0.08 and len(there) > 1:
        other = there[second if second < first else second + 1]["id"]
        amount = {"category": "transfer", "amount_minor": 1000 * round(1 + 40 * size)}
        yield {"id": f"{prefix}a", **of, "type": TRANSFER_OUT, **amount}
        yield {"id": f"{prefix}b", **of, "pocket_id": other, "type": TRANSFER_IN, **amount}
    elif luck < 0.10:
        yield {"id": prefix, **of, "type": INCOME, "category": "salary", "amount_minor": 2_000_000 + round(size * 9e6)}
    elif luck < 0.18:
        category = EARNED_BY[int(size * len(EARNED_BY))]
        yield {"id": prefix, **of, "type": INCOME, "category": category, "amount_minor": 100 + round(size * 90_000)}
    else:
        on = SPENT_ON[int(dice.random() * len(SPENT_ON))] if luck < 0.97 else None
        yield {"id": prefix, **of, "type": EXPENSE, "category": on, "amount_minor": 1 + round(size**4 * 900_000)}
