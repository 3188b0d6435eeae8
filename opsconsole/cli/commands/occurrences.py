"""`occurrences` and `why`: what became of scheduled instants, and for what reason."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from opsconsole.cli import output as printing
from opsconsole.cli.prompts import json_option, moment, one_of
from opsconsole.cli.session import Options, open_service, settings_of
from opsconsole.core.clock import now
from opsconsole.core.text import safe

if TYPE_CHECKING:
    from opsconsole.rules.explain import Answer, Proof
    from opsconsole.service.snapshot import Explanation, OccurrenceRow, OccurrenceTotal

SENTENCE = 1000
"""So many characters of a sentence are shown; notes of people are among them."""


@click.command()
@click.option("--job", help="Only this job's.")
@click.option("--since", metavar="T", help="From this time on; `24h` is a day ago.")
@click.option("--until", metavar="T", help="Before this time.")
@click.option("--state", "states", multiple=True, metavar="S", help="Only in this state; may be given several times.")
@click.option("-n", "count", default=50, show_default=True, type=click.IntRange(1, 100_000), help="How many rows.")
@click.option("--summary", is_flag=True, help="Only the totals.")
@json_option
@click.pass_obj
def occurrences(
    options: Options,
    job: str | None,
    since: str | None,
    until: str | None,
    states: tuple[str, ...],
    count: int,
    summary: bool,
    as_json: bool,
) -> None:
    """Lists what became of scheduled instants, and how many came to the same.

    Of a row that stands for many instants those in [since, until) are counted. Times without a zone are read in the
    job's, or in UTC without --job.
    """
    from opsconsole.authoring.occurrence import OccurrenceState
    from opsconsole.store.occurrence_history import OccurrenceFilter

    one_of("--state", states, [state.value for state in OccurrenceState])
    with open_service(settings_of(options)) as service:
        place, at = service.queries.zone(job), now()
        wanted = OccurrenceFilter(
            job,
            tuple(OccurrenceState(state) for state in states),
            moment("--since", since, place, at),
            moment("--until", until, place, at),
        )
        found = service.queries.occurrences(wanted, limit=count)
    if as_json:
        printing.as_json(
            {
                "since": printing.utc(wanted.since),
                "until": printing.utc(wanted.until),
                "instants": sum(total.instants for total in found.totals),
                "totals": [_total_facts(total) for total in found.totals],
                "occurrences": [] if summary else [_row_facts(row) for row in found.rows],
            }
        )
        return
    if not found.totals:
        click.echo("no scheduled instants are recorded there; `opsconsole jobs` tells when the next ones are")
        return
    if not summary:
        _tell_rows(found.rows)
    printing.table(
        ("JOB", "STATE", "REASON", "INSTANTS"),
        [
            (total.job, total.state, total.reason or "-", f"{'' if total.exact else 'about '}{total.instants:,}")
            for total in found.totals
        ],
        right=(3,),
    )


@click.command()
@click.argument("job")
@click.option("--at", "at", required=True, metavar="T", help="ISO 8601, 2026-03-29 02:30, or 02:30 for today.")
@json_option
@click.pass_obj
def why(options: Options, job: str, at: str, as_json: bool) -> None:
    """Says why a job ran or did not run at a time, with the rows that prove it.

    A time without a zone is what a clock in the job's zone shows.

    \b
    Examples:
      opsconsole why attempts.cache_day --at 23:50
      opsconsole why attempts.cache_day --at "2026-01-19 23:50"
      opsconsole why attempts.cache_day --at 2026-01-19T18:20:00Z
    """
    with open_service(settings_of(options)) as service:
        told = service.queries.why(job, at)
    if as_json:
        printing.as_json(_explanation_facts(told))
        return
    for sentence in told.says:
        click.echo(safe(sentence, SENTENCE))
    for answer in told.answers:
        what = "a scheduled instant" if answer.is_instant else "no scheduled instant"
        click.echo(f"{printing.local(answer.at, told.tz)} ({printing.utc(answer.at)}): {what} of {told.job}")
        for sentence in answer.says:
            click.echo(f"  {safe(sentence, SENTENCE)}")
        for row in answer.rows:
            click.echo(f"  row {row.key} of {row.table}: {_content(row)}")
    click.echo(f"before: {printing.local(told.previous, told.tz)}   after: {printing.local(told.next, told.tz)}")


def _tell_rows(rows: tuple[OccurrenceRow, ...]) -> None:
    printing.table(
        ("ROW", "JOB", "INSTANT", "STATE", "REASON", "LATE", "RUN", "BLOCKED BY", "INSTANTS"),
        [
            (
                row.account.id,
                row.account.job,
                _instants(row),
                row.account.state,
                row.account.reason or "-",
                _late(row),
                row.account.run or "-",
                row.account.blocked_by or "-",
                f"{'' if row.exact else 'about '}{row.instants:,}" + _of_all(row),
            )
            for row in rows
        ],
        right=(0, 5, 6, 7, 8),
    )
    click.echo()


def _instants(row: OccurrenceRow) -> str:
    first = printing.local(row.account.due_at, row.tz)
    return first if row.account.instants == 1 else f"{first} to {printing.local(row.account.last_due_at, row.tz)}"


def _of_all(row: OccurrenceRow) -> str:
    return "" if row.instants == row.account.instants else f" of {row.account.instants:,}"


def _late(row: OccurrenceRow) -> str:
    seconds = _late_seconds(row)
    return "-" if seconds is None else f"{seconds:,.1f} s"


def _late_seconds(row: OccurrenceRow) -> float | None:
    started = row.account.started_at
    return None if started is None else round((started - row.account.due_at).total_seconds(), 3)


def _row_facts(row: OccurrenceRow) -> dict[str, Any]:
    account = row.account
    return {
        "id": account.id,
        "job": account.job,
        "due": printing.utc(account.due_at),
        "last_due": printing.utc(account.last_due_at),
        "local": _iso(account.due_at, row.tz),
        "tz": row.tz,
        "state": account.state,
        "reason": account.reason,
        "late_seconds": _late_seconds(row),
        "run": account.run,
        "blocked_by": account.blocked_by,
        "instants": row.instants,
        "instants_of_row": account.instants,
        "exact": row.exact,
        "token": account.token,
        "recorded": printing.utc(account.recorded_at),
    }


def _total_facts(total: OccurrenceTotal) -> dict[str, Any]:
    return {
        "job": total.job,
        "state": total.state,
        "reason": total.reason,
        "instants": total.instants,
        "exact": total.exact,
    }


def _explanation_facts(told: Explanation) -> dict[str, Any]:
    return {
        "job": told.job,
        "cron": told.cron,
        "tz": told.tz,
        "says": told.says,
        "answers": [_answer_facts(answer, told.tz) for answer in told.answers],
        "previous": printing.utc(told.previous),
        "next": printing.utc(told.next),
    }


def _answer_facts(answer: Answer, tz: str) -> dict[str, Any]:
    rows = [{"table": row.table, "row": row.key, "content": row.content} for row in answer.rows]
    return {
        "utc": printing.utc(answer.at),
        "local": _iso(answer.at, tz),
        "instant": answer.is_instant,
        "state": answer.state,
        "reason": answer.reason,
        "says": answer.says,
        "rows": rows,
    }


def _content(row: Proof) -> str:
    shown = {name: value for name, value in row.content.items() if value not in (None, "")}
    return ", ".join(f"{name} {safe(_plain(value), 200)}" for name, value in shown.items())


def _plain(value: object) -> object:
    return printing.utc(value) if isinstance(value, datetime) else value


def _iso(at: datetime, tz: str) -> str:
    return at.astimezone(ZoneInfo(tz)).isoformat()
