"""Which rows of the audit trail a list shows: a filter such as `by asha clear last tue`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

from opsconsole.rules.actions import Verb
from opsconsole.rules.audit import AuditFilter
from opsconsole.rules.search_words import BOUNDS, BY, ME, check_readable, read_days, read_person, read_time

OUTCOMES = ("requested", "done", "refused")
_ZONE = ZoneInfo("UTC")


def parse(typed: str, now: datetime, *, me: str) -> AuditFilter:
    """Reads a filter: `by` and a person, an action, an outcome, a day in UTC, `since` and `before`; every other word
    has to occur in the person, action, target or outcome. Raises BadSearch.
    """
    check_readable(typed)
    words, at = typed.split(), 0
    found = AuditFilter()
    while at < len(words):
        found, length = _read(found, words[at:], now, me)
        at += length
    return found


def _read(found: AuditFilter, words: Sequence[str], now: datetime, me: str) -> tuple[AuditFilter, int]:
    """Adds the first of these words, with those that belong to it; also returns their number."""
    word = words[0].lower()
    if word == BY:
        return replace(found, who=read_person(words, me)), 2
    if word in ME:
        return replace(found, who=me), 1
    if word in BOUNDS:
        at, length = _bound(word, words[1:], now)
        return (replace(found, since=at) if word == "since" else replace(found, until=at)), 1 + length
    phrase = read_days(words, now.astimezone(UTC).date())
    if phrase is not None:
        return replace(found, since=_start(phrase.days.first), until=_start(phrase.days.end)), phrase.length
    if word in OUTCOMES:
        return replace(found, outcome=word), 1
    if word in tuple(Verb):
        return replace(found, verb=word), 1
    return replace(found, text=(*found.text, words[0])), 1


def _bound(word: str, words: Sequence[str], now: datetime) -> tuple[datetime, int]:
    phrase = read_days(words, now.astimezone(UTC).date())
    if phrase is not None:
        return _start(phrase.days.first), phrase.length
    return read_time(word, words[0] if words else "", _ZONE, now), 1


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
