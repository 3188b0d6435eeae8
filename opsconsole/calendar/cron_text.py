"""Cron expressions as text: their five fields as every parser reads them, and their description in words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from itertools import pairwise

from opsconsole.core.errors import BadCron

FIELDS = (
    ("minute", "it takes 0-59"),
    ("hour", "it takes 0-23"),
    ("day of month", "it takes 1-31, or L for the last day"),
    ("month", "it takes 1-12 or JAN-DEC"),
    ("day of week", "it takes 0-7 or SUN-SAT (0 and 7 are Sunday), 5#2 for the second Friday, L5 for the last"),
)
FIVE = "use five: minute, hour, day of month, month, day of week"
SHORTHANDS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
DAYS = range(1, 32)
VALUES = (range(60), range(24), DAYS, range(1, 13), range(7))
"""The values of each field; Sunday is 0."""

SHORT_LIST = 6
"""A description lists no more days than this."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NAME = re.compile(r"\b[a-z]{3}(?=l?\b)", re.ASCII)
_LAST_WEEKDAY = re.compile(r"(?<![^,])([0-7])l(?![^,])", re.ASCII)
_RANGE = re.compile(r"(?<![^,])(\d{1,2})-(\d{1,2})(?:/(\d{1,4}))?(?![^,])", re.ASCII)
_STEP = re.compile(r"(\*|\d+)/(\d+)", re.ASCII)
_LIST = re.compile(r"\d{1,2}(,\d{1,2})+", re.ASCII)
_ASSIGNMENT = re.compile(r"[a-z_]\w*\s*=", re.ASCII)
_FIELD = re.compile(r"[\d*?,/#lwrh()-]+|(?:[a-z]{3}[\d,/#l-]*)+", re.ASCII)


def fields_of(text: str) -> list[str]:
    """The five fields in lower case, with shorthands, names and unusual spellings resolved. Raises BadCron."""
    lower = text.strip().lower()
    fields = SHORTHANDS.get(lower, lower).split()
    if len(fields) != 5 or (lower.startswith("@") and lower not in SHORTHANDS):
        _refuse(text, lower, fields)
    fields[3] = _NAME.sub(lambda name: _number(name[0], _MONTHS, 1), fields[3])
    fields[4] = _NAME.sub(lambda name: _number(name[0], _WEEKDAYS, 0), fields[4])
    # croniter reads 5-5 as every value, and 17-2/3 as another list than 17,20,23,2.
    fields = [_RANGE.sub(partial(_expanded, every=every), field) for field, every in zip(fields, VALUES, strict=True)]
    fields[4] = _LAST_WEEKDAY.sub(r"l\1", fields[4])
    return fields


def matches_either_day(fields: Sequence[str]) -> bool:
    """Cron's rule for days: date *or* weekday, unless one of them starts with a star."""
    return not any(field.startswith(("*", "?")) for field in (fields[2], fields[4]))


def in_words(text: str) -> str:
    """The expression in words, such as "At 23:50"; the expression itself if it cannot be described correctly."""
    # Imported here: most commands describe no schedule, and the import takes a third of the start-up budget.
    from opsconsole.calendar.cron_words import describe

    fields = [_listed(field, every) for field, every in zip(fields_of(text), VALUES, strict=True)]
    as_written = " ".join(text.split())
    words = describe(" ".join(fields).upper())
    if words is None:
        return as_written
    _, _, dates, _, weekdays = fields
    if "#" in weekdays and "," in weekdays:
        return as_written  # the library drops the numbers
    if dates == "*" or weekdays == "*":
        return words
    if matches_either_day(fields_of(text)):
        return words if ", or on " in words else as_written  # the library would say "and"
    return words.replace(", or on ", ", but only on ")


def uneven_steps(text: str) -> list[tuple[str, str, list[int]]]:
    """The fields of minutes, hours and months whose step does not divide their range evenly, such as `*/45`: the name
    of the field, the field, and the values that it has.
    """
    found = []
    for (name, _), field, every in zip(FIELDS, fields_of(text), VALUES, strict=True):
        step = _STEP.fullmatch(field)
        if step is None or name.startswith("day"):
            continue
        values = _stepped(step, every)
        if not _is_even(values, step, every):
            found.append((name, field, values))
    return found


def _refuse(text: str, lower: str, fields: list[str]) -> None:
    """Raises BadCron with the reason why a text does not have five fields."""
    if _ASSIGNMENT.match(lower):
        raise BadCron(
            text, "it sets a variable like a line of a crontab; write the five fields, and set `tz` for a timezone"
        )
    if lower.startswith("@every"):
        raise BadCron(text, "intervals are not supported; write times, such as */5 * * * * for every five minutes")
    if lower.startswith("@reboot"):
        raise BadCron(text, "a start of the machine is not a time; leave out `cron` and run the job by hand instead")
    if lower.startswith("@"):
        raise BadCron(text, f"the shorthands are {', '.join(SHORTHANDS)}, without anything else")
    if any(field.startswith("#") for field in fields):
        raise BadCron(text, "it has a comment like a line of a crontab; write only the five fields")
    if len(fields) > 5 and not all(_FIELD.fullmatch(field) for field in fields[5:]):
        raise BadCron(text, "it ends with a command like a line of a crontab; write only the five fields")
    if len(fields) in (6, 7):
        raise BadCron(text, f"it has {len(fields)} fields, but seconds and years are not supported; {FIVE}")
    raise BadCron(text, f"it has {len(fields)} field{'' if len(fields) == 1 else 's'}; {FIVE}")


def _number(name: str, names: Sequence[str], first: int) -> str:
    return str(names.index(name) + first) if name in names else name


def _expanded(found: re.Match[str], every: range) -> str:
    """A range of one value as that value, and one that wraps around, such as FRI-MON, as a list; others as they are."""
    first, last, step = int(found[1]), int(found[2]), int(found[3] or 1)
    if first == last:
        return str(first)
    if first < last or step == 0 or first not in every or last not in every:
        return f"{first}-{last}" if step == 1 else found[0]
    numbers = range(first, last + len(every) + 1, step)
    return ",".join(str((number - every.start) % len(every) + every.start) for number in numbers)


def _stepped(step: re.Match[str], every: range) -> list[int]:
    first = every.start if step[1] == "*" else int(step[1])
    return list(range(first, every.stop, int(step[2]))) if int(step[2]) else []


def _is_even(values: list[int], step: re.Match[str], every: range) -> bool:
    """Whether the values are equally far apart, also from the last one to the first of the next hour, day or year."""
    return bool(values) and all(two - one == int(step[2]) for one, two in pairwise([*values, values[0] + len(every)]))


def _listed(field: str, every: range) -> str:
    """A field whose step is uneven as the list of its values: "every 45 minutes" is not what `*/45` does. Lists
    have each value once.
    """
    if _LIST.fullmatch(field):
        return ",".join(dict.fromkeys(field.split(",")))
    step = _STEP.fullmatch(field)
    values = _stepped(step, every) if step else []
    if step is None or not values or _is_even(values, step, every):
        return field
    if every == DAYS and len(values) > SHORT_LIST:
        return f"{values[0]}-31/{step[2]}"  # "every 2 days, between day 1 and 31 of the month"
    return ",".join(map(str, values))
