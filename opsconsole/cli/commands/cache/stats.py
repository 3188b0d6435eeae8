"""`cache stats`: the statistics of the Redis server."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from opsconsole.cli.commands import Command
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, print_table
from opsconsole.cli.prompts import json_option
from opsconsole.cli.session import open_service
from opsconsole.core.humanize import duration, megabytes, percent
from opsconsole.service import wording

if TYPE_CHECKING:
    from opsconsole.cache.figures import CacheDay, RedisStats


MAX_DAYS = 90


@click.command("stats", cls=Command)
@click.option("--days", type=click.IntRange(1, MAX_DAYS), help="Also show each family's reads and sizes by day.")
@json_option
@click.pass_obj
def command(options: Options, days: int | None, as_json: bool) -> None:
    """Show statistics of the Redis server.

    With --days, also what the routes of this installation read from each family of keys on the last days (UTC), and
    what Redis held of it. Figures are kept for 90 days.

    \b
    Examples:
      opsconsole cache stats
      opsconsole cache stats --days 7
    """
    with open_service(load_settings(options)) as service:
        stats = service.cache.statistics()
        by_day = None if days is None else service.cache.days(days)
    if as_json:
        history = {} if by_day is None else {"days": [{**asdict(each), "hit_rate": each.hit_rate} for each in by_day]}
        print_json({**asdict(stats), "hit_rate": stats.hit_rate, **history})
        return
    _print_server(stats)
    if by_day is not None:
        echo()
        _print_days(by_day)


def _print_days(by_day: list[CacheDay]) -> None:
    if not by_day:
        echo("no figures of these days yet")
        return
    print_table(
        ("DAY", "FAMILY", "HITS", "MISSES", "HIT RATE", "KEYS", "MEMORY"),
        [
            (
                each.day,
                each.family,
                f"{each.hits:,}",
                f"{each.misses:,}",
                _figure(each.hit_rate, lambda rate: f"{percent(rate)} %", "-"),
                _figure(each.keys, "{:,}".format, "-"),
                _figure(each.bytes, megabytes, "-"),
            )
            for each in by_day
        ],
        right=(2, 3, 4, 5, 6),
    )


def _print_server(stats: RedisStats) -> None:
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
