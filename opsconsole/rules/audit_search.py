"""Which rows of the audit trail a list shows: a filter such as `by asha clear last tue`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from enum import StrEnum
from zoneinfo import ZoneInfo

from opsconsole.core.bounds import is_storable
from opsconsole.core.errors import Exit, OpsconsoleError
from opsconsole.core.times import BadTime, parse_past_time
from opsconsole.rules import date_phrases
from opsconsole.rules.actions import Verb
from opsconsole.rules.audit import AuditFilter
from opsconsole.rules.date_phrases import NoSuchDate, Phrase

OUTCOMES = ("requested", "done", "refused")
ME = ("me", "mine")
_ZONE = ZoneInfo("UTC")


class AuditSearchProblem(StrEnum):
    """What is not understood of a filter."""

    NO_NAME = "no_name"
    NO_TIME = "no_time"
    NO_SUCH_DATE = "no_such_date"
    UNREADABLE = "unreadable"


_SENTENCES = {
    AuditSearchProblem.NO_NAME: "write a name after `by`, such as `by asha`",
    AuditSearchProblem.NO_TIME: "write a time after `{word}`, such as `{word} 14 jan`, `{word} 2h` or `{word} 18:00`",
    AuditSearchProblem.NO_SUCH_DATE: "there is no date {word!r}",
    AuditSearchProblem.UNREADABLE: "{word!r} is not valid Unicode",
}


class BadAuditSearch(OpsconsoleError):
    """A filter that cannot be understood; `word` is the part that is not."""

    exit_code = Exit.USAGE

    def __init__(self, problem: AuditSearchProblem, word: str) -> None:
        self.problem, self.word = problem, word
        super().__init__(_SENTENCES[problem].format(word=word))


def parse(typed: str, now: datetime, *, me: str) -> AuditFilter:
    """Reads a filter: `by` and a person, an action, an outcome, a day in UTC, `since` and `before`; every other word
    has to occur in the person, action, target or outcome. Raises BadAuditSearch.
    """
    if not is_storable(typed):
        raise BadAuditSearch(AuditSearchProblem.UNREADABLE, typed)
    words, at = typed.split(), 0
    found = AuditFilter()
    while at < len(words):
        found, length = _read(found, words[at:], now, me)
        at += length
    return found


def _read(found: AuditFilter, words: Sequence[str], now: datetime, me: str) -> tuple[AuditFilter, int]:
    """Adds the first of these words, with those that belong to it; also returns their number."""
    word = words[0].lower()
    if word == "by":
        if len(words) < 2:
            raise BadAuditSearch(AuditSearchProblem.NO_NAME, "by")
        return replace(found, who=me if words[1].lower() in ME else words[1]), 2
    if word in ME:
        return replace(found, who=me), 1
    if word in ("since", "before"):
        at, length = _bound(word, words[1:], now)
        return (replace(found, since=at) if word == "since" else replace(found, until=at)), 1 + length
    phrase = _phrase(words, now.astimezone(UTC).date())
    if phrase is not None:
        return replace(found, since=_start(phrase.days.first), until=_start(phrase.days.end)), phrase.length
    if word in OUTCOMES:
        return replace(found, outcome=word), 1
    if word in tuple(Verb):
        return replace(found, verb=word), 1
    return replace(found, text=(*found.text, words[0])), 1


def _bound(word: str, words: Sequence[str], now: datetime) -> tuple[datetime, int]:
    phrase = _phrase(words, now.astimezone(UTC).date())
    if phrase is not None:
        return _start(phrase.days.first), phrase.length
    try:
        return parse_past_time(words[0] if words else "", _ZONE, now), 1
    except BadTime:
        raise BadAuditSearch(AuditSearchProblem.NO_TIME, word) from None


def _phrase(words: Sequence[str], today: date) -> Phrase | None:
    lower = [word.lower() for word in words[:3]]
    try:
        return date_phrases.read(lower, today)
    except NoSuchDate:
        raise BadAuditSearch(AuditSearchProblem.NO_SUCH_DATE, " ".join(lower)) from None


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
