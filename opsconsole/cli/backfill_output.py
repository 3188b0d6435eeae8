"""How backfills and their windows are told: in lines for people, in documents for programs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from opsconsole.cli import output as printing
from opsconsole.core.humanize import duration

if TYPE_CHECKING:
    from opsconsole.rules.backfill import WindowStatus
    from opsconsole.rules.backfill_status import Backfill, StepView
    from opsconsole.service.service import Service

STRETCHES = 20
"""So many stretches of windows that were not done are told."""
_SOME_STALE = re.compile(r"[\d,]+ items are stale")
_MEANT = {
    "missing": "only what is missing",
    "stale": "only what is stale",
    "failed": "only what failed, wholly or in part",
    "all": "all windows",
}


def tell_plan(service: Service, number: int, *, every: bool) -> None:
    """Tells what a plan would run and skip and why, in stretches or with `every` window; warnings on standard error."""
    found, steps = service.backfills.get(number), service.backfills.steps(number)
    click.echo(f"plan {number}: {found.since} to {found.until}, {_MEANT[found.only]}")
    if every:
        tell_steps(steps)
    else:
        for job in found.jobs:
            mine = [view.step for view in steps if view.step.job == job]
            to_run = sum(step.runs for step in mine)
            click.echo(f"{job}: {to_run:,} run, {len(mine) - to_run:,} skip")
            for runs, some in groupby(mine, key=lambda step: step.runs):
                for stretch in stretches((step.window.label, _kind(step.why)) for step in some):
                    click.echo(f"  {'run ' if runs else 'skip'}  {stretch}")
    overwritten = sum(view.step.overwrites for view in steps)
    told = f"{found.to_run:,} run, {len(steps) - found.to_run:,} skip; {found.items:,} items; {_estimate(found)}"
    click.echo(f"{told}; overwrites {windows(overwritten) if overwritten else 'nothing'}")
    for warning in service.backfills.warnings(number):
        click.echo(f"warning: {warning}", err=True)


def tell_steps(steps: Sequence[StepView]) -> None:
    """Tells each window of a backfill."""
    printing.table(
        ("JOB", "WINDOW", "STATE", "ITEMS", "RUN", "WHY"),
        [
            (
                view.step.job,
                view.step.window.label,
                view.state,
                f"{view.step.items:,}",
                view.run or "-",
                view.step.why,
            )
            for view in steps
        ],
        right=(3, 4),
    )


def tell_ended(ended: Backfill, steps: Sequence[StepView]) -> None:
    """Tells what came of a backfill, which windows were not done, and what to do about them."""
    from opsconsole.rules.backfill import StepState

    click.echo(sentence(ended))
    undone = [view for view in steps if view.state not in (StepState.DONE, StepState.SKIPPED)]
    told = [
        f"{job}  {stretch}"
        for job in ended.jobs
        for stretch in stretches((view.step.window.label, view.state) for view in undone if view.step.job == job)
    ]
    for line in told[:STRETCHES]:
        click.echo(f"  {line}")
    if len(told) > STRETCHES:
        click.echo(f"  and {len(told) - STRETCHES:,} more stretches")
    if undone:
        runs = [view.run for view in undone if view.run is not None]
        why = f"`opsconsole show {runs[0]}` says why, and " if runs else ""
        click.echo(f"{why}`opsconsole backfill resume {ended.id} --wait` does what is not done")


def sentence(found: Backfill) -> str:
    """What came of a backfill so far, in one line."""
    took = time_taken(found)
    about = f"{', '.join(found.jobs)} {found.since} to {found.until}"
    told = f"backfill {found.id} {about}: {found.state}, {progress(found, ' windows')}"
    return told + (f" in {duration(took)}" if took else "")


def progress(found: Backfill, what: str = "") -> str:
    """`29 of 30 windows, 1 partial`, with ` windows` for `what`."""
    from opsconsole.rules.backfill import StepState

    bad = [
        f", {n:,} {state}"
        for state in (StepState.PARTIAL, StepState.FAILED, StepState.CANCELLED)
        if (n := found.counts.get(state, 0))
    ]
    return f"{found.counts.get(StepState.DONE, 0):,} of {found.to_run:,}{what}" + "".join(bad)


def time_taken(found: Backfill) -> timedelta | None:
    """From its beginning to its end; None until then."""
    return found.ended_at - found.began_at if found.began_at and found.ended_at else None


def stretches(labelled: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Windows that follow each other and are alike, as one: `2026-02-03 to 2026-02-06: 4 windows, all missing`."""
    for kind, some in groupby(labelled, key=lambda pair: pair[1]):
        labels = [label for label, _ in some]
        if len(labels) == 1:
            yield f"{labels[0]}: {kind}"
        else:
            yield f"{labels[0]} to {labels[-1]}: {windows(len(labels))}, all {kind}"


def windows(n: int) -> str:
    """`1 window`."""
    return "1 window" if n == 1 else f"{n:,} windows"


def _estimate(found: Backfill) -> str:
    if not found.to_run:
        return "no time"
    return "time not known yet" if found.seconds is None else f"about {duration(timedelta(seconds=found.seconds))}"


def _kind(why: str) -> str:
    """Why a window is run or skipped, without what differs from window to window."""
    return "stale" if _SOME_STALE.fullmatch(why) else why.removeprefix("it is ")


# --- for programs ---------------------------------------------------------------------------------------------------


def document(service: Service, number: int) -> dict[str, Any]:
    """A backfill with all its windows, as programs read it."""
    steps = service.backfills.steps(number)
    return {
        **facts(service.backfills.get(number)),
        "overwrites": sum(view.step.overwrites for view in steps),
        "warnings": service.backfills.warnings(number),
        "windows": [_step_facts(view) for view in steps],
    }


def facts(found: Backfill) -> dict[str, Any]:
    """A backfill as programs read it."""
    from opsconsole.rules.backfill import StepState

    took = time_taken(found)
    return {
        "id": found.id,
        "state": found.state,
        "jobs": found.jobs,
        "from": found.since,
        "to": found.until,
        "only": found.only,
        "stop_on_failure": found.stops,
        "asked_by": found.asked_by,
        "command": found.command,
        "created": printing.utc(found.created_at),
        "began": printing.utc(found.began_at),
        "ended": printing.utc(found.ended_at),
        "seconds": took.total_seconds() if took else None,
        "note": found.note,
        "run": found.to_run,
        "skip": found.counts.get(StepState.SKIPPED, 0),
        "counts": {state: n for state, n in found.counts.items() if state is not StepState.SKIPPED},
        "items": found.items,
        "estimated_seconds": found.seconds,
    }


def window_facts(seen: WindowStatus) -> dict[str, Any]:
    """A window of a job's data as programs read it."""
    return {
        "window": seen.window.label,
        "start": printing.utc(seen.window.start),
        "end": printing.utc(seen.window.end),
        "state": seen.state,
        "run": seen.open_run or seen.known.run,
        "items": seen.known.items,
        "seconds": seen.known.seconds,
        "stale": seen.known.stale,
        "looked_at": printing.utc(seen.known.looked_at),
    }


def _step_facts(view: StepView) -> dict[str, Any]:
    step = view.step
    return {
        "job": step.job,
        "window": step.window.label,
        "start": printing.utc(step.window.start),
        "end": printing.utc(step.window.end),
        "action": "run" if step.runs else "skip",
        "why": step.why,
        "selection": step.selection,
        "items": step.items,
        "estimated_seconds": step.seconds,
        "overwrites": step.overwrites,
        "state": view.state,
        "run": view.run,
    }
