"""`runs` and `show`: what ran, and how one run went."""

from __future__ import annotations

import click

from opsconsole.cli import printing
from opsconsole.cli.opening import Options, desk_of, settings_of
from opsconsole.text import safe


@click.command()
@click.option("--job", help="Only this job's.")
@click.option("--state", "states", multiple=True, help="Only in this state; may be given several times.")
@click.option("-n", "count", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def runs(options: Options, job: str | None, states: tuple[str, ...], count: int, as_json: bool) -> None:
    """Lists the newest runs."""
    from opsconsole.model import RunState

    known = [state.value for state in RunState]
    for state in states:
        if state not in known:
            raise click.BadParameter(f"{state!r} is no state; use {', '.join(known)}", param_hint="--state")
    with desk_of(settings_of(options)) as desk:
        found = desk.runs(limit=count, job=job, states=[RunState(state) for state in states] or None)
    if as_json:
        printing.as_json([printing.run_facts(run) for run in found])
        return
    if not found:
        click.echo("no runs yet; start one with `opsconsole run JOB --wait`")
        return
    printing.table(
        ("RUN", "JOB", "WINDOW", "STATE", "BY", "OK", "FAILED", "OF", "SECONDS", "STARTED"),
        [
            (
                run.id,
                run.job,
                run.window.label,
                run.state,
                run.asked_by if run.trigger != "schedule" else "schedule",
                f"{run.counts.ok:,}",
                f"{run.counts.failed:,}",
                f"{run.counts.planned:,}",
                f"{run.seconds:.1f}" if run.seconds is not None else "-",
                printing.local(run.started_at),
            )
            for run in found
        ],
        right=(0, 5, 6, 7, 8),
    )


@click.command()
@click.argument("run", type=int)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def show(options: Options, run: int, as_json: bool) -> None:
    """Shows one run: counts, failures by cause, log."""
    with desk_of(settings_of(options)) as desk:
        page = desk.run_page(run)
    found, tz = page.progress.run, page.progress.tz
    if as_json:
        causes = [{"cause": cause.sentence, "count": cause.count, "items": cause.items} for cause in page.causes]
        more = {
            "trigger": found.trigger,
            "asked_by": found.asked_by,
            "parent": found.parent,
            "retried_by": page.retried_by,
            "attempt": found.attempt,
            "host": found.host,
            "as_of": printing.utc(found.as_of),
            "created": printing.utc(found.created_at),
            "started": printing.utc(found.started_at),
            "ended": printing.utc(found.ended_at),
            "error": found.error,
            "causes": causes,
            "log": [{"at": printing.utc(at), "line": line} for at, line in page.log],
        }
        printing.as_json({**printing.run_facts(found), **more})
        return
    click.echo(printing.sentence(found))
    by = "schedule" if found.trigger == "schedule" else f"{found.asked_by} ({found.trigger})"
    click.echo(f"asked by {by}, data as of {printing.local(found.as_of, tz)}, attempt {found.attempt}")
    if found.parent:
        click.echo(f"retry of run {found.parent}")
    if page.retried_by:
        click.echo(f"retried by {', '.join(f'run {child}' for child in page.retried_by)}")
    if found.metrics:
        click.echo(", ".join(f"{name} {n:,}" for name, n in found.metrics.items()))
    for cause in page.causes:
        click.echo(f"{cause.count:>7,}  {cause.sentence}   {' '.join(safe(item, 60) for item in cause.items)}")
    for at, line in page.log:
        click.echo(f"{printing.local(at, tz)}  {line}")
