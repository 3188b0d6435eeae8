"""`run` and `retry`: asks for runs, and follows them to their end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from opsconsole.cli import following as carrying, output as printing
from opsconsole.cli.prompts import json_option, moment, one_of, require_yes, yes_option
from opsconsole.cli.session import Options, open_service, settings_of

if TYPE_CHECKING:
    from opsconsole.authoring.run import Run
    from opsconsole.service.service import Service
    from opsconsole.store.runs import RunFilter

MOST = 10_000
"""So many runs that match are counted before something is asked."""
TOLD = 20
"""So many runs are told one by one."""

_only = click.option(
    "--only", type=click.Choice(["stale"]), help="Only the items whose result is missing or out of date."
)
_wait = click.option("--wait", is_flag=True, help="Follow it to its end; the exit code is its result.")
_dry_run = click.option("--dry-run", is_flag=True, help="Only say what it would do.")


@click.command()
@click.argument("job")
@click.option("--date", "day", metavar="D", help="The window that holds this day (2026-01-19), in the job's zone.")
@_only
@_wait
@_dry_run
@json_option
@click.pass_obj
def run(
    options: Options, job: str, day: str | None, only: str | None, wait: bool, dry_run: bool, as_json: bool
) -> None:
    """Runs a job once, for the window of now or of a date.

    Without --wait the process that leads carries it out. With --wait this one does, if nobody leads. Exit codes with
    --wait: 0 done, 3 finished with failed items, 1 failed, 4 refused.
    """
    from opsconsole.authoring.run import Selection

    selection = Selection(only or Selection.ALL)
    with open_service(settings_of(options), note=wait) as service:
        if dry_run:
            told = service.queries.preview(job, day, only=selection)
            if as_json:
                printing.as_json({"job": told.job, "window": told.window.label, "items": told.items})
            else:
                click.echo(f"would run {told.job} for {told.window.label} ({told.tz}): {told.items:,} items")
            return
        _carry(service, service.commands.trigger(job, day, only=selection), wait=wait, as_json=as_json)


@click.command()
@click.argument("run_number", metavar="[RUN]", type=int, required=False)
@click.option("--job", help="All runs of this job that are to be looked at.")
@click.option("--state", "states", multiple=True, metavar="S", help="All in this state; may be given several times.")
@click.option("--since", metavar="T", help="Of those, the ones made at this time or later; `7d` is seven days ago.")
@click.option("--until", metavar="T", help="Of those, the ones made before this time.")
@click.option("--all", "everything", is_flag=True, help="All of their items, not only those that failed.")
@_wait
@_dry_run
@yes_option
@json_option
@click.pass_obj
def retry(
    options: Options,
    run_number: int | None,
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
    """Runs once more what failed, in one run or in all that match: new runs with the same windows.

    \b
    Examples:
      opsconsole retry 41 --wait
      opsconsole retry --job attempts.cache_day --state failed --since 7d --dry-run
    """
    matching = bool(job or states or since or until)
    if matching == (run_number is not None):
        raise click.UsageError("name one run, or say which are meant with --job, --state, --since and --until")
    with open_service(settings_of(options), note=wait) as service:
        if run_number is None:
            wanted = _wanted(service, job, states, since, until)
            _retry_matching(
                service, wanted, everything=everything, wait=wait, dry_run=dry_run, yes=yes, as_json=as_json
            )
        elif dry_run:
            items = _items(service.queries.run(run_number), everything=everything)
            if as_json:
                printing.as_json({"run": run_number, "items": items})
            else:
                click.echo(f"would retry {items:,} items of run {run_number}")
        else:
            _carry(service, service.commands.retry(run_number, everything=everything), wait=wait, as_json=as_json)


def _wanted(
    service: Service, job: str | None, states: tuple[str, ...], since: str | None, until: str | None
) -> RunFilter:
    from opsconsole.authoring.run import NEEDS_A_LOOK, RunState
    from opsconsole.core.clock import now
    from opsconsole.store.runs import RunFilter

    one_of("--state", states, [state.value for state in NEEDS_A_LOOK])
    place, at = service.queries.zone(job), now()
    return RunFilter(
        job,
        tuple(RunState(state) for state in states),
        moment("--since", since, place, at),
        moment("--until", until, place, at),
    )


def _retry_matching(
    service: Service, wanted: RunFilter, *, everything: bool, wait: bool, dry_run: bool, yes: bool, as_json: bool
) -> None:
    found = service.queries.retryable(wanted, limit=MOST)
    items = sum(_items(run, everything=everything) for run in found)
    more = " and more" if len(found) == MOST else ""
    told = f"{items:,} items of {len(found):,} runs{more}"
    if dry_run:
        _tell_matching(found, items, everything=everything, as_json=as_json)
        return
    if found:
        require_yes(f"Retry {told}?", yes=yes)
    command = service.commands.retry_matching(wanted, everything=everything)
    if not wait:
        outcome = carrying.answer(service, command)
        if outcome is None:
            carrying.nobody_leads(command)
        if as_json:
            made = [printing.run_facts(service.queries.run(number)) for number in outcome.runs] if outcome else []
            printing.as_json({"command": command, "state": "done" if outcome else "asked", "runs": made})
        elif outcome is not None:
            click.echo(f"{outcome.done}; `opsconsole runs` tells how they go")
        return
    with carrying.leading_for(service, command) as engine:
        outcome = carrying.carried_out(service, engine, command)
        ended = [carrying.followed(service, number) for number in outcome.runs]
    if as_json:
        printing.as_json({"command": command, "state": "done", "runs": [printing.run_facts(run) for run in ended]})
    else:
        _tell_ended(ended)
    sys.exit(carrying.exit_code(ended))


def _tell_matching(found: list[Run], items: int, *, everything: bool, as_json: bool) -> None:
    if as_json:
        each = [{**printing.run_facts(run), "items": _items(run, everything=everything)} for run in found]
        printing.as_json({"runs": each, "items": items})
        return
    if found:
        printing.table(
            ("RUN", "JOB", "WINDOW", "STATE", "ITEMS", "MADE"),
            [
                (
                    run.id,
                    run.job,
                    run.window.label,
                    run.state,
                    f"{_items(run, everything=everything):,}",
                    printing.local(run.created_at),
                )
                for run in found
            ],
            right=(0, 4),
        )
    click.echo(f"would retry {items:,} items of {len(found):,} runs" + (" and more" if len(found) == MOST else ""))


def _tell_ended(ended: list[Run]) -> None:
    from opsconsole.authoring.run import RunState

    bad = [run for run in ended if run.state is not RunState.SUCCEEDED]
    for run in ended if len(ended) <= TOLD else bad[:TOLD]:
        click.echo(printing.sentence(run))
    if len(ended) > 1:
        ok, failed = (sum(getattr(run.counts, what) for run in ended) for what in ("ok", "failed"))
        click.echo(f"{len(ended):,} runs, {len(ended) - len(bad):,} of them succeeded: {ok:,} ok, {failed:,} failed")


def _items(run: Run, *, everything: bool) -> int:
    return run.counts.planned if everything else run.counts.failed + run.counts.not_reached


def _carry(service: Service, command: int, *, wait: bool, as_json: bool) -> None:
    """Follows a command that makes one run."""
    if not wait:
        outcome = carrying.answer(service, command)
        if outcome is None or outcome.run is None:
            carrying.nobody_leads(command)
            if as_json:
                printing.as_json({"command": command, "state": "asked"})
        elif as_json:
            printing.as_json(printing.run_facts(service.queries.run(outcome.run)))
        else:
            click.echo(f"run {outcome.run} is queued; `opsconsole show {outcome.run}` tells how it goes")
        return
    with carrying.leading_for(service, command) as engine:
        made = carrying.carried_out(service, engine, command).run
        assert made is not None  # noqa: S101 - a command that makes a run names it
        ended = carrying.followed(service, made)
    if as_json:
        printing.as_json(printing.run_facts(ended))
    else:
        click.echo(printing.sentence(ended))
    sys.exit(carrying.exit_code([ended]))
