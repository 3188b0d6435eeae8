"""The tables that pages export, with the names of the command line's JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from opsconsole.core.times import utc
from opsconsole.rules.backfill import WindowStatus
from opsconsole.rules.backfill_status import Backfill, StepView
from opsconsole.service.snapshot import AlertCard, JobCard, JobHistory, PanelView, Run
from screens.exports import Table

JOBS = (
    *("job", "schedule", "cron", "tz", "next_at", "last_run", "last_state", "last_started_at", "last_seconds"),
    *("last_failed", "usual_seconds", "success_24h", "success_7d", "success_30d"),
)
RUNS = (
    *("id", "job", "window", "state", "trigger", "requested_by", "created_at", "started_at", "ended_at", "seconds"),
    *("planned", "ok", "failed", "skipped", "not_reached", "error"),
)
ALERTS = ("id", "rule", "subject", "severity", "state", "message", "since", "resolved_at", "job", "run", "cause", "by")
BACKFILLS = ("id", "state", "jobs", "from", "to", "only", "requested_by", "created_at", "ended_at", "to_run", "ended")
STEPS = ("job", "window", "state", "reason", "items", "run")
WINDOWS = ("job", "window", "start", "end", "state", "open_run")
PANELS = ("pack", "panel", "row", "column", "value")


def jobs(cards: Iterable[JobCard], histories: Iterable[JobHistory]) -> Table:
    """A row for each job."""
    known = {history.job: history for history in histories}
    rows = []
    for card in cards:
        last, history = card.last, known.get(card.name)
        ended = (last.id, last.state.value, utc(last.started_at), last.seconds, last.counts.failed) if last else ()
        rates = history.rates if history is not None else None
        rows.append(
            (
                *(card.name, card.words, card.cron, card.tz, utc(card.next_at)),
                *(ended or (None,) * 5),
                history.usual_seconds if history is not None else None,
                *((rates.day, rates.week, rates.month) if rates is not None else (None,) * 3),
            )
        )
    return Table(JOBS, rows)


def runs(listed: Iterable[Run]) -> Table:
    """A row for each run."""
    return Table(
        RUNS,
        [
            (
                *(run.id, run.job, run.window.label, run.state.value, run.trigger.value, run.requested_by),
                *(utc(run.created_at), utc(run.started_at), utc(run.ended_at), run.seconds),
                *(run.counts.planned, run.counts.ok, run.counts.failed, run.counts.skipped, run.counts.not_reached),
                run.error,
            )
            for run in listed
        ],
    )


def alerts(cards: Iterable[AlertCard]) -> Table:
    """A row for each alert; `by` acknowledged it."""
    return Table(
        ALERTS,
        [
            (
                *(card.alert.id, card.alert.rule.value, card.alert.subject, card.alert.severity.name.lower()),
                *(card.state.value, card.alert.message, utc(card.alert.since), utc(card.alert.resolved_at)),
                *(card.alert.job, card.alert.run, card.alert.cause),
                card.acknowledged.who if card.acknowledged is not None else None,
            )
            for card in cards
        ],
    )


def backfills(listed: Iterable[Backfill]) -> Table:
    """A row for each backfill."""
    return Table(
        BACKFILLS,
        [
            (
                *(each.id, each.state.value, " ".join(each.jobs), each.since, each.until, str(each.only)),
                *(each.requested_by, utc(each.created_at), utc(each.ended_at), each.to_run, each.ended),
            )
            for each in listed
        ],
    )


def steps(views: Iterable[StepView]) -> Table:
    """A row for each window of a backfill."""
    return Table(
        STEPS,
        [
            (each.step.job, each.step.window.label, each.state.value, each.step.reason.value, each.step.items, each.run)
            for each in views
        ],
    )


def windows(job: str, statuses: Iterable[WindowStatus]) -> Table:
    """A row for each window of a job."""
    return Table(
        WINDOWS,
        [
            (job, each.window.label, utc(each.window.start), utc(each.window.end), each.state.value, each.open_run)
            for each in statuses
        ],
    )


def panels(views: Sequence[PanelView]) -> Table:
    """A row for each fact and each cell of a pack's panels; `row` is empty for a fact."""
    rows: list[tuple[str, str, int | None, str, str]] = []
    for view in views:
        content = view.content
        rows += [(view.pack, view.title, None, name, value) for name, value in content.facts]
        for number, cells in enumerate(content.rows, 1):
            pairs = zip(content.columns, cells, strict=False)
            rows += [(view.pack, view.title, number, column, value) for column, value in pairs]
    return Table(PANELS, rows)
