"""`cache`: what Redis holds, by which families, and how keys are cleared."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from opsconsole.cli import following as carrying, output as printing
from opsconsole.cli.prompts import json_option, require_yes, yes_option
from opsconsole.cli.session import Options, open_service, settings_of
from opsconsole.core.errors import Exit, OpsconsoleError
from opsconsole.core.humanize import duration
from opsconsole.core.text import safe

if TYPE_CHECKING:
    from opsconsole.cache.clearing import ClearFilter, ClearProgress
    from opsconsole.service.service import Service
    from opsconsole.service.snapshot import Outcome

COUNT_SECONDS = 60.0
"""A walk through the keys of a server that takes longer is cut off, and the rest is reckoned."""
LOOK_SECONDS = 0.1

Told = Callable[[str, int, int, int], None]
"""How far it is: in a word, keys looked at, of how many, and how many are found or cleared."""


@click.group()
def cache() -> None:
    """What Redis holds, and how it is cleared."""


@cache.command()
@json_option
@click.pass_obj
def stats(options: Options, as_json: bool) -> None:
    """Shows what the Redis server says about itself."""
    with open_service(settings_of(options)) as service:
        told = service.queries.redis_stats()
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


@cache.command()
@click.option("--count", "counting", is_flag=True, help="Also count the keys of each: walks through all of the server.")
@json_option
@click.pass_obj
def families(options: Options, counting: bool, as_json: bool) -> None:
    """Lists the declared families of keys: how long they live, whom they belong to, what they are made from."""
    with open_service(settings_of(options)) as service:
        known = sorted(service.queries.families(), key=lambda family: family.name)
        found = service.queries.cache_usage(COUNT_SECONDS) if counting else None
    if as_json:
        listed: list[dict[str, Any]] = []
        for family in known:
            facts: dict[str, Any] = {
                "name": family.name,
                "pattern": family.pattern,
                "ttl_seconds": family.ttl_seconds,
                "of": family.of,
                "made_from": family.made_from,
            }
            if found is not None:
                facts |= {"keys": found.families[family.name].keys, "exact": found.done}
            listed.append(facts)
        printing.as_json(listed)
        return
    if not known:
        click.echo("no pack declares a family of keys")
        return
    head = ["FAMILY", "PATTERN", "LIVES", "BELONGS TO", "MADE FROM"]
    rows = [
        [
            family.name,
            family.pattern,
            duration(family.ttl) if family.ttl else "stays",
            ", ".join(family.of) or "-",
            ", ".join(family.made_from) or "-",
        ]
        for family in known
    ]
    if found is not None:
        head.append("KEYS" if found.done else "KEYS, ABOUT")
        for row, family in zip(rows, known, strict=True):
            row.append(f"{found.families[family.name].keys:,}")
    printing.table(head, rows, right=(5,))


@cache.command()
@click.option("--user", metavar="U", help="Keys of this user.")
@click.option("--subject", metavar="S", help="Keys of this subject.")
@click.option("--family", metavar="F", help="Keys of this family; `opsconsole cache families` lists them.")
@click.option("--date", metavar="D", help="Keys of this day, written 2026-01-19.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@yes_option
@json_option
@click.pass_obj
def clear(
    options: Options,
    user: str | None,
    subject: str | None,
    family: str | None,
    date: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Clears the cached keys that meet all that is named; counts them first, and asks.

    Only keys of declared families are looked at, and families that have no such part are left alone. In production, and
    above 1,000 keys, a name has to be typed. It is refused when there are many more keys by then than were counted.

    \b
    Examples:
      opsconsole cache clear --user u0417 --dry-run
      opsconsole cache clear --family attempts.day --date 2026-01-19
    """
    from opsconsole.cache.clearing import ClearFilter

    wanted = ClearFilter(user, subject, family, date)
    with open_service(settings_of(options)) as service:
        found = _counted(service, wanted)
        if not as_json:
            _tell_found(found, wanted)
        if dry_run or not found.total:
            if as_json:
                _tell_as_json(None, found, found.found, cleared=0, done=None)
            return
        _ask(found, wanted, service.settings.console.environment, yes=yes)
        command = service.commands.clear_cache(wanted, counted=found.total)
        outcome = _carried_out(service, command)
    if as_json:
        facts = outcome.facts
        _tell_as_json(command, found, facts["families"], cleared=facts["cleared"], done=outcome.done)
    else:
        click.echo(outcome.done)


def _counted(service: Service, wanted: ClearFilter) -> ClearProgress:
    steps = service.queries.count_keys(wanted)
    with _bar() as told:
        for step in steps:
            told("counting", step.scanned, step.of, step.total)
    return step


def _tell_found(found: ClearProgress, wanted: ClearFilter) -> None:
    there = {name: keys for name, keys in found.found.items() if keys}
    if there:
        rows = [(name, f"{keys:,}") for name, keys in sorted(there.items(), key=lambda row: -row[1])]
        printing.table(("FAMILY", "KEYS"), [*rows, ("all of them", f"{found.total:,}")], right=(1,))
        for index, key in enumerate(found.samples):
            click.echo(f"{'such as' if index == 0 else '':<7}  {safe(key, 300)}")
    else:
        click.echo(f"there is nothing to clear: no key is cached of {safe(wanted, 300)}")
    if found.skipped_families:
        click.echo(f"skipped, because their keys lack such a part: {', '.join(found.skipped_families)}")


def _tell_as_json(command: int | None, found: ClearProgress, of: Any, *, cleared: int, done: str | None) -> None:
    families = {name: keys for name, keys in of.items() if keys}
    facts = {"command": command, "counted": found.total, "cleared": cleared, "done": done, "families": families}
    printing.as_json({**facts, "samples": found.samples, "skipped_families": found.skipped_families})


def _ask(found: ClearProgress, wanted: ClearFilter, environment: str, *, yes: bool) -> None:
    """Asks for a yes, or for a name where that is not enough; ends the command when neither is given."""
    from opsconsole.service import confirmations as guard

    question = guard.question(found, environment)
    word = guard.word(wanted, found.total, environment)
    if word is None or yes or not sys.stdin.isatty():
        require_yes(question, yes=yes)
    elif click.prompt(f"{question} Type {word} to clear them", default="", show_default=False, err=True) != word:
        click.echo("nothing was asked for", err=True)
        raise click.exceptions.Exit(Exit.FAILED)


def _carried_out(service: Service, command: int) -> Outcome:
    """What came of a clearing, telling how far it is when somebody looks. Raises Refused."""
    over = threading.Event()
    with _bar() as told:

        def look() -> None:
            while not over.wait(LOOK_SECONDS):
                with suppress(OpsconsoleError):  # whoever waits for the outcome says what is wrong
                    if (now := service.commands.progress(command)) is not None:
                        told(now.step, now.scanned, now.of, now.cleared)

        looking = threading.Thread(target=look, name="progress", daemon=True)
        looking.start()
        try:
            return carrying.settled(service, command)
        finally:
            over.set()
            looking.join()


@contextmanager
def _bar() -> Iterator[Told]:
    """Shows on a terminal how far something is that goes through the server's keys."""
    if not sys.stderr.isatty():
        yield lambda _step, _scanned, _of, _found: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[found]}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("counting", total=None, found="")

        def told(step: str, scanned: int, of: int, found: int) -> None:
            bar.update(
                task, description=step, completed=scanned, total=of or None, found=f"{found:,} keys" * bool(found)
            )

        yield told
