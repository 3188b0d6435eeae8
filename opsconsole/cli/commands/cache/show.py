"""`cache show`: the value of one key."""

from __future__ import annotations

from dataclasses import asdict

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.errors import Exit, OpsconsoleError
from opsconsole.core.humanize import count, duration
from opsconsole.core.text import safe


class NoSuchKey(OpsconsoleError):
    """The key does not exist."""

    exit_code = Exit.USAGE

    def __init__(self, key: str) -> None:
        super().__init__(f"{safe(key, 300)} does not exist: it was never filled, has expired or was cleared")


@click.command("show", cls=Command)
@click.argument("key")
@json_option
@click.pass_obj
def command(options: Options, key: str, as_json: bool) -> None:
    """Show the value of a cached key.

    Also shows its type, its time to live and its size. Keys outside the declared families are refused. Compressed
    values are decompressed, JSON is indented, and at most 500 lines or 100 elements are shown.

    \b
    Example:
      opsconsole cache show date:user:2026-01-19:u0417
    """
    with open_service(load_settings(options)) as service:
        found = service.cache.look(key)
    if found is None:
        raise NoSuchKey(key)
    if as_json:
        print_json(asdict(found))
        return
    ttl = "never expires" if found.ttl_seconds is None else f"expires in {duration(found.ttl_seconds)}"
    size = "" if found.memory is None else f", {count(found.memory, 'byte')} of memory"
    elements = "" if found.elements is None else f", {count(found.elements, 'element')}"
    echo(f"{found.type}{elements}{size}, {ttl}{', compressed' if found.compressed else ''}")
    for line in found.lines:
        echo(line)
    if found.cut:
        echo("the rest is not shown")
