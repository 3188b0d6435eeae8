"""`cache stats`, `check` and `migrate`: looking after the installation."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from opsconsole.cli import printing
from opsconsole.cli.opening import Options, desk_of, settings_of
from opsconsole.errors import Exit


@click.group()
def cache() -> None:
    """What Redis holds."""


@cache.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def stats(options: Options, as_json: bool) -> None:
    """Shows what the Redis server says about itself."""
    with desk_of(settings_of(options)) as desk:
        told = desk.redis_stats()
    if as_json:
        printing.as_json({**asdict(told), "hit_rate": told.hit_rate})
        return
    limit = f" of {told.max_memory / 1e6:,.0f}" if told.max_memory else ""
    rate = f"{told.hit_rate:.1%}" if told.hit_rate is not None else "no reads yet"
    printing.table(
        ("REDIS", told.version),
        [
            ("up", f"{told.uptime_seconds:,} s"),
            ("ping", f"{told.ping_ms:.1f} ms"),
            ("memory", f"{told.memory / 1e6:,.1f}{limit} MB, peak {told.peak_memory / 1e6:,.1f} MB"),
            ("fragmentation", f"{told.fragmentation:.2f}"),
            ("keys", f"{told.keys:,}"),
            ("hit rate", rate),
            ("operations", f"{told.ops_per_second:,} a second"),
            ("clients", f"{told.clients:,}"),
            ("evicted", f"{told.evicted:,}"),
            ("expired", f"{told.expired:,}"),
        ],
    )


@click.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.pass_obj
def check(options: Options, as_json: bool) -> None:
    """Checks configuration, connections, tables and jobs, and says how to mend what is wrong."""
    from opsconsole.cli.checking import findings

    settings = settings_of(options)
    problems = findings(settings)
    if as_json:
        printing.as_json({"ok": not problems, "problems": problems, "settings": settings.effective()})
    else:
        for name, value in settings.effective().items():
            click.echo(f"{name:<22} {value}")
        for problem in problems:
            click.echo(f"✗ {problem}")
        click.echo(f"{len(problems)} to mend" if problems else "✓ all is well")
    sys.exit(Exit.CONFIGURATION if problems else Exit.DONE)


@click.command()
@click.option("--data", "with_data", is_flag=True, help="Also create tables and indexes that the jobs' packs miss.")
@click.pass_obj
def migrate(options: Options, with_data: bool) -> None:
    """Brings the store's tables to this version."""
    from opsconsole.cli.checking import migrated

    for line in migrated(settings_of(options), with_data=with_data):
        click.echo(line)
