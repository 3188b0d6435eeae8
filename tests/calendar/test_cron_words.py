"""Descriptions of schedules agree with the scheduled times, which are computed here in another way."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from opsconsole.calendar.cron import Cron
from opsconsole.core.errors import BadCron

MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
WEEKDAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]
FIELDS = ((0, 59, ()), (0, 23, ()), (1, 31, ()), (1, 12, MONTHS), (0, 6, WEEKDAYS))
DAYS = 35
SCHEDULES = 300
PARTS = 6  # tests that share them


def random_field(chance: random.Random, low: int, high: int, names: Sequence[str]) -> str:
    def value() -> str:
        number = chance.randint(low, high)
        return names[number - low] if names and chance.random() < 0.4 else str(number)

    steps = (1, 2, 3, 5, 7, 15, 20, 25, 36, 45, 90)
    match chance.randrange(6):
        case 0:
            return f"*/{chance.choice(steps)}"
        case 1:
            return value()
        case 2:
            return f"{value()}-{value()}" + (f"/{chance.choice(steps[:4])}" if chance.random() < 0.4 else "")
        case 3:
            return ",".join(value() for _ in range(chance.randint(2, 4)))
        case 4:
            return f"{value()}/{chance.choice(steps)}"
        case _:
            return "*"


def random_expression(seed: int) -> str:
    chance = random.Random(seed)
    fields = [random_field(chance, *field) for field in FIELDS]
    return " ".join("*" if n >= 2 and chance.random() < 0.5 else field for n, field in enumerate(fields))


def values(field: str, low: int, high: int, names: Sequence[str]) -> set[int]:
    """What a field means."""

    def number(text: str) -> int:
        return names.index(text) + low if text in names else int(text)

    found: set[int] = set()
    for part in field.split(","):
        body, _, text = part.partition("/")
        step = int(text) if text else 1
        if body == "*":
            found |= set(range(low, high + 1, step))
        elif "-" in body:
            first, last = map(number, body.split("-"))
            end = last if first <= last else last + high - low + 1
            found |= {low + (n - low) % (high - low + 1) for n in range(first, end + 1, step)}
        else:
            found |= set(range(number(body), high + 1, step)) if text else {number(body)}
    return found


def times(expression: str, start: datetime) -> list[datetime]:
    """The scheduled times of the days after `start`, by looking at each day."""
    fields = expression.split()
    minutes, hours, dates, months, weekdays = (values(*each) for each in _with_limits(fields))
    either = not (fields[2].startswith("*") or fields[4].startswith("*"))
    found = []
    for day in (start + timedelta(days=n) for n in range(DAYS)):
        is_date, is_weekday = day.day in dates, (day.weekday() + 1) % 7 in weekdays
        if day.month in months and (is_date or is_weekday if either else is_date and is_weekday):
            found += [
                day + timedelta(hours=hour, minutes=minute) for hour in sorted(hours) for minute in sorted(minutes)
            ]
    return found


def _with_limits(fields: list[str]) -> list[tuple[str, int, int, Sequence[str]]]:
    return [(field, *limits) for field, limits in zip(fields, FIELDS, strict=True)]


@pytest.mark.parametrize("part", range(PARTS))
def test_words_and_times_agree(part: int) -> None:
    for seed in range(part, SCHEDULES, PARTS):
        _agree(seed)


def _agree(seed: int) -> None:
    expression = random_expression(seed)
    start = datetime(2026, 1 + seed % 12, 1, tzinfo=UTC)
    try:
        cron = Cron(expression)
    except BadCron as refused:
        assert "no year has such a date" in str(refused)  # noqa: PT017
        return
    tick = timedelta(seconds=1)

    assert list(cron.between(start - tick, start + timedelta(days=DAYS) - tick)) == times(expression, start)
    words = cron.describe()
    for unit, place in (("minutes", 0), ("hours", 1), ("months", 3)):
        field, low, high, names = _with_limits(expression.split())[place]
        found = sorted(values(field, low, high, names))
        for claim in re.finditer(rf"every (\d+) {unit}", words, re.IGNORECASE):
            assert {after - before for before, after in pairwise(found)} <= {int(claim[1])}, words
            is_limited = any(limit in words for limit in ("between", "through", "starting"))
            assert is_limited or (high - low + 1) % int(claim[1]) == 0, words
