"""`tail`: follows all runs, or those that match a filter."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec

from opsconsole.authoring.run import OPEN, Run, RunState
from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_filter
from opsconsole.cli.following import Outages
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, run_document, run_sentence
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.clock import now
from opsconsole.core.garbage import end_loading
from opsconsole.core.humanize import timestamp
from opsconsole.core.text import safe
from opsconsole.core.times import utc

if TYPE_CHECKING:
    from opsconsole.service.service import Service

POLL_SECONDS = 1.0
NEWEST = 200
"""How many of the newest runs are listed at once. Older runs are read one by one until they end."""
CAUSES = 3


class RunEvent(StrEnum):
    """What happened to a run."""

    QUEUED = "queued"
    STARTED = "started"
    ENDED = "ended"


class Transition(NamedTuple):
    """A change of the state of a run, and the run after it."""

    event: RunEvent
    run: Run


@click.command("tail", cls=Command)
@click.argument("words", metavar="[FILTER...]", nargs=-1, shell_complete=complete_filter)
@click.option(
    "-n",
    "--limit",
    default=5,
    show_default=True,
    type=click.IntRange(0, NEWEST),
    help="Number of earlier runs.",
)
@json_option
@click.pass_obj
def command(options: Options, words: tuple[str, ...], limit: int, as_json: bool) -> None:
    """Follow all runs as they are queued, start and end.

    Prints a line for each of these events, and the causes of failures. A run of less than a second may have only the
    line of its end. FILTER is a filter of `opsconsole runs`. With --json, each line is a JSON object. Stop it with
    Ctrl+C; the exit code is then 130.

    \b
    Examples:
      opsconsole tail
      opsconsole tail failed
      opsconsole tail cache_day by asha --json
    """
    with open_service(load_settings(options), reads=True) as service:
        search = service.history.parsed(" ".join(words))
        states: dict[int, RunState] | None = None
        outages = Outages()
        end_loading()
        while True:
            with outages:
                found = service.history.select(search, limit=NEWEST).runs
                if states is None:
                    earlier = [run for run in found if run.state not in OPEN][:limit]
                    states = {run.id: run.state for run in found if run not in earlier and run.state not in OPEN}
                listed = {run.id for run in found}
                older = [
                    service.queries.run(each) for each, state in states.items() if state in OPEN and each not in listed
                ]
                for transition in changes(states, [*older, *found]):
                    _print(service, transition, as_json=as_json)
                states |= {run.id: run.state for run in (*older, *found)}
            time.sleep(POLL_SECONDS)


def changes(states: Mapping[int, RunState], runs: Iterable[Run]) -> Iterator[Transition]:
    """The transitions of runs since they had `states`, in the order of their numbers."""
    for run in sorted(runs, key=lambda run: run.id):
        before = states.get(run.id)
        if run.state is before:
            continue
        if run.state is RunState.QUEUED:
            yield Transition(RunEvent.QUEUED, run)
        elif run.state in OPEN:
            if before in (None, RunState.QUEUED):
                yield Transition(RunEvent.STARTED, run)
        else:
            yield Transition(RunEvent.ENDED, run)


def _print(service: Service, transition: Transition, *, as_json: bool) -> None:
    event, run = transition
    at = {RunEvent.QUEUED: run.created_at, RunEvent.STARTED: run.started_at, RunEvent.ENDED: run.ended_at}[
        event
    ] or now()
    causes = service.queries.run_page(run.id).causes[:CAUSES] if event is RunEvent.ENDED and run.kinds else ()
    if as_json:
        document: dict[str, Any] = {"at": utc(at), "event": event, **msgspec.to_builtins(run_document(run))}
        document["causes"] = [{"kind": each.kind, "count": each.count, "message": each.message} for each in causes]
        echo(msgspec.json.encode(document).decode())
        return
    what = run_sentence(run) if event is RunEvent.ENDED else f"run {run.id} {run.job} {run.window.label}: {event}"
    echo(f"{timestamp(at)}  {what}")
    for each in causes:
        echo(f"{'':>21}{each.count:>7,}  {safe(each.message, 200)}")
