"""`backfill`: plans what is missing of past windows, does exactly that, and tells how far it is."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from opsconsole.cli import backfill_output as filled, following as carrying, output as printing
from opsconsole.cli.commands.pause import END_SECONDS, NotEnded
from opsconsole.cli.prompts import confirm, json_option, note_option, require_yes, yes_option
from opsconsole.cli.session import Options, open_service, settings_of
from opsconsole.core.errors import Exit
from opsconsole.core.humanize import duration
from opsconsole.core.text import safe

if TYPE_CHECKING:
    from opsconsole.rules.backfill_status import Backfill
    from opsconsole.service.backfills import Looking
    from opsconsole.service.service import Service

LOOK_SECONDS = 0.2
"""Between two looks at a backfill that goes on."""
AT_ONCE = 50
"""So many runs that go on are looked through for those of one backfill."""

_wait = click.option("--wait", is_flag=True, help="Follow it to its end; the exit code is its result.")
_since = click.option("--from", "since", metavar="D", required=True, help="From this date on, in each job's zone.")
_until = click.option("--to", "until", metavar="D", required=True, help="Up to and with this date.")
_only = click.option(
    "--only",
    type=click.Choice(["missing", "stale", "failed", "all"]),
    default="missing",
    show_default=True,
    help="Which windows: never run, out of date, failed wholly or in part, or all.",
)
_stops = click.option("--stop-on-failure", "stops", is_flag=True, help="A window that fails holds up the rest.")
_all_windows = click.option("--all-windows", "every", is_flag=True, help="Tell each window, not stretches of them.")
_number = click.argument("number", metavar="ID", type=int)


@click.group()
def backfill() -> None:
    """Fills past windows of jobs, oldest first: exactly what a plan says.

    \b
    Examples:
      opsconsole backfill plan reporting.daily_report --from 2026-01-01 --to 2026-01-31
      opsconsole backfill apply 12 --wait
      opsconsole backfill windows reporting.daily_report
    """


@backfill.command()
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@_since
@_until
@_only
@_stops
@_all_windows
@json_option
@click.pass_obj
def plan(
    options: Options,
    jobs: tuple[str, ...],
    since: str,
    until: str,
    only: str,
    stops: bool,
    every: bool,
    as_json: bool,
) -> None:
    """Says which windows would be run or skipped and why, and keeps that as a plan to apply. Nothing is run."""
    with open_service(settings_of(options)) as service:
        number = _planned(service, jobs, since, until, only, stops=stops)
        if as_json:
            printing.as_json(filled.document(service, number))
        else:
            filled.tell_plan(service, number, every=every)
            click.echo(f"apply it with `opsconsole backfill apply {number}`")


@backfill.command()
@click.argument("number", metavar="PLAN", type=int)
@yes_option
@_wait
@json_option
@click.pass_obj
def apply(options: Options, number: int, yes: bool, wait: bool, as_json: bool) -> None:
    """Does what was planned, or refuses naming what has changed since.

    Exit codes with --wait: 0 every window is done, 3 some failed or did in part, 1 all failed, or it was cancelled or
    paused, 4 refused.
    """
    from opsconsole.service import confirmations as guard

    with open_service(settings_of(options), note=wait) as service:
        environment = service.settings.console.environment
        # A plan was looked at already; in production somebody has to mean it all the same.
        ask = require_yes if environment.lower() in guard.PRODUCTION else confirm
        ask(_question(service, number, environment), yes=yes)
        _carry(service, number, service.backfills.apply(number), wait=wait, as_json=as_json)


@backfill.command()
@click.argument("jobs", metavar="JOB...", nargs=-1, required=True)
@_since
@_until
@_only
@_stops
@_all_windows
@yes_option
@_wait
@json_option
@click.pass_obj
def run(
    options: Options,
    jobs: tuple[str, ...],
    since: str,
    until: str,
    only: str,
    stops: bool,
    every: bool,
    yes: bool,
    wait: bool,
    as_json: bool,
) -> None:
    """Plans, asks, and applies the plan.

    Exit codes with --wait: 0 every window is done, 3 some failed or did in part, 1 all failed, or it was cancelled or
    paused, 4 refused.
    """
    with open_service(settings_of(options), note=wait) as service:
        number = _planned(service, jobs, since, until, only, stops=stops)
        if not as_json:
            filled.tell_plan(service, number, every=every)
        if service.backfills.get(number).to_run:
            require_yes(_question(service, number, service.settings.console.environment), yes=yes)
        _carry(service, number, service.backfills.apply(number), wait=wait, as_json=as_json)


@backfill.command()
@_number
@note_option
@json_option
@click.pass_obj
def pause(options: Options, number: int, note: str, as_json: bool) -> None:
    """Begins no further window of a backfill; one that goes on is finished."""
    with open_service(settings_of(options)) as service:
        command = service.backfills.pause(number, note=note)
        outcome = carrying.settled(service, command)
        _tell(service, number, command, outcome.done, as_json=as_json)


@backfill.command()
@_number
@_wait
@json_option
@click.pass_obj
def resume(options: Options, number: int, wait: bool, as_json: bool) -> None:
    """Does what a backfill has not done: it was paused or cancelled, or windows failed.

    With --wait it also follows a backfill that goes on, and carries it out here while nobody leads.
    """
    from opsconsole.rules.backfill_status import BackfillState

    with open_service(settings_of(options), note=wait) as service:
        found = service.backfills.get(number)
        if wait and found.state is BackfillState.RUNNING and found.command is not None:
            command = found.command
        else:
            command = service.backfills.resume(number)
        _carry(service, number, command, wait=wait, as_json=as_json)


@backfill.command()
@_number
@click.option("--wait", is_flag=True, help="Until nothing of it goes on.")
@note_option
@yes_option
@json_option
@click.pass_obj
def cancel(options: Options, number: int, wait: bool, note: str, yes: bool, as_json: bool) -> None:
    """Begins nothing more of a backfill, and ends its runs when their batches in flight are done.

    What it has done stays done, and `opsconsole backfill resume ID` does the rest.
    """
    with open_service(settings_of(options)) as service:
        found = service.backfills.get(number)
        confirm(f"End backfill {number}? It has done {found.ended:,} of {filled.windows(found.to_run)}.", yes=yes)
        command = service.backfills.cancel(number, note=note)
        outcome = carrying.answer(service, command)
        if outcome is None or wait:
            # Also with a leader: it may go before the last run has ended.
            with carrying.leading_for(service, command) as engine:
                outcome = carrying.carried_out(service, engine, command)
                if service.backfills.wait_for(number, END_SECONDS) is None:
                    raise NotEnded(f"a run of backfill {number} has not ended within {END_SECONDS:g} s")
        _tell(service, number, command, outcome.done, as_json=as_json)


@backfill.command("list")
@click.option("-n", "count", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@json_option
@click.pass_obj
def list_(options: Options, count: int, as_json: bool) -> None:
    """Lists the newest backfills, plans that were not applied included."""
    with open_service(settings_of(options)) as service:
        found = service.backfills.newest(limit=count)
    if as_json:
        printing.as_json([filled.facts(each) for each in found])
        return
    if not found:
        click.echo("no backfills yet; `opsconsole backfill plan JOB --from D --to D` says what one would do")
        return
    printing.table(
        ("ID", "STATE", "JOBS", "FROM", "TO", "ONLY", "WINDOWS", "BY", "MADE", "TOOK"),
        [
            (
                each.id,
                each.state,
                ", ".join(each.jobs),
                each.since,
                each.until,
                each.only,
                filled.progress(each),
                each.asked_by,
                printing.local(each.created_at),
                duration(took) if (took := filled.time_taken(each)) else "-",
            )
            for each in found
        ],
        right=(0,),
    )


@backfill.command()
@_number
@click.option("--windows", "every", is_flag=True, help="Tell each window, not stretches of them.")
@json_option
@click.pass_obj
def show(options: Options, number: int, every: bool, as_json: bool) -> None:
    """Shows one backfill: how far it is, and what became of its windows."""
    with open_service(settings_of(options)) as service:
        if as_json:
            printing.as_json(filled.document(service, number))
            return
        found, steps = service.backfills.get(number), service.backfills.steps(number)
        tz = str(service.queries.zone(found.jobs[0]))
    click.echo(filled.sentence(found))
    asked = f"planned {printing.local(found.created_at, tz)} by {found.asked_by}"
    click.echo(asked + (f", began {printing.local(found.began_at, tz)}" if found.began_at else ""))
    if found.note:
        click.echo(safe(found.note))
    if every:
        filled.tell_steps(steps)
        return
    for job in found.jobs:
        mine = [view for view in steps if view.step.job == job]
        click.echo(f"{job}:")
        for states in filled.stretches((view.step.window.label, view.state) for view in mine):
            click.echo(f"  {states}")


@backfill.command()
@click.argument("job")
@click.option("--from", "since", metavar="D", help="From this date on; 53 weeks ago if nothing is said.")
@click.option("--to", "until", metavar="D", help="Up to and with this date; today if nothing is said.")
@json_option
@click.pass_obj
def windows(options: Options, job: str, since: str | None, until: str | None, as_json: bool) -> None:
    """Shows in which state a job's past windows are: fresh, stale, partial, failed, missing, running or not due."""
    from opsconsole.service import backfills as calendar

    first = calendar.dates(since, since)[0] if since else None
    last = calendar.dates(until, until)[0] if until else None
    with open_service(settings_of(options)) as service:
        found = service.backfills.windows(job, first, last)
        tz, name = str(service.queries.zone(job)), service.catalog.find(job).name
    counts = Counter(str(seen.state) for seen in found)
    if as_json:
        each = [filled.window_facts(seen) for seen in found]
        printing.as_json({"job": name, "tz": tz, "counts": counts, "windows": each})
        return
    click.echo(f"{name} ({tz}): {', '.join(f'{n:,} {state}' for state, n in counts.most_common())}")
    for stretch in filled.stretches((seen.window.label, str(seen.state)) for seen in found):
        click.echo(f"  {stretch}")


