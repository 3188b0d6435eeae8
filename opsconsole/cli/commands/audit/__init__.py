"""`audit`: who requested what, and the outcomes."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from opsconsole.cli.commands import LazyGroup
from opsconsole.cli.exit_codes import READING
from opsconsole.cli.options import load_settings
from opsconsole.cli.output import echo, print_json, print_table
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.humanize import timestamp

LONGEST_DETAILS = 80

SUMMARIES = {
    "seal": "Print the newest row and its hash.",
    "verify": "Check that no row of the audit trail was changed or removed.",
}


@click.group(
    "audit",
    cls=LazyGroup,
    exit_codes=READING,
    package=__name__,
    summaries=SUMMARIES,
    invoke_without_command=True,
)
@click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(1, 100_000), help="Number of rows.")
@click.option("--filter", "typed", default="", metavar="TEXT", help="List only rows that match, as on the page Audit.")
@json_option
@click.pass_context
def command(ctx: click.Context, limit: int, typed: str, as_json: bool) -> None:
    """List who requested what, and the outcomes.

    Newest first. Each action has two rows: one for the request, one for its outcome. A filter consists of `by` and a
    name, an action, an outcome, a day in UTC, `since` and `before`; every other word has to occur in the row.

    \b
    Examples:
      opsconsole audit --filter "by asha clear"
      opsconsole audit --filter "refused since 2h"
      opsconsole audit --filter "attempts.cache_day last tue"
    """
    if ctx.invoked_subcommand is not None:
        return
    with open_service(load_settings(ctx.obj), reads=True) as service:
        entries = service.audit.find(typed, limit=limit)
    if as_json:
        from opsconsole.service.audit_documents import audit_document  # loads the service

        print_json([audit_document(entry) for entry in entries])
        return
    if not entries:
        echo("no row matches" if typed else "the audit trail is empty")
        return
    print_table(
        ("ROW", "AT", "ACTOR", "ORIGIN", "ACTION", "TARGET", "OUTCOME", "COMMAND", "DETAILS"),
        [
            (
                entry.id,
                timestamp(entry.at),
                entry.who,
                entry.origin,
                entry.verb,
                entry.target,
                entry.outcome,
                entry.command or "-",
                _details(entry.after),
            )
            for entry in entries
        ],
        right=(0, 7),
    )


def _details(after: Any) -> str:
    text = msgspec.json.encode(after).decode() if after else ""
    return text if len(text) <= LONGEST_DETAILS else text[: LONGEST_DETAILS - 1] + "…"
