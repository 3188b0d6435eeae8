"""`runs`: the newest runs."""

from __future__ import annotations

import click

from opsconsole.authoring.run import RunState, Trigger
from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_filter, complete_job
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, print_table, run_document
from opsconsole.cli.prompts import check_order, json_option, past_time
from opsconsole.cli.session import open_service
from opsconsole.core.clock import now
from opsconsole.core.humanize import elapsed, timestamp
from opsconsole.rules.run_search import RunSearch


@click.command("runs", cls=Command)
@click.argument("words", metavar="[FILTER]...", nargs=-1, shell_complete=complete_filter)
@click.option("--job", metavar="JOB", shell_complete=complete_job, help="List only runs of this job.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in RunState]),
    help="List only runs in this state. Repeatable.",
)
@click.option(
    "--trigger",
    "triggers",
    multiple=True,
    type=click.Choice([trigger.value for trigger in Trigger]),
    help="List only runs with this trigger. Repeatable.",
)
@click.option("--by", "person", metavar="NAME", help="List only runs that this person requested.")
@click.option("--since", metavar="TIME", help="List runs created at or after this time; 7d means seven days ago.")
@click.option("--until", metavar="TIME", help="List runs created before this time.")
@click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(1, 1000), help="Number of runs.")
@json_option
@click.pass_obj
def command(
    options: Options,
    words: tuple[str, ...],
    job: str | None,
    states: tuple[str, ...],
    triggers: tuple[str, ...],
    person: str | None,
    since: str | None,
    until: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """List the newest runs.

    FILTER is what the console takes after `/`: parts of a job's name, a state, a date, `by` and a name, a run's number,
    and words of an error.

    \b
    Examples:
      opsconsole runs cache_day last tue
      opsconsole runs today failed by asha
      opsconsole runs --job attempts.cache_day --state partial --since 7d
    """
    with open_service(load_settings(options), reads=True) as service:
        search = service.history.parsed(" ".join(words))
        place, at = service.queries.zone(job), now()
        only = RunSearch(
            jobs=(service.catalog.find(job).name,) if job is not None else None,
            states=tuple(RunState(state) for state in states) or None,
            triggers=tuple(Trigger(trigger) for trigger in triggers) or None,
            person=person,
            since=past_time("--since", since, place, at),
            until=past_time("--until", until, place, at),
        )
        check_order(only.since, only.until)
        found = service.history.select(search.limited_to(only), limit=limit)
    runs = found.runs
    if as_json:
        print_json([run_document(run) for run in runs])
        return
    if not runs:
        if found.searched_to is not None:
            echo(f"no run down to run {found.searched_to} matches; search with fewer conditions, or --until")
        else:
            is_filtered = search != RunSearch() or only != RunSearch()
            echo("no runs match" if is_filtered else "no runs yet; start one with `opsconsole run JOB --wait`")
        return
    print_table(
        ("RUN", "JOB", "WINDOW", "STATE", "BY", "OK", "FAILED", "OF", "TOOK", "STARTED"),
        [
            (
                run.id,
                run.job,
                run.window.label,
                run.state,
                "schedule" if run.trigger is Trigger.SCHEDULE else run.requested_by,
                f"{run.counts.ok:,}",
                f"{run.counts.failed:,}",
                f"{run.counts.planned:,}",
                elapsed(run.seconds),
                timestamp(run.started_at),
            )
            for run in runs
        ],
        right=(0, 5, 6, 7, 8),
    )
