"""Reads dates as people type them into a filter: `yesterday`, `last tue`, `14 jan`, `jan 2026`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from opsconsole.core.times import YEARS

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
_DAY = timedelta(days=1)
_ISO_DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})", re.ASCII)
_ISO_MONTH = re.compile(r"(\d{4})-(\d{1,2})", re.ASCII)
_DAY_NUMBER = re.compile(r"(\d{1,2})(?:st|nd|rd|th)?", re.ASCII)
_YEAR = re.compile(r"\d{4}", re.ASCII)


class NoSuchDate(ValueError):
    """A date that is in no calendar, such as 31 feb."""


@dataclass(frozen=True, slots=True)
class Days:
    """The days from `first` until the day before `end`."""

    first: date
    end: date


@dataclass(frozen=True, slots=True)
class Phrase:
    """The days that the first `length` words mean."""

    days: Days
    length: int


def read(words: Sequence[str], today: date) -> Phrase | None:
    """The days that the first of these words mean, which are in lower case; None when they are not a date. A date
    without a year is the last one until `today`. Raises NoSuchDate.
    """
    if not words:
        return None
    days = _range(words[0]) or _iso(words[0])
    return Phrase(days, 1) if days is not None else _phrase(words[0], words[1:3], today)


def is_name(word: str) -> bool:
    """Whether a word alone is the name of a weekday or a month: one that may also be a part of another name."""
    return _index(word, WEEKDAYS) is not None or _index(word, MONTHS) is not None


def _range(word: str) -> Days | None:
    """`2026-01-10..2026-01-14`."""
    first, _, last = word.partition("..")
    start, end = _iso(first), _iso(last)
    if start is None or end is None:
        return None
    if end.end <= start.first:
        raise NoSuchDate
    return Days(start.first, end.end)


def _phrase(first: str, others: Sequence[str], today: date) -> Phrase | None:
    if first in ("today", "yesterday"):
        return Phrase(_days(today if first == "today" else today - _DAY), 1)
    if first in ("last", "this"):
        days = _relative(others[0], today, previous=first == "last") if others else None
        return Phrase(days, 2) if days is not None else None
    return _named(first, others, today)


def _relative(unit: str, today: date, *, previous: bool) -> Days | None:
    weekday = _index(unit, WEEKDAYS)
    if weekday is not None:
        back = (today.weekday() - weekday) % 7
        return _days(today - timedelta(days=back or (7 if previous else 0)))
    if unit == "week":
        monday = today - timedelta(days=today.weekday() + (7 if previous else 0))
        return Days(monday, monday + timedelta(days=7))
    if unit == "month":
        first = today.replace(day=1)
        return _month((first - _DAY).year, (first - _DAY).month) if previous else _month(first.year, first.month)
    return None


def _iso(word: str) -> Days | None:
    if found := _ISO_DAY.fullmatch(word):
        return _days(_date(*(int(part) for part in found.groups())))
    if found := _ISO_MONTH.fullmatch(word):
        return _month(*(int(part) for part in found.groups()))
    return None


def _named(first: str, others: Sequence[str], today: date) -> Phrase | None:
    """`14 jan 2026`, `jan 14`, `jan 2026`, `jan`, `tue`."""
    second = others[0] if others else ""
    if (month := _index(second, MONTHS)) is not None and (day := _day_number(first)) is not None:
        return _day_of_month(day, month + 1, others[1:], today)
    month = _index(first, MONTHS)
    if month is not None and (day := _day_number(second)) is not None:
        return _day_of_month(day, month + 1, others[1:], today)
    if month is not None and _YEAR.fullmatch(second):
        return Phrase(_month(int(second), month + 1), 2)
    if month is not None:
        return Phrase(_month(today.year if month < today.month else today.year - 1, month + 1), 1)
    days = _relative(first, today, previous=False) if _index(first, WEEKDAYS) is not None else None
    return Phrase(days, 1) if days is not None else None


def _day_of_month(day: int, month: int, others: Sequence[str], today: date) -> Phrase:
    if others and _YEAR.fullmatch(others[0]):
        return Phrase(_days(_date(int(others[0]), month, day)), 3)
    years = (today.year - back for back in range(8))  # 29 feb may be that long ago
    found = (date(year, month, day) for year in years if _exists(year, month, day))
    last = next((each for each in found if each <= today), None)
    if last is None:
        raise NoSuchDate
    return Phrase(_days(last), 2)


def _days(day: date) -> Days:
    return Days(day, day + _DAY)


def _month(year: int, month: int) -> Days:
    first = _date(year, month, 1)
    return Days(first, (first + timedelta(days=31)).replace(day=1))


def _date(year: int, month: int, day: int) -> date:
    if not _exists(year, month, day):
        raise NoSuchDate
    return date(year, month, day)


def _exists(year: int, month: int, day: int) -> bool:
    try:
        return date(year, month, day).year in YEARS
    except ValueError:
        return False


def _day_number(word: str) -> int | None:
    found = _DAY_NUMBER.fullmatch(word)
    return int(found[1]) if found else None


def _index(word: str, names: Sequence[str]) -> int | None:
    """Which of these names a word is, whole or its first letters, at least three of them."""
    return next((i for i, name in enumerate(names) if len(word) >= 3 and name.startswith(word)), None)
