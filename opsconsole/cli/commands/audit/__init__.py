"""`audit`: who asked for what and what came of it, and whether the trail is whole."""

from __future__ import annotations

import sys
from typing import Any

import click
import msgspec

from opsconsole.cli import output as printing
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import Options, open_service, settings_of
from opsconsole.core.errors import Exit

SHOWN = 80
"""So many characters of what was asked or came of it stand in the table; --json has all."""


@click.group(invoke_without_command=True)
@click.option("-n", "count", default=20, show_default=True, type=click.IntRange(1, 100_000), help="How many rows.")
@json_option
@click.pass_context
def audit(ctx: click.Context, count: int, as_json: bool) -> None:
    """Lists who asked for what and what came of it, newest first: one row when asked, one with the outcome."""
    if ctx.invoked_subcommand is not None:
        return
    with open_service(settings_of(ctx.obj)) as service:
        found = service.queries.audit_entries(limit=count)
    if as_json:
        printing.as_json(
            [
                {
                    "id": entry.id,
                    "at": printing.utc(entry.at),
                    "command": entry.command,
                    "who": entry.who,
                    "from": entry.origin,
                    "verb": entry.verb,
                    "target": entry.target,
                    "outcome": entry.outcome,
                    "before": entry.before,
                    "after": entry.after,
                }
                for entry in found
            ]
        )
        return
    if not found:
        click.echo("nobody has asked for anything yet")
        return
    printing.table(
        ("ROW", "AT", "WHO", "FROM", "VERB", "TARGET", "OUTCOME", "COMMAND", "WITH"),
        [
            (
                entry.id,
                printing.local(entry.at),
                entry.who,
                entry.origin,
                entry.verb,
                entry.target,
                entry.outcome,
                entry.command or "-",
                _shown(entry.after),
            )
            for entry in found
        ],
        right=(0, 7),
    )


@audit.command()
@json_option
@click.pass_obj
def verify(options: Options, as_json: bool) -> None:
    """Works every seal of the trail out anew; exit code 1 when a row was changed or is missing."""
    with open_service(settings_of(options)) as service:
        found = service.queries.verify_audit()
    if as_json:
        facts = {"ok": found.broken is None, "rows": found.rows, "seal": found.seal, "broken": found.broken}
        printing.as_json({**facts, "why": found.why})
    elif found.broken is None:
        click.echo(f"all {found.rows:,} rows hold; the newest seal is {found.seal}")
    else:
        click.echo(f"row {found.broken} does not hold: {found.why}; the {found.rows:,} rows before it do")
    sys.exit(Exit.DONE if found.broken is None else Exit.FAILED)


def _shown(said: Any) -> str:
    text = msgspec.json.encode(said).decode() if said else ""
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
