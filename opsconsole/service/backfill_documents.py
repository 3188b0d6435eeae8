"""Backfills and windows as JSON."""

from __future__ import annotations

import msgspec

from opsconsole.authoring.run import Selection
from opsconsole.core.times import utc
from opsconsole.rules.backfill import StepReason, StepState, WindowState, WindowStatus
from opsconsole.rules.backfill_status import Backfill, BackfillState, BackfillStop, StepView
from opsconsole.service.backfills import Backfills
from opsconsole.service.documents import Document, Time


class BackfillDocument(Document, frozen=True, kw_only=True):
    """A backfill. `counts` are its windows by state, but for `to_skip`; `items` and `estimated_seconds` are what was
    estimated when it was planned.
    """

    id: int
    state: BackfillState
    jobs: tuple[str, ...]
    from_: str = msgspec.field(name="from")
    to: str
    only: str
    newest_first: bool
    at_once: int | None
    stop_on_failure: bool
    requested_by: str
    command: int | None
    created_at: Time | None
    started_at: Time | None
    ended_at: Time | None
    seconds: float | None
    stop: BackfillStop | None
    to_run: int
    to_skip: int
    counts: dict[StepState, int]
    items: int
    estimated_seconds: float | None


class StepDocument(Document, frozen=True, kw_only=True):
    """A window of a backfill: what is planned for it and why, its state and its run."""

    job: str
    window: str
    start: Time | None
    end: Time | None
    action: str
    reason: StepReason
    stale: int | None
    open_run: int | None
    selection: Selection
    items: int
    estimated_seconds: float | None
    overwrites: bool
    state: StepState
    run: int | None


class BackfillDetails(BackfillDocument, frozen=True, kw_only=True):
    """A backfill with all its windows. `overwrites` counts those that have data; `warnings` are sentences."""

    overwrites: int
    warnings: tuple[str, ...]
    windows: tuple[StepDocument, ...]


class WindowDocument(Document, frozen=True, kw_only=True):
    """A window of a job."""

    window: str
    start: Time | None
    end: Time | None
    state: WindowState
    run: int | None
    items: int | None
    seconds: float | None
    stale: int | None
    checked_at: Time | None


def backfill_document(backfill: Backfill) -> BackfillDocument:
    """A backfill without its windows."""
    took = backfill.ended_at - backfill.started_at if backfill.started_at and backfill.ended_at else None
    return BackfillDocument(
        id=backfill.id,
        state=backfill.state,
        jobs=backfill.jobs,
        from_=backfill.since,
        to=backfill.until,
        only=str(backfill.only),
        newest_first=backfill.order.newest_first,
        at_once=backfill.order.at_once,
        stop_on_failure=backfill.stop_on_failure,
        requested_by=backfill.requested_by,
        command=backfill.command,
        created_at=utc(backfill.created_at),
        started_at=utc(backfill.started_at),
        ended_at=utc(backfill.ended_at),
        seconds=took.total_seconds() if took else None,
        stop=backfill.stop,
        to_run=backfill.to_run,
        to_skip=backfill.counts.get(StepState.SKIPPED, 0),
        counts={state: n for state, n in backfill.counts.items() if state is not StepState.SKIPPED},
        items=backfill.items,
        estimated_seconds=backfill.seconds,
    )


def backfill_details(backfills: Backfills, number: int) -> BackfillDetails:
    """A backfill with all its windows. Raises UnknownBackfill, Unavailable."""
    steps = backfills.steps(number)
    return BackfillDetails(
        **msgspec.structs.asdict(backfill_document(backfills.get(number))),
        overwrites=sum(view.step.overwrites for view in steps),
        warnings=tuple(backfills.warnings(number)),
        windows=tuple(step_document(view) for view in steps),
    )


def step_document(view: StepView) -> StepDocument:
    """A window of a backfill."""
    step = view.step
    return StepDocument(
        job=step.job,
        window=step.window.label,
        start=utc(step.window.start),
        end=utc(step.window.end),
        action="run" if step.runs else "skip",
        reason=step.reason,
        stale=step.stale,
        open_run=step.open_run,
        selection=step.selection,
        items=step.items,
        estimated_seconds=step.seconds,
        overwrites=step.overwrites,
        state=view.state,
        run=view.run,
    )


def window_document(status: WindowStatus) -> WindowDocument:
    return WindowDocument(
        window=status.window.label,
        start=utc(status.window.start),
        end=utc(status.window.end),
        state=status.state,
        run=status.open_run or status.record.run,
        items=status.record.items,
        seconds=status.record.seconds,
        stale=status.record.stale,
        checked_at=utc(status.record.checked_at),
    )
