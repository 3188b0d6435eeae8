"""Which runs a list shows: a segment, and a filter such as `cache_day last tue failed by asha`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from itertools import takewhile
from typing import TypeVar
from zoneinfo import ZoneInfo

from opsconsole.authoring.run import OPEN, RunState, Trigger
from opsconsole.calendar.windows import start_of_day
from opsconsole.core.bounds import MAX_ID
from opsconsole.rules import date_phrases
from opsconsole.rules.date_phrases import Days, Phrase
from opsconsole.rules.search_words import (
    BOUNDS,
    BY,
    ME,
    BadSearch,
    SearchProblem,
    check_readable,
    read_days,
    read_person,
    read_time,
)

T = TypeVar("T")
UTC = ZoneInfo("UTC")
FAILED = (RunState.FAILED, RunState.TIMED_OUT, RunState.ABANDONED)

STATES: Mapping[str, tuple[RunState, ...]] = {
    "failed": FAILED,
    "running": OPEN,
    "ok": (RunState.SUCCEEDED,),
    "timeout": (RunState.TIMED_OUT,),
    "canceled": (RunState.CANCELLED,),
} | {state.value: (state,) for state in RunState if state not in (RunState.FAILED, RunState.RUNNING)}
TRIGGERS: Mapping[str, Trigger] = {
    "schedule": Trigger.SCHEDULE,
    "scheduled": Trigger.SCHEDULE,
    "hand": Trigger.HAND,
    "manual": Trigger.HAND,
    "retry": Trigger.RETRY,
    "retries": Trigger.RETRY,
    "backfill": Trigger.BACKFILL,
    "backfills": Trigger.BACKFILL,
}
_TOKEN = re.compile(r'"([^"]*)("?)|(\S+)')
_NUMBER = re.compile(r"#?(\d[\d,]*)", re.ASCII)


class Segment(StrEnum):
    """The parts of the history that a list offers."""

    ALL = "all"
    FAILED = "failed"
    PARTIAL = "partial"
    RUNNING = "running"
    MINE = "mine"


@dataclass(frozen=True, slots=True)
class RunSearch:
    """Selects runs that meet every condition; None does not limit, and an empty tuple matches nothing.

    `jobs` are whole names. `since` and `until` limit when the run was created, the end excluded. A run belongs to
    `days` when its window begins on one of them, or it was created in `created`, which are the same days in a zone.
    Each of `words` is in the run's error, or in one of its failures.
    """

    numbers: tuple[int, ...] | None = None
    jobs: tuple[str, ...] | None = None
    states: tuple[RunState, ...] | None = None
    triggers: tuple[Trigger, ...] | None = None
    person: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    days: Days | None = None
    created: tuple[datetime, datetime] | None = None
    words: tuple[str, ...] = ()

    def limited_to(self, other: RunSearch) -> RunSearch:
        """The runs that both select; of two people, nobody's. `other` is limited by no number, days or words."""
        people = {self.person, other.person} - {None}
        if len(people) > 1:
            return replace(self, states=())
        return replace(
            self,
            jobs=_both(self.jobs, other.jobs),
            states=_both(self.states, other.states),
            triggers=_both(self.triggers, other.triggers),
            person=self.person or other.person,
            since=max(filter(None, (self.since, other.since)), default=None),
            until=min(filter(None, (self.until, other.until)), default=None),
        )

    def within(self, segment: Segment, me: str) -> RunSearch:
        """The part of these runs that is in a segment; `me` is who looks."""
        match segment:
            case Segment.ALL:
                return self
            case Segment.MINE:
                return replace(self, person=me) if self.person in (None, me) else replace(self, states=())
            case _:
                return replace(self, states=_both(STATES[segment], self.states))


def _both(these: tuple[T, ...] | None, those: tuple[T, ...] | None) -> tuple[T, ...] | None:
    if these is None or those is None:
        return those if these is None else these
    return tuple(each for each in these if each in those)


def parse(typed: str, jobs: Mapping[str, str], now: datetime, *, me: str) -> RunSearch:
    """Reads a filter. `jobs` has the zone of each job. Dates are in the zone that the selected jobs have in common,
    otherwise in UTC. Raises BadSearch.
    """
    search = _Reader(typed, jobs, now, UTC, me).read()
    zones = {jobs[name] for name in search.jobs or ()}
    place = ZoneInfo(zones.pop()) if len(zones) == 1 else UTC
    return search if place is UTC else _Reader(typed, jobs, now, place, me).read()


