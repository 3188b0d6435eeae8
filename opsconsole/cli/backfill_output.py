"""Backfills and their windows, as lines and as JSON documents."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from opsconsole.cli.output import echo, print_table
from opsconsole.core.humanize import count, duration, words
from opsconsole.rules.backfill import StepState
from opsconsole.rules.backfill_status import Backfill, StepView
from opsconsole.service import wording

if TYPE_CHECKING:
    from opsconsole.service.service import Service

MAX_RANGES = 20
"""Ranges of unfinished windows that are printed after a backfill."""


def print_plan(service: Service, number: int, *, each_window: bool) -> None:
    """Prints what a plan would run and skip and why, in ranges or window by window; warnings on standard error."""
    plan, steps = service.backfills.get(number), service.backfills.steps(number)
    order = f", {text}" if (text := wording.order(plan.order)) else ""
    echo(f"plan {number}: {plan.since} to {plan.until}, {wording.only(plan.only)}{order}")
    if each_window:
        print_steps(steps)
    else:
        for job in plan.jobs:
            own = [view.step for view in steps if view.step.job == job]
            to_run = sum(step.runs for step in own)
            echo(f"{job}: {to_run:,} to run, {len(own) - to_run:,} to skip")
            for runs, some in groupby(own, key=lambda step: step.runs):
                for line in ranges((step.window.label, words(step.reason)) for step in some):
                    echo(f"  {'run ' if runs else 'skip'}  {line}")
    overwritten = sum(view.step.overwrites for view in steps)
    total = (
        f"{plan.to_run:,} to run, {len(steps) - plan.to_run:,} to skip; {count(plan.items, 'item')}{_estimate(plan)}"
    )
    echo(f"{total}; overwrites {count(overwritten, 'window') if overwritten else 'nothing'}")
    for warning in service.backfills.warnings(number):
        echo(f"warning: {warning}", err=True)


def print_steps(steps: Sequence[StepView]) -> None:
    """Prints each window of a backfill."""
    print_table(
        ("JOB", "WINDOW", "STATE", "ITEMS", "RUN", "REASON"),
        [
            (
                view.step.job,
                view.step.window.label,
                view.state,
                f"{view.step.items:,}",
                view.run or "-",
                wording.step_reason(view.step, view.state),
            )
            for view in steps
        ],
        right=(3, 4),
    )


def print_result(ended: Backfill, steps: Sequence[StepView]) -> None:
    """Prints the result of a backfill, its unfinished windows, and how to run them."""
    echo(summary(ended))
    undone = [view for view in steps if view.state not in (StepState.DONE, StepState.SKIPPED)]
    lines = [
        f"{job}  {line}"
        for job in ended.jobs
        for line in ranges((view.step.window.label, view.state) for view in undone if view.step.job == job)
    ]
    for line in lines[:MAX_RANGES]:
        echo(f"  {line}")
    if len(lines) > MAX_RANGES:
        echo(f"  and {count(len(lines) - MAX_RANGES, 'more range')}")
    if undone:
        runs = [view.run for view in undone if view.run is not None]
        cause = f"`opsconsole show {runs[0]}` shows the cause, and " if runs else ""
        echo(f"{cause}`opsconsole backfill resume {ended.id} --wait` runs the unfinished windows")


def summary(backfill: Backfill) -> str:
    """The state of a backfill in one line."""
    took = time_taken(backfill)
    about = f"{', '.join(backfill.jobs)} {backfill.since} to {backfill.until}"
    text = f"backfill {backfill.id} {about}: {backfill.state}, {progress(backfill, ' windows')}"
    return text + (f" in {duration(took)}" if took else "")


def progress(backfill: Backfill, unit: str = "") -> str:
    """`29 of 30, 1 partial`; `29 of 30 windows, 1 partial` with ` windows` as the unit."""
    bad = [
        f", {n:,} {state}"
        for state in (StepState.PARTIAL, StepState.FAILED, StepState.CANCELLED)
        if (n := backfill.counts.get(state, 0))
    ]
    return f"{backfill.counts.get(StepState.DONE, 0):,} of {backfill.to_run:,}{unit}" + "".join(bad)


def time_taken(backfill: Backfill) -> timedelta | None:
    """From its start to its end; None until then."""
    return backfill.ended_at - backfill.started_at if backfill.started_at and backfill.ended_at else None


def ranges(labelled: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Joins adjacent windows of one kind: `2026-02-03 to 2026-02-06: 4 windows, all missing`."""
    for kind, some in groupby(labelled, key=lambda pair: pair[1]):
        labels = [label for label, _ in some]
        if len(labels) == 1:
            yield f"{labels[0]}: {kind}"
        else:
            yield f"{labels[0]} to {labels[-1]}: {count(len(labels), 'window')}, all {kind}"


def _estimate(plan: Backfill) -> str:
    if not plan.to_run:
        return ""
    return "; duration unknown" if plan.seconds is None else f"; about {duration(plan.seconds)}"


def document(service: Service, number: int) -> dict[str, Any]:
    """A backfill with all its windows, as JSON."""
    from opsconsole.service.backfill_documents import backfill_details  # loads the service

    found: dict[str, Any] = msgspec.to_builtins(backfill_details(service.backfills, number))
    return found