# --- asking and following -------------------------------------------------------------------------------------------


def _planned(service: Service, jobs: Sequence[str], since: str, until: str, only: str, *, stops: bool) -> int:
    from opsconsole.rules.backfill import Only
    from opsconsole.service import backfills as calendar

    first, last = calendar.dates(since, until)
    with _looking() as looking:
        return service.backfills.plan(jobs, first, last, only=Only(only), stops=stops, looking=looking)


def _question(service: Service, number: int, environment: str) -> str:
    found = service.backfills.get(number)
    where = f" in {environment}" if environment else ""
    return f"Run {filled.windows(found.to_run)} of {', '.join(found.jobs)}, {found.since} to {found.until}{where}?"


def _carry(service: Service, number: int, command: int, *, wait: bool, as_json: bool) -> None:
    """Follows what was asked for about a backfill: until somebody has begun it, or with `wait` to its end."""
    if not wait:
        outcome = carrying.answer(service, command)
        if outcome is None:
            carrying.nobody_leads(command)
        done = f"{outcome.done}; `opsconsole backfill show {number}` tells how it goes" if outcome else None
        _tell(service, number, command, done, as_json=as_json)
        return
    ended = _followed(service, number, command)
    if as_json:
        printing.as_json(filled.document(service, number))
    else:
        filled.tell_ended(ended, service.backfills.steps(number))
    sys.exit(_exit_code(ended))


