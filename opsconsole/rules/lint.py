"""Warns about schedules, windows and limits of the loaded jobs that are probably mistakes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice, pairwise
from typing import NamedTuple

from opsconsole.authoring.catalog import Catalog
from opsconsole.authoring.job import Job
from opsconsole.calendar.clock_changes import DAY, ClockChange, clock_changes
from opsconsole.calendar.cron import TICK, Cron, schedule, zone
from opsconsole.calendar.cron_text import SHORTHANDS, uneven_steps
from opsconsole.calendar.windows import Unit, hours
from opsconsole.core.humanize import local_time
from opsconsole.rules.lint_limits import limit_warnings, schedule_warnings
from opsconsole.rules.lint_warning import LintWarning, Rule
from opsconsole.rules.pauses import ALL

CROWD = 10
"""More jobs than this at one time are worth spreading: their runs wait for workers and for each other."""
AHEAD = timedelta(days=31)
"""How far ahead scheduled times are compared: every day of a month occurs."""
CLOCK_CHANGES_AHEAD = timedelta(days=731)
RARE = timedelta(days=367)
SAMPLES = 40
"""How many windows of two jobs are compared: enough to show a pattern over months."""
LISTED = 5
"""How many names or dates a message lists."""


def lint(catalog: Catalog, now: datetime) -> list[LintWarning]:
    """All warnings, by job and rule."""
    names = {pack.name for pack in catalog.packs}
    found = list(_simultaneous(catalog, now))
    for job in catalog:
        found += limit_warnings(job)
        found += _aliases(job, names)
        if (cron := catalog.cron(job)) is not None:
            found += lint_schedule(job.name, cron, now)
            found += lint_job(catalog, job, cron, now)
    return sorted(found, key=lambda each: (each.job, list(Rule).index(each.rule)))


def lint_schedule(name: str, cron: Cron, now: datetime) -> Iterator[LintWarning]:
    """The warnings about a schedule on its own; `name` is the job that they are about."""
    yield from _rare(name, cron, now)
    yield from _steps(name, cron)
    yield from _clock_changes(name, cron, now)


def lint_job(catalog: Catalog, job: Job, cron: Cron, now: datetime) -> Iterator[LintWarning]:
    """The warnings about a job if it had this schedule: its windows, the jobs that it runs after, and its limits."""
    written = next((each for pack in catalog.packs for each in pack.jobs if each.name == job.name), job)
    yield from _windows(replace(job, cron=cron.text, tz=cron.tz), written, cron, now)
    for other in (catalog.find(name) for name in job.after if name in catalog and name != job.name):
        if (others := catalog.cron(other)) is not None:
            yield from _after(job, cron, other, others, now)
    yield from schedule_warnings(job, list(islice(cron.between(now, now + 400 * DAY), SAMPLES)))


# --- scheduled times ----------------------------------------------------------------------------------------------


def _rare(name: str, cron: Cron, now: datetime) -> Iterator[LintWarning]:
    first = cron.next(now)
    second = cron.next(first) if first is not None else None
    if first is None or second is None or second - first <= RARE:
        return
    date = first.astimezone(zone(cron.tz)).date()
    how = "only on 29 February" if (date.month, date.day) == (2, 29) else "less than once a year"
    message = f"{cron.text!r} fires {how}: at {local_time(first, cron.tz)} and then at {local_time(second, cron.tz)}"
    yield LintWarning(name, Rule.RARE, message, (first, second))


def _steps(name: str, cron: Cron) -> Iterator[LintWarning]:
    """Steps that do not mean what they seem to, such as `*/45` for every 45 minutes."""
    for unit, field, values in uneven_steps(cron.text):
        fires = f"{unit} {_list([str(value) for value in values])}"
        message = f"the step of {field!r} does not divide its range evenly: it fires at {fires}, and then starts again"
        yield LintWarning(name, Rule.STEP, message)


def _simultaneous(catalog: Catalog, now: datetime) -> Iterator[LintWarning]:
    """Jobs that repeatedly start at the same time: too many, or some that exclude each other."""
    by_schedule: dict[Cron, list[Job]] = defaultdict(list)
    for job in catalog:
        if (cron := catalog.cron(job)) is not None:
            by_schedule[cron].append(job)
    at: dict[datetime, list[int]] = defaultdict(list)
    for number, cron in enumerate(by_schedule):
        for due_at in cron.between(now, now + AHEAD):
            at[due_at].append(number)
    groups = list(by_schedule.values())
    times: dict[tuple[int, ...], list[datetime]] = defaultdict(list)
    for due_at, numbers in sorted(at.items()):
        times[tuple(numbers)].append(due_at)
    starts = [_Simultaneous([job for n in numbers for job in groups[n]], when) for numbers, when in times.items()]
    yield from _collisions(starts)
    yield from _crowds(starts)


class _Simultaneous(NamedTuple):
    """Jobs that start at the same times."""

    jobs: list[Job]
    times: list[datetime]


def _collisions(starts: list[_Simultaneous]) -> Iterator[LintWarning]:
    when: dict[tuple[str, tuple[str, ...]], list[datetime]] = defaultdict(list)
    for start in starts:
        exclusive: dict[str, list[Job]] = defaultdict(list)
        for job in start.jobs:
            if job.exclusive is not None:
                exclusive[job.exclusive].append(job)
        for group, jobs in exclusive.items():
            members = {job.name for job in jobs}
            # A job that runs after another of them waits on purpose.
            names = tuple(sorted(job.name for job in jobs if members.isdisjoint(job.after)))
            if len(names) > 1:
                when[group, names] += start.times
    for (group, names), times in when.items():
        if len(times) > 1:
            message = (
                f"it starts at the same time as {_list(names[1:])}, {len(times):,} times in {AHEAD.days} days "
                f"(first {local_time(min(times), 'UTC')}), and only one job of {group!r} runs at a time"
            )
            yield LintWarning(names[0], Rule.COLLIDES, message, (min(times),))


def _crowds(starts: list[_Simultaneous]) -> Iterator[LintWarning]:
    crowded = [start for start in starts if len(start.jobs) > CROWD]
    times = sum(len(start.times) for start in crowded)
    if times > 1:
        largest = max(crowded, key=lambda start: len(start.jobs))
        first, names = largest.times[0], sorted(job.name for job in largest.jobs)
        message = (
            f"{len(names):,} jobs start at {local_time(first, 'UTC')}: {_list(names)}; more than {CROWD} start "
            f"together {times:,} times in {AHEAD.days} days"
        )
        yield LintWarning(names[0], Rule.CROWD, message, (first,))


# --- clock changes ------------------------------------------------------------------------------------------------


def _clock_changes(name: str, cron: Cron, now: datetime) -> Iterator[LintWarning]:
    """Times of day that clock changes skip or repeat within the next two years."""
    if _is_hourly(cron.text):
        return
    changes = clock_changes(zone(cron.tz), now, now + CLOCK_CHANGES_AHEAD)
    affected = [_Affected(change, times) for change in changes if (times := cron.times_affected_by(change))]
    elapsed = cron.follows_elapsed_time
    dates = [each for each in affected if each.change.skips_date]
    gaps = [each for each in affected if each.change.is_gap and not each.change.skips_date]
    folds = [each for each in affected if not each.change.is_gap]
    if dates:
        yield _clock_warning(cron, name, Rule.GAP, dates, "a date that does not exist", "it does not fire then")
    if gaps:
        effect = "it does not fire for them" if elapsed else "it fires once, right after the gap"
        yield _clock_warning(cron, name, Rule.GAP, gaps, "times that clock changes skip", effect)
    if folds:
        effect = "it fires both times" if elapsed else "it fires only the first time"
        yield _clock_warning(cron, name, Rule.FOLD, folds, "times that clock changes repeat", effect)


class _Affected(NamedTuple):
    """A clock change, and the times of a schedule that it skips or repeats."""

    change: ClockChange
    times: list[datetime]


def _clock_warning(cron: Cron, name: str, rule: Rule, affected: list[_Affected], what: str, effect: str) -> LintWarning:
    dates = [f"{each.times[0]:%Y-%m-%d} {_list([f'{time:%H:%M}' for time in each.times])}" for each in affected]
    message = f"{cron.text!r} includes {what} in {cron.tz}: {_list(dates, '; ')}; {effect}"
    return LintWarning(name, rule, message, tuple(each.change.at for each in affected))


def _is_hourly(text: str) -> bool:
    """Whether a schedule fires in every hour, so that a clock change takes no run away."""
    fields = SHORTHANDS.get(text.strip().lower(), text).split()
    return fields[1] == "*"


# --- windows ------------------------------------------------------------------------------------------------------


def _windows(job: Job, written: Job, cron: Cron, now: datetime) -> Iterator[LintWarning]:
    """Scheduled times at which a job covers another window than its author intended."""
    if job.covers.unit is Unit.MOMENT:
        return
    place = zone(cron.tz)
    times = list(islice(cron.between(now, now + 400 * DAY), SAMPLES))
    before = schedule(written.cron, written.tz)
    if before is not None and before != cron and job.covers.unit is Unit.DAY and not job.covers.back:
        early = [due_at for due_at in times if due_at.astimezone(place).hour < 12]
        if early and not _is_early(before, now):
            message = (
                f"overridden to {cron.text!r} ({cron.tz}) it fires in the first half of its day, for example at "
                f"{local_time(early[0], cron.tz)}, and covers a day that has just started; {before.text!r} "
                f"({before.tz}) covers one that is nearly over"
            )
            yield LintWarning(job.name, Rule.WINDOW, message, (early[0],))
    if job.tz != written.tz:
        message = f"overridden to {job.tz} its windows are days of {job.tz} instead of {written.tz}"
        yield LintWarning(job.name, Rule.WINDOW, message)
    repeated = [(one, two) for one, two in pairwise(times) if job.covers.at(one, place) == job.covers.at(two, place)]
    if repeated:
        one, two = repeated[0]
        fires = f"{local_time(one, cron.tz)} and {local_time(two, cron.tz)}"
        message = f"it fires several times for one window: at {fires} for {job.covers.at(one, place).label}"
        yield LintWarning(job.name, Rule.WINDOW, message, (one, two))


def _is_early(cron: Cron, now: datetime) -> bool:
    first = cron.next(now)
    return first is not None and first.astimezone(zone(cron.tz)).hour < 12


def _after(job: Job, cron: Cron, other: Job, others: Cron, now: datetime) -> Iterator[LintWarning]:
    """Whether `job` ever finds a run of `other` to wait for."""
    both = ((job, cron), (other, others))
    rare, frequent = sorted(both, key=lambda each: each[1].count(now, now + AHEAD))
    matched, late, example = 0, 0, None
    for due_at in islice(rare[1].between(now, now + 400 * DAY), SAMPLES):
        end = rare[0].covers.at(due_at, zone(rare[1].tz)).end
        found = _for_window_end(*frequent, end)
        if found is None:
            continue
        mine, its = (due_at, found) if rare[0] is job else (found, due_at)
        matched += 1
        if its > mine:
            late += 1
            example = example or (mine, its)
    if not matched:
        never = f"no window of {other.name} ends when one of {job.name} does"
        message = f"it runs after {other.name}, but {never}: it never waits"
        yield LintWarning(job.name, Rule.AFTER, message)
    elif late and example is not None:
        mine, its = example
        often = "always" if late == matched else f"{late} of {matched} times"
        message = (
            f"it runs after {other.name}, which {often} fires later for the same window, for example at "
            f"{local_time(its, others.tz)} instead of before {local_time(mine, cron.tz)}: it does not wait then"
        )
        yield LintWarning(job.name, Rule.AFTER, message, (mine, its))


def _for_window_end(job: Job, cron: Cron, end: datetime) -> datetime | None:
    """The first scheduled time of a job whose window ends at `end`."""
    place, covers = zone(cron.tz), job.covers
    if covers.unit is Unit.MOMENT:
        return end if cron.previous(end) == end else None
    length = 32 * DAY if covers.unit is Unit.MONTH else 26 * hours(1)
    for due_at in cron.between(end - length * (1 - covers.back) - TICK, end + length * covers.back):
        found = covers.at(due_at, place).end
        if found >= end:
            return due_at if found == end else None
    return None


# --- names ---------------------------------------------------------------------------------------------


def _aliases(job: Job, packs: set[str]) -> Iterator[LintWarning]:
    for alias in job.aliases:
        pack = alias.partition(".")[0]
        if alias == ALL or alias in packs:
            what = "all jobs" if alias == ALL else "the whole pack"
            message = f"its alias {alias!r} is also the name of {what}: `pause {alias}` pauses {what}"
            yield LintWarning(job.name, Rule.ALIAS, message)
        elif "." in alias and pack in packs - {job.pack}:
            message = f"its alias {alias!r} looks like a job of the pack {pack}"
            yield LintWarning(job.name, Rule.ALIAS, message)


def _list(names: Sequence[str], separator: str = ", ") -> str:
    more = f" and {len(names) - LISTED:,} more" if len(names) > LISTED else ""
    return separator.join(names[:LISTED]) + more
