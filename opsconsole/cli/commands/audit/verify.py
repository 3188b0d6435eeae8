"""`audit verify`: whether the audit trail is complete and unchanged."""

from __future__ import annotations

import sys

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.exit_codes import READING
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.errors import Exit
from opsconsole.rules.audit import Seal
from opsconsole.service import wording


@click.command(
    "verify", cls=Command, exit_codes=READING | {Exit.FAILED: "a row was changed or removed, or the check failed"}
)
@click.option("--seal", "anchor", metavar="ID:HASH", help="Compare with a seal that `audit seal` printed earlier.")
@json_option
@click.pass_obj
def command(options: Options, anchor: str | None, as_json: bool) -> None:
    """Check that no row of the audit trail was changed or removed.

    Without --seal it cannot find rows that were cut off the end, or a trail that was
    rewritten as a whole.

    \b
    Examples:
      opsconsole audit verify
      opsconsole audit verify --json
    """
    seal = Seal.parse(anchor) if anchor else None
    with open_service(load_settings(options), reads=True) as service:
        result = service.audit.verify(seal)
    if as_json:
        print_json(
            {
                "ok": result.problem is None,
                "rows": result.rows,
                "seal": str(result.seal) if result.seal else None,
                "anchor": str(seal) if seal else None,
                "problem": result.problem,
                "broken": result.broken,
            }
        )
    else:
        echo(wording.audit_verification(result, seal))
    sys.exit(Exit.FAILED if result.problem else Exit.DONE)