def _followed(service: Service, number: int, command: int | None) -> Backfill:
    """Waits until nothing of a backfill goes on; while nobody else leads, this process carries it out."""
    ended: Backfill | None = None
    while ended is None:
        assert command is not None  # noqa: S101 - whatever was begun was asked for
        with carrying.leading_for(service, command) as engine, _bar(f"backfill {number}", "windows") as bar:
            try:
                carrying.carried_out(service, engine, command)
                while (ended := service.backfills.wait_for(number, LOOK_SECONDS)) is None:
                    found = service.backfills.get(number)
                    bar(found.ended, found.to_run, _going_on(service, found) if bar.is_shown else "")
                    if found.command != command:
                        # Somebody paused and resumed it: it belongs to another command now, and so do its runs.
                        command = found.command
                        break
            except KeyboardInterrupt:
                told = f"backfill {number} goes on when somebody leads; `opsconsole backfill cancel {number}` ends it"
                click.echo(told, err=True)
                raise
    return ended


def _going_on(service: Service, found: Backfill) -> str:
    from opsconsole.authoring.run import LIVE

    mine = [run for run in service.queries.runs(limit=AT_ONCE, states=LIVE) if run.command == found.command]
    return ", ".join(f"{run.job} {run.window.label}" for run in reversed(mine))


@dataclass
class _Bar:
    """Shows on a terminal how many of how many are done, and about what it is now."""

    _update: Any = None
    _began: tuple[int, float] | None = None

    @property
    def is_shown(self) -> bool:
        return self._update is not None

    def __call__(self, done: int, of: int, now: str) -> None:
        if self._update is None:
            return
        self._began = self._began or (done, time.monotonic())
        more, seconds = done - self._began[0], time.monotonic() - self._began[1]
        rate = f"{more / seconds:.1f}/s" if more else ""
        self._update(completed=done, total=of or None, now=now, rate=rate)


@contextmanager
def _bar(title: str, what: str) -> Iterator[_Bar]:
    if not sys.stderr.isatty():
        yield _Bar()
        return
    from functools import partial

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn(f"{what} {{task.fields[rate]}} {{task.fields[now]}}", markup=False),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(title, total=None, now="", rate="")
        yield _Bar(partial(shown.update, task))


@contextmanager
def _looking() -> Iterator[Looking]:
    """Shows on a terminal how many windows have been looked at before a plan is made."""
    with _bar("looking", "windows") as bar:
        yield lambda job, done, of: bar(done, of, job)


def _exit_code(ended: Backfill) -> Exit:
    from opsconsole.rules.backfill import StepState
    from opsconsole.rules.backfill_status import BackfillState

    if ended.state is not BackfillState.DONE:
        return Exit.FAILED
    done, partly = (ended.counts.get(state, 0) for state in (StepState.DONE, StepState.PARTIAL))
    if done == ended.to_run:
        return Exit.DONE
    return Exit.ITEMS_FAILED if done or partly else Exit.FAILED


def _tell(service: Service, number: int, command: int, done: str | None, *, as_json: bool) -> None:
    if as_json:
        printing.as_json({**filled.document(service, number), "command": command, "done": done})
    elif done is not None:
        click.echo(done)
