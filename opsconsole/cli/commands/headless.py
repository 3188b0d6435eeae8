"""The console, the demo and the process without a screen."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

import click
import msgspec

from opsconsole.cli.session import Options, door_of, log_to_file, log_with, open_service, settings_of
from opsconsole.cli.signals import watch
from opsconsole.core.errors import BadSettings, Exit, OpsconsoleError
from opsconsole.core.settings import Settings, private_folder, terminal

if TYPE_CHECKING:
    from opsconsole.http.listener import Listener
    from opsconsole.http.server import Server
    from opsconsole.leader.engine import Engine
    from opsconsole.service.service import Service

log = logging.getLogger(__name__)

STANDBY_SECONDS = 2.0
TOO_SMALL_BATCHES = "attempts.update_performance"
"""In the demo this job takes many times as long as it need: its run's page shows why."""
HANGUP = 128 + signal.SIGHUP


class NoTerminal(OpsconsoleError):
    """The console cannot be drawn here."""

    exit_code = Exit.USAGE


def open_console(options: Options) -> int:
    """Opens the console and returns its exit code."""
    _require_a_terminal()
    settings = settings_of(options)
    private_folder(settings.folder)
    log_to_file(settings.folder)
    with open_service(settings, patient=True) as service:
        return _console(service, options)


@click.command()
@click.option("--users", default=2000, show_default=True, type=click.IntRange(10, 1_000_000), help="How many people.")
@click.pass_obj
def demo(options: Options, users: int) -> None:
    """Opens the console on sample data: real jobs on real rows, in a folder of its own."""
    from opsconsole.embedded.claude import sample_claude
    from opsconsole.embedded.demo import opening_job, prepared

    _require_a_terminal()
    settings = demo_settings(users)
    private_folder(settings.folder)
    log_to_file(settings.folder)
    with sample_claude(), open_service(settings) as service, prepared(service, users, tell=_tell):
        service.attend("console")
        code = _draw(service, options, start_run=opening_job(service))
    sys.exit(code)


@click.command()
@click.option("--http", "address", metavar="ADDRESS", help="Answer other programs at HOST:PORT or unix:/path.")
@click.option("--no-standby", is_flag=True, help="End with 75 when another process leads, instead of waiting.")
@click.pass_obj
def headless(options: Options, address: str | None, no_standby: bool) -> None:
    """Schedules and executes without a screen; one JSON object a line on standard output.

    With --http, or `bind` in [http], it also answers other programs: their secret is $CRON_SECRET, without which only
    this machine is answered. SIGHUP reads the configuration again, and keeps the one in force when the new one cannot
    be used.

    \b
    Examples:
      opsconsole headless --http 127.0.0.1:8080
      opsconsole headless --http unix:/run/opsconsole/http.sock
    """
    from opsconsole.leader.engine import Engine

    log_with(_JsonLines(sys.stdout))
    hung_up: SimpleQueue[int] = SimpleQueue()
    signal.signal(signal.SIGHUP, lambda number, _frame: hung_up.put(number))
    settings = settings_of(options)
    with door_of(settings, address) as door, open_service(settings, patient=True) as service:
        engine = Engine(service.settings, service.store, service.catalog)
        service.use_engine(engine)
        server = _served(door, service) if door is not None else None
        engine.start()
        service.attend("headless")
        try:
            if no_standby and not _leads_within(engine, STANDBY_SECONDS):
                click.echo("opsconsole: another process leads; leave out --no-standby to wait for its end", err=True)
                sys.exit(Exit.NOT_LEADING)
            while True:
                with suppress(Empty):
                    hung_up.get(timeout=1.0)
                    _reload(options, service, engine, server)
        finally:
            if server is not None:
                server.stop()
            engine.stop()


def _served(door: Listener, service: Service) -> Server:
    from opsconsole.http.server import Server

    return Server(door, service)


def _leads_within(engine: Engine, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not engine.is_leading and time.monotonic() < end:
        time.sleep(0.05)
    return engine.is_leading


def _reload(options: Options, service: Service, engine: Engine, server: Server | None) -> None:
    """Takes a changed configuration over; one that cannot be used changes nothing."""
    from opsconsole.authoring import catalog

    before = service.settings
    try:
        settings = settings_of(options)
        if settings.redis_url is None:
            settings = replace(settings, redis_url=before.redis_url)
        places = (settings.store_url, settings.data_url, settings.redis_url, settings.http)
        if places != (before.store_url, before.data_url, before.redis_url, before.http):
            raise BadSettings(["another store, data database, Redis or HTTP address needs a restart"])
        jobs = catalog.load(settings.packs, settings.overrides, settings.options)
        if server is not None:
            server.reload(jobs)
    except BadSettings as error:
        for problem in error.problems:
            log.warning("the configuration is not taken over: %s", problem)
        return
    service.reload(settings, jobs)
    engine.reload(settings, jobs)
    log.info("the configuration is read again: %s jobs", len(list(jobs)))


def demo_settings(users: int) -> Settings:
    """The demo's configuration: everything in a folder of its own, whatever else is configured; and one mistake in it,
    for somebody to find.
    """
    from opsconsole.core.settings import JobOverride, data_home, load_embedded

    settings = load_embedded(data_home() / f"demo-{users}", environment="demo")
    return replace(settings, overrides={TOO_SMALL_BATCHES: JobOverride(batch=5)})


def _console(service: Service, options: Options) -> int:
    from opsconsole.leader.engine import Engine

    if options.observe or options.read_only:
        service.attend("console")
        return _draw(service, options)
    service.successor = lambda: _start_headless(service.settings)
    engine = Engine(service.settings, service.store, service.catalog)
    service.use_engine(engine)
    engine.start()
    service.attend("console")
    code = 1
    try:
        code = _draw(service, options)
        if code == HANGUP and service.settings.console.on_hangup == "continue":
            _go_on_without_a_screen()
    finally:
        watch(code)
        engine.stop()
    return code


def _go_on_without_a_screen() -> None:
    """The terminal is gone: schedules on, until a signal ends it."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    nothing = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nothing, number)
    log.info("the terminal is gone; this process goes on without a screen until SIGTERM")
    while True:
        time.sleep(60)


def _start_headless(settings: Settings) -> None:
    """A process of its own that takes over when this one has ended."""
    file = ["--config", str(settings.source)] if settings.source else []
    with (settings.folder / "headless.log").open("ab") as out:
        subprocess.Popen(
            [sys.executable, "-P", "-m", "opsconsole", *file, "headless"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,  # the terminal's end is not its own
        )


def _draw(service: Service, options: Options, *, start_run: str | None = None) -> int:
    from screens.app import run

    return run(service, start_run=start_run, ascii=options.ascii_only)


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
