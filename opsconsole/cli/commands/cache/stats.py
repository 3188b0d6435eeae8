"""`cache stats`: the statistics of the Redis server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import print_json, print_table
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.humanize import duration, megabytes, percent
from opsconsole.service import wording


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
    unknown = wording.unknown(stats.denied)
    memory = unknown
    if stats.memory is not None:
        limit = f" of {megabytes(stats.max_memory)}" if stats.max_memory else ""
        memory = f"{megabytes(stats.memory)}{limit}, peak {_figure(stats.peak_memory, megabytes, '?')}"
    hit_rate = "no reads yet" if stats.hits == stats.misses == 0 else unknown
    print_table(
        ("REDIS", stats.version or "unknown"),
        [
            ("uptime", _figure(stats.uptime_seconds, duration, unknown)),
            ("ping", f"{stats.ping_ms:.1f} ms"),
            ("memory", memory),
            ("fragmentation", _figure(stats.fragmentation, "{:.2f}".format, unknown)),
            ("keys", _figure(stats.keys, "{:,}".format, unknown)),
            ("hit rate", _figure(stats.hit_rate, lambda rate: f"{percent(rate)} %", hit_rate)),
            ("operations", _figure(stats.ops_per_second, "{:,}/s".format, unknown)),
            ("clients", _figure(stats.clients, "{:,}".format, unknown)),
            ("evicted", _figure(stats.evicted, "{:,}".format, unknown)),
            ("expired", _figure(stats.expired, "{:,}".format, unknown)),
        ],
    )


def _figure(figure: float | None, form: Callable[[float], str], unknown: str) -> str:
    return unknown if figure is None else form(figure)
