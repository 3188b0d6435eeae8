"""`cache stats`: the statistics of the Redis server."""

from __future__ import annotations

from dataclasses import asdict

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import print_json, print_table
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.humanize import duration, megabytes, percent


@click.command("stats", cls=Command)
@json_option
@click.pass_obj
def command(options: Options, as_json: bool) -> None:
    """Show statistics of the Redis server."""
    with open_service(load_settings(options)) as service:
        stats = service.queries.redis_stats()
    if as_json:
        print_json({**asdict(stats), "hit_rate": stats.hit_rate})
        return
    limit = f" of {megabytes(stats.max_memory)}" if stats.max_memory else ""
    print_table(
        ("REDIS", stats.version),
        [
            ("uptime", duration(stats.uptime_seconds)),
            ("ping", f"{stats.ping_ms:.1f} ms"),
            ("memory", f"{megabytes(stats.memory)}{limit}, peak {megabytes(stats.peak_memory)}"),
            ("fragmentation", f"{stats.fragmentation:.2f}"),
            ("keys", f"{stats.keys:,}"),
            ("hit rate", "no reads yet" if stats.hit_rate is None else f"{percent(stats.hit_rate)} %"),
            ("operations", f"{stats.ops_per_second:,}/s"),
            ("clients", f"{stats.clients:,}"),
            ("evicted", f"{stats.evicted:,}"),
            ("expired", f"{stats.expired:,}"),
        ],
    )
