"""`audit verify`: whether the audit trail is complete and unchanged."""

from __future__ import annotations

import sys

import click

from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import print_json
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.errors import Exit
from opsconsole.core.humanize import count


@click.command("verify")
@json_option
@click.pass_obj
def command(options: Options, as_json: bool) -> None:
    """Check that no row of the audit trail was changed or removed.

    Exits with code 1 if one was.
    """
    with open_service(load_settings(options)) as service:
        result = service.queries.verify_audit()
    intact = result.broken is None
    if as_json:
        print_json(
            {
                "ok": intact,
                "rows": result.rows,
                "seal": result.seal,
                "broken": result.broken,
                "reason": result.why,
            }
        )
    elif intact:
        click.echo(f"{count(result.rows, 'row')} verified; the last seal is {result.seal}")
    else:
        before = f"{count(result.rows, 'row')} before it verified"
        click.echo(f"row {result.broken} is not valid: {result.why}; {before}")
    sys.exit(Exit.DONE if intact else Exit.FAILED)
