"""`cache clear`: removes cached keys, counted first."""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from opsconsole.cache.filters import ClearFilter
from opsconsole.cli.commands import Command
from opsconsole.cli.exit_codes import ACTING
from opsconsole.cli.following import carry_out
from opsconsole.cli.options import Options, load_settings
from opsconsole.cli.output import echo, print_json, print_table
from opsconsole.cli.progress import Bar, bar
from opsconsole.cli.prompts import abort, dry_run_option, json_option, require_yes, yes_option
from opsconsole.cli.session import open_service
from opsconsole.core.errors import Exit, OpsconsoleError
from opsconsole.core.signals import INTERRUPTED
from opsconsole.core.text import safe
from opsconsole.service import confirmations

if TYPE_CHECKING:
    from opsconsole.cache.clearing import ClearProgress
    from opsconsole.service.outcomes import Outcome
    from opsconsole.service.service import Service

POLL_SECONDS = 0.1


@click.command("clear", cls=Command, exit_codes=ACTING | {Exit.REFUSED: "many more keys match than were counted"})
@click.option("--user", metavar="ID", help="Clear keys of this user.")
@click.option("--subject", metavar="ID", help="Clear keys of this subject.")
@click.option("--family", metavar="NAME", help="Clear keys of this family; see `opsconsole cache families`.")
@click.option("--date", metavar="DATE", help="Clear keys of this date, such as 2026-01-19.")
@dry_run_option
@yes_option
@json_option
@click.pass_obj
def command(
    options: Options,
    user: str | None,
    subject: str | None,
    family: str | None,
    date: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Clear cached keys of a user, subject, family or date.

    A key has to match every option that is given. Only keys of declared families are cleared; families without such an
    id in their keys are skipped. The keys are counted first, and you are asked to confirm: in production, and above
    1,000 keys, by typing a name. If many more keys match by then, nothing is cleared. Ctrl+C cancels the clearing and
    prints what was cleared so far; the exit code is 130.

    \b
    Examples:
      opsconsole cache clear --user u0417 --dry-run
      opsconsole cache clear --family attempts.day --date 2026-01-19
    """
    selected = ClearFilter(user, subject, family, date)
    with open_service(load_settings(options)) as service:
        found = _count(service, selected)
        if not as_json:
            _print_count(found, selected)
        if dry_run or not found.total:
            if as_json:
                _print_document(found, {})
            return
        _confirm(found, selected, service.settings.console.environment, yes=yes)
        number = service.commands.clear_cache(selected, counted=found.total)
        outcome, is_cancelled = _clear(service, number)
    if as_json:
        _print_document(found, outcome.facts["families"], command=number, message=outcome.done)
    else:
        echo(outcome.done)
    if is_cancelled:
        sys.exit(INTERRUPTED)


def _count(service: Service, selected: ClearFilter) -> ClearProgress:
    steps = service.cache.count_keys(selected)
    with bar("counting", "keys") as shown:
        for step in steps:
            shown.update(step.scanned, step.of, _note(step.total))
    return step


def _print_count(found: ClearProgress, selected: ClearFilter) -> None:
    families = {name: keys for name, keys in found.found.items() if keys}
    if families:
        rows = [(name, f"{keys:,}") for name, keys in sorted(families.items(), key=lambda row: -row[1])]
        print_table(("FAMILY", "KEYS"), [*rows, ("total", f"{found.total:,}")], right=(1,))
        for key in found.samples:
            echo(f"example: {safe(key, 300)}")
    else:
        echo(f"nothing to clear: no cached key matches {safe(selected, 300)}")
    if found.skipped_families:
        echo(f"skipped families without such an id: {', '.join(found.skipped_families)}")


def _print_document(
    found: ClearProgress, cleared: Mapping[str, int], *, command: int | None = None, message: str | None = None
) -> None:
    families = found.found if command is None else cleared
    print_json(
        {
            "command": command,
            "counted": found.total,
            "cleared": sum(cleared.values()),
            "message": message,
            "families": {name: keys for name, keys in families.items() if keys},
            "samples": found.samples,
            "skipped_families": found.skipped_families,
        }
    )


def _confirm(found: ClearProgress, selected: ClearFilter, environment: str, *, yes: bool) -> None:
    """Asks for a yes, or for a name where that is not enough; ends the command without it."""
    question = confirmations.clear_question(found, environment)
    word = confirmations.word_to_clear(selected, found.total, environment)
    if word is None or yes or not sys.stdin.isatty():
        require_yes(question, yes=yes)
    elif click.prompt(f"{question} Type {word} to confirm", default="", show_default=False, err=True) != word:
        abort()


def _clear(service: Service, number: int) -> tuple[Outcome, bool]:
    """The outcome of a clearing, with its progress on a terminal; and whether Ctrl+C cancelled it. Raises Refused."""
    over = threading.Event()
    with bar("clearing", "keys") as shown:
        watcher = threading.Thread(target=_watch, args=(service, number, shown, over), name="progress", daemon=True)
        watcher.start()
        try:
            return carry_out(service, number), False
        except KeyboardInterrupt:
            with suppress(OpsconsoleError):  # it has ended in the meantime
                service.commands.cancel_clearing(number)
            return carry_out(service, number), True
        finally:
            over.set()
            watcher.join()


def _watch(service: Service, number: int, shown: Bar, over: threading.Event) -> None:
    while shown.is_shown and not over.wait(POLL_SECONDS):
        with suppress(OpsconsoleError):  # the caller, who waits for the outcome, reports what is wrong
            if (now := service.commands.progress(number)) is not None:
                shown.update(now.scanned, now.of, _note(now.cleared), title=now.step)


def _note(keys: int) -> str:
    return f"{keys:,} matching" if keys else ""
