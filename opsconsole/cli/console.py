"""The console, the demo and the process without a screen."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click
import msgspec

from opsconsole.cli.opening import Options, desk_of, log_to_file, log_with, settings_of
from opsconsole.errors import Exit, OpsconsoleError
from opsconsole.settings import Settings, private_folder, terminal

if TYPE_CHECKING:
    from opsconsole.desk import Desk

STANDBY_SECONDS = 2.0


class NoTerminal(OpsconsoleError):
    """The console cannot be drawn here."""

    exit_code = Exit.USAGE


def open_console(options: Options) -> int:
    """Opens the console and returns its exit code."""
    _require_a_terminal()
    settings = settings_of(options)
    private_folder(settings.folder)
    log_to_file(settings.folder)
    with desk_of(settings, patient=True) as desk:
        return _console(desk, options)


@click.command()
@click.option("--users", default=2000, show_default=True, type=click.IntRange(10, 1_000_000), help="How many people.")
@click.pass_obj
def demo(options: Options, users: int) -> None:
    """Opens the console on sample data: real jobs on real rows, in a folder of its own."""
    from opsconsole.embedded.demo import opening_job, prepared

    _require_a_terminal()
    settings = demo_settings(users)
    private_folder(settings.folder)
    log_to_file(settings.folder)
    with desk_of(settings) as desk, prepared(desk, users, tell=_tell):
        code = _draw(desk, options, start_run=opening_job(desk))
    sys.exit(code)


@click.command()
@click.option("--no-standby", is_flag=True, help="End with 75 when another process leads, instead of waiting.")
@click.pass_obj
def headless(options: Options, no_standby: bool) -> None:
    """Schedules and executes without a screen; one JSON object a line on standard output."""
    from opsconsole.engine import Engine

    log_with(_JsonLines(sys.stdout))
    stopped = threading.Event()
    by: list[int] = []

    def stop(number: int, _frame: object) -> None:
        by.append(number)
        stopped.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    with desk_of(settings_of(options), patient=True) as desk:
        engine = Engine(desk.settings, desk.store, desk.catalog)
        engine.start()
        code = 0
        if no_standby and not stopped.wait(STANDBY_SECONDS) and not engine.is_leading:
            click.echo("opsconsole: another process leads; leave out --no-standby to wait for its end", err=True)
            code = Exit.NOT_LEADING
        else:
            while not stopped.wait(1.0):
                pass
        engine.stop()
    sys.exit(code or 128 + by[0])


def demo_settings(users: int) -> Settings:
    """The demo's configuration: everything in a folder of its own, whatever else is configured."""
    from opsconsole.settings import data_home, load_embedded

    return load_embedded(data_home() / f"demo-{users}", environment="demo")


def _console(desk: Desk, options: Options) -> int:
    from opsconsole.engine import Engine

    desk.engine = Engine(desk.settings, desk.store, desk.catalog)
    desk.engine.start()
    try:
        return _draw(desk, options)
    finally:
        desk.engine.stop()


def _draw(desk: Desk, options: Options, *, start_run: str | None = None) -> int:
    from screens.app import run

    return run(desk, start_run=start_run, ascii=options.ascii_only)


def _require_a_terminal() -> None:
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise NoTerminal("the console needs a terminal; use `opsconsole headless` or the commands in `--help` here")
    if terminal() in ("", "dumb"):
        raise NoTerminal(f"the console cannot be drawn on a terminal of type {terminal() or 'none'!r}; set TERM")
    if "utf" not in (sys.stdout.encoding or "").lower():
        raise NoTerminal("the console needs a UTF-8 locale; set LANG=C.UTF-8")


def _tell(sentence: str) -> None:
    click.echo(sentence, err=True)


class _JsonLines(logging.StreamHandler):  # type: ignore[type-arg]
    """Log records as JSON, one a line."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        told = {"at": at, "level": record.levelname.lower(), "from": record.name, "says": record.getMessage()}
        return msgspec.json.encode(told).decode()
