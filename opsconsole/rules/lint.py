"""Finds what is odd about the jobs that are loaded: schedules, windows and limits that can hardly be meant. Pure: it
reads schedules, and asks neither the store nor the clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice, pairwise
from typing import NamedTuple

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import BY_HAND, Job, Overlap
from opsconsole.calendar.clock_changes import Change, changes, follows_elapsed, named_in
from opsconsole.calendar.cron import DAY, SHORTHANDS, TICK, Cron, zone
from opsconsole.calendar.windows import Unit, hours
from opsconsole.core.humanize import duration, local_time
from opsconsole.rules.pauses import ALL

CROWD = 10
"""More jobs than this at one instant are worth spreading: their runs wait for workers and for one another."""
AHEAD = timedelta(days=31)
"""So far ahead instants are compared with each other: every day of a month comes up."""
SEASONS = timedelta(days=731)
"""So far ahead clock changes are looked at."""
RARE = timedelta(days=367)
SAMPLES = 40
"""So many windows of the rarer of two jobs are compared; a pattern of months shows within them."""
NAMED = 5
"""So many names or dates stand in a sentence."""
DEFAULT_TIMEOUT = Job.__dataclass_fields__["timeout"].default
"""A timeout of exactly this length was hardly chosen for the job."""


class Rule(StrEnum):
    """What can be odd."""

    RARE = "rare"
    COLLIDES = "collides"
    CROWD = "crowd"
    GAP = "gap"
    FOLD = "fold"
    WINDOW = "window"
    AFTER = "after"
    TIMEOUT = "timeout"
    ALIAS = "alias"


@dataclass(frozen=True, slots=True)
class Oddity:
    """Something odd about a job, in a sentence; `at` are the instants or dates that it is about, as far as there are
    any, in UTC.
    """

    job: str
    rule: Rule
    sentence: str
    at: tuple[datetime, ...] = ()


def oddities(catalog: Catalog, now: datetime) -> list[Oddity]:
    """All that is odd, by job."""
    written = {job.name: job for pack in catalog.packs for job in pack.jobs}
    names = {pack.name for pack in catalog.packs}
    found = list(_together(catalog, now))
    for job in catalog:
        cron = catalog.cron(job)
        found += _rare(job, cron, now)
        found += _seasons(job, cron, now)
        found += _windows(job, written.get(job.name, job), cron, now)
        for other in (catalog.find(name) for name in job.after if name in catalog and name != job.name):
            found += _after(job, cron, other, catalog.cron(other), now)
        found += _timeouts(job, cron, now)
        found += _aliases(job, names)
    return sorted(found, key=lambda each: (each.job, list(Rule).index(each.rule)))


# --- instants -----------------------------------------------------------------------------------------------------


def _rare(job: Job, cron: Cron, now: datetime) -> Iterator[Oddity]:
    if job.cron == BY_HAND:
        return  # on purpose
    first = cron.next(now)
    second = cron.next(first) if first is not None else None
    if first is None or second is None or second - first <= RARE:
        return
    date = first.astimezone(zone(cron.tz)).date()
    how = "only on 29 February" if (date.month, date.day) == (2, 29) else "less than once a year"
    says = f"{cron.text!r} fires {how}: at {local_time(first, cron.tz)} and then at {local_time(second, cron.tz)}"
    yield Oddity(job.name, Rule.RARE, says, (first, second))


def _together(catalog: Catalog, now: datetime) -> Iterator[Oddity]:
    """Jobs that start at the same instants again and again: too many, or some that exclude each other."""
    by_schedule: dict[Cron, list[Job]] = defaultdict(list)
    for job in catalog:
        by_schedule[catalog.cron(job)].append(job)
    at: dict[datetime, list[int]] = defaultdict(list)
    for number, cron in enumerate(by_schedule):
        for instant in cron.between(now, now + AHEAD):
            at[instant].append(number)
    groups = list(by_schedule.values())
    met: dict[tuple[int, ...], list[datetime]] = defaultdict(list)
    for instant, numbers in sorted(at.items()):
        met[tuple(numbers)].append(instant)
    meetings = [_Meeting([job for n in numbers for job in groups[n]], when) for numbers, when in met.items()]
    yield from _colliding(meetings)
    yield from _crowds(meetings)


class _Meeting(NamedTuple):
    """Jobs that start together, and when."""

    jobs: list[Job]
    instants: list[datetime]


def _colliding(meetings: list[_Meeting]) -> Iterator[Oddity]:
    when: dict[tuple[str, tuple[str, ...]], list[datetime]] = defaultdict(list)
    for meeting in meetings:
        excluding: dict[str, list[Job]] = defaultdict(list)
        for job in meeting.jobs:
            if job.exclusive is not None:
                excluding[job.exclusive].append(job)
        for group, jobs in excluding.items():
            there = {job.name for job in jobs}
            # One that comes after another of them is meant to wait.
            names = tuple(sorted(job.name for job in jobs if there.isdisjoint(job.after)))
            if len(names) > 1:
                when[group, names] += meeting.instants
    for (group, names), instants in when.items():
        if len(instants) > 1:
            says = (
                f"it starts at the same instant as {_list(names[1:])}, {len(instants):,} times in {AHEAD.days} days "
                f"(first {local_time(min(instants), 'UTC')}), and of {group!r} one runs at a time: all but one wait"
            )
            yield Oddity(names[0], Rule.COLLIDES, says, (min(instants),))


def _crowds(meetings: list[_Meeting]) -> Iterator[Oddity]:
    crowded = [meeting for meeting in meetings if len(meeting.jobs) > CROWD]
    times = sum(len(meeting.instants) for meeting in crowded)
    if times > 1:
        largest = max(crowded, key=lambda meeting: len(meeting.jobs))
        first, names = largest.instants[0], sorted(job.name for job in largest.jobs)
        says = (
            f"{len(names):,} jobs start at {local_time(first, 'UTC')}: {_list(names)}; more than {CROWD} at once "
            f"{times:,} times in {AHEAD.days} days"
        )
        yield Oddity(names[0], Rule.CROWD, says, (first,))


# --- clock changes ------------------------------------------------------------------------------------------------


def _seasons(job: Job, cron: Cron, now: datetime) -> Iterator[Oddity]:
    """Times of day that clock changes leave out or show twice within the next two years."""
    if _is_hourly(cron.text):
        return
    hit = [_Hit(change, named) for change in _changes(cron, now) if (named := named_in(cron, change))]
    elapsed = follows_elapsed(cron.text)
    lost = [each for each in hit if each.change.is_lost_date]
    gaps = [each for each in hit if each.change.is_gap and not each.change.is_lost_date]
    folds = [each for each in hit if not each.change.is_gap]
    if lost:
        yield _hit(job, Rule.GAP, lost, "a date that does not exist", "it does not fire then")
    if gaps:
        then = "it does not fire for them" if elapsed else "it fires once, right after the gap"
        yield _hit(job, Rule.GAP, gaps, "times that clock changes leave out", then)
    if folds:
        then = "it fires at both passings" if elapsed else "it fires at the first passing only"
        yield _hit(job, Rule.FOLD, folds, "times that clock changes show twice", then)


class _Hit(NamedTuple):
    """A change, and the times of day that a schedule names among those it leaves out or shows twice."""

    change: Change
    named: list[datetime]


def _hit(job: Job, rule: Rule, hit: list[_Hit], what: str, then: str) -> Oddity:
    dates = [f"{each.named[0]:%Y-%m-%d} {_list([f'{time:%H:%M}' for time in each.named])}" for each in hit]
    says = f"{job.cron!r} names {what} in {job.tz}: {_list(dates, '; ')}. There {then}"
    return Oddity(job.name, rule, says, tuple(each.change.at for each in hit))


def _changes(cron: Cron, now: datetime) -> list[Change]:
    return changes(zone(cron.tz), now, now + SEASONS)


def _is_hourly(text: str) -> bool:
    """Whether a schedule goes on through every hour, so that a change takes nothing from it."""
    fields = SHORTHANDS.get(text.strip().lower(), text).split()
    return fields[1] == "*"


# --- windows ------------------------------------------------------------------------------------------------------


def _windows(job: Job, written: Job, cron: Cron, now: datetime) -> Iterator[Oddity]:
    """Instants at which a job is about another window than its author meant."""
    if job.covers.unit is Unit.MOMENT:
        return
    place = zone(cron.tz)
    instants = list(islice(cron.between(now, now + 400 * DAY), SAMPLES))
    if (job.cron, job.tz) != (written.cron, written.tz) and job.covers.unit is Unit.DAY and not job.covers.back:
        early = [instant for instant in instants if instant.astimezone(place).hour < 12]
        was_early = _is_early(Cron(written.cron, written.tz), now)
        if early and not was_early:
            at = local_time(early[0], cron.tz)
            says = (
                f"overridden to {cron.text!r} ({cron.tz}) it fires in the first half of its day, as at {at}, and is "
                f"about the day that has just begun; {written.cron!r} ({written.tz}) is about one that is nearly over"
            )
            yield Oddity(job.name, Rule.WINDOW, says, (early[0],))
    if job.tz != written.tz:
        says = f"overridden to {job.tz} its windows are days of {job.tz}, others than those of {written.tz} before"
        yield Oddity(job.name, Rule.WINDOW, says)
    again = [(one, two) for one, two in pairwise(instants) if job.covers.at(one, place) == job.covers.at(two, place)]
    if again:
        one, two = again[0]
        label = job.covers.at(one, place).label
        says = f"it fires several times for one window: at {local_time(one, cron.tz)} and {local_time(two, cron.tz)} for {label}"
        yield Oddity(job.name, Rule.WINDOW, says, (one, two))


def _is_early(cron: Cron, now: datetime) -> bool:
    first = cron.next(now)
    return first is not None and first.astimezone(zone(cron.tz)).hour < 12


def _after(job: Job, cron: Cron, other: Job, others: Cron, now: datetime) -> Iterator[Oddity]:
    """Whether `job` ever finds a run of `other` to wait for."""
    both = ((job, cron), (other, others))
    rare, frequent = sorted(both, key=lambda each: each[1].count(now, now + AHEAD))
    never, late, example = True, 0, None
    met = 0
    for instant in islice(rare[1].between(now, now + 400 * DAY), SAMPLES):
        end = rare[0].covers.at(instant, zone(rare[1].tz)).end
        found = _for_the_end(*frequent, end)
        if found is None:
            continue
        never = False
        mine, its = (instant, found) if rare[0] is job else (found, instant)
        met += 1
        if its > mine:
            late += 1
            example = example or (mine, its)
    if never:
        says = f"it is after {other.name}, but no window of {other.name} ends when one of its own does: it never waits"
        yield Oddity(job.name, Rule.AFTER, says)
    elif late and example is not None:
        mine, its = example
        often = "always" if late == met else f"{late} of {met} times"
        says = (
            f"it is after {other.name}, which {often} fires later for the same window, as at {local_time(its, others.tz)} "
            f"and not before {local_time(mine, cron.tz)}: it does not wait then"
        )
        yield Oddity(job.name, Rule.AFTER, says, (mine, its))


def _for_the_end(job: Job, cron: Cron, end: datetime) -> datetime | None:
    """The first instant at which a job is about a window that ends at `end`."""
    place, covers = zone(cron.tz), job.covers
    if covers.unit is Unit.MOMENT:
        return end if cron.previous(end) == end else None
    length = 32 * DAY if covers.unit is Unit.MONTH else 26 * hours(1)
    for instant in cron.between(end - length * (1 - covers.back) - TICK, end + length * covers.back):
        found = covers.at(instant, place).end
        if found >= end:
            return instant if found == end else None
    return None


# --- limits and names ---------------------------------------------------------------------------------------------


def _timeouts(job: Job, cron: Cron, now: datetime) -> Iterator[Oddity]:
    if job.batch_timeout > job.timeout:
        says = f"a batch may take {duration(job.batch_timeout)}, longer than the whole run, which may take "
        yield Oddity(job.name, Rule.TIMEOUT, f"{says}{duration(job.timeout)}: no batch is ever ended before its run is")
    period = min(
        (two - one for one, two in pairwise(islice(cron.between(now, now + 400 * DAY), SAMPLES))), default=None
    )
    if period is None or period >= job.timeout or job.overlap is Overlap.REPLACE or _is_polling(job):
        return
    lost = "wait" if job.overlap is Overlap.QUEUE else "are skipped"
    says = f"it fires again after {duration(period)}, but a run may take {duration(job.timeout)}: while one hangs, instants {lost}"
    yield Oddity(job.name, Rule.TIMEOUT, says)


def _is_polling(job: Job) -> bool:
    """Whether a job that fires more often than it may take was made for that: every run takes all that waits, so that
    no instant is missed, somebody chose how long it may take, and it is not called unhealthy before that.
    """
    patient = job.limits.max_age is None or job.limits.max_age >= job.timeout
    return job.covers.unit is Unit.MOMENT and job.overlap is Overlap.SKIP and job.timeout != DEFAULT_TIMEOUT and patient


def _aliases(job: Job, packs: set[str]) -> Iterator[Oddity]:
    for alias in job.aliases:
        pack = alias.partition(".")[0]
        if alias == ALL or alias in packs:
            what = "all jobs" if alias == ALL else "the whole pack"
            yield Oddity(job.name, Rule.ALIAS, f"its alias {alias!r} also names {what}: `pause {alias}` pauses {what}")
        elif "." in alias and pack in packs - {job.pack}:
            yield Oddity(job.name, Rule.ALIAS, f"its alias {alias!r} looks like a job of the pack {pack}")


def _list(names: Sequence[str], between: str = ", ") -> str:
    more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
    return between.join(names[:NAMED]) + more
