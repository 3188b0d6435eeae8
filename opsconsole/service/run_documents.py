"""Runs as JSON."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from opsconsole.authoring.run import Run, RunState, Selection, Stop, StopReason, Trigger
from opsconsole.core.times import utc
from opsconsole.rules.admission import WaitReason
from opsconsole.service.documents import Document, Time
from opsconsole.service.run_details import RunPage
from opsconsole.store.failed_items import FailedItem
from opsconsole.store.logs import LogLine


class RunSummary(Document, frozen=True, kw_only=True):
    """The result of a run. `seconds` is its duration, once it has ended."""

    id: int
    job: str
    window: str
    state: RunState
    planned: int
    ok: int
    failed: int
    skipped: int
    not_reached: int
    seconds: float | None
    metrics: dict[str, int | float]


class StopDocument(Document, frozen=True, kw_only=True):
    """A request that a run ends."""

    reason: StopReason
    requested_by: str
    requested_at: Time | None
    force_at: Time | None
    note: str
    replaced_by: int | None


class RunDocument(RunSummary, frozen=True, kw_only=True):
    """A run. `as_of` is the time until which its data counts; `attempt` counts its starts, `recoveries` those after a
    leader had died; `params` are those that an operator gave; with `keys_removed`, the keys of the items that did not
    fail are no longer kept.
    """

    trigger: Trigger
    selection: Selection
    requested_by: str
    parent: int | None
    attempt: int
    params: dict[str, Any]
    recoveries: int
    keys_removed: bool
    host: str | None
    as_of: Time | None
    created_at: Time | None
    started_at: Time | None
    ended_at: Time | None
    stop: StopDocument | None
    error: str | None


class WaitDocument(Document, frozen=True, kw_only=True):
    """What a queued run waits for."""

    reason: WaitReason
    run: int | None
    job: str | None
    window: str | None


class CauseDocument(Document, frozen=True, kw_only=True):
    """The failures of one kind: the first message, how many there are, and some of the items."""

    kind: str
    message: str
    count: int
    items: tuple[str, ...]


class LogLineDocument(Document, frozen=True, kw_only=True):
    """A line of a run's log."""

    at: Time | None
    line: str


class RunDetails(RunDocument, frozen=True, kw_only=True):
    """A run with the causes of its failures, most frequent first, and the newest lines of its log."""

    retried_by: tuple[int, ...]
    waiting_for: WaitDocument | None
    causes: tuple[CauseDocument, ...]
    log: tuple[LogLineDocument, ...]


class FailedItemDocument(Document, frozen=True, kw_only=True):
    """An item that failed; kind and message are kept of the first hundred of a run."""

    item: str
    batch: int
    kind: str | None
    message: str | None


def run_summary(run: Run) -> RunSummary:
    counts = run.counts
    return RunSummary(
        id=run.id,
        job=run.job,
        window=run.window.label,
        state=run.state,
        planned=counts.planned,
        ok=counts.ok,
        failed=counts.failed,
        skipped=counts.skipped,
        not_reached=counts.not_reached,
        seconds=run.seconds,
        metrics=dict(run.metrics),
    )


def run_document(run: Run) -> RunDocument:
    return RunDocument(
        **structs.asdict(run_summary(run)),
        trigger=run.trigger,
        selection=run.selection,
        requested_by=run.requested_by,
        parent=run.parent,
        attempt=run.attempt,
        params=dict(run.params),
        recoveries=run.recoveries,
        keys_removed=run.keys_removed,
        host=run.host,
        as_of=utc(run.as_of),
        created_at=utc(run.created_at),
        started_at=utc(run.started_at),
        ended_at=utc(run.ended_at),
        stop=None if run.stop is None else _stop(run.stop),
        error=run.error,
    )


def run_details(page: RunPage) -> RunDetails:
    """A run with its failures and its log."""
    run, wait = page.progress.run, page.progress.waits
    return RunDetails(
        **structs.asdict(run_document(run)),
        retried_by=page.retried_by,
        waiting_for=None
        if wait is None
        else WaitDocument(reason=wait.reason, run=wait.run, job=wait.job, window=wait.window),
        causes=tuple(
            CauseDocument(kind=each.kind, message=each.message, count=each.count, items=each.items)
            for each in page.causes
        ),
        log=tuple(LogLineDocument(at=utc(at), line=line) for at, line in page.log),
    )


def _stop(stop: Stop) -> StopDocument:
    return StopDocument(
        reason=stop.reason,
        requested_by=stop.by,
        requested_at=utc(stop.at),
        force_at=utc(stop.force_at),
        note=stop.note,
        replaced_by=stop.run,
    )


def log_line(line: LogLine) -> LogLineDocument:
    """A line of a run's log."""
    return LogLineDocument(at=utc(line.at), line=line.line)


def failed_item(failed: FailedItem) -> FailedItemDocument:
    return FailedItemDocument(item=failed.item, batch=failed.batch, kind=failed.kind, message=failed.message)
