"""`retry`: runs failed items again, of one run or of all matching runs."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from opsconsole.authoring.run import NEEDS_A_LOOK, Run, RunState
from opsconsole.cli.commands import Command
from opsconsole.cli.commands.run import follow
from opsconsole.cli.completion import complete_failed_run, complete_job
from opsconsole.cli.exit_codes import WAITING
from opsconsole.cli.following import exit_code, follow_run, leading, outcome_of, print_waiting, wait_for_outcome
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, print_table, run_document, run_sentence
from opsconsole.cli.prompts import (
    check_order,
    dry_run_option,
    json_option,
    past_time,
    require_yes,
    the_run,
    wait_option,
    yes_option,
)
from opsconsole.cli.session import open_service
from opsconsole.core.clock import now
from opsconsole.core.errors import Exit
from opsconsole.core.humanize import count, timestamp
from opsconsole.rules.actions import NoRunToRetry
from opsconsole.rules.run_search import RunSearch
from opsconsole.service.wording import number_of_runs

if TYPE_CHECKING:
    from opsconsole.service.service import Service

MAX_LISTED = 20
"""Ended runs that are printed one by one."""


@click.command(
    "retry",
    cls=Command,
    exit_codes=WAITING | {Exit.REFUSED: "nothing to retry, or the window already has an active run"},
)
@click.argument("words", metavar="[RUN | FILTER...]", nargs=-1, shell_complete=complete_failed_run)
@click.option("--job", metavar="JOB", shell_complete=complete_job, help="Retry runs of this job.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in NEEDS_A_LOOK]),
    help="Retry runs in this state. Repeatable.",
)
@click.option("--since", metavar="TIME", help="Retry runs created at or after this time; 7d means seven days ago.")
@click.option("--until", metavar="TIME", help="Retry runs created before this time.")
@click.option("--all", "everything", is_flag=True, help="Retry all items, not only the failed ones.")
@wait_option
@dry_run_option
@yes_option
@json_option
@click.pass_obj
def command(
    options: Options,
    words: tuple[str, ...],
    job: str | None,
    states: tuple[str, ...],
    since: str | None,
    until: str | None,
    everything: bool,
    wait: bool,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Retry the failed items of one run, or of all matching runs.

    Each retry is a new run of the same window. FILTER is a filter of `opsconsole runs`, such as `failed yesterday`. If
    you also give options, a run must match all of them. Matching runs are counted before you confirm, without those
    that were retried already.

    \b
    Examples:
      opsconsole retry 41 --wait
      opsconsole retry cache_day failed since 2h --yes
      opsconsole retry --job attempts.cache_day --state failed --since 7d --dry-run
    """
    run_number = the_run(words)
    has_options = bool(states) or any(option is not None for option in (job, since, until))
    if has_options == (run_number is not None) and not (words and run_number is None):
        raise click.UsageError("give either a run number, or a filter, --job, --state, --since or --until")
    with open_service(load_settings(options), waits=wait) as service:
        if run_number is not None and dry_run:
            items = _items(service.queries.run(run_number), everything=everything)
            if as_json:
                print_json({"run": run_number, "items": items})
            else:
                echo(f"would retry {count(items, 'item')} of run {run_number}")
        elif run_number is not None:
            follow(service, service.commands.retry(run_number, everything=everything), wait=wait, as_json=as_json)
        else:
            place, at = service.queries.zone(job), now()
            only = RunSearch(
                jobs=(service.catalog.find(job).name,) if job is not None else None,
                states=tuple(RunState(state) for state in states) or None,
                since=past_time("--since", since, place, at),
                until=past_time("--until", until, place, at),
            )
            check_order(only.since, only.until)
            typed = " ".join(words)
            runs = service.history.retryable(service.history.parsed(typed).limited_to(only))
            if dry_run:
                _print_matching(runs, everything=everything, as_json=as_json)
            else:
                conditions = {"q": typed, "job": job, "state": list(states), "since": since, "until": until}
                matching = {name: value for name, value in conditions.items() if value}
                _retry_matching(service, runs, matching, everything=everything, wait=wait, yes=yes, as_json=as_json)


def _print_matching(runs: list[Run], *, everything: bool, as_json: bool) -> None:
    items = {run.id: _items(run, everything=everything) for run in runs}
    if as_json:
        documents = [{**run_document(run), "items": items[run.id]} for run in runs]
        print_json({"runs": documents, "items": sum(items.values())})
        return
    if runs:
        print_table(
            ("RUN", "JOB", "WINDOW", "STATE", "ITEMS", "CREATED"),
            [
                (run.id, run.job, run.window.label, run.state, f"{items[run.id]:,}", timestamp(run.created_at))
                for run in runs
            ],
            right=(0, 4),
        )
    echo(f"would retry {_amount(runs, everything=everything)}")


def _retry_matching(
    service: Service,
    runs: list[Run],
    matching: Mapping[str, object],
    *,
    everything: bool,
    wait: bool,
    yes: bool,
    as_json: bool,
) -> None:
    if not runs:
        raise NoRunToRetry
    require_yes(f"Retry {_amount(runs, everything=everything)}?", yes=yes)
    number = service.commands.retry_runs([run.id for run in runs], everything=everything, matching=matching)
    if wait:
        with leading(service, number) as engine:
            made = wait_for_outcome(service, engine, number).runs
            ended = [follow_run(service, run) for run in made]
        if as_json:
            print_json({"command": number, "state": "done", "runs": [run_document(run) for run in ended]})
        else:
            _print_ended(ended)
        sys.exit(exit_code(ended))
    outcome = outcome_of(service, number)
    if outcome is None:
        print_waiting(number)
    if as_json:
        documents = [run_document(service.queries.run(run)) for run in outcome.runs] if outcome else []
        print_json({"command": number, "state": "done" if outcome else "requested", "runs": documents})
    elif outcome is not None:
        echo(f"{outcome.done}; `opsconsole runs` shows their progress")


def _print_ended(ended: list[Run]) -> None:
    bad = [run for run in ended if run.state is not RunState.SUCCEEDED]
    for run in ended if len(ended) <= MAX_LISTED else bad[:MAX_LISTED]:
        echo(run_sentence(run))
    if len(ended) > 1:
        ok, failed = sum(run.counts.ok for run in ended), sum(run.counts.failed for run in ended)
        echo(f"{len(ended) - len(bad):,} of {count(len(ended), 'run')} succeeded: {ok:,} ok, {failed:,} failed")


def _amount(runs: list[Run], *, everything: bool) -> str:
    """`4 items of 2 runs`."""
    items = sum(_items(run, everything=everything) for run in runs)
    return f"{count(items, 'item')} of {number_of_runs(len(runs))}"


def _items(run: Run, *, everything: bool) -> int:
    return run.counts.planned if everything else run.counts.failed + run.counts.not_reached
