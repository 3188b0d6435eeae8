"""Runs that have ended: repeats collapse, and a failure that nothing has made good stays at the top."""

from __future__ import annotations

from typing import NamedTuple

from opsconsole.authoring.run import NEEDS_A_LOOK, TERMINAL, Run, Trigger
from opsconsole.service.snapshot import JobHistory
from screens.panels.remembered import remembered


class RunGroup(NamedTuple):
    """Runs of a job that ended in the same way: the newest one, their number, and whether they are a failure that no
    later run has made good.
    """

    newest: Run
    runs: int
    is_unresolved: bool = False


@remembered
def groups(recent: tuple[Run, ...], histories: tuple[JobHistory, ...]) -> list[RunGroup]:
    """The newest runs, collapsed: first the failures that are the newest run of their job, however long ago, then the
    others, newest first. The runs of a backfill are one group for each job.
    """
    newest_of_job = {history.job: history.newest[0] for history in histories if history.newest}
    for run in recent:
        if run.job not in newest_of_job or run.id > newest_of_job[run.job].id:
            newest_of_job[run.job] = run
    runs = {run.id: run for run in (*newest_of_job.values(), *recent) if run.state in TERMINAL}
    found: dict[tuple[object, ...], list[Run]] = {}
    for run in sorted(runs.values(), key=lambda run: run.id, reverse=True):
        found.setdefault((run.job, run.trigger is Trigger.BACKFILL, run.state, run.error), []).append(run)
    shown_ids = {run.id for run in recent}
    all_groups = [RunGroup(each[0], len(each), _is_unresolved(each[0], newest_of_job)) for each in found.values()]
    others = [each for each in all_groups if not each.is_unresolved and each.newest.id in shown_ids]
    return [*(each for each in all_groups if each.is_unresolved), *others]


def _is_unresolved(run: Run, newest_of_job: dict[str, Run]) -> bool:
    return run.state in NEEDS_A_LOOK and newest_of_job[run.job].id == run.id
