"""Reports failed runs to Sentry: their job, window, counts and kinds of failures, and never an item."""

from __future__ import annotations

from opsconsole.authoring.run import Run, RunState
from opsconsole.core import error_reports
from opsconsole.core.humanize import words

LEVELS: dict[RunState, error_reports.Level] = {
    RunState.PARTIAL: "warning",
    RunState.FAILED: "error",
    RunState.TIMED_OUT: "error",
    RunState.ABANDONED: "error",
}


def report(run: Run) -> None:
    """Reports a run that has ended, unless it succeeded or was cancelled."""
    level = LEVELS.get(run.state)
    if level is None:
        return
    counts = run.counts
    failed = f"{counts.failed:,} of {counts.planned:,} items failed" if counts.planned else "no items were planned"
    error_reports.report(
        f"{run.job} {words(run.state)} ({run.window.label}): {failed}",
        level=level,
        tags={"job": run.job, "window": run.window.label, "state": run.state, "trigger": run.trigger},
        facts={
            "run": run.id,
            "planned": counts.planned,
            "ok": counts.ok,
            "failed": counts.failed,
            "not_reached": counts.not_reached,
            "kinds": dict(run.kinds),
        },
        fingerprint=["run", run.job, run.state, *sorted(run.kinds)],
    )
