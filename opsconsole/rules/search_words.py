"""What the filters of runs and of the audit trail share: words for people, days and times, and their errors."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from opsconsole.core.bounds import is_storable
from opsconsole.core.errors import Exit, OpsconsoleError
from opsconsole.core.times import BadTime, parse_past_time
from opsconsole.rules import date_phrases
from opsconsole.rules.date_phrases import NoSuchDate, Phrase

BY = "by"
BOUNDS = ("since", "before")
ME = ("me", "mine")


class SearchProblem(StrEnum):
    """What is not understood of a filter."""

    NO_NAME = "no_name"
    NO_TIME = "no_time"
    NO_SUCH_DATE = "no_such_date"
    TWO_DATES = "two_dates"
    OPEN_QUOTE = "open_quote"
    UNREADABLE = "unreadable"


_SENTENCES = {
    SearchProblem.NO_NAME: "write a name after `by`, such as `by asha`",
    SearchProblem.NO_TIME: "write a time after `{word}`, such as `{word} 14 jan`, `{word} 2h` or `{word} 18:00`",
    SearchProblem.NO_SUCH_DATE: "there is no date {word!r}",
    SearchProblem.TWO_DATES: "{word!r} is a second date; write a range as 2026-01-10..2026-01-14",
    SearchProblem.OPEN_QUOTE: 'close the quote: "{word}"',
    SearchProblem.UNREADABLE: "{word!r} is not valid Unicode",
}


class BadSearch(OpsconsoleError):
    """A filter that cannot be understood; `word` is the part that is not."""

    exit_code = Exit.USAGE

    def __init__(self, problem: SearchProblem, word: str) -> None:
        self.problem, self.word = problem, word
        super().__init__(_SENTENCES[problem].format(word=word))


def check_readable(typed: str) -> None:
    """Raises BadSearch for a text that cannot be stored."""
    if not is_storable(typed):
        raise BadSearch(SearchProblem.UNREADABLE, typed)


def read_days(words: Sequence[str], today: date) -> Phrase | None:
    """The days that the first of these words name, if they do. Raises BadSearch."""
    lower = [word.lower() for word in words[:3]]
    try:
        return date_phrases.read(lower, today)
    except NoSuchDate:
        raise BadSearch(SearchProblem.NO_SUCH_DATE, " ".join(lower)) from None


def read_time(bound: str, typed: str, place: ZoneInfo, now: datetime) -> datetime:
    """The time after `since` or `before`. Raises BadSearch."""
    try:
        return parse_past_time(typed, place, now)
    except BadTime:
        raise BadSearch(SearchProblem.NO_TIME, bound) from None


def read_person(words: Sequence[str], me: str) -> str:
    """The name after `by`, the first of these words. Raises BadSearch."""
    if len(words) < 2:
        raise BadSearch(SearchProblem.NO_NAME, BY)
    return me if words[1].lower() in ME else words[1]
