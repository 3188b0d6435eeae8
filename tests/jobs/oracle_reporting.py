"""The reference model of reporting: plain Python over plain rows, computed forward from initial balances.

The jobs go backwards from today's balances, in SQL. Nothing here is theirs.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

Row = Mapping[str, Any]
Rows = dict[tuple[str, str], dict[str, Any]]

PLUS = {"income", "transfer_in"}


def change(transaction: Row) -> int:
    amount: int = transaction["amount_minor"]
    return amount if transaction["type"] in PLUS else -amount


def sums_by(name: str, transactions: Iterable[Row]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = defaultdict(lambda: {"in": 0, "out": 0, "count": 0})
    for each in transactions:
        sums = found[each[name] or ""]
        sums["in" if each["type"] in PLUS else "out"] += each["amount_minor"]
        sums["count"] += 1
    return dict(sorted(found.items()))


def sum_of(type_: str, transactions: Iterable[Row]) -> int:
    return sum(each["amount_minor"] for each in transactions if each["type"] == type_)


@dataclass
class Person:
    """A user's pockets and transactions in chronological order."""

    pockets: list[Row]
    transactions: list[Row]

    @cached_property
    def first_amounts(self) -> dict[str, int]:
        """Each pocket's balance before its first transaction."""
        found = {pocket["id"]: pocket["balance_minor"] for pocket in self.pockets}
        for each in self.transactions:
            found[each["pocket_id"]] -= change(each)
        return found

    def balance(self, morning: date, counted: list[Row]) -> int:
        """The balance of these pockets at the start of a day."""
        ids = {pocket["id"] for pocket in counted}
        return sum(self.first_amounts[id_] for id_ in ids) + sum(
            change(each)
            for each in self.transactions
            if each["pocket_id"] in ids and each["occurred_at"].date() < morning
        )

    def opened_by(self, day: date) -> list[Row]:
        return [pocket for pocket in self.pockets if pocket["created_at"].date() <= day]

    def between(self, first: date, last: date) -> list[Row]:
        return [each for each in self.transactions if first <= each["occurred_at"].date() <= last]


class Oracle:
    """The expected rows for a fixed data set. Times are in UTC."""

    def __init__(self, pockets: Iterable[Row], transactions: Iterable[Row]) -> None:
        self.people: dict[str, Person] = defaultdict(lambda: Person([], []))
        for pocket in pockets:
            self.people[pocket["user_id"]].pockets.append(pocket)
        for transaction in transactions:
            self.people[transaction["user_id"]].transactions.append(transaction)

    def reports(self, day: date) -> Rows:
        rows = {}
        for user, person in self.people.items():
            if mine := person.between(day, day):
                opening = person.balance(day, person.opened_by(day))
                rows[user, day.isoformat()] = {
                    "user_id": user,
                    "date": day,
                    "opening_minor": opening,
                    "closing_minor": opening + sum(map(change, mine)),
                    "income_minor": sum_of("income", mine),
                    "expense_minor": sum_of("expense", mine),
                    "transactions": len(mine),
                    "by_type": sums_by("type", mine),
                    "by_category": sums_by("category", mine),
                    "by_pocket": sums_by("pocket_id", mine),
                }
        return rows

    def snapshots(self, day: date) -> Rows:
        return {
            (user, day.isoformat()): {
                "user_id": user,
                "date": day,
                "total_minor": person.balance(day + timedelta(days=1), held),
                "pockets": len(held),
                "income_minor": sum_of("income", person.between(day, day)),
                "expense_minor": sum_of("expense", person.between(day, day)),
            }
            for user, person in self.people.items()
            if (held := person.opened_by(day))
        }

    def summaries(self, first: date, reported: Iterable[tuple[str, str]]) -> Rows:
        """`reported` are the users and days that have a report."""
        after = (first + timedelta(days=31)).replace(day=1)
        last = after - timedelta(days=1)
        label = first.strftime("%Y-%m")
        rows = {}
        for user, person in self.people.items():
            mine = person.between(first, last)
            days = sum(who == user and day.startswith(label) for who, day in reported)
            held = person.opened_by(last)
            if held or days:
                rows[user, label] = {
                    "user_id": user,
                    "month": label,
                    "opening_minor": person.balance(first, person.opened_by(first - timedelta(days=1))),
                    "closing_minor": person.balance(after, held),
                    "income_minor": sum_of("income", mine),
                    "expense_minor": sum_of("expense", mine),
                    "transactions": len(mine),
                    "by_category": sums_by("category", mine),
                    "by_pocket": sums_by("pocket_id", mine),
                    "days_reported": days,
                }
        return rows


def as_text(rows: Rows) -> dict[tuple[str, str], str]:
    """Rows as JSON text, so that the order of keys is compared too."""
    return {key: json.dumps(row, default=date.isoformat) for key, row in rows.items()}
