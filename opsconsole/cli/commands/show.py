"""`runs`, `show` and `logs`: what ran, how one run went, and what it said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
import msgspec

from opsconsole.cli import output as printing
from opsconsole.cli.prompts import json_option, one_of
from opsconsole.cli.session import Options, open_service, settings_of
from opsconsole.core.text import safe

if TYPE_CHECKING:
    from opsconsole.authoring.run import Run
    from opsconsole.service.service import Service
    from opsconsole.store.logs import LogLine

LOOK_SECONDS = 0.3
"""Between two looks at the log of a run that goes on."""
LINE = 2000
"""So many characters of a line are shown."""


@click.command()
@click.option("--job", help="Only this job's.")
@click.option("--state", "states", multiple=True, help="Only in this state; may be given several times.")
@click.option("-n", "count", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many.")
@json_option
@click.pass_obj
def runs(options: Options, job: str | None, states: tuple[str, ...], count: int, as_json: bool) -> None:
    """Lists the newest runs."""
    from opsconsole.authoring.run import RunState

    one_of("--state", states, [state.value for state in RunState])
    with open_service(settings_of(options)) as service:
        found = service.queries.runs(limit=count, job=job, states=[RunState(state) for state in states] or None)
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
@json_option
@click.pass_obj
def show(options: Options, run: int, as_json: bool) -> None:
    """Shows one run: counts, failures by cause, log."""
    with open_service(settings_of(options)) as service:
        page = service.queries.run_page(run)
    found, tz = page.progress.run, page.progress.tz
    if as_json:
        causes = [
            {"kind": cause.kind, "message": cause.message, "count": cause.count, "items": cause.items}
            for cause in page.causes
        ]
        more = {
            "trigger": found.trigger,
            "asked_by": found.asked_by,
            "parent": found.parent,
            "retried_by": page.retried_by,
            "attempt": found.attempt,
            "recoveries": found.recoveries,
            "waits_for": page.progress.waits,
            "stop": _stop_facts(found),
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
    click.echo(f"asked by {by}, data as of {printing.local(found.as_of, tz)}, {_attempts(found)}")
    if page.progress.waits:
        click.echo(f"waits for {page.progress.waits}")
    if found.stop:
        stop, end = (
            found.stop,
            "" if found.ended_at else f"; by force from {printing.local(found.stop.force_at, tz)} on",
        )
        click.echo(f"asked to stop {printing.local(stop.at, tz)}: {safe(stop.why)}{end}")
    if found.parent:
        click.echo(f"retry of run {found.parent}")
    if page.retried_by:
        click.echo(f"retried by {', '.join(f'run {child}' for child in page.retried_by)}")
    if found.metrics:
        click.echo(", ".join(f"{name} {n:,}" for name, n in found.metrics.items()))
    for cause in page.causes:
        click.echo(f"{cause.count:>7,}  {cause.message}   {' '.join(safe(item, 60) for item in cause.items)}")
    for at, line in page.log:
        click.echo(f"{printing.local(at, tz)}  {safe(line, LINE)}")


@click.command()
@click.argument("run_number", metavar="RUN", type=int)
@click.option("-f", "--follow", is_flag=True, help="Go on with what it says until it ends.")
@json_option
@click.pass_obj
def logs(options: Options, run_number: int, follow: bool, as_json: bool) -> None:
    """Shows what a run said. With -f and --json one object a line is printed, as they come."""
    with open_service(settings_of(options)) as service:
        tz = service.queries.run_page(run_number).progress.tz
        if as_json and not follow:
            printing.as_json([_log_facts(line) for line in _kept(service, run_number, 0)])
            return
        numbers = set()
        for line in _said(service, run_number, follow=follow):
            numbers.add(line.number)
            click.echo(msgspec.json.encode(_log_facts(line)).decode() if as_json else _log_line(line, tz))
        left_out = service.queries.run(run_number).log_lines - len(numbers)
        if left_out > 0:
            click.echo(f"{left_out:,} more lines were not kept", err=True)


def _kept(service: Service, run: int, after: int) -> Iterator[LogLine]:
    while page := service.queries.log(run, after=after):
        yield from page
        after = page[-1].number


def _said(service: Service, run: int, *, follow: bool) -> Iterator[LogLine]:
    after, ended = 0, not follow
    while True:
        for line in _kept(service, run, after):
            after = line.number
            yield line
        if ended:
            return
        # What it says last is written with its end: one more look after that.
        ended = service.commands.wait_for_run(run, LOOK_SECONDS) is not None


def _log_facts(line: LogLine) -> dict[str, Any]:
    return {"at": printing.utc(line.at), "line": line.line}


def _log_line(line: LogLine, tz: str) -> str:
    return f"{printing.local(line.at, tz)}  {safe(line.line, LINE)}"


def _attempts(run: Run) -> str:
    cut_off = f", cut off {run.recoveries} times" if run.recoveries > 1 else ", cut off once" if run.recoveries else ""
    return f"attempt {run.attempt}{cut_off}"


def _stop_facts(run: Run) -> dict[str, Any] | None:
    stop = run.stop
    if stop is None:
        return None
    return {"by": stop.by, "why": stop.why, "at": printing.utc(stop.at), "force_at": printing.utc(stop.force_at)}
