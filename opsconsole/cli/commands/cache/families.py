"""`cache families`: the declared families of cache keys."""

from __future__ import annotations

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, print_table
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.humanize import duration

COUNT_SECONDS = 60.0
"""Counting stops after this time, and the rest is estimated."""


@click.command("families", cls=Command)
@click.option(
    "--count", "with_count", is_flag=True, help="Count the keys of each family. Scans all keys of the server."
)
@json_option
@click.pass_obj
def command(options: Options, with_count: bool, as_json: bool) -> None:
    """List the declared families of cache keys.

    Shows the key pattern and time to live of each family, the ids a key belongs to, the tables it is computed from, and
    the jobs that fill it; readers fill the others.

    \b
    Examples:
      opsconsole cache families
      opsconsole cache families --count --json
    """
    with open_service(load_settings(options)) as service:
        families = sorted(service.cache.families(), key=lambda family: family.name)
        usage = service.cache.usage(COUNT_SECONDS) if with_count else None
    if as_json:
        from opsconsole.service.cache_documents import family_document  # loads the service

        print_json([family_document(family, usage) for family in families])
        return
    if not families:
        echo("no pack declares a family of cache keys")
        return
    head = ["FAMILY", "PATTERN", "TTL", "BELONGS TO", "COMPUTED FROM", "FILLED BY"]
    rows = [
        [
            family.name,
            family.pattern,
            duration(family.ttl) if family.ttl else "none",
            ", ".join(family.of) or "-",
            ", ".join(family.computed_from) or "-",
            ", ".join(family.filled_by) or "readers",
        ]
        for family in families
    ]
    if usage is not None:
        head.append("KEYS" if usage.done else "KEYS (ESTIMATED)")
        for row, family in zip(rows, families, strict=True):
            row.append(f"{usage.families[family.name].keys:,}")
    print_table(head, rows, right=(6,))
