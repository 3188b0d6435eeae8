"""`occurrences`: scheduled times and their outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from opsconsole.authoring.occurrence import OccurrenceFilter, OccurrenceState
from opsconsole.cli.commands import Command
from opsconsole.cli.completion import complete_job
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, print_table, utc
from opsconsole.cli.prompts import check_order, json_option, past_time
from opsconsole.cli.session import open_service
from opsconsole.core.clock import now
from opsconsole.core.humanize import duration, timestamp

if TYPE_CHECKING:
    from opsconsole.service.occurrence_details import OccurrenceRow

RECENT = "31d"
"""The totals of a longer history take seconds."""


@click.command("occurrences", cls=Command)
@click.option("--job", metavar="JOB", shell_complete=complete_job, help="List only scheduled times of this job.")
@click.option(
    "--since",
    metavar="TIME",
    help=f"List scheduled times from this time on; 24h means a day ago.  [default: {RECENT}, or all with --until]",
)
@click.option("--until", metavar="TIME", help="List scheduled times before this time.")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in OccurrenceState]),
    help="List only scheduled times in this state. Repeatable.",
)
@click.option("-n", "--limit", default=50, show_default=True, type=click.IntRange(1, 100_000), help="Number of rows.")
@click.option("--summary", is_flag=True, help="Show only the totals.")
@json_option
@click.pass_obj
def command(
    options: Options,
    job: str | None,
    since: str | None,
    until: str | None,
    states: tuple[str, ...],
    limit: int,
    summary: bool,
    as_json: bool,
) -> None:
    """List scheduled times and their outcomes, with totals.

    Adjacent scheduled times with the same outcome share a row; only those between --since and --until are counted.
    Times without a zone are in the job's zone, or in UTC without --job.

    \b
    Examples:
      opsconsole occurrences --job attempts.cache_day --since 7d
      opsconsole occurrences --since 2026-01-19 --until 2026-01-20 --summary
    """
    with open_service(load_settings(options), reads=True) as service:
        zone, at = service.queries.zone(job), now()
        if since is None and until is None:
            since = RECENT
        selected = OccurrenceFilter(
            job,
            tuple(OccurrenceState(state) for state in states),
            past_time("--since", since, zone, at),
            past_time("--until", until, zone, at),
        )
        check_order(selected.since, selected.until)
        result = service.queries.occurrences(selected, limit=limit)
    if as_json:
        from opsconsole.service.occurrence_documents import occurrence_document, total_document  # loads the service

        print_json(
            {
                "since": utc(selected.since),
                "until": utc(selected.until),
                "count": sum(total.instants for total in result.totals),
                "totals": [total_document(total) for total in result.totals],
                "occurrences": [] if summary else [occurrence_document(row) for row in result.rows],
            }
        )
        return
    if not result.totals:
        echo(
            "no scheduled times are recorded in this time; --since goes further back, and `opsconsole jobs` shows the "
            "next ones"
        )
        return
    if not summary:
        _print_rows(result.rows)
    print_table(
        ("JOB", "STATE", "REASON", "COUNT"),
        [
            (total.job, total.state, total.reason or "-", _count(total.instants, exact=total.exact))
            for total in result.totals
        ],
        right=(3,),
    )


def _print_rows(rows: tuple[OccurrenceRow, ...]) -> None:
    from opsconsole.service.occurrence_documents import late_seconds  # loads the service

    print_table(
        ("ROW", "JOB", "SCHEDULED", "STATE", "REASON", "LATE", "RUN", "BLOCKED BY", "COUNT"),
        [
            (
                row.record.id,
                row.record.job,
                _scheduled(row),
                row.record.state,
                row.record.reason or "-",
                "-" if (late := late_seconds(row)) is None else duration(late),
                row.record.run or "-",
                row.record.blocked_by or "-",
                _count(row.instants, exact=row.exact) + _of_all(row),
            )
            for row in rows
        ],
        right=(0, 5, 6, 7, 8),
    )
    echo()


def _scheduled(row: OccurrenceRow) -> str:
    first = timestamp(row.record.due_at, row.tz)
    return first if row.record.instants == 1 else f"{first} to {timestamp(row.record.last_due_at, row.tz)}"


def _count(number: int, *, exact: bool) -> str:
    return f"{'' if exact else 'about '}{number:,}"


def _of_all(row: OccurrenceRow) -> str:
    return "" if row.instants == row.record.instants else f" of {row.record.instants:,}"