@dataclass
class _Reader:
    """Reads the words of a filter one after the other."""

    typed: str
    jobs: Mapping[str, str]
    now: datetime
    place: ZoneInfo
    me: str
    parts: list[str] = field(default_factory=list)
    states: list[RunState] = field(default_factory=list)
    triggers: list[Trigger] = field(default_factory=list)
    search: RunSearch = field(default_factory=RunSearch)

    def read(self) -> RunSearch:
        tokens = list(_tokens(self.typed))
        at = 0
        while at < len(tokens):
            at += self._read(tokens[at:])
        names = tuple(name for name in self.jobs if all(part in name.lower() for part in self.parts))
        return replace(
            self.search,
            jobs=names if self.parts else None,
            states=tuple(dict.fromkeys(self.states)) or None,
            triggers=tuple(dict.fromkeys(self.triggers)) or None,
        )

    def _read(self, tokens: Sequence[_Token]) -> int:
        """Reads the first of these tokens, with those that belong to it; their number."""
        token = tokens[0]
        word = token.text.lower()
        if token.quoted:
            self._add_word(token.text)
        elif word == BY:
            return self._read_person(tokens)
        elif word in BOUNDS:
            return self._read_bound(word, tokens)
        elif phrase := self._phrase(tokens):
            return self._read_days(phrase, tokens)
        elif word in STATES:
            self.states += STATES[word]
        elif word in TRIGGERS:
            self.triggers.append(TRIGGERS[word])
        elif word in ME:
            self.search = replace(self.search, person=self.me)
        elif (number := _number(word)) is not None:
            self.search = replace(self.search, numbers=(*(self.search.numbers or ()), number))
        elif self._is_job(word):
            self.parts.append(word)
        elif word != "all":
            self._add_word(token.text)
        return 1

    def _add_word(self, text: str) -> None:
        if text:
            self.search = replace(self.search, words=(*self.search.words, text))

    def _is_job(self, word: str) -> bool:
        return any(word in name.lower() for name in self.jobs)

    def _read_person(self, tokens: Sequence[_Token]) -> int:
        name = read_person([token.text for token in tokens[:2]], self.me)
        if TRIGGERS.get(tokens[1].text.lower()) is Trigger.SCHEDULE:
            self.triggers.append(Trigger.SCHEDULE)
        else:
            self.search = replace(self.search, person=name)
        return 2

    def _phrase(self, tokens: Sequence[_Token]) -> Phrase | None:
        words = [token.text.lower() for token in takewhile(lambda token: not token.quoted, tokens[:3])]
        phrase = read_days(words, self._today)
        if phrase is not None and phrase.length == 1 and date_phrases.is_name(words[0]) and self._is_job(words[0]):
            return None  # `mon` finds the jobs that are called monthly; `last mon` is a date in any case
        return phrase

    def _read_days(self, phrase: Phrase, tokens: Sequence[_Token]) -> int:
        if self.search.days is not None:
            raise BadSearch(SearchProblem.TWO_DATES, " ".join(token.text for token in tokens[: phrase.length]))
        days = phrase.days
        created = self._start(days.first), self._start(days.end)
        self.search = replace(self.search, days=days, created=created)
        return phrase.length

    def _read_bound(self, word: str, tokens: Sequence[_Token]) -> int:
        phrase = self._phrase(tokens[1:])
        if phrase is not None:
            at, length = self._start(phrase.days.first), 1 + phrase.length
        elif len(tokens) > 1:
            at, length = read_time(word, tokens[1].text, self.place, self.now), 2
        else:
            raise BadSearch(SearchProblem.NO_TIME, word)
        self.search = replace(self.search, since=at) if word == "since" else replace(self.search, until=at)
        return length

    def _start(self, day: date) -> datetime:
        return start_of_day(day, self.place)

    @property
    def _today(self) -> date:
        return self.now.astimezone(self.place).date()


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    quoted: bool = False


def _tokens(typed: str) -> list[_Token]:
    check_readable(typed)
    tokens = []
    for found in _TOKEN.finditer(typed):
        quoted, closed, word = found.groups()
        if word is not None:
            tokens.append(_Token(word))
        elif not closed:
            raise BadSearch(SearchProblem.OPEN_QUOTE, quoted)
        else:
            tokens.append(_Token(quoted.strip(), quoted=True))
    return tokens


def _number(word: str) -> int | None:
    found = _NUMBER.fullmatch(word)
    number = int(found[1].replace(",", "")) if found and len(word) <= 30 else None
    return number if number is not None and 0 < number <= MAX_ID else None
